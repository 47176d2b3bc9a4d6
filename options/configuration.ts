/**
 * The configuration of a gossiper: its settings, what each trades, and how they are put together.
 *
 * @module
 */

import { ConfigurationError, type ConfigurationProblem } from "./configuration_error.ts";
import { conflicts, type Fault, faultOf } from "./configuration_rules.ts";
import { describe } from "./rules.ts";

export { ConfigurationError, type ConfigurationProblem } from "./configuration_error.ts";
export { presetFor } from "./preset.ts";

/**
 * All settings. Durations are milliseconds, sizes are bytes. The first six carry protoactor-go's
 * defaults. Members of one cluster should be configured alike.
 */
export interface GossiperConfig {
  /**
   * The time between the starts of two rounds of gossip. 10 ms to an hour; default 300 ms.
   *
   * Lower: news spreads sooner, and every member spends more processor time and traffic even when nothing
   * changes. Higher: everything takes longer, and `heartbeatExpiration` has to grow with it.
   */
  readonly gossipInterval: number;
  /**
   * How long a request may take, and whoever waits for a dial and its greeting; the dial itself goes on for four times
   * as long. 10 ms to 10 minutes; default 500 ms.
   *
   * Lower: slow or distant peers time out though they are well. Higher: a dead peer holds its place in
   * the fan-out for longer, and `stop()` may take as long.
   */
  readonly gossipRequestTimeout: number;
  /**
   * The number of peers that each round sends to. 1 to 1,000; default 3.
   *
   * Lower: spreading takes more rounds, and one dead peer costs a larger share of each. Higher: traffic
   * grows in proportion, while the time to reach everybody falls only with the logarithm.
   */
  readonly gossipFanOut: number;
  /**
   * The most member states in one message. 1 to 10,000; default 50.
   *
   * Lower: a newcomer of a large cluster, and one that was away, get what they lack in more rounds.
   * Higher: messages grow; {@linkcode presetFor} gives the value that a number of members needs.
   */
  readonly gossipMaxSend: number;
  /**
   * A member from which no new heartbeat came for longer than this is blocked. 100 ms to a day; default
   * 20,000 ms; at least twice `gossipInterval` and `gossipRequestTimeout` together.
   *
   * Lower: failures are noticed sooner, and a pause or a few lost messages block living members. Higher:
   * dead members are gossiped to, and counted in consensus, for longer.
   */
  readonly heartbeatExpiration: number;
  /**
   * Whether a member is blocked as `crashed` about a second after its connections broke, if its address refuses new
   * ones and nothing newer is heard of it; default `true`. Partitions and suspended processes are left to
   * `heartbeatExpiration`.
   *
   * `false`: where something in front of members refuses connections for longer than a second while they live, and they
   * hold no connections of their own.
   */
  readonly detectCrashes: boolean;
  /**
   * When changes are sent: `"immediate"` (the default) within a few milliseconds, `"interval"` with the rounds only, as
   * protoactor-go does.
   *
   * `"interval"` saves messages where many members change state many times a second and nobody waits for it. A change
   * then takes several rounds to reach everybody.
   */
  readonly spread: "immediate" | "interval";
  /**
   * The path, without its slash, at which members reach each other: 1 to 64 of `A–Z a–z 0–9 . _ ~ -`;
   * default `"gossip"`. Members with different names do not find each other.
   */
  readonly gossipActorName: string;
  /**
   * How often a member blocked as expired, or a seed that is no active member, is greeted. 100 ms to a
   * day, or `Infinity` for never (as protoactor-go does); default 60,000 ms.
   *
   * Lower: a healed partition heals sooner, and dead peers are dialled more often. Higher: the two halves
   * stay apart for longer after the network is well again.
   */
  readonly blockedProbeInterval: number;
  /**
   * How long a deleted key is remembered as deleted. 100 ms to 30 days; default 3,600,000 ms (an hour).
   *
   * Lower: a peer that was away for longer is sent whole states instead of changes. Higher: members that
   * delete often hold, and send to new members, more that says nothing.
   */
  readonly tombstoneRetention: number;
  /**
   * How long the state of a member that left or is blocked is kept; it is passed on for the first half.
   * 100 ms to 30 days; default 600,000 ms (10 minutes); at least `heartbeatExpiration`.
   *
   * Lower: a member that comes back is sent more anew. Higher: memory for members that are gone.
   */
  readonly departedRetention: number;
  /**
   * The largest message in UTF-8 bytes. 16 KiB to 32 MiB; default 1,048,576 (1 MiB). One value may take
   * half of it, and where members sign, a member's whole state. Between two members the lower one holds, and both emit
   * `SettingsDiffer`.
   *
   * Lower: `setState` refuses large values sooner. Higher: a hostile or faulty peer can make a member parse more at once.
   */
  readonly maxMessageBytes: number;
  /**
   * The most connections kept open; the longest unused goes first. 1 to 100,000, at least
   * `gossipFanOut`; default 128.
   *
   * Lower: more rounds have to dial first. Higher: more sockets and memory, here and at the peers.
   */
  readonly maxConnections: number;
  /**
   * The most members of which state is held, this one and departed ones included. 1 to 100,000; default 10,000. Above it
   * a member that shakes hands takes the place of one that never did (`StateDropped`).
   *
   * Lower: members above it are not taken in. Higher: a hostile peer that invents members can fill more memory.
   */
  readonly maxMembers: number;
  /**
   * The most keys that a member may have set, its own among them. 16 to 1,000,000; default 65,536.
   *
   * Lower: `setState` refuses sooner. Higher: a hostile peer can make a member keep more, for a key costs
   * memory beside its bytes.
   */
  readonly maxKeysPerMember: number;
  /**
   * The most that a member's keys and values may take together, in bytes of UTF-8: those of each key and of the JSON
   * text of its value, and about 40 more. 16 KiB to 1 GiB; default 8,388,608 (8 MiB).
   *
   * Lower: `setState` refuses sooner. Higher: a hostile peer can make a member keep more.
   */
  readonly maxStateBytes: number;
  /**
   * About the most memory that the states of all other members may take together, in bytes of the heap: their texts, and
   * what their values take once parsed, which may be 28 times as much. 1 MiB to 1 TiB; default 268,435,456 (256 MiB), a
   * quarter of the heap that Deno has by default on a machine with 4 GiB. Above it the states of members that never
   * shook hands with this one are dropped first, the largest before the others (`StateDropped`).
   *
   * Lower: of large states fewer are held, and until all are, members do not agree. Higher: a hostile peer can make a
   * member keep more; a process that runs out of its heap ends.
   */
  readonly maxHeldBytes: number;
  /**
   * The most connections taken from one address. 1 to 100,000; default 64. For a further one the connection that is
   * idle for longest makes room, where one is for 5 s; else it is refused (`ClientRefused`). With keys, those that have
   * proved one are not counted.
   *
   * Lower: members that share an address, or come through one proxy, cannot all hold a connection. Higher: one
   * machine can take more of the places that there are for all.
   */
  readonly maxConnectionsPerAddress: number;
  /**
   * The most connections that have yet to greet. 1 to 100,000; default 64. Of those that say nothing the one
   * that is silent for longest goes first.
   *
   * Lower: of many members that start at once some have to dial again. Higher: whoever opens connections and
   * says nothing holds more of them, each for a request timeout at most.
   */
  readonly maxHandshakes: number;
  /**
   * The most messages that one connection may bring in a second, as a mean over a few; a large one counts for
   * one per 16 KiB. Whoever sends more is closed with 4413. 10 to 1,000,000, at least 8 for every
   * `gossipInterval`; default 1,000.
   *
   * Lower: a well-meaning peer may be cut off in a burst. Higher: a flood costs more processor time before it ends.
   */
  readonly maxMessagesPerSecond: number;
  /**
   * How many events wait for a slow subscriber before the oldest are dropped and counted. 1 to 1,000,000;
   * default 1,024.
   *
   * Lower: a subscriber that pauses loses events sooner. Higher: one that hangs holds more memory.
   */
  readonly eventCapacity: number;
  /**
   * The longest wait before a peer that could not be reached is dialled again. 10 ms to an hour; default 5,000 ms.
   *
   * Lower: dead peers are dialled more often. Higher: one that is back is noticed later.
   */
  readonly maxBackoff: number;
}

