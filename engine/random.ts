/**
 * Random numbers from a seed: the engine uses no other random numbers, so that equal calls have an equal outcome.
 *
 * @module
 */

/** The mulberry32 generator. Not for secrets. */
export class Random {
  #state: number;

  /** The seed must be at least 0 and less than 1. */
  constructor(seed: number) {
    this.#state = Math.floor(seed * 2 ** 32);
  }

  /** A number of at least 0 and less than 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}
