/**
 * Measures one system: all members start at once, values spread, the cluster is idle, and a member is killed.
 *
 * @module
 */

import { median } from "../measure.ts";
import { openNetwork } from "./network.ts";
import { ProcessCluster } from "./process_cluster.ts";
import { processorSeconds } from "./processor_time.ts";
import { type Figures, lastAfter, percentile } from "./statistics.ts";

/** The load and its phases. */
export interface Load {
  /** The number of member processes. */
  readonly members: number;
  readonly gossipIntervalMs: number;
  readonly fanOut: number;
  /** Sets, one after another, by members in turn. */
  readonly sets: number;
  /** The length of the idle phase, in milliseconds. */
  readonly idleMs: number;
  /** Milliseconds before the first set, so that a runtime has compiled its hot code. */
  readonly warmUpMs: number;
  /** Milliseconds between the last set and the idle phase, for the effects of sets to end. */
  readonly settleMs: number;
  /** False leaves out the kill, which takes as long as the slowest failure detector. */
  readonly kill: boolean;
}

/** The figures of one run, with notes for the reader. */
export interface Measurement {
  readonly figures: Figures;
  /** Why bytes were not counted; `undefined` if they were. */
  readonly whyNoBytes: string | undefined;
  /** The processor time of all processes from the last one being ready until every member sees all. */
  readonly joinCpuSeconds: number;
  /** How often a member reported a running member as gone. */
  readonly falselyGone: number;
}

/** Generous: all processes share the processors while they start. */
const START_BOUND_MS = 180_000;
const SPREAD_BOUND_MS = 60_000;
/** The time after a set in which this process reads no events: it would take processor time from the members. */
export const QUIET_MS = 50;
/** Six times the slowest default expiration. */
const KILL_BOUND_MS = 120_000;

/** Measures the system of this member program. */
export async function measureSystem(
  command: readonly string[],
  { load, report }: { readonly load: Load; readonly report: (sentence: string) => void },
): Promise<Measurement> {
  await using network = await openNetwork();
  const { members: size, gossipIntervalMs, fanOut } = load;
  report(`Starting ${size} processes.`);
  await using cluster = new ProcessCluster({
    size,
    gossipIntervalMs,
    fanOut,
    command: network.command(command),
  });
  const { joinMs, joinCpuSeconds } = await timeOfJoin(cluster);
  report(`All members see all ${Math.round(joinMs)} ms after the last was ready.`);
  await sleep(load.warmUpMs);
  report(`Setting ${load.sets} values.`);
  const spreadMs = await timesOfSpread(cluster, load);
  report(`Measuring the idle cost for ${load.idleMs} ms.`);
  await sleep(load.settleMs);
  const idle = await idleCosts(cluster, { idleMs: load.idleMs, sentBytes: () => network.sentBytes() });
  const falselyGone = cluster.members.reduce((sum, { gone }) => sum + gone.size, 0);
  if (load.kill) report("Killing a member.");
  const killMs = load.kill ? await timeOfKill(cluster) : null;
  return {
    figures: {
      spreadMedianMs: median(spreadMs),
      spreadP95Ms: percentile(spreadMs, 95),
      ...idle,
      killSeconds: killMs === null ? null : killMs / 1000,
      joinSeconds: joinMs / 1000,
    },
    joinCpuSeconds,
    whyNoBytes: network.whyNoBytes,
    falselyGone,
  };
}

/** The time, and the processor time, from the last process being ready until every member sees all. */
async function timeOfJoin(
  cluster: ProcessCluster,
): Promise<{ readonly joinMs: number; readonly joinCpuSeconds: number }> {
  const { members } = cluster;
  const pids = members.map(({ pid }) => pid);
  await cluster.until({
    what: "all processes are ready",
    withinMs: START_BOUND_MS,
    isTrue: () => members.every(({ readyAtMs }) => readyAtMs !== undefined),
  });
  const secondsBefore = await processorSeconds(pids);
  await cluster.until({
    what: "all members see all",
    withinMs: START_BOUND_MS,
    isTrue: () => members.every(({ members: { count } }) => count >= members.length),
  });
  const joinCpuSeconds = await processorSeconds(pids) - secondsBefore;
  const lastReady = Math.max(...members.map(({ readyAtMs }) => readyAtMs!));
  return { joinMs: lastAfter(lastReady, members.map(({ members: { sinceMs } }) => sinceMs)), joinCpuSeconds };
}

/** Milliseconds from each set until the last other member has the value. */
async function timesOfSpread(cluster: ProcessCluster, { sets, gossipIntervalMs }: Load): Promise<number[]> {
  const { members } = cluster;
  const times: number[] = [];
  for (let set = 0; set < sets; set++) {
    // At a random moment of the interval, as a user's set would be.
    await sleep(Math.random() * gossipIntervalMs);
    const setter = members[set % members.length]!;
    const others = members.filter((member) => member !== setter);
    const value = `value-${set}`;
    await setter.set(value);
    blockThread(QUIET_MS);
    await cluster.until({
      what: `all members have ${value} of ${setter.id}`,
      withinMs: SPREAD_BOUND_MS,
      isTrue: () => setter.sets.has(value) && others.every(({ seen }) => seen.has(value)),
    });
    times.push(lastAfter(setter.sets.get(value)!, others.map(({ seen }) => seen.get(value)!)));
  }
  return times;
}

/** The cost per member while nothing changes. */
async function idleCosts(
  { members }: ProcessCluster,
  { idleMs, sentBytes }: { readonly idleMs: number; readonly sentBytes: () => Promise<number | null> },
): Promise<Pick<Figures, "idleBytes" | "idleCpuSeconds">> {
  const pids = members.map(({ pid }) => pid);
  const startMs = performance.now();
  const [bytesBefore, secondsBefore] = await Promise.all([sentBytes(), processorSeconds(pids)]);
  await sleep(idleMs);
  const [bytesAfter, secondsAfter] = await Promise.all([sentBytes(), processorSeconds(pids)]);
  const memberSeconds = (performance.now() - startMs) / 1000 * members.length;
  return {
    idleBytes: bytesBefore === null || bytesAfter === null
      ? null
      : (bytesAfter - bytesBefore) / memberSeconds,
    idleCpuSeconds: (secondsAfter - secondsBefore) / memberSeconds * 60,
  };
}

/** Milliseconds from the kill of the last member, which is no seed, until every other member reported it. */
async function timeOfKill(cluster: ProcessCluster): Promise<number> {
  const victim = cluster.members.at(-1)!;
  const others = cluster.members.filter((member) => member !== victim);
  const killedAtMs = victim.kill();
  await cluster.until({
    what: "all members have noticed the kill",
    withinMs: KILL_BOUND_MS,
    isTrue: () => others.every(({ gone }) => (gone.get(victim.id) ?? 0) >= killedAtMs),
  });
  return lastAfter(killedAtMs, others.map(({ gone }) => gone.get(victim.id)!));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Blocks the thread, so that no event is handled meanwhile. */
function blockThread(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, ms);
}
