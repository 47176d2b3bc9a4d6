/**
 * The state of a member after a merge. The signature in a delta covers this state, not the delta.
 *
 * @module
 */

import { isUnversioned } from "../incarnation.ts";
import type { MemberState } from "../state/member_state.ts";
import { isTombstone, type MemberDelta, type SentEntry, type SignedState } from "../types.ts";

/**
 * The member's state after a merge of this delta. `undefined` if nothing would be merged: the delta is older, of an
 * earlier incarnation, or begins after a gap.
 */
export function signedStateOf(delta: MemberDelta, held: MemberState | undefined): SignedState | undefined {
  const last = delta.entries.at(-1)?.number;
  if (last === undefined || (held && held.incarnation > delta.incarnation)) return undefined;
  // With signing on, deltas of unversioned members are refused.
  if (isUnversioned(delta.incarnation)) return undefined;
  const mine = held?.incarnation === delta.incarnation ? held : undefined;
  if (delta.reset) {
    // A signature covers a whole state, never a part of a state.
    if (delta.after > 0 || (mine && last < mine.version)) return undefined;
    return stateAfter([], delta);
  }
  if ((mine?.version ?? 0) < delta.after || last <= (mine?.version ?? 0)) return undefined;
  return stateAfter(mine ? [...mine.entries()] : [], delta, mine);
}

function stateAfter(before: readonly SentEntry[], delta: MemberDelta, held?: MemberState): SignedState {
  const byKey = new Map(before.map((entry) => [entry.key, entry]));
  let number = 0;
  for (const entry of delta.entries) {
    number = entry.number;
    if (number <= (held?.version ?? 0)) continue;
    // In the order of each key's last entry, as the store keeps it.
    byKey.delete(entry.key);
    byKey.set(entry.key, entry);
  }
  // A renewal has no value, but is no deletion. If it were left out like a deletion, a peer could bring a deleted value
  // back under the signature of a state without that value. Members that sign send no renewals, so no signature fits.
  const entries = [...byKey.values()].filter((entry) => !isTombstone(entry) || entry.renews !== undefined);
  return { id: delta.id, incarnation: delta.incarnation, number, entries };
}
