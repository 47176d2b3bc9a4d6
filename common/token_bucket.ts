/**
 * A rate limit.
 *
 * @module
 */

import type { Runtime } from "./runtime.ts";

/** The bytes of a message that count as one message: a large one costs more to read. */
export const BYTES_PER_UNIT: number = 16 * 1024;

/** Allows a number of messages per second, and as many at once after a pause. */
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

  /** Takes tokens for a message of this length; returns false above the rate, and then takes none. */
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
