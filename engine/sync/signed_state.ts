/**
 * What a delta comes to: what would be held of a member if it were taken, which is what the member's signature is
 * over.
 *
 * @module
 */

import { isUnversioned } from "../incarnation.ts";
import type { MemberState } from "../state/member_state.ts";
import { isTombstone, type MemberDelta, type SentEntry, type SignedState } from "../types.ts";

/**
 * What would be held; `undefined` where nothing would be taken, because it is old news, of an earlier life, or
 * begins after what is held.
 */
export function signedStateOf(delta: MemberDelta, held: MemberState | undefined): SignedState | undefined {
  const last = delta.entries.at(-1)?.number;
  if (last === undefined || (held && held.incarnation > delta.incarnation)) return undefined;
  // What is told of a foreign member is taken by nobody who asks.
  if (isUnversioned(delta.incarnation)) return undefined;
  const mine = held?.incarnation === delta.incarnation ? held : undefined;
  if (delta.reset) {
    // What is signed is a whole state, never a part of one.
    if (delta.after > 0 || (mine && last < mine.version)) return undefined;
    return claimAfter([], delta);
  }
  if ((mine?.version ?? 0) < delta.after || last <= (mine?.version ?? 0)) return undefined;
  return claimAfter(mine ? [...mine.entries()] : [], delta, mine);
}

function claimAfter(before: readonly SentEntry[], delta: MemberDelta, held?: MemberState): SignedState {
  const byKey = new Map(before.map((entry) => [entry.key, entry]));
  let number = 0;
  for (const entry of delta.entries) {
    number = entry.number;
    if (number <= (held?.version ?? 0)) continue;
    // In the order of its last entry, as a holder keeps it.
    byKey.delete(entry.key);
    byKey.set(entry.key, entry);
  }
  const entries = [...byKey.values()].filter((entry) => !isTombstone(entry));
  return { id: delta.id, incarnation: delta.incarnation, number, entries };
}
