/**
 * Draws the settings and faults of a run from its seed, before it starts.
 *
 * @module
 */

import type { GossiperConfig } from "../../options/configuration.ts";
import type { RoleSettings } from "./invariants/role_checks.ts";
import type { SeededRandom } from "./seeded_random.ts";

/**
 * How members learn of each other. `topology`: by `ClusterTopology` events. `balancer`: the only seed is the address of a
 * load balancer, which leads each dial to any member, the dialer included. `name`: by the addresses of a name, which
 * change, fail to resolve or resolve slowly.
 */
export type DiscoveryKind = "fixed" | "seeds" | "topology" | "balancer" | "name";

/**
 * The addresses that members advertise. `own`: each member has its own host. The others share one host, as behind NAT or
 * a reverse proxy, and differ by port or by path.
 */
export type AddressKind = "own" | "ports" | "paths";

/** Kinds of faults and of membership changes. */
export type Fault =
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
  | "polite restart"
  | "overlap"
  | "name"
  | "large value"
  | "many keys";

/** Upper limits of link faults; each link has random values up to them. */
export interface LinkLimits {
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: number;
  /** The mean delay in milliseconds; the longest is ten times as long. */
  readonly delayMs: number;
}

/** Clocks that are wrong when a process starts, and step soon after. */
export interface EarlySteps {
  /** The share of processes with such a clock. */
  readonly chance: number;
  /** The longest time from the start to the step, in milliseconds. */
  readonly withinMs: number;
}

/** Everything that is drawn before the run. */
export interface Scenario {
  readonly size: number;
  readonly discovery: DiscoveryKind;
  readonly addresses: AddressKind;
  /** The number of seeds in a list of seeds; 0 with another discovery. */
  readonly seeds: number;
  /** The time between two resolutions of the name, in milliseconds. */
  readonly resolveIntervalMs: number;
  /** The longest time that a resolution of the name takes, in milliseconds. */
  readonly slowNameMs: number;
  /** True if the name itself leads to any member, and is dialed while none of its addresses has one. */
  readonly nameIsDialed: boolean;
  readonly earlySteps: EarlySteps;
  readonly config: GossiperConfig;
  /** Each member has one of these as `maxMessageBytes`; `config` has the smallest. */
  readonly messageBytes: readonly number[];
  readonly links: LinkLimits;
  /** Faults with their weights. */
  readonly faults: readonly (readonly [weight: number, fault: Fault])[];
  /** The mean interval between faults, in milliseconds. */
  readonly faultEveryMs: number;
  /** The mean interval between sets and deletes, in milliseconds. */
  readonly changeEveryMs: number;
  /** The mean interval between messages of members, in milliseconds; `Infinity` without messages. */
  readonly messageEveryMs: number;
  /** The mean interval between changes of maps, in milliseconds; `Infinity` without maps. */
  readonly mapChangeEveryMs: number;
  /** The options of the roles of all members; `undefined` without roles. */
  readonly roles: RoleSettings | undefined;
  /** The number of zones of members that gossip near first; 0 without zones. */
  readonly zones: number;
  /** The length of the fault phase, in milliseconds. */
  readonly faultPhaseMs: number;
  /** The largest step of a clock in either direction, in milliseconds. */
  readonly clockStepMs: number;
  /** The largest drift of a clock, as a share. */
  readonly drift: number;
}

/** Options that replace draws of the seed. */
export interface Overrides {
  /** Members at the start. */
  readonly members?: number;
  /** Rounds of the fault phase. */
  readonly rounds?: number;
  /** True leaves out what {@linkcode drawCircumstances} draws, so that a seed keeps the run that once failed. */
  readonly isPlain?: boolean;
}

/** The most members of a cluster with roles, at the start. */
const MAX_WITH_ROLES = 12;
/** From this size on a run has reduced checks, or it would take hours. */
const LARGE = 200;

/** True for a large cluster: membership does not change, and the checks are reduced. */
export function isLarge({ size }: { readonly size: number }): boolean {
  return size >= LARGE;
}

/** True if each process that shakes hands becomes a member. */
export function hasOpenMembership({ discovery }: { readonly discovery: DiscoveryKind }): boolean {
  return discovery === "seeds" || discovery === "balancer" || discovery === "name";
}

/** Changes of membership. A large cluster leaves them out: every change takes long to reach all members. */
const CHURN: ReadonlySet<Fault> = new Set([
  "freeze",
  "crash",
  "leave",
  "join",
  "restart",
  "restart all",
  "rollout",
  "topology",
  "polite restart",
]);

