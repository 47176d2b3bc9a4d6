/**
 * The orders that were taken, counted by all instances for all.
 *
 * @module
 */

import type { Node } from "../../mod.ts";

const KEY = "orders";

/** How many orders each instance has taken. The orders themselves belong in a database. */
export class OrderBook {
  readonly #node: Node;
  #taken = 0;

  /** Counts from nought. */
  constructor(node: Node) {
    this.#node = node;
  }

  /** Counts one more; the others hear of it with the next round. */
  take(): void {
    this.#node.gossiper.setState(KEY, ++this.#taken);
  }

  /** The orders of all instances, those that have left included until they are forgotten (`departedRetention`). */
  get total(): number {
    const counts = [...this.#node.gossiper.getState<unknown>(KEY).values()].map(({ value }) => value);
    return counts.filter((count) => typeof count === "number").reduce((sum, count) => sum + count, 0);
  }
}
