/**
 * Selects the members of one message, if not all find room (rule E7): the own state first, then the others, the latest
 * change first. Half of the room is for the round-robin, so that every member is sent in the end. It also lets a
 * newcomer get different members from each peer, because the latest changes are the same at every peer.
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
export interface MessageRoom {
  readonly members: number;
  readonly bytes: number;
  /** True if the round-robin comes even before the own state, because it was left out of the last message. */
  readonly roundRobinFirst: boolean;
}

/** The most members in round-robin order in a message of `members` members. */
export function roundRobinSlots(members: number): number {
  return Math.ceil(members / 2);
}

/** The most members to pull from a peer if its reply has `members` members. */
export function maxPulled(members: number): number {
  return Math.ceil(members / 2);
}

/** Chooses among candidates. */
export function select(candidates: Candidates, room: MessageRoom): MemberDelta[] {
  return selectInOrder(inOrder(candidates, room), room);
}

/** Takes candidates in the order given, as many as there is room for. */
export function selectInOrder(
  candidates: Iterable<Candidate>,
  room: Pick<MessageRoom, "members" | "bytes">,
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

/** An upper bound for the bytes of a delta in a message. */
export function deltaBytes(delta: MemberDelta): number {
  let bytes = memberBytes(delta.id) +
    (delta.signature === undefined ? 0 : signatureBytes(delta.id, delta.signature));
  for (const entry of delta.entries) bytes += entryBytes(entry);
  return bytes;
}

function inOrder({ own, changed, roundRobin, pulled }: Candidates, room: MessageRoom): Candidate[] {
  const [next, ...others] = roundRobin;
  const head = (room.roundRobinFirst ? [next, own] : [own, next]).filter((each) => each !== undefined);
  return [...head, ...inTurns([[pulled, 2], [changed, 1], [others, 1]])];
}

/**
 * The elements of all lists in turns, with `each` elements of a list per turn. So each list gets its share of the
 * message, both of its slots and of its bytes.
 */
function inTurns<T>(lists: readonly (readonly [list: readonly T[], each: number])[]): T[] {
  const turns = Math.max(...lists.map(([list, each]) => Math.ceil(list.length / each)));
  return Array.from({ length: turns }, (_, turn) => turn)
    .flatMap((turn) => lists.flatMap(([list, each]) => list.slice(turn * each, (turn + 1) * each)));
}
