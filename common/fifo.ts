/**
 * A first-in-first-out queue with a constant cost per item.
 *
 * @module
 */

/** A queue in a ring. Shifting an array would cost in proportion to its length. */
export class Fifo<T> {
  #ring: (T | undefined)[] = new Array(8);
  #head = 0;
  #tail = 0;

  /** The number of items. */
  get size(): number {
    return this.#tail - this.#head;
  }

  /** The oldest item, which stays in the queue. */
  get first(): T | undefined {
    return this.#ring[this.#head & (this.#ring.length - 1)];
  }

  /** Adds the newest item. */
  push(item: T): void {
    if (this.size === this.#ring.length) this.#grow();
    this.#ring[this.#tail & (this.#ring.length - 1)] = item;
    this.#tail++;
  }

  /** Removes the oldest item; `undefined` if the queue is empty. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const slot = this.#head & (this.#ring.length - 1);
    const item = this.#ring[slot];
    this.#ring[slot] = undefined;
    this.#head++;
    return item;
  }

  #grow(): void {
    const larger = new Array<T | undefined>(this.#ring.length * 2);
    for (let at = this.#head; at < this.#tail; at++) {
      larger[at & (larger.length - 1)] = this.#ring[at & (this.#ring.length - 1)];
    }
    this.#ring = larger;
  }
}
