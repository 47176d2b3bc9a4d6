/**
 * A round-robin in random order: each id once before any id twice, with a new order each time. So each member draws
 * each other member within as many rounds as there are members. Independent draws do not guarantee this.
 *
 * @module
 */

import { inRandomOrder } from "../common/random_order.ts";

/** Draws ids by round-robin. */
export class RoundRobin {
  readonly #ids: () => readonly string[];
  readonly #random: () => number;
  /** The ids left in the present order, the next one last. */
  #left: string[] = [];

  /** Makes a round-robin of ids that may change at any time. */
  constructor(ids: () => readonly string[], random: () => number) {
    this.#ids = ids;
    this.#random = random;
  }

  /** Draws up to `count` distinct ids that fit. An id that does not fit is next considered in a new order. */
  take(count: number, isFit: (id: string) => boolean): string[] {
    const taken = new Set<string>();
    for (let reshuffles = 0; taken.size < count;) {
      const id = this.#left.pop();
      if (id !== undefined) {
        if (!taken.has(id) && isFit(id)) taken.add(id);
      } else if (reshuffles++ < 1) {
        this.#left = [...inRandomOrder(this.#ids(), this.#random)];
      } else break;
    }
    return [...taken];
  }
}
