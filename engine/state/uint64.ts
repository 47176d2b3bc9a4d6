/**
 * Arithmetic on 64 bits in two halves of 32. A `bigint` would allocate at every step, and takes many times
 * as long.
 *
 * @module
 */

/**
 * An integer of 64 bits, changed in place. Its halves are kept signed, because V8 then stores them as small integers.
 */
export class Uint64 {
  #high: number;
  #low: number;

  /** Makes one of its two halves. */
  constructor(high: number = 0, low: number = 0) {
    this.#high = high | 0;
    this.#low = low | 0;
  }

  /** Takes over the eight bytes at an offset, the least first. */
  read(view: DataView, at: number): this {
    this.#low = view.getInt32(at, true);
    this.#high = view.getInt32(at + 4, true);
    return this;
  }

  /** Adds another, modulo 2^64. */
  add(other: Uint64): this {
    const low = (this.#low >>> 0) + (other.#low >>> 0);
    this.#high = (this.#high + other.#high + (low >= 2 ** 32 ? 1 : 0)) | 0;
    this.#low = low | 0;
    return this;
  }

  /** Multiplies by another, modulo 2^64. */
  multiply(other: Uint64): this {
    const cross = Math.imul(this.#high, other.#low) + Math.imul(this.#low, other.#high);
    const low = Math.imul(this.#low, other.#low);
    // Beyond 53 bits the product is inexact, but the error is far below half of the unit that is rounded to here.
    const product = (this.#low >>> 0) * (other.#low >>> 0);
    this.#high = (cross + Math.round((product - (low >>> 0)) / 2 ** 32)) | 0;
    this.#low = low;
    return this;
  }

  /** Turns to the left by 1 to 63 bits, but not by 32. */
  rotate(bits: number): this {
    const high = bits < 32 ? this.#high : this.#low;
    const low = bits < 32 ? this.#low : this.#high;
    this.#high = (high << bits) | (low >>> -bits);
    this.#low = (low << bits) | (high >>> -bits);
    return this;
  }

  /** Takes the exclusive or with another. */
  xor(other: Uint64): this {
    this.#high ^= other.#high;
    this.#low ^= other.#low;
    return this;
  }

  /** Takes the exclusive or with its own upper 31 bits. */
  foldTop31(): this {
    this.#low ^= this.#high >>> 1;
    return this;
  }

  /** The value, unsigned. */
  toBigInt(): bigint {
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0);
  }
}
