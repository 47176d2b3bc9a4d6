/**
 * The times to compare this member's state with that of one peer, member by member (rule E12).
 *
 * @module
 */

import type { PeerTotals } from "./peer_totals.ts";

/**
 * A comparison begins when digests differ twice in a row. A single difference may come from a message that was under
 * way.
 */
const MIN_MISMATCHES = 2;

/** The comparison with one peer: due, under way, or tried without success. */
export class PeerComparison {
  readonly #totals: PeerTotals;
  /** The number of times in a row that the digests of the same two states differed with no entries left to send. */
  #mismatches = 0;
  /** The latest two different states. */
  #differing: string | undefined;
  /** The two states of the latest comparison. */
  #tried: string | undefined;
  #isUnderWay = false;
  /** The number of members in the peer's requests since `#countedSinceMs`. */
  #counted = 0;
  #countedSinceMs = -Infinity;

  constructor(totals: PeerTotals) {
    this.#totals = totals;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** True if a comparison must begin. A second comparison of the same two states would find nothing else. */
  get isDue(): boolean {
    return this.#mismatches >= MIN_MISMATCHES && !this.#isUnderWay && this.#tried !== this.#differing;
  }

  /** Records two different states. Returns true if a comparison of these states has just ended in vain. */
  recordMismatch(states: string): boolean {
    this.#mismatches = this.#differing === states ? this.#mismatches + 1 : 1;
    this.#differing = states;
    return this.#tried === states && this.#mismatches === 1;
  }

  /** The states are equal: nothing is left to compare. */
  recordMatch(): void {
    this.#mismatches = 0;
    this.#differing = undefined;
    this.#tried = undefined;
    this.stop();
  }

  begin(): void {
    if (!this.#isUnderWay) this.#totals.countComparison(1);
    this.#isUnderWay = true;
    this.#tried = this.#differing;
  }

  /** The last answer came. */
  end(): void {
    this.stop();
    this.#mismatches = 0;
  }

  /** No answer came: the same states may be compared again. */
  abandon(): void {
    this.#tried = undefined;
    this.end();
  }

  /** Stops without an answer, because the peer gets no more gossip. */
  stop(): void {
    if (this.#isUnderWay) this.#totals.countComparison(-1);
    this.#isUnderWay = false;
  }

  /** Counts members of a peer's request. Returns false if the peer had more than `most` in this period. */
  admit(
    members: number,
    { nowMs, periodMs, most }: { readonly nowMs: number; readonly periodMs: number; readonly most: number },
  ): boolean {
    if (nowMs - this.#countedSinceMs >= periodMs) {
      this.#countedSinceMs = nowMs;
      this.#counted = 0;
    }
    if (this.#counted > most) return false;
    this.#counted += Math.max(1, members);
    return true;
  }
}
