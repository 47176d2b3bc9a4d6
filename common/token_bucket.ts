/**
 * How much may come in, on the average of a second.
 *
 * @module
 */

import type { Runtime } from "./runtime.ts";

/** How many bytes of a message count as one message: one that is large costs more to read. */
export const BYTES_PER_UNIT: number = 16 * 1024;

/** Lets through so many messages a second, and as many at once after a pause: a bucket of tokens. */
export class TokenBucket {
  readonly #runtime: Pick<Runtime, "monotonicMs">;
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  /** Makes a rate of which nothing has been used. */
  constructor(perSecond: number, runtime: Pick<Runtime, "monotonicMs">) {
    this.#runtime = runtime;
    this.#perSecond = perSecond;
    this.#left = perSecond;
    this.#atMs = runtime.monotonicMs();
  }

  /** Uses it for a message whose text is so long; returns whether that was within the rate. One refused costs nothing. */
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
