/**
 * Whose turn it is: each once before any twice, in an order that is drawn anew each time. So two members meet within as
 * many rounds as there are members, which independent draws do not promise.
 *
 * @module
 */

import { inRandomOrder } from "../common/random_order.ts";

/** Ids in turn. */
export class Turns {
  readonly #ids: () => readonly string[];
  readonly #random: () => number;
  /** Those whose turn has not come, the next one last. */
  #left: string[] = [];

  /** Makes turns of ids that may change at any time. */
  constructor(ids: () => readonly string[], random: () => number) {
    this.#ids = ids;
    this.#random = random;
  }

  /** Up to `count` distinct ids for which this is true. An id for which it is not waits until all had their turn. */
  take(count: number, isFit: (id: string) => boolean): string[] {
    const taken = new Set<string>();
    for (let drawnAnew = 0; taken.size < count;) {
      const id = this.#left.pop();
      if (id !== undefined) {
        if (!taken.has(id) && isFit(id)) taken.add(id);
      } else if (drawnAnew++ < 1) {
        this.#left = [...inRandomOrder(this.#ids(), this.#random)];
      } else break;
    }
    return [...taken];
  }
}
