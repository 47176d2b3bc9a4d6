/**
 * Restarts proxies and processes many times, and counts how often crash detection blocks a running member.
 *
 * @module
 */

import { fixedMembers } from "../../discovery/fixed.ts";
import { configure } from "../../options/configuration.ts";
import type { HearsayEvent } from "../../contracts/event_stream.ts";
import { memoryAddress, MemoryNetwork } from "../../testing/memory.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { SeededRandom } from "./seeded_random.ts";
import { Process } from "./process.ts";

/** Options of {@linkcode countFalseBlocks}. */
export interface RestartOptions {
  /** The number of restarts, one after another. */
  readonly restarts: number;
  /** The share of lost messages, from 0 to 1. */
  readonly loss: number;
  readonly seed: number;
  /** The longest time that an address refuses connections, in milliseconds; 1,000 by default. */
  readonly longestMs?: number;
}

/** Counts of a run. */
export interface RestartCounts {
  readonly restarts: number;
  /** How often a member began to suspect another. */
  readonly suspicions: number;
  /** How often a member blocked another as crashed after its process had ended. */
  readonly crashes: number;
  /** How often a member blocked another as crashed although its process was running. */
  readonly falseBlocks: number;
}

/**
 * 5,000 ms instead of the default: fewer heartbeats refute a suspicion, which makes the test harder, and a run in virtual
 * time is faster.
 */
const MEMBERS = 5;
const GOSSIP_INTERVAL_MS = 5_000;
const HEARTBEAT_EXPIRATION_MS = 120_000;
/** Longer than the members need to connect again after a restart. */
const SETTLE_MS = 3_000;
/** Restarts between two progress reports. */
const REPORT_EVERY = 1_000;

/** Restarts proxies and processes of a cluster one at a time. */
export async function countFalseBlocks(
  { restarts, loss, seed, longestMs = 1_000 }: RestartOptions,
  report: (counts: RestartCounts) => void = () => {},
): Promise<RestartCounts> {
  const runtime = new VirtualRuntime({ seed });
  const random = new SeededRandom(seed);
  const network = new MemoryNetwork({ runtime, seed });
  const config = configure({
    gossipInterval: GOSSIP_INTERVAL_MS,
    heartbeatExpiration: HEARTBEAT_EXPIRATION_MS,
  });
  const hosts = Array.from({ length: MEMBERS }, (_, index) => `h${index}`);
  const discovery = fixedMembers(hosts.map((host) => ({ id: host, host, port: 1, kinds: [] })));
  const running = new Map<string, Process>();
  const counts = { restarts: 0, suspicions: 0, crashes: 0, falseBlocks: 0 };
  const onEvent = (process: Process, event: HearsayEvent) => {
    if (process.isOver) return;
    if (event.type === "MemberSuspected") counts.suspicions++;
    if (event.type !== "MemberBlocked" || event.reason !== "crashed") return;
    if (running.has(event.memberId)) counts.falseBlocks++;
    else counts.crashes++;
  };
  const start = (host: string) => {
    const machine = runtime.machine();
    const process = new Process({
      id: host,
      host,
      machine,
      nowMs: runtime.monotonicMs(),
      network,
      config,
      discovery,
      onEvent,
      onClosed: () => {},
    });
    running.set(host, process);
    void process.start();
  };
  for (const host of hosts) start(host);
  await runtime.advance(2 * GOSSIP_INTERVAL_MS);
  network.setFaults({ loss });
  while (counts.restarts < restarts) {
    const host = random.pick(hosts);
    const address = memoryAddress(host, 1);
    const forMs = random.between(0, longestMs);
    if (random.chance(0.5)) {
      network.stopProxy(address);
      await runtime.advance(forMs);
      network.restoreProxy(address);
    } else {
      running.get(host)!.kill();
      running.delete(host);
      network.stopProxy(address);
      for (const other of hosts) if (other !== host) network.cut(address, memoryAddress(other, 1));
      network.heal();
      network.setFaults({ loss });
      await runtime.advance(forMs);
      network.restoreProxy(address);
      start(host);
    }
    await runtime.advance(SETTLE_MS);
    counts.restarts++;
    if (counts.restarts % REPORT_EVERY === 0) report(counts);
  }
  for (const process of running.values()) process.leave();
  await runtime.advance(4 * config.gossipRequestTimeout);
  await network[Symbol.asyncDispose]();
  return counts;
}
