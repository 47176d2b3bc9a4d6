/**
 * A map in the state of each member, and views of one map over all members.
 *
 * @module
 */

import type { JsonValue } from "../engine/types.ts";
import type { GossiperLike, GossipKeyValue, SetStateOptions, WaitOptions } from "../gossiper/contract.ts";
import { isAlive } from "../gossiper/member_status.ts";
import { assertOptions, rule, type Rules } from "../options/rules.ts";
import { assertMapName, composedKey, mapKeysOf } from "./composed_key.ts";
import { goItemsOf } from "./go_map.ts";
import { type MapUpdate, mapUpdates } from "./map_updates.ts";

/** The parts of a member that a {@linkcode StateMap} uses; a node of `join` or `joinProtoactor` has them. */
export type MapNode = Pick<
  GossiperLike,
  "id" | "members" | "getState" | "getAll" | "setState" | "setStateRequest" | "deleteState" | "watch"
>;

/** Options of the views over members. */
export interface ViewOptions {
  /**
   * The members of the view. `known`, the default: all members with known state. Members that failed or left stay until
   * they are forgotten (`departedRetention`). `alive`: the members that take part now.
   */
  readonly among?: "alive" | "known";
}

/** An entry, and the member that set it. */
export interface MemberEntry<V = JsonValue> extends GossipKeyValue<V> {
  /** The member's id. */
  readonly memberId: string;
}

const VIEW: Rules<ViewOptions> = {
  among: rule((given) => given === "alive" || given === "known", { allowed: '"alive" or "known"' }),
};

/**
 * A map under one key: each member sets its own entries, and reads the entries of all members. The state has an
 * entry for each entry of the map, under the key `<key>␟<mapKey>`. So each is set, deleted, expired, merged and sent
 * separately, and counts as a key (`maxKeysPerMember`).
 */
export class StateMap<V = JsonValue> {
  /** The key of the map. */
  readonly key: string;
  readonly #node: MapNode;

  /** Called by {@linkcode mapOf}. */
  constructor(node: MapNode, key: string) {
    assertMapName(key);
    this.key = key;
    this.#node = node;
  }

  /**
   * Sets an entry of this member, like `setState`; with `expiresAfter` it ends by itself at each member, and a later set
   * renews it. Throws a `HearsayError` and changes nothing: code `invalid_key` if `key` and `mapKey` together have more
   * than 1,021 bytes, and the errors of `setState`.
   */
  set(mapKey: string, value: V, options: Pick<SetStateOptions, "expiresAfter"> = {}): void {
    this.#node.setState(this.#composed(mapKey), value, options);
  }

  /** Sets an entry like {@linkcode StateMap.set}, and resolves once `acknowledgedBy` other members have acknowledged it. */
  async setRequest(mapKey: string, value: V, options: SetStateOptions = {}): Promise<void> {
    await this.#node.setStateRequest(this.#composed(mapKey), value, options);
  }

  /** Deletes an entry of this member; returns `false` if it was not set. */
  delete(mapKey: string): boolean {
    return this.#node.deleteState(this.#composed(mapKey));
  }