const ALL_FAULTS: readonly (readonly [weight: number, fault: Fault])[] = [
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
export function drawScenario(random: SeededRandom, overrides: Overrides = {}): Scenario {
  const size = overrides.members ?? drawSize(random);
  const discovery = random.pick(["fixed", "seeds", "topology"] as const);
  const config = drawConfig(random, size);
  const { gossipInterval } = config;
  // Each seed leaves some faults out: a defect that one fault hides shows without it.
  const kept = random.pick([0.3, 0.6, 1]);
  const faults = ALL_FAULTS.filter(([, fault]) => {
    if (isLarge({ size }) && CHURN.has(fault)) return false;
    return fault === "heal" || random.chance(kept);
  });
  // Long runs pass every retention several times.
  const isLong = size <= 6 && random.chance(0.1);
  const rounds = overrides.rounds ?? random.pick(isLong ? [300] : size > 24 ? [10, 20] : [20, 40, 80]);
  const scenario = {
    size,
    discovery,
    ...PLAIN,
    seeds: discovery === "seeds" ? 2 : 0,
    config,
    links: {
      loss: random.pick([0, 0.05, 0.2, 0.5]),
      duplicate: random.pick([0, 0.1, 0.3]),
      reorder: random.pick([0, 0.1, 0.3]),
      delayMs: gossipInterval * random.pick([0, 0.05, 0.3, 1]),
    },
    faults,
    faultEveryMs: gossipInterval * random.pick(isLong ? [5, 20] : [0.5, 2, 5]),
    changeEveryMs: gossipInterval * random.pick(isLong ? [1, 4] : [0.2, 1, 4]),
    faultPhaseMs: gossipInterval * rounds,
    clockStepMs: random.pick([0, 1_000, 10 * 3_600_000]),
    drift: random.pick([0, 0.001, 0.02]),
  };
  if (!isLarge({ size }) && random.chance(kept / 2)) faults.push([1, "many keys"]);
  const { maxMessageBytes } = config;
  const isOneLimit = random.chance(0.7);
  const messageBytes = isOneLimit ? [1] : [1, 2, 16];
  return { ...scenario, messageBytes: messageBytes.map((factor) => factor * maxMessageBytes) };
}

/** A scenario without circumstances. */
const PLAIN = {
  addresses: "own",
  resolveIntervalMs: 0,
  slowNameMs: 0,
  nameIsDialed: false,
  earlySteps: { chance: 0, withinMs: 0 },
  messageEveryMs: Infinity,
  mapChangeEveryMs: Infinity,
  roles: undefined,
  zones: 0,
} as const;

/**
 * Adds circumstances of discovery, addresses, clocks, messages, maps, roles and zones to a scenario. They have a source of
 * draws of their own, so that they do not change the other draws of the seed.
 */
export function drawCircumstances(random: SeededRandom, scenario: Scenario): Scenario {
  const { gossipInterval } = scenario.config;
  const discovery = scenario.discovery === "seeds"
    ? random.weighted([[4, "seeds"], [3, "balancer"], [3, "name"]] as const)
    : scenario.discovery;
  const restarts: readonly (readonly [number, Fault])[] =
    hasOpenMembership({ discovery }) && !isLarge(scenario) && random.chance(0.8)
      ? [[4, "polite restart"]]
      : [];
  const changes: readonly (readonly [number, Fault])[] = discovery === "name" ? [[4, "name"]] : [];
  const drawn: Scenario = {
    ...scenario,
    discovery,
    addresses: random.weighted([[7, "own"], [2, "ports"], [1, "paths"]] as const),
    seeds: discovery === "seeds" ? random.pick([1, 2]) : 0,
    resolveIntervalMs: gossipInterval * random.pick([1, 5, 20]),
    slowNameMs: gossipInterval * random.pick([0, 2, 20]),
    nameIsDialed: random.chance(0.5),
    earlySteps: {
      chance: isLarge(scenario) ? 0 : random.pick([0, 0, 0.2, 0.6]),
      withinMs: gossipInterval * random.pick([1, 10]),
    },
    faults: [...scenario.faults, ...restarts, ...changes],
    messageEveryMs: isLarge(scenario) ? Infinity : gossipInterval * random.pick([0.3, 2, Infinity, Infinity]),
    // Later draws come last, so that they do not change the earlier ones.
    mapChangeEveryMs: isLarge(scenario)
      ? Infinity
      : gossipInterval * random.pick([0.5, 2, ...Array.from({ length: 8 }, () => Infinity)]),
    roles: drawRoles(random, scenario),
    zones: isLarge(scenario) ? 0 : random.pick([2, 3, ...Array.from({ length: 8 }, () => 0)]),
  };
  const overlaps = hasOpenMembership({ discovery }) && !isLarge(scenario) && random.chance(0.3);
  return overlaps ? { ...drawn, faults: [...drawn.faults, [4, "overlap"]] } : drawn;
}

/** A quarter of the clusters have roles. In a large one each look of each member at the heartbeats would slow the run. */
function drawRoles(random: SeededRandom, { size, config }: Scenario): RoleSettings | undefined {
  if (size > MAX_WITH_ROLES || !random.chance(0.25)) return undefined;
  const { gossipInterval, heartbeatExpiration } = config;
  return {
    // More than half of all. With more, this holds also where some join.
    atLeast: Math.floor(size * random.pick([0.5, 0.5, 0.75])) + 1,
    settle: gossipInterval * random.pick([2, 8, 30]),
    // Above the age of most heartbeats.
    heardWithin: Math.max(500, Math.round(heartbeatExpiration * random.pick([0.5, 1]))),
  };
}

/** Small clusters are the most frequent: they show most defects, and run fastest. */
function drawSize(random: SeededRandom): number {
  const [low, high] = random.weighted(
    [
      [60, [1, 6]],
      [30, [7, 12]],
      [9, [13, 24]],
      [1, [25, 100]],
    ] as const,
  );
  return random.whole(low, high);
}

function drawConfig(random: SeededRandom, size: number): GossiperConfig {
  const gossipInterval = random.pick([50, 100, 300]);
  const large = isLarge({ size });
  const gossipFanOut = large ? 1 : random.pick([1, 2, 3, 3]);
  // A member must be sent within 60 rounds (100 in a large cluster), so a small gossipMaxSend gets a minimum.
  const leastSlots = Math.ceil(size / gossipFanOut / (large ? 40 : 1.5));
  const gossipMaxSend = Math.max(random.pick([1, 2, 5, 50, 50]), leastSlots);
  const gossipRequestTimeout = Math.max(50, Math.round(gossipInterval * random.pick([0.5, 1, 2])));
  // The formula of `presetFor` for twice the members, because dead and new members are sent too.
  const rounds = 30 * 2 * size / (gossipFanOut * gossipMaxSend);
  const expiration = gossipInterval * Math.max(random.pick([12, 20, 40]), Math.ceil(rounds));
  const heartbeatExpiration = Math.max(expiration, 3 * (gossipInterval + gossipRequestTimeout));
  return {
    gossipInterval,
    gossipRequestTimeout,
    gossipFanOut,
    gossipMaxSend,
    heartbeatExpiration,
    detectCrashes: random.pick([true, true, true, false]),
    spread: random.pick(["immediate", "immediate", "interval"]),
    gossipActorName: "gossip",
    blockedProbeInterval: Math.max(100, gossipInterval * random.pick([2, 10, 30])),
    tombstoneRetention: Math.max(100, gossipInterval * random.pick([2, 10, 1_000])),
    departedRetention: heartbeatExpiration * random.pick([1, 2, 10]),
    maxMessageBytes: random.pick(large ? [1_024 * 1_024] : [16 * 1_024, 64 * 1_024, 1_024 * 1_024]),
    maxConnections: Math.max(gossipFanOut, large ? 8 : random.pick([3, 128, 128])),
    // 1.2 times the size: all members of a large cluster share the memory of this process.
    maxMembers: large ? Math.ceil(size * 1.2) : 10_000,
    maxKeysPerMember: 4_096,
    maxStateBytes: 2 ** 23,
    maxHeldBytes: 2 ** 28,
    maxConnectionsPerAddress: 64,
    maxHandshakes: 64,
    maxMessagesPerSecond: 1_000,
    eventCapacity: large ? 64 : 1_024,
    maxBackoff: Math.max(50, gossipInterval * random.pick([1, 5, 20])),
  };
}

/** The scenario as lines for a person. */
export function describeScenario(scenario: Scenario): string[] {
  const { size, discovery, config, links, faults, faultPhaseMs, faultEveryMs, changeEveryMs } = scenario;
  const { clockStepMs, drift, messageBytes, messageEveryMs, earlySteps, addresses, seeds } = scenario;
  const { mapChangeEveryMs, roles, zones } = scenario;
  const shown = (values: object) =>
    Object.entries(values).map(([name, value]) => `${name} ${value}`).join(", ");
  const { gossipActorName: _, maxMembers: __, eventCapacity: ___, ...settings } = config;
  return [
    `members   ${size} at the start, discovery: ${discovery}${
      seeds > 0 ? ` (${seeds})` : ""
    }, addresses: ${addresses}`,
    ...(discovery === "name"
      ? [
        `name      resolved every ${scenario.resolveIntervalMs} ms, in up to ${scenario.slowNameMs} ms, ${
          scenario.nameIsDialed ? "dialed itself" : "not dialed itself"
        }`,
      ]
      : []),
    `settings  ${shown(settings)}`,
    `messages  of up to ${messageBytes.join(", ")} bytes`,
    `links     ${shown(links)}, at most`,
    `clocks    steps of up to ${clockStepMs} ms, drift of up to ${drift * 100} %${
      earlySteps.chance > 0
        ? `, ${earlySteps.chance * 100} % step within ${earlySteps.withinMs} ms after the start`
        : ""
    }`,
    `faults    every ${faultEveryMs} ms on average, for ${faultPhaseMs} ms: ${
      faults.map(([, each]) => each).join(", ")
    }`,
    `changes   every ${changeEveryMs} ms on average`,
    `talk      every ${messageEveryMs} ms on average`,
    `maps      changed every ${mapChangeEveryMs} ms on average`,
    `roles     ${roles ? shown(roles) : "none"}`,
    `zones     ${zones}`,
  ];
}
