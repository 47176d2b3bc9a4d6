/**
 * The configuration of a gossiper: its settings, their trade-offs, and their defaults.
 *
 * @module
 */

import { ConfigurationError, type ConfigurationProblem } from "./configuration_error.ts";
import { conflicts, type Fault, faultOf } from "./configuration_rules.ts";
import { describe } from "./rules.ts";

export { ConfigurationError, type ConfigurationProblem } from "./configuration_error.ts";

/**
 * All settings. Durations are in milliseconds, sizes in bytes. The first five and `gossipActorName` have
 * protoactor-go's defaults. Configure all members of a cluster alike.
 */
export interface GossiperConfig {
  /**
   * The time between the starts of two rounds. 10 ms to an hour; default 300 ms.
   *
   * Lower: changes spread sooner, and every member spends more processor time and traffic, also when nothing changes.
   * Higher: everything takes longer, and `heartbeatExpiration` must grow with it.
   */
  readonly gossipInterval: number;
  /**
   * The time limit of a request, including a dial that the request needs first. The dial itself, with its handshake,
   * has a limit four times as long. 10 ms to 10 minutes; default 500 ms.
   *
   * Lower: slow or distant peers time out though they are alive. Higher: a dead peer keeps its slot in the fan-out for
   * longer, and `stop()` may take as long.
   */
  readonly gossipRequestTimeout: number;
  /**
   * The number of peers that each round sends to. 1 to 1,000; default 3.
   *
   * Lower: changes take more rounds, and a dead peer costs a larger share of each round. Higher: traffic grows in
   * proportion, while the time to reach all members falls only with the logarithm.
   */
  readonly gossipFanOut: number;
  /**
   * The most member states in one message. 1 to 10,000; default 50.
   *
   * Lower: a new or returning member of a large cluster gets the state in more rounds. Higher: messages grow;
   * {@linkcode presetFor} returns the value for a number of members.
   */
  readonly gossipMaxSend: number;
  /**
   * The time without a new heartbeat after which a member is blocked. 100 ms to a day, or `Infinity` for never; default
   * 20,000 ms; at least twice `gossipInterval` and `gossipRequestTimeout` together.
   *
   * Lower: failures are detected sooner, but a pause or a few lost messages block live members. Higher: dead members
   * get gossip, and count in consensus, for longer. `Infinity`: a silent member stays active until it leaves, crashes
   * (`detectCrashes`), or is blocked by hand or by the topology.
   */
  readonly heartbeatExpiration: number;
  /**
   * True: a member is blocked as `crashed` about a second after its connections broke, if its address refuses new
   * connections and no newer heartbeat arrives. Default `true`. Partitions and suspended processes are left to
   * `heartbeatExpiration`.
   *
   * Set `false` if a proxy in front of live members may refuse connections for longer than a second, and those members
   * dial no connections themselves.
   */
  readonly detectCrashes: boolean;
  /**
   * The time at which changes are sent: `"immediate"` (the default) within a few milliseconds, `"interval"` with the
   * rounds only, like protoactor-go.
   *
   * `"interval"` saves messages if many members change state many times a second and a delay does not matter. A change
   * then takes several rounds to reach all members.
   */
  readonly spread: "immediate" | "interval";
  /**
   * The path, without its slash, at which members reach each other: 1 to 64 of `A–Z a–z 0–9 . _ ~ -`;
   * default `"gossip"`. Members with different names cannot connect.
   */
  readonly gossipActorName: string;
  /**
   * The time between handshakes with a member blocked as `expired` or `crashed`, or with a seed that is no active
   * member. 100 ms to a day, or `Infinity` for never (like protoactor-go); default 60,000 ms.
   *
   * Lower: the cluster reunites sooner after a partition, and dead peers are dialed more often. Higher: its two halves
   * stay apart for longer after the network has recovered.
   */
  readonly blockedProbeInterval: number;
  /**
   * The longest time for which a deleted key is kept as a tombstone. 100 ms to 30 days; default 60,000 ms (a minute).
   *
   * Lower: a peer that was away for longer gets whole states instead of changes. Higher: members that
   * delete often keep, and send to new members, more tombstones.
   */
  readonly tombstoneRetention: number;
  /**
   * The time for which the state of a departed or blocked member is kept; it is relayed for the first half.
   * 100 ms to 30 days; default 600,000 ms (10 minutes); at least `heartbeatExpiration`.
   *
   * Lower: a returning member gets more state again. Higher: more memory for departed members.
   */
  readonly departedRetention: number;
  /**
   * The largest message in UTF-8 bytes. 16 KiB to 32 MiB; default 1,048,576 (1 MiB). A value may take half of this
   * size. If members sign, a member's whole state may take half. Between two members with different limits the lower
   * limit applies, and both emit `SettingsDiffer`.
   *
   * Lower: `setState` refuses large values sooner. Higher: a hostile or faulty peer can make a member parse more at once.
   */
  readonly maxMessageBytes: number;
  /**
   * The most open connections; the connection that was unused for longest is closed first. 1 to 100,000, at least
   * `gossipFanOut`; default 128.
   *
   * Lower: more rounds have to dial first. Higher: more sockets and memory, here and at the peers.
   */
  readonly maxConnections: number;
  /**
   * The most members with known state, including this member and departed members. 1 to 100,000; default 10,000. At the
   * limit, a member that shakes hands replaces a member that never did (`StateDropped`).
   *
   * Lower: further members are refused. Higher: a hostile peer that invents members can fill more memory.
   */
  readonly maxMembers: number;
  /**
   * The most keys of a member, including the gossiper's own keys. 16 to 1,000,000; default 65,536.
   *
   * Lower: `setState` refuses sooner. Higher: a hostile peer can fill more memory, because a key costs more memory than
   * its bytes.
   */
  readonly maxKeysPerMember: number;
  /**
   * The most UTF-8 bytes of a member's keys and values together: for each key its name, the JSON text of its value, and
   * about 40 bytes more. 16 KiB to 1 GiB; default 8,388,608 (8 MiB).
   *
   * Lower: `setState` refuses sooner. Higher: a hostile peer can fill more memory.
   */
  readonly maxStateBytes: number;
  /**
   * The approximate memory for the states of all other members, in bytes of the heap. It counts their texts and their
   * parsed values; a parsed value may take 28 times as much as its text. 1 MiB to 1 TiB; default 268,435,456 (256 MiB),
   * a quarter of Deno's default heap on a machine with 4 GiB. Above the limit states are dropped (`StateDropped`):
   * first those of members that never shook hands with this member, the largest before the others. A state that still
   * does not fit is stored in part (`ConflictDetected`).
   *
   * Lower: fewer large states fit, and members do not converge until all do. Higher: a hostile peer can fill more
   * memory; a process out of heap ends.
   */
  readonly maxHeldBytes: number;
  /**
   * The most connections from one address, or from one public IPv6 network (/64). 1 to 100,000; default 64. A further
   * connection replaces the connection that was idle for longest, if it was idle for 5 s. Otherwise the new connection
   * is refused (`ClientRefused`). With cluster keys, connections of clients that have proved a key are not counted.
   *
   * Lower: members that share an address, or come through one proxy, cannot all connect. Higher: one machine can take a
   * larger share of all connections.
   */
  readonly maxConnectionsPerAddress: number;
  /**
   * The most connections without a handshake. 1 to 100,000; default 64. A further connection replaces the connection
   * that was silent for longest.
   *
   * Lower: if many members start at once, some must dial again. Higher: a client that opens connections without a
   * handshake keeps more connections, each for at most four request timeouts.
   */
  readonly maxHandshakes: number;
  /**
   * The most messages per second on one connection, as a mean over a few seconds. A large message counts once for each
   * 16 KiB. A connection above the limit is closed with 4413. 10 to 1,000,000, at least 8 for every `gossipInterval`;
   * default 1,000.
   *
   * Lower: an honest peer may be disconnected in a burst. Higher: a flood costs more processor time before it ends.
   */
  readonly maxMessagesPerSecond: number;
  /**
   * The most unread events of a subscriber. Above the limit the oldest events are dropped and counted. 1 to 1,000,000;
   * default 1,024.
   *
   * Lower: a subscriber that pauses misses events sooner. Higher: a subscriber that hangs takes more memory.
   */
  readonly eventCapacity: number;
  /**
   * The longest wait before a failed peer is dialed again. 10 ms to an hour; default 5,000 ms.
   *
   * Lower: dead peers are dialed more often. Higher: a recovered peer is noticed later.
   */
  readonly maxBackoff: number;
}

