/**
 * Maps whose entries are set, deleted, expired, merged and sent one by one: `@hearsay/gossip/maps`.
 *
 * @module
 */

export { getMapKeys, getMapState, removeMapState, setMapState } from "./map_state.ts";
export type { MapUpdate } from "./map_updates.ts";
export { type MapNode, mapOf, type MemberEntry, StateMap, type ViewOptions } from "./state_map.ts";
