/**
 * A rate limit.
 *
 * @module
 */

import type { Runtime } from "./runtime.ts";

/** The bytes that count as one message, because a large message costs more to read. */
export const BYTES_PER_UNIT: number = 16 * 1024;

/** Allows a number of messages per second. After a pause, as many messages may come at once. */
export class TokenBucket {
  readonly #runtime: Pick<Runtime, "monotonicMs">;
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  /** Makes a full bucket. */
  constructor(perSecond: number, runtime: Pick<Runtime, "monotonicMs">) {
    this.#runtime = runtime;
    this.#perSecond = perSecond;
    this.#left = perSecond;
    this.#atMs = runtime.monotonicMs();
  }

  /** Takes tokens for a message of this length. Above the rate it takes no tokens and returns false. */
  take(length: number): boolean {
    const nowMs = this.#runtime.monotonicMs();
    this.#left = Math.min(this.#perSecond, this.#left + (nowMs - this.#atMs) * this.#perSecond / 1_000);
    this.#atMs = nowMs;
    const cost = Math.max(1, length / BYTES_PER_UNIT);
    if (cost > this.#left) return false;
    this.#left -= cost;
    return true;
  }
}