/** Some of the settings; the others keep their defaults. */
export type PartialConfig = Partial<GossiperConfig>;

/** The settings where nothing else is given: protoactor-go's, and this library's own. */
export const DEFAULT_CONFIG: GossiperConfig = Object.freeze({
  gossipInterval: 300,
  gossipRequestTimeout: 500,
  gossipFanOut: 3,
  gossipMaxSend: 50,
  heartbeatExpiration: 20_000,
  detectCrashes: true,
  spread: "immediate",
  gossipActorName: "gossip",
  blockedProbeInterval: 60_000,
  tombstoneRetention: 3_600_000,
  departedRetention: 600_000,
  maxMessageBytes: 2 ** 20,
  maxConnections: 128,
  maxMembers: 10_000,
  maxKeysPerMember: 2 ** 16,
  maxStateBytes: 2 ** 23,
  maxHeldBytes: 2 ** 28,
  maxConnectionsPerAddress: 64,
  maxHandshakes: 64,
  maxMessagesPerSecond: 1_000,
  eventCapacity: 1024,
  maxBackoff: 5_000,
});

/**
 * Completes the settings given with the defaults. The result is frozen. A setting that is `undefined`
 * counts as not given.
 *
 * @example
 * ```ts
 * import { configure } from "@hearsay/gossip";
 *
 * const config = configure({ gossipInterval: 100, heartbeatExpiration: 5_000 });
 * console.assert(config.gossipFanOut === 3);
 * ```
 *
 * @throws {ConfigurationError} if anything is wrong: names every wrong setting, unknown ones included.
 */
