/**
 * Sums that tell whether two members hold the same (rule E12). A sum is changed in place at O(1) by what
 * comes and what goes; equal sums mean, but for chance, equal sets.
 *
 * @module
 */

import { murmur32Pair } from "./murmur3.ts";

/** A pair of 32-bit sums of hashes. */
export class Sum {
  #a = 0;
  #b = 0;

  /** Adds the hash of some fields. */
  add(...fields: readonly string[]): void {
    const [a, b] = murmur32Pair(fields.join("\0"), 0, 1);
    this.#a = (this.#a + a) >>> 0;
    this.#b = (this.#b + b) >>> 0;
  }

  /** Takes the hash of some fields out again. */
  remove(...fields: readonly string[]): void {
    const [a, b] = murmur32Pair(fields.join("\0"), 0, 1);
    this.#a = (this.#a - a) >>> 0;
    this.#b = (this.#b - b) >>> 0;
  }

  /** Adds another sum. */
  addSum(other: Sum): void {
    this.#a = (this.#a + other.#a) >>> 0;
    this.#b = (this.#b + other.#b) >>> 0;
  }

  /** Takes another sum out again. */
  removeSum(other: Sum): void {
    this.#a = (this.#a - other.#a) >>> 0;
    this.#b = (this.#b - other.#b) >>> 0;
  }

  /** Sixteen hexadecimal digits. */
  toString(): string {
    return this.#a.toString(16).padStart(8, "0") + this.#b.toString(16).padStart(8, "0");
  }
}
