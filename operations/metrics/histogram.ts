/**
 * A histogram with fixed buckets, as Prometheus counts them.
 *
 * @module
 */

/** The number and the sum of values, and their distribution. */
export class Histogram {
  /** The upper bounds of the buckets, in rising order; one more bucket has no bound. */
  readonly bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /** Makes an empty histogram. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = new Array(bounds.length + 1).fill(0);
  }

  /** The sum of all values. */
  get sum(): number {
    return this.#sum;
  }

  /** Adds a value. */
  record(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > this.bounds[bucket]!) bucket++;
    this.#counts[bucket]!++;
    this.#sum += value;
  }

  /** For each bucket the number of values up to its bound; the last item is the number of all values. */
  cumulated(): number[] {
    let total = 0;
    return this.#counts.map((count) => total += count);
  }
}