export function configure(given: PartialConfig = {}): GossiperConfig {
  return configureFrom([{ values: given }]);
}

/** Settings from one place. */
export interface ConfigurationSource {
  /** What was given there; nothing is supposed of it. */
  readonly values: unknown;
  /** Says where a setting stands, for the error, where there is more than one place. */
  readonly placeOf?: (field: string) => string;
  /** What is wrong with the place itself. */
  readonly problems?: readonly ConfigurationProblem[];
}

/** The same from several places: of two that give a setting, the later wins, but both have to be valid. */
export function configureFrom(sources: readonly ConfigurationSource[]): GossiperConfig {
  const { settings, problems, wrong, places } = settingsFrom(sources);
  const config: GossiperConfig = { ...DEFAULT_CONFIG, ...settings };
  const all = [...problems, ...conflicts(config, { wrong, places })];
  if (all.length > 0) throw new ConfigurationError(all);
  return Object.freeze(config);
}

/** What several places give, each setting checked alone. */
export interface GivenSettings {
  /** The valid ones; of two that give a setting, the later. */
  readonly settings: PartialConfig;
  /** Everything that is wrong, in the order given. */
  readonly problems: readonly ConfigurationProblem[];
  /** The names of the settings that are wrong. */
  readonly wrong: ReadonlySet<string>;
  /** Where each valid setting came from; `undefined` where there is but one place. */
  readonly places: ReadonlyMap<string, string | undefined>;
}

/** Takes the settings from all places, and checks each alone. */
export function settingsFrom(sources: readonly ConfigurationSource[]): GivenSettings {
  const settings: Record<string, unknown> = {};
  const problems: ConfigurationProblem[] = [];
  const wrong = new Set<string>();
  const places = new Map<string, string | undefined>();
  for (const { values, placeOf, problems: unreadable = [] } of sources) {
    problems.push(...unreadable);
    const report = (field: string, fault: Fault, value: unknown) => {
      const source = placeOf?.(field);
      problems.push({ field, given: describe(value), ...fault, ...(source === undefined ? {} : { source }) });
      wrong.add(field);
    };
    if (!isPlainObject(values)) report("configuration", NO_SETTINGS, values);
    else {
      for (const [field, value] of Object.entries(values)) {
        const fault = value === undefined ? undefined : faultOf(field, value);
        if (fault !== undefined) report(field, fault, value);
        else if (value !== undefined) {
          settings[field] = value;
          places.set(field, placeOf?.(field));
        }
      }
    }
  }
  return { settings, problems, wrong, places };
}

const NO_SETTINGS: Fault = { problem: "is not a set of named settings", allowed: "a plain object" };

/** Whether a value is an object with nothing behind it: no array, no `Map`, no instance of a class. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
