/**
 * Whose heartbeats are awaited, and how long each has been silent (rule E9).
 *
 * @module
 */

/**
 * Ages by a clock that stands still while nobody attends: between two looks it advances by
 * `longestGapMs` at most. So when this process was suspended or its event loop blocked, the time lost counts
 * against nobody.
 */
export class Vigil {
  readonly #longestGapMs: number;
  /** By id, the attentive time of the last sign of life; in that order, the oldest first. */
  readonly #freshAt = new Map<string, number>();
  #attentiveMs = 0;
  #lookedAtMs: number;

  constructor(longestGapMs: number, nowMs: number) {
    this.#longestGapMs = longestGapMs;
    this.#lookedAtMs = nowMs;
  }

  /** Begins to await a member's heartbeats, or notes one. */
  refresh(id: string, nowMs: number): void {
    this.#freshAt.delete(id);
    this.#freshAt.set(id, this.#attentive(nowMs));
  }

  /** No longer awaits a member's heartbeats. */
  release(id: string): void {
    this.#freshAt.delete(id);
  }

  /** To be called at every interval: the ids that have been silent for longer than the limit. */
  look(nowMs: number, limitMs: number): string[] {
    this.#attentiveMs = this.#attentive(nowMs);
    this.#lookedAtMs = nowMs;
    const expired: string[] = [];
    for (const [id, freshAt] of this.#freshAt) {
      if (this.#attentiveMs - freshAt <= limitMs) break;
      expired.push(id);
    }
    return expired;
  }

  #attentive(nowMs: number): number {
    return this.#attentiveMs + Math.min(Math.max(0, nowMs - this.#lookedAtMs), this.#longestGapMs);
  }
}
