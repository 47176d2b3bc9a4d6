/**
 * Trials: one fault each, in a cluster whose size, delays and seed are drawn. A trial returns the time in which two members
 * held one role, and the time without a leader.
 *
 * @module
 */

import { SeededRandom } from "../seeded_random.ts";
import { LEADER, RoleCluster, type RoleMember } from "./role_cluster.ts";
import type { Term } from "./terms.ts";

/** Options of a trial. */
export interface TrialOptions {
  readonly seed: number;
  /** More than half of all members by default. */
  readonly atLeast?: number;
  readonly settle?: number;
  readonly heardWithin?: number;
}

/** The result of a trial. */
export interface Trial {
  /** The longest time in which two members led at once. */
  readonly leadersMs: number;
  /** The longest time in which two members owned one of twelve keys at once. */
  readonly ownersMs: number;
  /** The time from the fault until another member led; 0 if the leader stayed. */
  readonly nextMs: number;
  /** The longest time in which no member led. */
  readonly withoutMs: number;
  /** Broken rules. Empty if all hold. */
  readonly faults: readonly string[];
}

/** A fault, and what a trial of it does. */
type Act = (cluster: RoleCluster, leading: RoleMember, random: SeededRandom) => Promise<void>;

const BOUND_MS = 180_000;

/** Waits until all members agree. */
async function settled(cluster: RoleCluster): Promise<void> {
  await cluster.runtime.runUntil(() => cluster.isSettled, { withinMs: BOUND_MS });
}

/** The hosts of a minority with the leader. */
function minorityOf({ hosts }: RoleCluster, { host }: RoleMember, random: SeededRandom): string[] {
  const others = hosts.filter((each) => each !== host);
  const more = random.whole(0, Math.ceil(hosts.length / 2) - 2);
  return [host, ...others.slice(0, Math.max(0, more))];
}

/** The leader's messages are lost, and its address refuses dials: the others take it for crashed in about a second. */
const cutOff: Act = async (cluster, { host }, random) => {
  cluster.cutOff(host);
  await cluster.runtime.advance(random.between(10_000, 40_000));
  cluster.heal();
};

function partition(how: "broken" | "silent"): Act {
  return async (cluster, leading, random) => {
    cluster.partition(minorityOf(cluster, leading, random), how);
    await cluster.runtime.advance(random.between(30_000, 45_000));
    cluster.heal();
  };
}

function oneWay(lose: (cluster: RoleCluster, host: string) => void): Act {
  return async (cluster, { host }, random) => {
    lose(cluster, host);
    await cluster.runtime.advance(random.between(30_000, 60_000));
    cluster.heal();
  };
}

/** The faults, by name. */
export const FAULTS: Readonly<Record<string, Act>> = {
  "start": async () => {},
  "crash": async (cluster, leading) => {
    cluster.kill(leading);
    await cluster.runtime.advance(20_000);
    await cluster.start(leading.host);
  },
  "departure": async (cluster, leading) => {
    cluster.leave(leading);
    await cluster.runtime.advance(20_000);
    await cluster.start(leading.host);
  },
  "rolling restart": async (cluster, _, random) => {
    for (const host of cluster.hosts) {
      const member = cluster.members.find((each) => each.host === host)!;
      cluster.leave(member);
      await cluster.runtime.runUntil(() => member.process.isOver, { withinMs: BOUND_MS });
      await cluster.runtime.advance(random.between(200, 3_000));
      await cluster.start(host);
      // A platform waits until the new process is ready.
      await cluster.runtime.advance(random.between(1_000, 10_000));
    }
  },
  "partition, broken": partition("broken"),
  "partition, silent": partition("silent"),
  "cut off, refusing": cutOff,
  "leader not heard": oneWay((cluster, host) => cluster.deafen(host, "from")),
  "leader not heard, dials reach it": oneWay((cluster, host) => cluster.mute(host)),
  "leader hears none": oneWay((cluster, host) => cluster.deafen(host, "to")),
  "standstill": async (cluster, leading, random) => {
    cluster.freeze(leading);
    await cluster.runtime.advance(random.pick([random.between(100, 3_000), random.between(20_000, 60_000)]));
    cluster.thaw(leading);
    await cluster.runtime.advance(10_000);
  },
};

/** The longest time between the terms of a role. */
function longestGap(terms: readonly Term[]): number {
  let [longest, heldUntilMs] = [0, Infinity];
  for (const { fromMs, toMs } of terms) {
    longest = Math.max(longest, fromMs - heldUntilMs);
    heldUntilMs = heldUntilMs === Infinity ? toMs : Math.max(heldUntilMs, toMs);
  }
  return longest;
}

/** Runs one trial. */
export async function runTrial(fault: string, options: TrialOptions): Promise<Trial> {
  const random = new SeededRandom(options.seed);
  const size = random.pick([3, 5, 7]);
  const mean = random.between(1, 40);
  const cluster = new RoleCluster({
    seed: options.seed,
    size,
    atLeast: options.atLeast ?? Math.floor(size / 2) + 1,
    ...(options.settle !== undefined && { settle: options.settle }),
    ...(options.heardWithin !== undefined && { heardWithin: options.heardWithin }),
    delayMs: { min: mean / 4, mean, max: 8 * mean },
    loss: random.pick([0, 0, 0.01, 0.05]),
  });
  for (const host of cluster.hosts) {
    await cluster.start(host);
    await cluster.runtime.advance(random.between(0, 1_000));
  }
  await settled(cluster);
  await cluster.runtime.advance(random.between(2_000, 5_000));
  const leading = cluster.leading!;
  const faultMs = cluster.runtime.monotonicMs();
  await FAULTS[fault]!(cluster, leading, random);
  await settled(cluster);
  const { terms } = cluster;
  const next = terms.all.find(({ key, id, fromMs }) =>
    key === LEADER && id !== leading.process.id && fromMs >= faultMs
  );
  const longest = (isWanted: (key: string) => boolean) =>
    Math.max(0, ...terms.overlaps.filter(({ key }) => isWanted(key)).map(({ ms }) => ms));
  const result = {
    leadersMs: longest((key) => key === LEADER),
    ownersMs: longest((key) => key !== LEADER),
    nextMs: next === undefined ? 0 : next.fromMs - faultMs,
    withoutMs: longestGap(terms.all.filter(({ key }) => key === LEADER)),
    faults: [
      ...terms.faults,
      ...(options.atLeast === undefined ? [...terms.repeated, ...terms.unfenced] : []),
    ],
  };
  await cluster.end();
  return result;
}
