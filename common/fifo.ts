/**
 * First in, first out, at a constant cost an item.
 *
 * @module
 */

/** A queue. An array that is shifted would cost in proportion to its length. */
export class Fifo<T> {
  #ring: (T | undefined)[] = new Array(8);
  #head = 0;
  #tail = 0;

  /** How many items are in it. */
  get size(): number {
    return this.#tail - this.#head;
  }

  /** The oldest item, which stays. */
  get first(): T | undefined {
    return this.#ring[this.#head & (this.#ring.length - 1)];
  }

  /** Adds the newest item. */
  push(item: T): void {
    if (this.size === this.#ring.length) this.#grow();
    this.#ring[this.#tail & (this.#ring.length - 1)] = item;
    this.#tail++;
  }

  /** Removes the oldest item; `undefined` where there is none. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const place = this.#head & (this.#ring.length - 1);
    const item = this.#ring[place];
    this.#ring[place] = undefined;
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
