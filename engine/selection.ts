/**
 * Which members one message tells of, where not all find room (rule E7): the own state first, then changes
 * that last, then heartbeats, of either the latest first; and those that the peer has waited for longest always
 * keep a quarter.
 *
 * @module
 */

import { entryBytes, memberBytes, proofBytes } from "./size.ts";
import type { MemberDelta } from "./types.ts";

/** A member of which there is something to tell. */
export interface Candidate {
  readonly id: string;
  /** Whether it has changes other than heartbeats and digests. */
  readonly lasting: boolean;
  /** What would be told; worked out only for who is chosen. */
  readonly delta: () => MemberDelta;
}

/** What was chosen. */
export interface Selection {
  readonly deltas: readonly MemberDelta[];
  /** Whether somebody with changes that last found no room. */
  readonly partial: boolean;
  /** Whether the one that waits longest found no room, and is to come first the next time. */
  readonly longestLeftOut: boolean;
}

/** The room in one message, and who goes first. */
export interface Room {
  readonly selfId: string;
  readonly members: number;
  readonly bytes: number;
  /** Whether the one that waits longest goes even before the own state, because it was left out before. */
  readonly longestFirst: boolean;
}

/**
 * Chooses among candidates, given in the order in which they began to wait. Nobody starves: who waits longest
 * is left out at most once in a row.
 */
export function select(candidates: readonly Candidate[], room: Room): Selection {
  const { ordered, longest } = inOrder(candidates, room);
  const deltas: MemberDelta[] = [];
  let bytes = 0;
  let partial = false;
  let longestLeftOut = false;
  for (const candidate of ordered) {
    const full = deltas.length === room.members;
    const delta = full ? undefined : candidate.delta();
    const size = delta ? deltaBytes(delta) : 0;
    if (delta && bytes + size <= room.bytes) {
      bytes += size;
      deltas.push(delta);
      continue;
    }
    // Digests leave out what does not last, and can be compared without it.
    partial ||= candidate.lasting;
    longestLeftOut ||= candidate === longest;
    if (full && partial) break;
  }
  return { deltas, partial, longestLeftOut };
}

/** The bytes that a member's delta takes in a message, at most. */
export function deltaBytes(delta: MemberDelta): number {
  let bytes = memberBytes(delta.id) + (delta.proof === undefined ? 0 : proofBytes(delta.id, delta.proof));
  for (const entry of delta.entries) bytes += entryBytes(entry);
  return bytes;
}

function inOrder(
  candidates: readonly Candidate[],
  room: Room,
): { ordered: readonly Candidate[]; longest: Candidate | undefined } {
  const own = candidates.filter((each) => each.id === room.selfId);
  const others = candidates.filter((each) => each.id !== room.selfId);
  const [longest, ...quarter] = others.slice(0, Math.ceil(room.members / 4));
  if (!longest) return { ordered: own, longest };
  const rest = others.slice(1 + quarter.length);
  // What was heard last is what fewest others know: told first, it reaches all in a fraction of the rounds, and
  // heartbeats are half as old on the way.
  const lasting = rest.filter((each) => each.lasting).reverse();
  const restless = rest.filter((each) => !each.lasting).reverse();
  const places = Math.max(0, room.members - own.length - 1 - quarter.length);
  const head = room.longestFirst ? [longest, ...own] : [...own, longest];
  const ordered = [...head, ...lasting.slice(0, places), ...quarter, ...lasting.slice(places), ...restless];
  return { ordered, longest };
}