/** Some of the settings; the others have their defaults. */
export type PartialConfig = Partial<GossiperConfig>;

/** The default settings: protoactor-go's, and this library's own. */
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
  tombstoneRetention: 60_000,
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
 * Completes settings with the defaults. The result is frozen. An `undefined` setting counts as omitted.
 *
 * @example
 * ```ts
 * import { configure } from "@hearsay/gossip";
 *
 * const config = configure({ gossipInterval: 100, heartbeatExpiration: 5_000 });
 * console.assert(config.gossipFanOut === 3);
 * ```
 *
 * @throws {ConfigurationError} with every invalid and every unknown setting.
 */
export function configure(given: PartialConfig = {}): GossiperConfig {
  return configureFrom([{ values: given }]);
}

/** Settings as the parts of a running member use them. */
export interface PacedConfig extends GossiperConfig {
  /** True if silence blocks no member. `heartbeatExpiration` then sets only the pace of heartbeats. */
  readonly neverExpires?: boolean;
}

/** The number of rounds in a `heartbeatExpiration` that only sets the pace. 66: as many rounds as with the defaults. */
const PACED_ROUNDS = 66;

/**
 * Replaces a `heartbeatExpiration` of `Infinity` by a finite time. Three times still depend on it: the time between
 * relays of counts, the time before a silent connection is tested, and the time before this member counts as isolated.
 */
