/**
 * Cost per member and round of an idle cluster, where only heartbeats change. Measured with complete gossipers on a
 * virtual clock and the in-memory transport, which encodes and decodes every message.
 *
 * @module
 */

import process from "node:process";
import { fixedMembers } from "../discovery/fixed.ts";
import type { Member } from "../contracts/cluster.ts";
import { DEFAULT_CONFIG } from "../options/configuration.ts";
import { EventStream } from "../contracts/event_stream.ts";
import { Gossiper } from "../gossiper/gossiper.ts";
import { VirtualRuntime } from "../testing/virtual_runtime.ts";
import { MemoryNetwork } from "../testing/memory.ts";
import { NaiveCluster } from "./naive.ts";
import { duration, type Line, type Report, size } from "./report.ts";
import { KEYS, memberId, valueOf } from "./states.ts";

/** The cost of one member in one round. */
export interface RoundCost {
  readonly cpuMs: number;
  readonly bytes: number;
  readonly messages: number;
}

/** A cluster to measure. */
interface Size {
  readonly members: number;
  /** Keys per member, with the heartbeat. */
  readonly keys: number;
  /** Measured rounds. */
  readonly rounds: number;
}

const SIZES: readonly Size[] = [
  { members: 10, keys: KEYS, rounds: 200 },
  { members: 32, keys: KEYS, rounds: 60 },
  { members: 100, keys: KEYS, rounds: 20 },
  { members: 300, keys: KEYS, rounds: 4 },
];
/** Two keys, because a million states with ten keys exceed 8 GB. Unchanged keys cause no traffic. */
const LARGE: Size = { members: 1_000, keys: 2, rounds: 2 };
/** The most rounds until all members have all state. */
const MAX_ROUNDS_TO_AGREE = 100;
/** Rounds between that and the measurement. */
const ROUNDS_TO_REST = 3;

/** Measures each size, and beside it a gossip that sends the full state in every message. */
export async function benchSteady(report: Report): Promise<void> {
  for (const measured of SIZES) {
    const { members, keys, rounds } = measured;
    console.error(`  … ${members} members`);
    const cost = await steadyCost(measured);
    const naive = naiveCost(members, Math.max(2, Math.ceil(rounds / 5)));
    const whole = "full state in every message";
    report.table(titleOf(members, keys), [
      { what: "processor time", value: duration(cost.cpuMs) },
      {
        what: `processor time, ${whole}`,
        value: duration(naive.cpuMs),
        against: "Hearsay's",
        ratio: naive.cpuMs / cost.cpuMs,
      },
      { what: "bytes", value: size(cost.bytes) },
      {
        what: `bytes, ${whole}`,
        value: size(naive.bytes),
        against: "Hearsay's",
        ratio: naive.bytes / cost.bytes,
      },
      ...restOf(cost),
    ]);
  }
  report.note(
    "Processor time is that of complete gossipers with codec, streams and the virtual clock. The baseline",
  );
  report.note(
    "only encodes, decodes and merges: it has no transport, no timers and no checks.",
  );
}

/** Measures 1,000 complete gossipers, which takes six minutes and several gigabytes. */
export async function benchSteadyLarge(report: Report): Promise<void> {
  const cost = await steadyCost(LARGE);
  report.table(titleOf(LARGE.members, LARGE.keys), [
    { what: "processor time", value: duration(cost.cpuMs) },
    { what: "bytes", value: size(cost.bytes) },
    ...restOf(cost),
  ]);
}

function titleOf(members: number, keys: number): string {
  return `A member's round in a steady state of ${members.toLocaleString("en")} members of ${keys} keys`;
}

function restOf({ cpuMs, bytes, messages, agreedAfter }: SteadyCost): Line[] {
  const roundsPerSecond = 1000 / DEFAULT_CONFIG.gossipInterval;
  return [
    { what: "messages", value: messages.toFixed(1) },
    { what: "processor time a minute", value: duration(cpuMs * roundsPerSecond * 60) },
    { what: "bytes a second", value: size(bytes * roundsPerSecond) },
    { what: "rounds from the start to convergence", value: `${agreedAfter}` },
  ];
}

interface SteadyCost extends RoundCost {
  readonly agreedAfter: number;
}

async function steadyCost({ members, keys, rounds }: Size): Promise<SteadyCost> {
  const runtime = new VirtualRuntime({ seed: members });
  await using network = new MemoryNetwork({ runtime });
  const gossipers = gossipersOf(members, { keys, runtime, network });
  const interval = DEFAULT_CONFIG.gossipInterval;
  await Promise.all(gossipers.map((gossiper) => gossiper.start()));
  const agreedAfter = await roundsToAgree(gossipers, { keys, runtime });
  await runtime.advance(ROUNDS_TO_REST * interval);
  const before = network.counts;
  const cpu = process.cpuUsage();
  await runtime.advance(rounds * interval);
  const { user, system } = process.cpuUsage(cpu);
  const after = network.counts;
  const each = members * rounds;
  const cost = {
    cpuMs: (user + system) / 1000 / each,
    bytes: (after.bytes - before.bytes) / each,
    messages: (after.messages - before.messages) / each,
    agreedAfter,
  };
  await stopAll(gossipers, runtime);
  return cost;
}

function gossipersOf(
  count: number,
  site: { readonly keys: number; readonly runtime: VirtualRuntime; readonly network: MemoryNetwork },
): Gossiper[] {
  const members = Array.from({ length: count }, (_, index): Member => {
    return { id: memberId(index), host: `member-${index}`, port: 1, kinds: [] };
  });
  return members.map((self, index) => {
    const gossiper = new Gossiper({}, {
      self,
      name: "bench",
      eventStream: new EventStream(),
      transport: site.network.transport(self.host, self.port),
      discovery: fixedMembers(members),
      actorStatistics: () => ({ order: 3 }),
      runtime: site.runtime.machine(),
    });
    for (let key = 1; key < site.keys; key++) gossiper.setState(`key-${key}`, valueOf(index, key));
    return gossiper;
  });
}

/** Rounds from a common start until every member has all state. */
async function roundsToAgree(
  gossipers: readonly Gossiper[],
  { keys, runtime }: { readonly keys: number; readonly runtime: VirtualRuntime },
): Promise<number> {
  const holdsAll = (gossiper: Gossiper) => gossiper.getState(`key-${keys - 1}`).size === gossipers.length;
  for (let rounds = 1; rounds <= MAX_ROUNDS_TO_AGREE; rounds++) {
    await runtime.advance(DEFAULT_CONFIG.gossipInterval);
    if (gossipers.every(holdsAll)) return rounds;
  }
  throw new Error(`No convergence after ${MAX_ROUNDS_TO_AGREE} rounds.`);
}

async function stopAll(gossipers: readonly Gossiper[], runtime: VirtualRuntime): Promise<void> {
  let stopped = false;
  const stopping = Promise.all(gossipers.map((gossiper) => gossiper.stop())).then(() => stopped = true);
  await runtime.runUntil(() => stopped, { withinMs: 60_000 });
  await stopping;
}

function naiveCost(members: number, rounds: number): RoundCost {
  const cluster = new NaiveCluster(members, DEFAULT_CONFIG.gossipFanOut);
  cluster.round();
  const before = cluster.counts;
  const cpu = process.cpuUsage();
  for (let round = 0; round < rounds; round++) cluster.round();
  const { user, system } = process.cpuUsage(cpu);
  const each = members * rounds;
  return {
    cpuMs: (user + system) / 1000 / each,
    bytes: (cluster.counts.bytes - before.bytes) / each,
    messages: (cluster.counts.messages - before.messages) / each,
  };
}