  /** The value of this member's own entry; `undefined` if it has none. */
  get(mapKey: string): V | undefined {
    const { id } = this.#node;
    const entry = this.#node.getState(this.#composed(mapKey)).get(id);
    if (entry) return entry.value as V;
    const items = goItemsOf(this.#node.getState(this.key).get(id)?.value);
    return items && Object.hasOwn(items, mapKey) ? items[mapKey] as V : undefined;
  }

  /** The keys of this member's own entries, sorted. Costs time in proportion to this member's state. */
  keys(): readonly string[] {
    return [...this.entries().keys()].sort();
  }

  /** The entries of a member, by default of this member. Costs time in proportion to the member's state. */
  entries(memberId: string = this.#node.id): Map<string, GossipKeyValue<V>> {
    const entries = new Map<string, GossipKeyValue>();
    for (const [key, entry] of this.#node.getAll(memberId)) {
      const keys = mapKeysOf(key);
      if (keys?.key === this.key) entries.set(keys.mapKey, entry);
      if (key !== this.key) continue;
      for (const [mapKey, value] of Object.entries(goItemsOf(entry.value) ?? {})) {
        entries.set(mapKey, Object.freeze({ ...entry, value }));
      }
    }
    return entries as Map<string, GossipKeyValue<V>>; // Another program may have set them: the caller's assumption.
  }

  /** The values of an entry by member id, like `getState`. Costs time in proportion to the members. */
  state(mapKey: string, options: ViewOptions = {}): Map<string, GossipKeyValue<V>> {
    const isSeen = this.#among(options);
    const composed = this.#composed(mapKey);
    const values = new Map<string, GossipKeyValue>();
    for (const [memberId, entry] of this.#node.getState(this.key)) {
      const items = goItemsOf(entry.value);
      if (!items || !Object.hasOwn(items, mapKey) || !isSeen(memberId)) continue;
      values.set(memberId, Object.freeze({ ...entry, value: items[mapKey]! }));
    }
    for (const [memberId, entry] of this.#node.getState(composed)) {
      if (isSeen(memberId)) values.set(memberId, entry);
    }
    return values as Map<string, GossipKeyValue<V>>;
  }

  /**
   * The sum of an entry's values over the members. A value that is no number counts as 0. Each member counts once, so a
   * counter is right if each member adds to its own entry alone.
   */
  sum(mapKey: string, options: ViewOptions = {}): number {
    return sumOf(this.state(mapKey, options));
  }

  /** The sum of each entry over the members, by key. Costs time in proportion to the state of all members. */
  sums(options: ViewOptions = {}): Map<string, number> {
    return new Map(Array.from(this.union(options), ([mapKey, values]) => [mapKey, sumOf(values)]));
  }

  /** The entries of all members: by key, then by member id. Costs time in proportion to the state of all members. */
  union(options: ViewOptions = {}): Map<string, Map<string, GossipKeyValue<V>>> {
    const isSeen = this.#among(options);
    const union = new Map<string, Map<string, GossipKeyValue<V>>>();
    for (const { id } of this.#node.members) {
      if (!isSeen(id)) continue;
      for (const [mapKey, entry] of this.entries(id)) {
        const values = union.get(mapKey);
        if (values) values.set(id, entry);
        else union.set(mapKey, new Map([[id, entry]]));
      }
    }
    return union;
  }

  /**
   * The entry that this member set or merged last, by its own wall clock. Within one millisecond the entry of the
   * higher id counts. `undefined` if no member has the entry. It is the entry that arrived last here, not the entry
   * that was set last. Members may differ for good, because each member merges in another order. After a partition, and
   * at its start, a member merges many entries at once.
   */
  latest(mapKey: string, options: ViewOptions = {}): MemberEntry<V> | undefined {
    let latest: MemberEntry<V> | undefined;
    for (const [memberId, entry] of this.state(mapKey, options)) {
      if (latest && isBefore({ memberId, ...entry }, latest)) continue;
      latest = { memberId, ...entry };
    }
    return latest && Object.freeze(latest);
  }

  /**
   * Emits the present entries of all members, then changes, deletions and ends of lifetimes, and ends like `watch` of a
   * node. A map of a member of protoactor-go is one value: the entries that differ from the former value are emitted.
   */
  watch(options: WaitOptions = {}): ReadableStream<MapUpdate<V>> {
    const updates = this.#node.watch({ ...options, prefix: this.key });
    return mapUpdates(updates, this.key) as ReadableStream<MapUpdate<V>>;
  }

  #composed(mapKey: string): string {
    return composedKey({ key: this.key, mapKey });
  }

  #among(options: ViewOptions): (memberId: string) => boolean {
    assertOptions(options, VIEW);
    if (options.among !== "alive") return () => true;
    const alive = new Set(this.#node.members.filter(isAlive).map(({ id }) => id));
    return (memberId) => alive.has(memberId);
  }
}

/**
 * Returns the map of a key; it has no state of its own. Do not set a value under the map's own key too: a member of
 * protoactor-go would see only one value, either the map or this value.
 *
 * @throws {HearsayError} with code `invalid_key` for a key that is invalid, is the gossiper's own, or contains U+241F.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { mapOf } from "@hearsay/gossip/maps";
 *
 * await using one = await join({ cluster: "shop", listen: { port: 0 } });
 * await using two = await join({ cluster: "shop", listen: { port: 0 }, seeds: [one.address] });
 * const [stock, other] = [mapOf<number>(one, "stock"), mapOf<number>(two, "stock")];
 * other.set("tea", 2);
 * await stock.setRequest("tea", 3, { acknowledgedBy: 1, signal: AbortSignal.timeout(10_000) });
 * for await (const { memberId, mapKey, value } of stock.watch()) {
 *   if (memberId !== two.id) continue;
 *   console.assert(mapKey === "tea" && value === 2);
 *   break;
 * }
 * console.assert(stock.sum("tea") === 5);
 * ```
 */
export function mapOf<V = JsonValue>(node: MapNode, key: string): StateMap<V> {
  return new StateMap<V>(node, key);
}

function sumOf(values: ReadonlyMap<string, GossipKeyValue<unknown>>): number {
  let sum = 0;
  for (const { value } of values.values()) if (typeof value === "number") sum += value;
  return sum;
}

function isBefore(one: MemberEntry<unknown>, other: MemberEntry<unknown>): boolean {
  const elapsedMs = one.localTimestampUnixMilliseconds - other.localTimestampUnixMilliseconds;
  // mutant move-bound 2: no two entries have one id.
  return elapsedMs < 0 || elapsedMs === 0 && one.memberId < other.memberId;
}
