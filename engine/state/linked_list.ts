/**
 * Things in an order that changes at its ends and anywhere between, each step at a cost that does not grow with
 * their number (rule E6).
 *
 * @module
 */

/** What can stand in a chain, in one at a time. */
export interface Link<T> {
  /** What came just before it. */
  older: T | undefined;
  /** What came just after it. */
  newer: T | undefined;
}

/** Things in the order in which they were put last. */
export class LinkedList<T extends Link<T>> {
  #newest: T | undefined;
  #oldest: T | undefined;

  /** What was put last. */
  get newest(): T | undefined {
    return this.#newest;
  }

  /** Everything, what was put first before the rest. */
  *oldestFirst(): Iterable<T> {
    for (let link = this.#oldest; link; link = link.newer) yield link;
  }

  /** Puts something, or what stands in this chain already, behind everything else. */
  put(link: T): void {
    if (this.#newest === link) return;
    this.remove(link);
    link.older = this.#newest;
    if (this.#newest) this.#newest.newer = link;
    this.#newest = link;
    this.#oldest ??= link;
  }

  /** Takes something out, if it is there. */
  remove(link: T): void {
    if (this.#newest === link) this.#newest = link.older;
    if (this.#oldest === link) this.#oldest = link.newer;
    if (link.older) link.older.newer = link.newer;
    if (link.newer) link.newer.older = link.older;
    link.older = link.newer = undefined;
  }
}
