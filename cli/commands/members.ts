/**
 * `hearsay members`: the members, as one of them sees them.
 *
 * @module
 */

import { sleep } from "../../common/runtime.ts";
import type { Observer } from "../../observer/client.ts";
import type { MembersPage, ObservedMember } from "../../observer/protocol.ts";
import { type Column, duration, type Tone } from "../paint.ts";
import type { CommonFlags, Run } from "../program.ts";
import type { Screen } from "../screen.ts";
import { connect, targetOf } from "../target.ts";

/** The flags of the command. */
interface MembersFlags extends CommonFlags {
  readonly watch?: boolean;
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

const COLUMNS: readonly Column<ObservedMember>[] = [
  { title: "MEMBER", text: ({ id, isSelf }) => isSelf ? `${id} *` : id, mayShrink: true },
  {
    title: "STATUS",
    text: ({ status, block }) => status === "failed" && block ? `failed: ${block.reason}` : status,
    tone: ({ status }) => STATUS_TONE[status],
  },
  {
    title: "HEARD",
    text: ({ isSelf, heartbeat }) => isSelf || !heartbeat ? "-" : duration(heartbeat.ageMs),
    align: "right",
  },
  { title: "LACKS", text: ({ lacks }) => lacks === null ? "-" : String(lacks), align: "right" },
  { title: "ADDRESS", text: ({ address }) => address ?? "none", mayShrink: true },
  { title: "KINDS", text: ({ kinds }) => kinds.join(" ") || "-", mayShrink: true, from: 110 },
];

/** Lists the members. */
export const members: Run<MembersFlags> = async ({ terminal, screen }, _, flags) => {
  const target = await targetOf(flags, terminal);
  const signal = flags.watch ? terminal.signal : undefined;
  await using observer = await connect(target, signal);
  if (!flags.watch) return show(screen, observer, await allMembers(observer));
  await watch(screen, observer, terminal);
};

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
  all: readonly ObservedMember[],
): void {
  if (screen.isJson) return screen.json({ cluster, self, members: all });
  screen.lines(linesOf(screen, all));
}

function linesOf(screen: Screen, all: readonly ObservedMember[]): string[] {
  const count = (status: ObservedMember["status"]) => all.filter((each) => each.status === status).length;
  const counts = (["alive", "suspected", "failed", "left"] as const).filter((status) => count(status) > 0)
    .map((status) => screen.paint(`${count(status)} ${status}`, STATUS_TONE[status]));
  return [
    ...screen.table(all, COLUMNS),
    `${counts.join(", ")}${screen.paint("   * the asked member", "dim")}`,
  ];
}

async function watch(
  screen: Screen,
  observer: Observer,
  { runtime, signal }: Parameters<Run>[0]["terminal"],
): Promise<void> {
  let last = "";
  try {
    while (!signal.aborted) {
      const all = await allMembers(observer);
      // The age of a heartbeat changes always; it is redrawn on a terminal, and no reason for a further line elsewhere.
      const seen = JSON.stringify(all.map(({ heartbeat: _, ...rest }) => rest));
      if (screen.mayRedraw) screen.draw([...linesOf(screen, all), screen.paint("Ctrl-C ends.", "dim")]);
      else if (seen !== last) show(screen, observer, all);
      last = seen;
      await sleep(runtime, REFRESH_MS, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
