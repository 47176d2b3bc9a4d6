/**
 * The four calls of protoactor-go's gossiper for maps, with their names and the order of their arguments.
 *
 * @module
 */

import type { JsonValue } from "../engine/types.ts";
import type { SetStateOptions } from "../gossiper/contract.ts";
import { type MapNode, mapOf } from "./state_map.ts";

/**
 * Sets an entry of this member's map, as `SetMapState` of protoactor-go. Throws like {@linkcode StateMap.set}.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { getMapKeys, getMapState, removeMapState, setMapState } from "@hearsay/gossip/maps";
 *
 * await using node = await join({ cluster: "shop", listen: { port: 0 } });
 * setMapState(node, "stock", "tea", 3);
 * setMapState(node, "stock", "milk", 1, { expiresAfter: 60_000 });
 * console.assert(getMapState(node, "stock", "tea") === 3);
 * console.assert(removeMapState(node, "stock", "tea"));
 * console.assert(getMapKeys(node, "stock").join() === "milk");
 * ```
 */
export function setMapState(
  node: MapNode,
  key: string,
  mapKey: string,
  value: unknown,
  options: Pick<SetStateOptions, "expiresAfter"> = {},
): void {
  mapOf<unknown>(node, key).set(mapKey, value, options);
}

/**
 * The value of an entry of this member's own map; `undefined` if it has none. As in protoactor-go, the maps of other
 * members are not read; use {@linkcode mapOf} for those.
 */
export function getMapState<V = JsonValue>(node: MapNode, key: string, mapKey: string): V | undefined {
  return mapOf<V>(node, key).get(mapKey);
}

/** Deletes an entry of this member's map; returns `false` if it was not set. */
export function removeMapState(node: MapNode, key: string, mapKey: string): boolean {
  return mapOf(node, key).delete(mapKey);
}

/** The keys of this member's own map, sorted. */
export function getMapKeys(node: MapNode, key: string): readonly string[] {
  return mapOf(node, key).keys();
}
