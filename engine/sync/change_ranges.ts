/**
 * A set of serials: all serials up to a certain serial, and a few ranges above it. So a few numbers describe the
 * changes that a peer has, in a cluster of any size (rule E6).
 *
 * @module
 */

/**
 * The most ranges. 16: enough for messages that left changes out, and for single changes that both sides received
 * elsewhere. The changes of a dropped range are sent once more.
 */
const MAX_RANGES = 16;

/** The serials of a peer's known changes. */
export class ChangeRanges {
  #upTo = 0;
  /** Pairs of `after` and `upTo`, in rising order, with gaps between the ranges. */
  #ranges: number[] = [];

  /** Every serial up to this one belongs to the set. */
  get upTo(): number {
    return this.#upTo;
  }

  has(serial: number): boolean {
    if (serial <= this.#upTo) return true;
    for (let at = this.#ranges.length - 2; at >= 0; at -= 2) {
      if (serial > this.#ranges[at]!) return serial <= this.#ranges[at + 1]!;
    }
    return false;
  }

  /** Adds the serials above `after`, up to `upTo`. */
  add(after: number, upTo: number): void {
    if (upTo <= after || upTo <= this.#upTo) return;
    if (after <= this.#upTo) {
      this.#raise(upTo);
      return;
    }
    let at = 0;
    for (; at < this.#ranges.length; at += 2) {
      // mutant swap-arithmetic: only a shortcut; without it the loops below make the same ranges again.
      if (after >= this.#ranges[at]! && upTo <= this.#ranges[at + 1]!) return;
    }
    const ranges: number[] = [];
    let [first, last] = [after, upTo];
    at = 0;
    for (; at < this.#ranges.length && this.#ranges[at + 1]! < first; at += 2) this.#copy(ranges, at);
    for (; at < this.#ranges.length && this.#ranges[at]! <= last; at += 2) {
      first = Math.min(first, this.#ranges[at]!);
      last = Math.max(last, this.#ranges[at + 1]!);
    }
    ranges.push(first, last);
    for (; at < this.#ranges.length; at += 2) this.#copy(ranges, at);
    // A copied array has no spare capacity; an array that grew has.
    this.#ranges = ranges.slice();
    if (ranges.length > 2 * MAX_RANGES) this.#dropNarrowest();
  }

  #copy(ranges: number[], at: number): void {
    ranges.push(this.#ranges[at]!, this.#ranges[at + 1]!);
  }

  #raise(upTo: number): void {
    this.#upTo = upTo;
    // mutant replace-value 1: the list has pairs, so its length is never 1.
    while (this.#ranges.length > 0 && this.#ranges[0]! <= this.#upTo) {
      this.#upTo = Math.max(this.#upTo, this.#ranges[1]!);
      this.#ranges.splice(0, 2);
    }
  }

  /** Among equally narrow ranges the lowest is dropped, because the latest changes are looked up first. */
  #dropNarrowest(): void {
    let narrowest = 0;
    const width = (at: number) => this.#ranges[at + 1]! - this.#ranges[at]!;
    for (let at = 2; at < this.#ranges.length; at += 2) if (width(at) < width(narrowest)) narrowest = at;
    this.#ranges.splice(narrowest, 2);
  }
}
