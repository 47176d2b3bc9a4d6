/**
 * Totals over the memories of all peers, kept as running sums: the phase is evaluated after every call (rule E6).
 *
 * @module
 */

/** The pending members, gaps and comparisons of all peers. */
export class PeerTotals {
  #pending = 0;
  #gaps = 0;
  #comparisons = 0;

  /** The number of pending members over all peers. */
  get pending(): number {
    return this.#pending;
  }

  /** True while a peer has an open gap, or a comparison with a peer is under way. */
  get inRepair(): boolean {
    return this.#gaps + this.#comparisons > 0;
  }

  /** Counts a pending member as added (1) or removed (-1). */
  countPending({ gap }: { readonly gap: boolean }, change: 1 | -1): void {
    this.#pending += change;
    if (gap) this.#gaps += change;
  }

  /** Counts a comparison as begun (1) or ended (-1). */
  countComparison(change: 1 | -1): void {
    this.#comparisons += change;
  }
}
