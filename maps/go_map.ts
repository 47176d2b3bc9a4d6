/**
 * Maps of protoactor-go: a whole map is one value, of the type `cluster.GossipMap`.
 *
 * @module
 */

import type { JsonValue } from "../engine/types.ts";

/** The full name of the type. */
export const GO_MAP = "cluster.GossipMap";
const GO_MAP_URL = `type.googleapis.com/${GO_MAP}`;

/** The entries of a map, by their keys. */
export type Items = Readonly<Record<string, JsonValue>>;

/** The JSON value of a decoded map: the proto3 JSON form of an `Any`. */
export function goMapValue(items: Items): JsonValue {
  return { "@type": GO_MAP_URL, items };
}

/**
 * The entries of a map's value; `undefined` if the value is no such map. Any member may set a value that only resembles
 * a map.
 */
export function goItemsOf(value: JsonValue | undefined): Items | undefined {
  if (!isObject(value) || value["@type"] !== GO_MAP_URL) return undefined;
  return isObject(value.items) ? value.items : undefined;
}

function isObject(value: JsonValue | undefined): value is Items {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
