/**
 * A steady state: nothing changes but heartbeats, which never rest. What that costs each member in each round,
 * measured with whole gossipers over the in-memory transport, which writes and parses every message, on a
 * virtual clock.
 *
 * @module
 */

import process from "node:process";
import { fixedMembers } from "../discovery/fixed.ts";
import type { Member } from "../gossiper/cluster.ts";
import { DEFAULT_CONFIG } from "../gossiper/configuration.ts";
import { EventStream } from "../gossiper/event_stream.ts";
import { Gossiper } from "../gossiper/gossiper.ts";
import { VirtualRuntime } from "../tests/virtual_runtime.ts";
import { MemoryNetwork } from "../transport/memory.ts";
import { NaiveCluster } from "./naive.ts";
import { duration, type Report, size } from "./report.ts";
import { KEYS, memberId, valueOf } from "./states.ts";

/** What one member spends in one round. */
export interface RoundCost {
  readonly cpuMs: number;
  readonly bytes: number;
  readonly messages: number;
}

/** Clusters that are measured, by their members, and over how many rounds. */
const SIZES = [{ members: 10, rounds: 200 }, { members: 100, rounds: 20 }, {
  members: 300,
  rounds: 4,
}] as const;
/** How long members may take to learn of all others, in rounds. */
const MAX_ROUNDS_TO_AGREE = 100;
/** How many rounds pass then before the measurement. */
const ROUNDS_TO_REST = 3;

/** Measures each size, and beside it a gossip that sends everything in every message. */
export async function benchSteady(report: Report): Promise<void> {
  for (const { members, rounds } of SIZES) {
    console.error(`  … ${members} members`);
    const cost = await steadyCost(members, rounds);
    const naive = naiveCost(members, Math.max(2, Math.ceil(rounds / 5)));
    const whole = "everything in every message";
    report.table(`A member's round in a steady state of ${members} members of ${KEYS} keys`, [
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
      { what: "messages", value: cost.messages.toFixed(1) },
      { what: "rounds from the start until all held all", value: `${cost.agreedAfter}` },
    ]);
  }
  report.note(
    "Processor time is that of whole gossipers: codec, streams and the virtual clock included. What they",
  );
  report.note(
    "are compared with only writes, parses and merges: it has no transport, no timers and no checks.",
  );
}

async function steadyCost(members: number, rounds: number): Promise<RoundCost & { agreedAfter: number }> {
  const runtime = new VirtualRuntime({ seed: members });
  await using network = new MemoryNetwork({ runtime });
  const gossipers = gossipersOf(members, { runtime, network });
  const interval = DEFAULT_CONFIG.gossipInterval;
  await Promise.all(gossipers.map((gossiper) => gossiper.start()));
  const agreedAfter = await roundsToAgree(gossipers, runtime);
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
  site: { readonly runtime: VirtualRuntime; readonly network: MemoryNetwork },
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
    for (let key = 1; key < KEYS; key++) gossiper.setState(`key-${key}`, valueOf(index, key));
    return gossiper;
  });
}

/** After how many rounds from a common start everyone holds everything. */
async function roundsToAgree(gossipers: readonly Gossiper[], runtime: VirtualRuntime): Promise<number> {
  const holdsAll = (gossiper: Gossiper) => gossiper.getState(`key-${KEYS - 1}`).size === gossipers.length;
  for (let rounds = 1; rounds <= MAX_ROUNDS_TO_AGREE; rounds++) {
    await runtime.advance(DEFAULT_CONFIG.gossipInterval);
    if (gossipers.every(holdsAll)) return rounds;
  }
  throw new Error(`Not everyone held everything after ${MAX_ROUNDS_TO_AGREE} rounds.`);
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
