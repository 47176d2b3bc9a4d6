/**
 * In place of `engine/liveness/entries_for_unversioned.ts`: no peer of a page is unversioned. Only a gateway has such
 * peers, and no page is a gateway.
 *
 * @module
 */

import type { MemberDelta } from "../../engine/types.ts";

/** Adds no heartbeats. */
export function withHeartbeatEntries(deltas: readonly MemberDelta[]): MemberDelta[] {
  return [...deltas];
}
