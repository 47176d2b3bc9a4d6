/**
 * Selects the members of one message, if not all find room (rule E7): the own state first, then the others, the latest
 * change first. A quarter of the room is for the round-robin, so that no member starves.
 *
 * @module
 */

import { entryBytes, memberBytes, signatureBytes } from "../state/size.ts";
import type { MemberDelta } from "../types.ts";

/** A member with a delta to send. */
export interface Candidate {
  readonly id: string;
  /** Makes the delta, for selected members only. A delta that can be cut has at most `maxBytes`. */
  readonly delta: (maxBytes: number) => MemberDelta;
}

/** The members with a delta to send, each kind in the order of sending. */
export interface Candidates {
  readonly own: Candidate | undefined;
  /** The members with changes. */
  readonly changed: readonly Candidate[];
  /** The next members in round-robin order. The other lists may name them as well. */
  readonly roundRobin: readonly Candidate[];
  /** The members in the peer's pull. */
  readonly pulled: readonly Candidate[];
}

/** The room in one message, and its first member. */
export interface Room {
  readonly members: number;
  readonly bytes: number;
  /** True if the round-robin goes even before the own state, because it was left out before. */
  readonly roundRobinFirst: boolean;
}

/** The share of the round-robin in the members of a message. */
export function roundRobinSlots(members: number): number {
  return Math.ceil(members / 4);
}

/** The most members to pull from a peer, if a message has so many members. */
export function maxPulled(members: number): number {
  return Math.ceil(members / 2);
}

/** Chooses among candidates. */
export function select(candidates: Candidates, room: Room): MemberDelta[] {
  return selectInOrder(inOrder(candidates, room), room);
}

/** Takes candidates in the order given, as many as there is room for. */
export function selectInOrder(
  candidates: Iterable<Candidate>,
  room: Pick<Room, "members" | "bytes">,
): MemberDelta[] {
  const deltas = new Map<string, MemberDelta>();
  let bytes = 0;
  for (const candidate of candidates) {
    if (deltas.size === room.members) break;
    if (deltas.has(candidate.id)) continue;
    const delta = candidate.delta(room.bytes - bytes);
    const size = deltaBytes(delta);
    // A smaller delta may still find room.
    if (bytes + size > room.bytes) continue;
    bytes += size;
    deltas.set(candidate.id, delta);
  }
  return [...deltas.values()];
}

/** The most bytes of a member's delta in a message. */
export function deltaBytes(delta: MemberDelta): number {
  let bytes = memberBytes(delta.id) +
    (delta.signature === undefined ? 0 : signatureBytes(delta.id, delta.signature));
  for (const entry of delta.entries) bytes += entryBytes(entry);
  return bytes;
}

function inOrder({ own, changed, roundRobin: inTurn, pulled: asked }: Candidates, room: Room): Candidate[] {
  const [next, ...quarter] = inTurn;
  const head = (room.roundRobinFirst ? [next, own] : [own, next]).filter((each) => each !== undefined);
  const places = Math.max(0, room.members - head.length - quarter.length - asked.length);
  return [...head, ...changed.slice(0, places), ...quarter, ...asked, ...changed.slice(places)];
}