export function paced(config: GossiperConfig): PacedConfig {
  if (config.heartbeatExpiration !== Infinity) return config;
  const { gossipInterval, gossipRequestTimeout } = config;
  const heartbeatExpiration = Math.max(
    DEFAULT_CONFIG.heartbeatExpiration,
    PACED_ROUNDS * gossipInterval,
    2 * (gossipInterval + gossipRequestTimeout),
  );
  return Object.freeze({ ...config, heartbeatExpiration, neverExpires: true });
}

/** Settings from one source. */
export interface ConfigurationSource {
  /** The settings, of any type: they are unchecked. */
  readonly values: unknown;
  /** Returns the place of a setting, for errors; needed only with several sources. */
  readonly placeOf?: (field: string) => string;
  /** The problems of the source itself. */
  readonly problems?: readonly ConfigurationProblem[];
}

/** Completes settings from several sources. A later source wins, but the settings of all must be valid. */
export function configureFrom(sources: readonly ConfigurationSource[]): GossiperConfig {
  const { settings, problems, wrong, places } = settingsFrom(sources);
  const config: GossiperConfig = { ...DEFAULT_CONFIG, ...settings };
  const all = [...problems, ...conflicts(config, { wrong, places })];
  if (all.length > 0) throw new ConfigurationError(all);
  return Object.freeze(config);
}

/** The settings of all sources. Each setting was checked alone, without the rules between settings. */
export interface GivenSettings {
  /** The valid settings. If several sources have a setting, the last source wins. */
  readonly settings: PartialConfig;
  /** All problems, in the order of the settings. */
  readonly problems: readonly ConfigurationProblem[];
  /** The names of the invalid settings. */
  readonly wrong: ReadonlySet<string>;
  /** The source of each valid setting; `undefined` with a single source. */
  readonly places: ReadonlyMap<string, string | undefined>;
}

/** Collects the settings of all sources, and checks each alone. */
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

const NO_SETTINGS: Fault = { problem: "must be a plain object of settings", allowed: "a plain object" };

/** True for a plain object: no array, no `Map`, no instance of a class. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
