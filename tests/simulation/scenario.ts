/**
 * What a seed decides before anything runs.
 *
 * @module
 */

import type { GossiperConfig } from "../../gossiper/configuration.ts";
import type { Dice } from "./dice.ts";

/** How members learn of each other. */
export type DiscoveryKind = "fixed" | "seeds" | "told";

/** What can happen to a cluster. */
export type Trouble =
  | "links"
  | "break"
  | "partition"
  | "one way"
  | "heal"
  | "freeze"
  | "slow"
  | "proxy"
  | "clock"
  | "crash"
  | "leave"
  | "join"
  | "restart"
  | "restart all"
  | "rollout"
  | "topology"
  | "large value"
  | "many keys";

/** How bad links are at worst; what is drawn for one is at most this. */
export interface LinkLimits {
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: number;
  /** The average delay in milliseconds; the tail is ten times as long. */
  readonly delayMs: number;
}

/** Everything that is decided first. */
export interface Scenario {
  readonly size: number;
  readonly discovery: DiscoveryKind;
  readonly config: GossiperConfig;
  /** The `maxMessageBytes` that members have, one of these each; `config` has the least. */
  readonly messageBytes: readonly number[];
  readonly links: LinkLimits;
  /** What happens, each with its weight. */
  readonly troubles: readonly (readonly [weight: number, trouble: Trouble])[];
  /** How often something happens, on average, in milliseconds. */
  readonly troubleEveryMs: number;
  /** How often somebody sets or deletes a key, on average, in milliseconds. */
  readonly changeEveryMs: number;
  /** How long chance rules, in milliseconds. */
  readonly rageMs: number;
  /** How far clocks may step either way, in milliseconds. */
  readonly clockStepMs: number;
  /** How fast clocks may drift, as a share. */
  readonly drift: number;
}

/** What a person may want otherwise than the seed. */
export interface Wishes {
  /** The number of members at the start. */
  readonly members?: number;
  /** For how many rounds chance rules. */
  readonly rounds?: number;
}

/** From so many members on a run is about numbers. */
const LARGE = 200;

/** Whether a run is about numbers. */
export function isLarge({ size }: { readonly size: number }): boolean {
  return size >= LARGE;
}

/** What changes who takes part: every member tells of that, and among many it is long until all have heard all. */
const CHURN: ReadonlySet<Trouble> = new Set([
  "freeze",
  "crash",
  "leave",
  "join",
  "restart",
  "restart all",
  "rollout",
  "topology",
]);

const ALL_TROUBLES: readonly (readonly [weight: number, trouble: Trouble])[] = [
  [4, "links"],
  [4, "break"],
  [2, "partition"],
  [2, "one way"],
  [4, "heal"],
  [2, "freeze"],
  [1, "slow"],
  [2, "proxy"],
  [2, "clock"],
  [3, "crash"],
  [3, "leave"],
  [4, "join"],
  [4, "restart"],
  [0.2, "restart all"],
  [0.3, "rollout"],
  [3, "topology"],
  [1, "large value"],
];

/** Draws a scenario. */
export function drawScenario(dice: Dice, wishes: Wishes = {}): Scenario {
  const size = wishes.members ?? drawSize(dice);
  const discovery = dice.pick(["fixed", "seeds", "told"] as const);
  const config = drawConfig(dice, size);
  const { gossipInterval } = config;
  // Every seed leaves some kinds of trouble out: what hides behind another's noise shows alone.
  const kept = dice.pick([0.3, 0.6, 1]);
  const troubles = ALL_TROUBLES.filter(([, trouble]) => {
    if (isLarge({ size }) && CHURN.has(trouble)) return false;
    return trouble === "heal" || dice.chance(kept);
  });
  // Some go on until everything has been forgotten again and again.
  const isLong = size <= 6 && dice.chance(0.1);
  const rounds = wishes.rounds ?? dice.pick(isLong ? [300] : size > 24 ? [10, 20] : [20, 40, 80]);
  const scenario = {
    size,
    discovery,
    config,
    links: {
      loss: dice.pick([0, 0.05, 0.2, 0.5]),
      duplicate: dice.pick([0, 0.1, 0.3]),
      reorder: dice.pick([0, 0.1, 0.3]),
      delayMs: gossipInterval * dice.pick([0, 0.05, 0.3, 1]),
    },
    troubles,
    troubleEveryMs: gossipInterval * dice.pick(isLong ? [5, 20] : [0.5, 2, 5]),
    changeEveryMs: gossipInterval * dice.pick(isLong ? [1, 4] : [0.2, 1, 4]),
    rageMs: gossipInterval * rounds,
    clockStepMs: dice.pick([0, 1_000, 10 * 3_600_000]),
    drift: dice.pick([0, 0.001, 0.02]),
  };
  if (!isLarge({ size }) && dice.chance(kept / 2)) troubles.push([1, "many keys"]);
  const { maxMessageBytes } = config;
  const isOneLimit = dice.chance(0.7);
  const messageBytes = isOneLimit ? [1] : [1, 2, 16];
  return { ...scenario, messageBytes: messageBytes.map((factor) => factor * maxMessageBytes) };
}

