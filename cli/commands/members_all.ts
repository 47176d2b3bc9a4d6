/**
 * `hearsay members --all`: the members as each member sees them, and the members that disagree.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import { printable } from "../../common/printable.ts";
import { isAlive } from "../../gossiper/member_status.ts";
import { Observer } from "../../observer/client.ts";
import type { Facts, ObservedMember } from "../../observer/protocol.ts";
import { addressOf, othersToAsk } from "../doctor/cluster_steps.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import type { Column, Tone } from "../paint.ts";
import type { Screen } from "../screen.ts";
import { connect, type Target } from "../target.ts";
import { allMembers, STATUS_TONE } from "./members.ts";

/** The members as one member sees them. */
interface View {
  readonly id: string;
  readonly address: string | null;
  readonly members: ReadonlyMap<string, ObservedMember>;
}

/** A member that could not be asked. */
interface Silent {
  readonly id: string;
  readonly address: string;
  readonly error: string;
}

/** One member in all views. */
interface Row {
  readonly id: string;
  readonly isAsked: boolean;
  /** The member as the asked member sees it; `undefined` if the asked member does not know it. */
  readonly own: ObservedMember | undefined;
  readonly agree: number;
  /** The other views that differ from the asked member's view. */
  readonly differing: readonly { readonly by: string; readonly says: string }[];
}

/** The most members that are named for one difference. */
const MAX_NAMES = 3;

const COLUMNS: readonly Column<Row>[] = [
  { title: "MEMBER", text: ({ id, isAsked }) => isAsked ? `${id} *` : id, mayShrink: true },
  {
    title: "STATUS",
    text: ({ own }) => own?.status ?? "unknown",
    tone: ({ own }) => own ? STATUS_TONE[own.status] : "bad",
  },
  { title: "ADDRESS", text: ({ own }) => own?.address ?? "none", mayShrink: true },
  { title: "OTHER MEMBERS", text: othersText, tone: othersTone, mayShrink: true },
];

/** Asks the member and up to 16 others for their members, and shows the differences. */
export async function membersOfAll(
  screen: Screen,
  target: Target,
  signal: AbortSignal,
): Promise<ExitCode> {
  await using observer = await connect(target, signal);
  const { self, cluster } = observer.welcome;
  const facts = await observer.ask<Facts>("facts");
  const own = viewOf(self, await allMembers(observer));
  const { asked, more } = othersToAsk([...own.members.values()], facts);
  const scheme = new URL(target.address).protocol;
  const options = { ...target.options, cluster, signal };
  const answers = await Promise.all(asked.map((member) => ask(member, { scheme, options })));
  const views = answers.filter((answer) => "members" in answer);
  const silent = answers.filter((answer) => "error" in answer);
  const rows = rowsOf(own, views);
  const differing = rows.filter((row) => row.differing.length > 0).length;
  const code = differing > 0 ? EXIT.fault : EXIT.ok;
  if (screen.isJson) {
    screen.json({
      cluster,
      self,
      agree: differing === 0,
      notAsked: more,
      views: [own, ...views].map(({ members, ...of }) => ({ ...of, members: [...members.values()] })),
      silent,
    });
    return code;
  }
  screen.lines(screen.table(rows, COLUMNS));
  for (const { id, address, error } of silent) {
    const text = `${printable(id, 100)} at ${printable(address, 100)} could not be asked: ${error}`;
    screen.lines(screen.wrapped(text).map((line) => screen.paint(line, "warn")));
  }
  screen.paragraph(
    screen.paint(summaryOf({ asked: views.length, differing, more }), differing ? "bad" : "good"),
  );
  return code;
}

async function ask(
  member: ObservedMember,
  { scheme, options }: {
    readonly scheme: string;
    readonly options: Target["options"] & { signal: AbortSignal };
  },
): Promise<View | Silent> {
  const address = addressOf(member, scheme);
  try {
    await using observer = await Observer.connect(address, options);
    return viewOf(observer.welcome.self, await allMembers(observer));
  } catch (error) {
    options.signal.throwIfAborted();
    return { id: member.id, address: member.address!, error: printable(messageOf(error)) };
  }
}

function viewOf(id: string, members: readonly ObservedMember[]): View {
  return {
    id,
    address: members.find(({ isSelf }) => isSelf)?.address ?? null,
    members: new Map(members.map((member) => [member.id, member])),
  };
}

function rowsOf(own: View, others: readonly View[]): Row[] {
  const ids = new Set([own, ...others].flatMap(({ members }) => [...members.keys()]));
  return [...ids].map((id) => {
    const mine = own.members.get(id);
    const views = others.map((view) => ({ by: nameOf(view, own), seen: view.members.get(id) }));
    const differing = views.filter(({ seen }) => meaning(seen) !== meaning(mine));
    return {
      id,
      isAsked: id === own.id,
      own: mine,
      agree: views.length - differing.length,
      differing: differing.map(({ by, seen }) => ({ by, says: sayingOf(seen, mine) })),
    };
  });
}

/** A process with the id of the asked member is named by its address. */
function nameOf({ id, address }: View, own: View): string {
  return id === own.id ? `${id} at ${address}` : id;
}

/**
 * The part of a view on which members must agree. Departed members are left out, because members forget them at
 * different times.
 */
function meaning(seen: ObservedMember | undefined): string | undefined {
  return seen && isAlive(seen) ? `active at ${seen.address}` : undefined;
}

function sayingOf(seen: ObservedMember | undefined, mine: ObservedMember | undefined): string {
  if (!seen) return "unknown";
  return meaning(seen) && meaning(mine) ? `at ${seen.address ?? "no address"}` : seen.status;
}

function othersText({ agree, differing }: Row): string {
  const bySaying = Map.groupBy(differing, ({ says }) => says);
  const texts = [...bySaying].map(([says, views]) => `${says}: ${namesOf(views.map(({ by }) => by))}`);
  if (agree > 0) texts.push(`${agree} ${agree === 1 ? "agrees" : "agree"}`);
  return texts.join("; ") || "-";
}

function namesOf(ids: readonly string[]): string {
  const first = ids.slice(0, MAX_NAMES).join(", ");
  return ids.length > MAX_NAMES ? `${first} and ${ids.length - MAX_NAMES} more` : first;
}

function othersTone({ differing }: Row): Tone {
  return differing.length > 0 ? "bad" : "plain";
}

function summaryOf({ asked, differing, more }: {
  readonly asked: number;
  readonly differing: number;
  readonly more: number;
}): string {
  const others = `${asked} other ${asked === 1 ? "member" : "members"}`;
  const left = more > 0 ? ` ${more} more were not asked.` : "";
  if (asked === 0) return `No other member was asked.${left}`;
  return differing === 0
    ? `${others} asked: all agree.${left}`
    : `${others} asked: they disagree about ${differing} ${differing === 1 ? "member" : "members"}.${left}`;
}
