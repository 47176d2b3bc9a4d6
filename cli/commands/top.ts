/**
 * `hearsay top`: the work of a member, drawn again every second.
 *
 * @module
 */

import { sleep } from "../../common/runtime.ts";
import { printable } from "../../common/printable.ts";
import type { Counts, Durations } from "../../contracts/meters.ts";
import type { Observer } from "../../observer/client.ts";
import type { ObservedAmounts, ObservedMember } from "../../observer/protocol.ts";
import { bar, bytes, type Column, duration, type Tone } from "../paint.ts";
import type { CommonFlags, Run } from "../program.ts";
import type { Screen } from "../screen.ts";
import { connect, targetOf } from "../target.ts";

/** The flags of the command. */
interface TopFlags extends CommonFlags {
  readonly once?: boolean;
}

/** The pause between two drawings, in milliseconds. */
const REFRESH_MS = 1_000;
/** The most peers in the list. */
const MAX_PEERS = 12;
/** The longest bar, in characters. */
const BAR = 16;
/** The part of the screen above the list of peers. */
const HEAD_LINES = 12;

/** A peer with its last exchange, and the entries that it lacks. */
type Peer = Counts["peers"][number] & { readonly lacks: number | null };

function columnsOf(peers: readonly Peer[]): readonly Column<Peer>[] {
  // A least number, because exchanges within one machine take less than a millisecond.
  const longestMs = Math.max(Number.MIN_VALUE, ...peers.map(({ lastMs }) => lastMs));
  return [
    { title: "SLOWEST PEERS", text: ({ peerId }) => peerId, mayShrink: true },
    { title: "LAST", text: ({ lastMs }) => duration(lastMs), align: "right" },
    {
      title: "",
      text: ({ lastMs }) => bar(lastMs / longestMs, BAR).padEnd(BAR),
      from: 70,
    },
    {
      title: "LACKS",
      text: ({ lacks }) => lacks === null ? "-" : String(lacks),
      tone: ({ lacks }) => lacks ? "warn" : "plain",
      align: "right",
    },
    {
      title: "OUTCOME",
      text: ({ outcome }) => outcome,
      tone: ({ outcome }) => outcome === "done" ? "good" : "bad",
    },
  ];
}

/** Shows rounds, traffic, lag and the slowest peers. */
export const top: Run<TopFlags> = async ({ terminal, screen }, _, flags) => {
  const { signal, runtime } = terminal;
  await using observer = await connect(await targetOf(flags, terminal), signal);
  let before = await observer.ask<ObservedAmounts>("amounts");
  if (flags.once && screen.isJson) return screen.json(before);
  try {
    do {
      await sleep(runtime, REFRESH_MS, { signal });
      const now = await observer.ask<ObservedAmounts>("amounts");
      if (screen.isJson) screen.json(now);
      else {
        const most = Math.max(3, Math.min(MAX_PEERS, terminal.size().rows - HEAD_LINES - 4));
        const peers = await peersOf(observer, now.counts?.peers.slice(0, most) ?? []);
        screen.draw(linesOf({ screen, observer, peers }, before, now));
      }
      before = now;
    } while (!flags.once && !signal.aborted);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};

/** The peers, with what each lacks. */
function peersOf(observer: Observer, peers: Counts["peers"]): Promise<Peer[]> {
  return Promise.all(peers.map(async (peer) => {
    const found = await observer.ask<ObservedMember | null>("member", { memberId: peer.peerId });
    return { ...peer, lacks: found?.lacks ?? null };
  }));
}

function linesOf(
  { screen, observer, peers }: {
    readonly screen: Screen;
    readonly observer: Observer;
    readonly peers: readonly Peer[];
  },
  before: ObservedAmounts,
  now: ObservedAmounts,
): string[] {
  const { self, cluster } = observer.welcome;
  const { members: { alive, suspected, failed }, phase, stateBytes } = now;
  const who = `${printable(self, 60)} of ${JSON.stringify(printable(cluster, 60))}`;
  const paint = (count: number, name: string, tone: Tone) =>
    screen.paint(`${count} ${name}`, count > 0 ? tone : "plain");
  const states = [
    paint(alive, "alive", "good"),
    paint(suspected, "suspected", "warn"),
    paint(failed, "failed", "bad"),
  ];
  const lines = [
    screen.paint(screen.cut(who, screen.columns), "bold"),
    row("members", states.join(", ")),
    row("phase", printable(String(phase))),
    row("state", `${bytes(stateBytes.own)} own, ${bytes(stateBytes.others)} of others`),
  ];
  const { amounts, counts } = now;
  if (!amounts || !counts || !before.amounts || !before.counts) {
    return [
      ...lines,
      "",
      ...screen.wrapped(
        "This member has no meters, so that rounds, traffic and lag are not known. Start it with " +
          "`meters: new MemberMeters()`, as `hearsay agent` does.",
      ),
    ];
  }
  const seconds = Math.max(0.001, (now.monotonicMs - before.monotonicMs) / 1_000);
  const rate = (one: number, other: number) => Math.max(0, one - other) / seconds;
  const { sent, received } = counts;
  const rounds = rate(amounts.rounds, before.amounts.rounds).toFixed(1);
  return [
    ...lines,
    row("rounds", printable(`${amounts.rounds} (${rounds}/s), ${amounts.skippedRounds} skipped`)),
    row("sent", traffic(sent, rate(sent.bytes, before.counts.sent.bytes))),
    row("received", traffic(received, rate(received.bytes, before.counts.received.bytes))),
    row("connected", `${amounts.connections.ready}, and ${amounts.connections.handshake} in the handshake`),
    row("queues", queues(amounts.queues)),
    row("lag", lagLine(counts.lag, amounts.oldestSpreadMs)),
    row("event loop", `${atMost(counts.eventLoopDelay.mostMs)} late (95 %)`),
    row("blocks", `${counts.falseBlocks} of members that were alive`),
    ...(peers.length > 0 ? ["", ...screen.table(peers, columnsOf(peers))] : []),
  ];
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(11)} ${text}`;
}

function traffic(total: Counts["sent"], perSecond: number): string {
  return `${bytes(perSecond)}/s; ${bytes(total.bytes)} in ${total.messages} messages`;
}

function queues({ outbox, events, pending }: NonNullable<ObservedAmounts["amounts"]>["queues"]): string {
  return `${outbox} messages, ${events} events, ${pending} members pending`;
}

/** The lag is that of this member's own sets. */
function lagLine({ half, most, all }: Counts["lag"], oldestMs: number): string {
  if (half.count === 0 && oldestMs === 0) return "no set of this member measured yet";
  const waiting = oldestMs === 0 ? "" : `; one waits for ${duration(oldestMs)}`;
  const usual = (durations: Durations) => atMost(durations.mostMs);
  return `to half ${usual(half)}, to 95 % ${usual(most)}, to all ${usual(all)}${waiting}`;
}

function atMost(milliseconds: number | null): string {
  return milliseconds === null ? "-" : `<= ${duration(milliseconds)}`;
}
