/**
 * The silence of each member (rule E9).
 *
 * @module
 */

/**
 * Measures silence in active time: between two calls of {@linkcode FailureDetector.advance} it advances by at most
 * `longestGapMs`. Without this limit, a suspended process or a blocked event loop would block living members.
 */
export class FailureDetector {
  readonly #longestGapMs: number;
  /** The active time of the last heartbeat, by id; the oldest first. */
  readonly #freshAt = new Map<string, number>();
  #activeMs = 0;
  #checkedAtMs: number;

  constructor(longestGapMs: number, nowMs: number) {
    this.#longestGapMs = longestGapMs;
    this.#checkedAtMs = nowMs;
  }

  /** Records a heartbeat. The first heartbeat starts the detection for a member. */
  heartbeat(id: string, nowMs: number): void {
    this.#freshAt.delete(id);
    this.#freshAt.set(id, this.#activeTime(nowMs));
  }

  /** Ends the detection for a member. */
  remove(id: string): void {
    this.#freshAt.delete(id);
  }

  /** The longest silence of all members, in active milliseconds. */
  longestSilence(nowMs: number): number {
    const [oldest] = this.#freshAt.values();
    return oldest === undefined ? 0 : this.#activeTime(nowMs) - oldest;
  }

  /** Advances the active time, and returns the ids with a longer silence than the limit. Must be called once an interval. */
  advance(nowMs: number, limitMs: number): string[] {
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
