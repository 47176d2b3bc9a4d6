/**
 * Hashes of sets, to compare the states of two members (rule E12). Adding and removing cost O(1). Equal hashes mean
 * equal sets, with a very high probability.
 *
 * @module
 */

import { murmur32Pair } from "./murmur3.ts";

/** A pair of 32-bit sums of hashes. */
export class SetHash {
  #a = 0;
  #b = 0;
  /** The digits. Cached, because they are read far more often than they change. */
  #text: string | undefined;

  /** Adds the hash of some fields. */
  add(...fields: readonly string[]): void {
    const [a, b] = murmur32Pair(fields.join("\0"), 0, 1);
    this.#change(a, b);
  }

  /** Takes the hash of some fields out again. */
  remove(...fields: readonly string[]): void {
    const [a, b] = murmur32Pair(fields.join("\0"), 0, 1);
    this.#change(-a, -b);
  }

  /** Adds another sum. */
  addSum(other: SetHash): void {
    this.#change(other.#a, other.#b);
  }

  /** Takes another sum out again. */
  removeSum(other: SetHash): void {
    this.#change(-other.#a, -other.#b);
  }

  /** Sixteen hexadecimal digits. */
  toString(): string {
    return this.#text ??= digitsOf(this.#a) + digitsOf(this.#b);
  }

  /** Signed halves: V8 allocates an object for a larger number. */
  #change(byA: number, byB: number): void {
    this.#a = (this.#a + byA) | 0;
    this.#b = (this.#b + byB) | 0;
    this.#text = undefined;
  }
}

function digitsOf(half: number): string {
  return (half >>> 0).toString(16).padStart(8, "0");
}
