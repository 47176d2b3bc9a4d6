/**
 * Chance that follows from a seed.
 *
 * @module
 */

import { seededRandom } from "../../transport/memory_random.ts";

/** Draws what a simulation needs; the same seed and the same questions give the same answers. */
export class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** Whether something happens that has this chance, from 0 to 1. */
  chance(chance: number): boolean {
    return this.#random() < chance;
  }

  /** A number from `low` up to, but not including, `high`. */
  between(low: number, high: number): number {
    return low + this.#random() * (high - low);
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  /** One of some. */
  pick<T>(some: readonly T[]): T {
    return some[Math.floor(this.#random() * some.length)]!;
  }

  /** One of some, each with its weight. */
  weighted<T>(some: readonly (readonly [weight: number, item: T])[]): T {
    let left = this.#random() * some.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, item] of some) {
      left -= weight;
      if (left < 0) return item;
    }
    return some.at(-1)![1];
  }

  /** Some of these, each with the same chance. */
  some<T>(of: readonly T[], chance: number): T[] {
    return of.filter(() => this.chance(chance));
  }

  /** How long to wait for what happens once in `mean` on average. */
  wait(mean: number): number {
    return -Math.log(1 - this.#random()) * mean;
  }

  /** Another source of chance, whose draws change nothing here. */
  fork(): Dice {
    return new Dice(this.whole(0, 2 ** 32 - 1));
  }
}
