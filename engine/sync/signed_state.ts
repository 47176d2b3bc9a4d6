/**
 * What a delta comes to: what would be held of a member if it were taken, which is what the member's signature is
 * over.
 *
 * @module
 */

import { isForeign } from "../incarnation.ts";
import type { MemberState } from "../state/member_state.ts";
import { type Claim, isTombstone, type MemberDelta, type SentEntry } from "../types.ts";

/**
 * What would be held; `undefined` where nothing would be taken, because it is old news, of an earlier life, or
 * begins after what is held.
 */
export function claimOf(told: MemberDelta, held: MemberState | undefined): Claim | undefined {
  const last = told.entries.at(-1)?.number;
  if (last === undefined || (held && held.life > told.life)) return undefined;
  // What is told of a foreign member is taken by nobody who asks.
  if (isForeign(told.life)) return undefined;
  const mine = held?.life === told.life ? held : undefined;
  if (told.reset) {
    // What is signed is a whole state, never a part of one.
    if (told.after > 0 || (mine && last < mine.held)) return undefined;
    return claimAfter([], told);
  }
  if ((mine?.held ?? 0) < told.after || last <= (mine?.held ?? 0)) return undefined;
  return claimAfter(mine ? [...mine.entries()] : [], told, mine);
}

function claimAfter(before: readonly SentEntry[], told: MemberDelta, held?: MemberState): Claim {
  const byKey = new Map(before.map((entry) => [entry.key, entry]));
  let number = 0;
  for (const entry of told.entries) {
    number = entry.number;
    if (number <= (held?.held ?? 0)) continue;
    // In the order of its last entry, as a holder keeps it.
    byKey.delete(entry.key);
    byKey.set(entry.key, entry);
  }
  const entries = [...byKey.values()].filter((entry) => !isTombstone(entry));
  return { id: told.id, life: told.life, number, entries };
}
