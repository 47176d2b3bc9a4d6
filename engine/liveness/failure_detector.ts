/**
 * How long each member has been silent (rule E9).
 *
 * @module
 */

/**
 * Measures ages by active time: between two calls of {@linkcode FailureDetector.expired} it advances by `longestGapMs` at
 * most. Without that, a process that was suspended, or whose event loop was blocked, would block living members.
 */
export class FailureDetector {
  readonly #longestGapMs: number;
  /** By id, the active time of the last heartbeat; in that order, the oldest first. */
  readonly #freshAt = new Map<string, number>();
  #activeMs = 0;
  #checkedAtMs: number;

  constructor(longestGapMs: number, nowMs: number) {
    this.#longestGapMs = longestGapMs;
    this.#checkedAtMs = nowMs;
  }

  /** Notes a heartbeat of a member; the first call begins to expect them. */
  heartbeat(id: string, nowMs: number): void {
    this.#freshAt.delete(id);
    this.#freshAt.set(id, this.#activeTime(nowMs));
  }

  /** Expects no more heartbeats of a member. */
  remove(id: string): void {
    this.#freshAt.delete(id);
  }

  /** For how long the member that was heard longest ago has been silent, in active milliseconds. */
  longestSilence(nowMs: number): number {
    const [oldest] = this.#freshAt.values();
    return oldest === undefined ? 0 : this.#activeTime(nowMs) - oldest;
  }

  /** Returns the ids that were silent for longer than the limit. To be called once an interval. */
  expired(nowMs: number, limitMs: number): string[] {
    this.#activeMs = this.#activeTime(nowMs);
    this.#checkedAtMs = nowMs;
    const expired: string[] = [];
    for (const [id, freshAt] of this.#freshAt) {
      if (this.#activeMs - freshAt <= limitMs) break;
      expired.push(id);
    }
    return expired;
  }

  #activeTime(nowMs: number): number {
    return this.#activeMs + Math.min(Math.max(0, nowMs - this.#checkedAtMs), this.#longestGapMs);
  }
}
