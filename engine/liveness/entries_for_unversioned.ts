/**
 * Heartbeats as entries, for unversioned peers: a member of protoactor-go expires a member if the number of its heartbeat
 * key does not rise.
 *
 * @module
 */

import type { MemberState } from "../state/member_state.ts";
import { HEARTBEAT_KEY, type MemberDelta } from "../types.ts";
import { heartbeatEntry } from "./heartbeat_entry.ts";

/** Adds heartbeats to deltas: each delta gets its member's heartbeat, and other members get their own deltas. */
export function withHeartbeatEntries(
  deltas: readonly MemberDelta[],
  { members, places, stateOf }: {
    /** The other members, the next due first. */
    readonly members: Iterable<MemberState>;
    /** The most members in the result. */
    readonly places: number;
    readonly stateOf: (id: string) => MemberState | undefined;
  },
): MemberDelta[] {
  const byId = new Map(deltas.map((delta) => [delta.id, withCount(delta, stateOf(delta.id))]));
  if (byId.size >= places) return [...byId.values()];
  for (const state of members) {
    if (byId.has(state.id) || state.heartbeatCount === 0) continue;
    const { id, incarnation } = state;
    byId.set(id, { id, incarnation, after: 0, reset: false, entries: [heartbeatEntry(state)] });
    // Stop before the iterator moves on: the next member is then the first in the next message.
    if (byId.size >= places) break;
  }
  return [...byId.values()];
}

function withCount(delta: MemberDelta, state: MemberState | undefined): MemberDelta {
  const entries = delta.entries.filter(({ key }) => key !== HEARTBEAT_KEY);
  // A delta without a count is of a blocked member, whose count is not passed on (E10).
  const isKnown = state !== undefined && delta.count !== undefined;
  return { ...delta, entries: isKnown ? [...entries, heartbeatEntry(state)] : entries };
}
