/**
 * Exceptions to the acknowledged changes of a peer: members with entries that the peer lacks, or that could not be sent
 * (rules E5, E6).
 *
 * @module
 */

import type { Incarnation } from "../types.ts";
import type { PeerTotals } from "./peer_totals.ts";

/** A member with entries that a peer lacks although the log of changes does not show it. */
export interface PendingMember {
  /** The incarnation of `after`. */
  readonly incarnation: Incarnation;
  /** The peer is assumed to have the member up to this position. */
  readonly after: number;
  /** True if the peer itself reported a lower version than assumed. */
  readonly gap: boolean;
  /** True if only a reset helps. Its parts up to `after` have arrived. */
  readonly reset: boolean;
  /**
   * The lowest end of the states from which the parts were taken. If the floor is higher now, a key in the parts may be
   * deleted by now.
   */
  readonly resetEnd: number;
  /** The number of times in a row that the peer accepted less of the member than was sent. */
  readonly refusals: number;
  /** The earliest time of the monotonic clock to send the member again. */
  readonly notBeforeMs: number;
}

/** For a member that is pending for another reason than a refusal. */
export const NOT_REFUSED: Pick<PendingMember, "refusals" | "notBeforeMs"> = {
  refusals: 0,
  notBeforeMs: -Infinity,
};

/**
 * True if the peer may have a key whose deletion was dropped here, so that only a reset from the beginning removes it.
 * Deletions up to the floor were dropped. The peer may lack dropped deletions above `after`. If parts of a reset
 * arrived, it may lack dropped deletions above the state from which the parts were taken.
 */
export function mustBeginAgain(
  { after, reset, resetEnd }: Pick<PendingMember, "after" | "reset" | "resetEnd">,
  floor: number,
): boolean {
  return after < floor && (!reset || resetEnd < floor);
}

/**
 * Shared by all peers without pending members: a separate empty map would more than double the memory of such a peer.
 */
const NONE: ReadonlyMap<string, PendingMember> = new Map();

/** The pending members of one peer by id, the longest pending first. */
export class PendingMembers {
  readonly #totals: PeerTotals;
  #members = NONE;
  #wasDropped = false;

  constructor(totals: PeerTotals) {
    this.#totals = totals;
  }

  get size(): number {
    return this.#members.size;
  }

  /** True if pending members were dropped to make room. Then an empty list is no proof that the peer is up to date. */
  get wasDropped(): boolean {
    return this.#wasDropped;
  }

  get(id: string): PendingMember | undefined {
    return this.#members.get(id);
  }

  has(id: string): boolean {
    return this.#members.has(id);
  }

  ids(): Iterable<string> {
    return this.#members.keys();
  }

  [Symbol.iterator](): Iterator<readonly [string, PendingMember]> {
    return this.#members[Symbol.iterator]();
  }

  /**
   * Records a member as pending, at its present position or last. Called only by `PeerMemories.addPending`, which keeps
   * the limit over all peers.
   */
  set(id: string, pending: PendingMember): void {
    const before = this.#members.get(id);
    if (before) this.#totals.countPending(before, -1);
    if (this.#members === NONE) this.#members = new Map();
    (this.#members as Map<string, PendingMember>).set(id, pending);
    this.#totals.countPending(pending, 1);
  }

  /** Called when the peer no longer lacks entries of a member. */
  delete(id: string): void {
    const before = this.#members.get(id);
    if (!before) return;
    this.#totals.countPending(before, -1);
    (this.#members as Map<string, PendingMember>).delete(id);
  }

  /** Drops all members. */
  drop(): void {
    for (const pending of this.#members.values()) this.#totals.countPending(pending, -1);
    if (this.#members.size > 0) this.#wasDropped = true;
    this.#members = NONE;
  }

  /** Drops the latest members, so that at most `most` stay. */
  dropBeyond(most: number): void {
    for (const id of [...this.#members.keys()].slice(most)) this.delete(id);
    this.#wasDropped = true;
  }

  /** Records that an empty list proves again that the peer is up to date, although members were dropped before. */
  recordComplete(): void {
    this.#wasDropped = false;
  }

  /** From now on no gap counts as a repair under way. */
  endGaps(): void {
    for (const [id, pending] of this.#members) if (pending.gap) this.set(id, { ...pending, gap: false });
  }
}
