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

/** The sources of one run. Each has draws of its own, so that a new kind of draw does not change the run of an old seed. */
export interface RandomSources {
  readonly main: SeededRandom;
  /** Draws circumstances; a plain run makes no use of it. */
  readonly circumstances: SeededRandom;
  /** Draws the `maxMessageBytes` of each process. */
  readonly limits: SeededRandom;
  /** Draws what members say to each other. */
  readonly messages: SeededRandom;
  /** Draws the changes of maps. */
  readonly maps: SeededRandom;
  /** Draws how the leader of a cluster with roles is cut off. */
  readonly roles: SeededRandom;
  /** Draws the zones of members. */
  readonly zones: SeededRandom;
  /** Draws which members start again after they left. */
  readonly returns: SeededRandom;
}

/** The sources of the run with this seed. */
export function randomSources(seed: number): RandomSources {
  return {
    main: new SeededRandom(seed),
    circumstances: new SeededRandom(seed ^ 0x3c6ef372),
    limits: new SeededRandom(seed ^ 0x5bd1e995),
    messages: new SeededRandom(seed ^ 0x1f83d9ab),
    maps: new SeededRandom(seed ^ 0x6a09e667),
    roles: new SeededRandom(seed ^ 0x510e527f),
    zones: new SeededRandom(seed ^ 0x9b05688c),
    returns: new SeededRandom(seed ^ 0x2545f491),
  };
}
