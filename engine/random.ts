/**
 * Random numbers that follow from one number handed in, so that the engine draws none of its own.
 *
 * @module
 */

/** A small generator (mulberry32): good enough to draw lots with, not for secrets. */
export class Random {
  #state: number;

  /** Begins from a number of at least 0 and less than 1. */
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
