/**
 * The random choices of a simulation.
 *
 * @module
 */

import { Random } from "../../engine/random.ts";

/** Draws choices from one seed. */
export class Chance {
  readonly #random: Random;

  /** Makes a source for a seed from 0 to 1. */
  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** A number from 0 up to but excluding 1. */
  next(): number {
    return this.#random.next();
  }

  /** A whole number from 0 up to but excluding the bound. */
  below(bound: number): number {
    return Math.floor(this.#random.next() * bound);
  }

  /** True with this probability. */
  happens(probability: number): boolean {
    return this.#random.next() < probability;
  }

  /** One of these. */
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** All of these in a random order. */
  shuffled<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
    }
    return shuffled;
  }
}
