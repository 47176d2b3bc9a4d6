/**
 * Which members one message carries, where not all find room (rule E7): the own state first, then the others, the
 * latest change first. A quarter of the room is for all members in turn, so that none starves.
 *
 * @module
 */

import { entryBytes, memberBytes, signatureBytes } from "../state/size.ts";
import type { MemberDelta } from "../types.ts";

/** A member of which there is something to tell. */
export interface Candidate {
  readonly id: string;
  /** What would be sent, worked out only for who is chosen; at most so many bytes, where it can be cut. */
  readonly delta: (maxBytes: number) => MemberDelta;
}

/** Of whom there is something to tell, each kind in the order in which it is told. */
export interface Candidates {
  readonly own: Candidate | undefined;
  /** The members that changed. */
  readonly changed: readonly Candidate[];
  /** Whose turn it is, whatever there is to tell. The others may name them as well. */
  readonly roundRobin: readonly Candidate[];
  /** The members that the peer asks for, because it holds nothing of them. */
  readonly pulled: readonly Candidate[];
}

/** The room in one message, and who goes first. */
export interface Room {
  readonly members: number;
  readonly bytes: number;
  /** Whether the one whose turn it is goes even before the own state, because it was left out before. */
  readonly roundRobinFirst: boolean;
}

/** How many places of a message are for members in turn. */
export function roundRobinSlots(members: number): number {
  return Math.ceil(members / 4);
}

/** For how many members a peer is asked at most, where a message has so many places. */
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
    // What is smaller may still find room.
    if (bytes + size > room.bytes) continue;
    bytes += size;
    deltas.set(candidate.id, delta);
  }
  return [...deltas.values()];
}

/** The bytes that a member's delta takes in a message, at most. */
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
