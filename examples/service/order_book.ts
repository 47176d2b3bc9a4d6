/**
 * The number of orders, counted by all instances.
 *
 * @module
 */

import type { Node } from "../../mod.ts";

const KEY = "orders";

/** Counts orders of all instances. The orders themselves belong in a database. */
export class OrderBook {
  readonly #node: Node;
  #taken = 0;

  /** Starts at 0. */
  constructor(node: Node) {
    this.#node = node;
  }

  /** Counts one order of this instance. */
  take(): void {
    this.#node.setState(KEY, ++this.#taken);
  }

  /** The orders of all instances; those of an instance that left count until it is forgotten (`departedRetention`). */
  get total(): number {
    const counts = [...this.#node.getState<unknown>(KEY).values()].map(({ value }) => value);
    return counts.filter((count) => typeof count === "number").reduce((sum, count) => sum + count, 0);
  }
}