/** Mostly few: what goes wrong goes wrong with three. */
function drawSize(dice: Dice): number {
  const [low, high] = dice.weighted(
    [
      [60, [1, 6]],
      [30, [7, 12]],
      [9, [13, 24]],
      [1, [25, 100]],
    ] as const,
  );
  return dice.whole(low, high);
}

function drawConfig(dice: Dice, size: number): GossiperConfig {
  const gossipInterval = dice.pick([50, 100, 300]);
  const large = isLarge({ size });
  const gossipFanOut = large ? 1 : dice.pick([1, 2, 3, 3]);
  // So that nothing takes more than some sixty rounds, or a hundred among many: few places take their time.
  const fewPlaces = Math.ceil(size / gossipFanOut / (large ? 40 : 1.5));
  const gossipMaxSend = Math.max(dice.pick([1, 2, 5, 50, 50]), fewPlaces);
  const gossipRequestTimeout = Math.max(50, Math.round(gossipInterval * dice.pick([0.5, 1, 2])));
  // The rule of `presetFor`, for twice the members: the dead and the new count as well.
  const places = 30 * 2 * size / (gossipFanOut * gossipMaxSend);
  const expiration = gossipInterval * Math.max(dice.pick([12, 20, 40]), Math.ceil(places));
  const heartbeatExpiration = Math.max(expiration, 3 * (gossipInterval + gossipRequestTimeout));
  return {
    gossipInterval,
    gossipRequestTimeout,
    gossipFanOut,
    gossipMaxSend,
    heartbeatExpiration,
    detectCrashes: dice.pick([true, true, true, false]),
    spread: dice.pick(["immediate", "immediate", "interval"]),
    gossipActorName: "gossip",
    blockedProbeInterval: Math.max(100, gossipInterval * dice.pick([2, 10, 30])),
    tombstoneRetention: Math.max(100, gossipInterval * dice.pick([2, 10, 1_000])),
    departedRetention: heartbeatExpiration * dice.pick([1, 2, 10]),
    maxMessageBytes: dice.pick(large ? [1_024 * 1_024] : [16 * 1_024, 64 * 1_024, 1_024 * 1_024]),
    maxConnections: Math.max(gossipFanOut, large ? 8 : dice.pick([3, 128, 128])),
    // A thousand members share one process's memory here.
    maxMembers: large ? Math.ceil(size * 1.2) : 10_000,
    maxKeysPerMember: 4_096,
    maxStateBytes: 2 ** 23,
    maxHeldBytes: 2 ** 28,
    maxConnectionsPerAddress: 64,
    maxHandshakes: 64,
    maxMessagesPerSecond: 1_000,
    eventCapacity: large ? 64 : 1_024,
    maxBackoff: Math.max(50, gossipInterval * dice.pick([1, 5, 20])),
  };
}

/** What was decided, in lines that a person can read. */
export function describeScenario(scenario: Scenario): string[] {
  const { size, discovery, config, links, troubles, rageMs, troubleEveryMs, changeEveryMs } = scenario;
  const { clockStepMs, drift, messageBytes } = scenario;
  const shown = (values: object) =>
    Object.entries(values).map(([name, value]) => `${name} ${value}`).join(", ");
  const { gossipActorName: _, maxMembers: __, eventCapacity: ___, ...settings } = config;
  return [
    `members   ${size} at the start, discovery: ${discovery}`,
    `settings  ${shown(settings)}`,
    `messages  of up to ${messageBytes.join(", ")} bytes`,
    `links     ${shown(links)}, at worst`,
    `clocks    steps of up to ${clockStepMs} ms, drift of up to ${drift * 100} %`,
    `troubles  one in ${troubleEveryMs} ms, for ${rageMs} ms: ${troubles.map(([, each]) => each).join(", ")}`,
    `changes   one in ${changeEveryMs} ms`,
  ];
}
