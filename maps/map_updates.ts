/**
 * The updates of a map, entry by entry.
 *
 * @module
 */

import { flatMapped } from "../common/flat_mapped.ts";
import type { GossipUpdate } from "../engine/events.ts";
import type { JsonValue } from "../engine/types.ts";
import { mapKeysOf } from "./composed_key.ts";
import { goItemsOf, type Items } from "./go_map.ts";

/** An entry of a map was set or deleted, or has expired. */
export interface MapUpdate<V = JsonValue> {
  /** The member's id. */
  readonly memberId: string;
  /** The key within the map. */
  readonly mapKey: string;
  /** The new value; `undefined` with `deleted`. */
  readonly value: V | undefined;
  /** The member's number of this set or delete. For a member of protoactor-go, the number of its whole map. */
  readonly sequenceNumber: number;
  /** True if the entry was deleted. */
  readonly deleted: boolean;
  /** True, with `deleted`, if the entry's time was over (`expiresAfter`); absent otherwise. */
  readonly expired?: boolean;
}

/** Emits the updates of a map's entries. Reads the updates of all keys that begin with the map's key. */
export function mapUpdates(
  updates: ReadableStream<GossipUpdate>,
  key: string,
): ReadableStream<MapUpdate> {
  /** The last map of each member of protoactor-go. */
  const goMaps = new Map<string, Items>();
  return flatMapped(updates, (update): Iterable<MapUpdate> => {
    if (update.key !== key) return entryUpdate(update, key);
    const before = goMaps.get(update.memberId) ?? {};
    const after = goItemsOf(update.value);
    if (after) goMaps.set(update.memberId, after);
    else goMaps.delete(update.memberId);
    return changes(update, { before, after: after ?? {} });
  });
}

function entryUpdate(update: GossipUpdate, key: string): MapUpdate[] {
  const keys = mapKeysOf(update.key);
  if (keys?.key !== key) return [];
  const { memberId, value, sequenceNumber, deleted, expired } = update;
  const { mapKey } = keys;
  return [{ memberId, mapKey, value, sequenceNumber, deleted, ...(expired && { expired }) }];
}

/** The entries that differ between two maps of one member. */
function* changes(
  { memberId, sequenceNumber }: GossipUpdate,
  { before, after }: { readonly before: Items; readonly after: Items },
): Iterable<MapUpdate> {
  for (const [mapKey, value] of Object.entries(after)) {
    if (Object.hasOwn(before, mapKey) && JSON.stringify(before[mapKey]) === JSON.stringify(value)) continue;
    yield { memberId, mapKey, value, sequenceNumber, deleted: false };
  }
  for (const mapKey of Object.keys(before)) {
    if (Object.hasOwn(after, mapKey)) continue;
    yield { memberId, mapKey, value: undefined, sequenceNumber, deleted: true };
  }
}
