/**
 * A source of random draws that follow from a seed.
 *
 * @module
 */

import { seededRandom } from "../../testing/memory_random.ts";

/** Draws random values for a simulation. Equal seeds and equal calls give equal draws. */
export class SeededRandom {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** True with this probability, from 0 to 1. */
  chance(chance: number): boolean {
    return this.#random() < chance;
  }

  /** A number from `low` to `high`, without `high`. */
  between(low: number, high: number): number {
    return low + this.#random() * (high - low);
  }

  /** An integer from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  /** One item; each has the same probability. */
  pick<T>(some: readonly T[]): T {
    return some[Math.floor(this.#random() * some.length)]!;
  }

  /** One item; its probability is its share of the sum of the weights. */
  weighted<T>(some: readonly (readonly [weight: number, item: T])[]): T {
    let left = this.#random() * some.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, item] of some) {
      left -= weight;
      if (left < 0) return item;
    }
    return some.at(-1)![1];
  }

  /** Each item is in the result with this probability. */
  some<T>(of: readonly T[], chance: number): T[] {
    return of.filter(() => this.chance(chance));
  }

  /** The time to the next event of a Poisson process with this mean interval. */
  wait(mean: number): number {
    return -Math.log(1 - this.#random()) * mean;
  }

  /** A second source: its draws do not change the draws of this one. */
  fork(): SeededRandom {
    return new SeededRandom(this.whole(0, 2 ** 32 - 1));
  }
}
