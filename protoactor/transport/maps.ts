/**
 * Maps for Go members. At a Go member a map is one value of the type `cluster.GossipMap`, so each change of an entry sends
 * the whole map, under the key of the map.
 *
 * @module
 */

import { isUnversioned } from "../../engine/incarnation.ts";
import type { Entry, Incarnation, MemberDelta, MemberDeltas } from "../../engine/types.ts";
import { type MapKeys, mapKeysOf } from "../../maps/composed_key.ts";
import type { GossipState, KeyEntry, MapItem, MemberEntry } from "./definitions.ts";
import { numberInIncarnation } from "./numbers.ts";
import { NEW_HEARTBEAT_KEY } from "./state.ts";
import { anyOf, mapAnyOf } from "./values.ts";

/**
 * The most bytes of one map. 3 MiB: a Go member accepts messages of 4 MiB, and ends the stream at a larger one, so that
 * every round would begin with a dial.
 */
export const MAX_MAP_BYTES: number = 3 * 1024 * 1024;
/** The most bytes of maps in one request, unless it has one map alone: the rest of 4 MiB is room for keys and ids. */
const MAX_REQUEST_BYTES = MAX_MAP_BYTES;
/** The most bytes of the maps in one round. 8 MiB: the stream to a Go member ends with 16 MiB unsent. */
const MAX_ROUND_BYTES = 8 * 1024 * 1024;

/** The state from which whole maps are made. */
export interface MapSource {
  /** The present entries and the version of a member; `undefined` if it has another incarnation now. */
  stateOf(
    id: string,
    incarnation: Incarnation,
  ): { readonly number: number; readonly entries: readonly Entry[] } | undefined;
  /** Called for a map that is not sent, because it would exceed a limit. */
  onTooLarge(map: { readonly memberId: string; readonly key: string }): void;
}

/** A whole map, ready to send. */
interface WholeMap {
  readonly memberId: string;
  readonly entry: KeyEntry;
  readonly bytes: number;
}

/** The delta without the entries of maps. */
export function withoutMaps(delta: MemberDeltas): MemberDeltas {
  const members = delta.members.map((member) => {
    if (isUnversioned(member.incarnation)) return member;
    return { ...member, entries: member.entries.filter(({ key }) => keysAtGo(key) === undefined) };
  });
  return { members };
}

/** The whole maps of which a delta has an entry, in as many states as needed. */
export function mapStates(delta: MemberDeltas, source: MapSource): GossipState[] {
  const states: GossipState[] = [];
  let [waiting, bytes, total]: [WholeMap[], number, number] = [[], 0, 0];
  for (const map of delta.members.flatMap((member) => wholeMaps(member, source))) {
    total += map.bytes;
    if (map.bytes > MAX_MAP_BYTES || total > MAX_ROUND_BYTES) {
      total -= map.bytes;
      source.onTooLarge({ memberId: map.memberId, key: map.entry.key });
      continue;
    }
    if (bytes + map.bytes > MAX_REQUEST_BYTES) {
      states.push(stateWith(waiting));
      [waiting, bytes] = [[], 0];
    }
    waiting.push(map);
    bytes += map.bytes;
  }
  return waiting.length === 0 ? states : [...states, stateWith(waiting)];
}

/**
 * The maps of one member that a delta changes. Their number is the version of the member's state at this moment. So a
 * deletion raises the number, even after the record of the deletion was dropped. The later of two maps has the higher
 * number, whichever member sent it.
 */
function wholeMaps({ id, incarnation, entries }: MemberDelta, source: MapSource): WholeMap[] {
  if (isUnversioned(incarnation)) return [];
  const maps = new Map<string, MapItem[]>();
  for (const { key } of entries) {
    const keys = keysAtGo(key);
    if (keys) maps.set(keys.key, []);
  }
  const state = maps.size === 0 ? undefined : source.stateOf(id, incarnation);
  if (!state) return [];
  for (const entry of state.entries) {
    const keys = keysAtGo(entry.key);
    if (keys) maps.get(keys.key)?.push({ key: keys.mapKey, value: anyOf(entry) });
  }
  const sequenceNumber = numberInIncarnation(incarnation, state.number);
  return Array.from(maps, ([key, items]) => {
    const value = mapAnyOf(items);
    return { memberId: id, entry: { key, value: { sequenceNumber, value } }, bytes: value.value.length };
  });
}

function stateWith(maps: readonly WholeMap[]): GossipState {
  const byMember = Map.groupBy(maps, ({ memberId }) => memberId);
  const members = Array.from(byMember, ([key, own]): MemberEntry => ({
    key,
    value: { values: own.map(({ entry }) => entry) },
  }));
  return { members };
}

/**
 * The keys of an entry of a map; `undefined` for any other. A member whose map took the place of its heartbeats would
 * be blocked.
 */
function keysAtGo(key: string): MapKeys | undefined {
  const keys = mapKeysOf(key);
  return keys?.key === NEW_HEARTBEAT_KEY ? undefined : keys;
}
