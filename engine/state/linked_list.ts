/**
 * A list with O(1) removal at every position (rule E6).
 *
 * @module
 */

/** A list node, in one list at a time. */
export interface Link<T> {
  /** The node before it. */
  older: T | undefined;
  /** The node after it. */
  newer: T | undefined;
}

/** Nodes in the order of their last `put`. */
export class LinkedList<T extends Link<T>> {
  #newest: T | undefined;
  #oldest: T | undefined;

  /** The node of the last `put` that is still in the list; `undefined` if the list is empty. */
  get newest(): T | undefined {
    return this.#newest;
  }

  /** All nodes, the oldest first. */
  *oldestFirst(): Iterable<T> {
    for (let link = this.#oldest; link; link = link.newer) yield link;
  }

  /** Makes a node the newest. It may be in this list already. */
  put(link: T): void {
    // mutant delete-statement: to remove the newest and to add it again changes nothing.
    if (this.#newest === link) return;
    this.remove(link);
    link.older = this.#newest;
    if (this.#newest) this.#newest.newer = link;
    this.#newest = link;
    this.#oldest ??= link;
  }

  /** Removes a node, if it is in this list. */
  remove(link: T): void {
    if (this.#newest === link) this.#newest = link.older;
    if (this.#oldest === link) this.#oldest = link.newer;
    if (link.older) link.older.newer = link.newer;
    if (link.newer) link.newer.older = link.older;
    link.older = link.newer = undefined;
  }
}
