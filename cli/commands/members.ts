/**
 * `hearsay members`: the members, as the asked member sees them.
 *
 * @module
 */

import { sleep } from "../../common/runtime.ts";
import { isAlive } from "../../gossiper/member_status.ts";
import { type Observer, RequestFailed } from "../../observer/client.ts";
import type { Facts, MembersPage, ObservedMember } from "../../observer/protocol.ts";
import { isLate, LATE_INTERVALS } from "../doctor/cluster_steps.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { type Column, duration, type Tone } from "../paint.ts";
import type { CommonFlags, Run } from "../program.ts";
import type { Screen } from "../screen.ts";
import { connect, targetOf } from "../target.ts";

/** The flags of the command. */
interface MembersFlags extends CommonFlags {
  readonly watch?: boolean;
  readonly all?: boolean;
}

/** The pause between two drawings of `--watch`, in milliseconds. */
const REFRESH_MS = 1_000;
/** The most pages: 100,000 members. */
const MAX_PAGES = 200;

/** The tone of a status. */
export const STATUS_TONE: { readonly [status in ObservedMember["status"]]: Tone } = {
  alive: "good",
  suspected: "warn",
  failed: "bad",
  left: "dim",
};

/** The interval of the asked member; `undefined` for an observer that may not read the settings. */
type Settings = Pick<Facts, "settings"> | undefined;

const columnsWith = (facts: Settings): readonly Column<ObservedMember>[] => [
  { title: "MEMBER", text: ({ id, isSelf }) => isSelf ? `${id} *` : id, mayShrink: true },
  {
    title: "STATUS",
    text: ({ status, block }) => status === "failed" && block ? `failed: ${block.reason}` : status,
    tone: ({ status }) => STATUS_TONE[status],
  },
  {
    title: "HEARD",
    text: (member) => {
      const { isSelf, heartbeat } = member;
      return isSelf || !heartbeat
        ? "-"
        : `${duration(heartbeat.ageMs)}${isOverdue(member, facts) ? " !" : ""}`;
    },
    tone: (member) => isOverdue(member, facts) ? "bad" : "plain",
    align: "right",
  },
  {
    title: "LACKS",
    text: ({ lacks }) => lacks === null ? "-" : String(lacks),
    tone: ({ lacks }) => lacks ? "warn" : "plain",
    align: "right",
  },
  { title: "ADDRESS", text: ({ address }) => address ?? "none", mayShrink: true },
  { title: "KINDS", text: ({ kinds }) => kinds.join(" ") || "-", mayShrink: true, from: 110 },
];

/** True if a living member was not heard for many intervals, so it hangs or is cut off. */
function isOverdue(member: ObservedMember, facts: Settings): boolean {
  return facts !== undefined && isAlive(member) && !member.isSelf && member.heartbeat !== null &&
    isLate(member, facts);
}

/** Lists the members. */
export const members: Run<MembersFlags> = async ({ terminal, screen }, _, flags) => {
  const target = await targetOf(flags, terminal);
  if (flags.all) {
    if (flags.watch || target.options.token !== undefined) {
      const why = flags.watch ? "--watch asks one member" : "a token is for one connection: give --keys-file";
      throw new CommandFailure(EXIT.usage, `--all asks every member, and ${why}.`);
    }
    const { membersOfAll } = await import("./members_all.ts");
    return await membersOfAll(screen, target, terminal.signal);
  }
  const signal = flags.watch ? terminal.signal : undefined;
  await using observer = await connect(target, signal);
  const facts = screen.isJson ? undefined : await factsOf(observer);
  if (!flags.watch) return show(screen, observer, { all: await allMembers(observer), facts });
  await watch({ screen, observer, facts }, terminal);
};

/** The facts of the member; `undefined` for a reader, which may not ask for facts. */
async function factsOf(observer: Observer): Promise<Settings> {
  try {
    return await observer.ask<Facts>("facts");
  } catch (error) {
    if (error instanceof RequestFailed && error.fault === "forbidden") return undefined;
    throw error;
  }
}

/** All members, page by page. */
export async function allMembers(observer: Observer): Promise<ObservedMember[]> {
  const all: ObservedMember[] = [];
  let after: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const { members: found, next } = await observer.ask<MembersPage>(
      "members",
      after === undefined ? {} : { after },
    );
    all.push(...found);
    if (next === undefined) break;
    after = next;
  }
  return all;
}

function show(
  screen: Screen,
  { welcome: { self, cluster } }: Observer,
  { all, facts }: { readonly all: readonly ObservedMember[]; readonly facts: Settings },
): void {
  if (screen.isJson) return screen.json({ cluster, self, members: all });
  screen.lines(linesOf(screen, all, facts));
}

function linesOf(screen: Screen, all: readonly ObservedMember[], facts: Settings): string[] {
  const count = (status: ObservedMember["status"]) => all.filter((each) => each.status === status).length;
  const counts = (["alive", "suspected", "failed", "left"] as const).filter((status) => count(status) > 0)
    .map((status) => screen.paint(`${count(status)} ${status}`, STATUS_TONE[status]));
  const late = all.some((member) => isOverdue(member, facts)) && facts
    ? `   ! not heard for ${duration(LATE_INTERVALS * facts.settings.gossipInterval)}`
    : "";
  return [
    ...screen.table(all, columnsWith(facts)),
    `${counts.join(", ")}${screen.paint("   * the asked member", "dim")}${screen.paint(late, "bad")}`,
  ];
}

async function watch(
  { screen, observer, facts }: {
    readonly screen: Screen;
    readonly observer: Observer;
    readonly facts: Settings;
  },
  { runtime, signal }: Parameters<Run>[0]["terminal"],
): Promise<void> {
  let last = "";
  try {
    while (!signal.aborted) {
      const all = await allMembers(observer);
      // The age of a heartbeat changes all the time. On a terminal it is redrawn; elsewhere it is no reason for another
      // line.
      const seen = JSON.stringify(all.map(({ heartbeat: _, ...rest }) => rest));
      if (screen.mayRedraw) {
        screen.draw([...linesOf(screen, all, facts), screen.paint("Ctrl-C ends.", "dim")]);
      } else if (seen !== last) show(screen, observer, { all, facts });
      last = seen;
      await sleep(runtime, REFRESH_MS, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
