/**
 * Arithmetic on 64 bits in two halves of 32. A `bigint` would allocate at every step, and takes many times
 * as long.
 *
 * @module
 */

/** An unsigned integer of 64 bits, changed in place. */
export class Uint64 {
  high: number;
  low: number;

  /** Makes one of its two halves. */
  constructor(high: number = 0, low: number = 0) {
    this.high = high >>> 0;
    this.low = low >>> 0;
  }

  /** Takes over the value of another. */
  assign(other: Uint64): this {
    this.high = other.high;
    this.low = other.low;
    return this;
  }

  /** Adds another, modulo 2^64. */
  add(other: Uint64): this {
    const low = this.low + other.low;
    this.high = (this.high + other.high + (low >= 2 ** 32 ? 1 : 0)) >>> 0;
    this.low = low >>> 0;
    return this;
  }

  /** Multiplies by another, modulo 2^64. */
  multiply(other: Uint64): this {
    const cross = Math.imul(this.high, other.low) + Math.imul(this.low, other.high);
    const low = Math.imul(this.low, other.low) >>> 0;
    // The product of the lower halves is inexact beyond 53 bits, by less than half of what is rounded to here.
    const carry = Math.round((this.low * other.low - low) / 2 ** 32);
    this.high = (cross + carry) >>> 0;
    this.low = low;
    return this;
  }

  /** Turns to the left by 1 to 63 bits, but not by 32. */
  rotate(bits: number): this {
    const [high, low] = bits < 32 ? [this.high, this.low] : [this.low, this.high];
    const by = bits & 31;
    this.high = ((high << by) | (low >>> (32 - by))) >>> 0;
    this.low = ((low << by) | (high >>> (32 - by))) >>> 0;
    return this;
  }

  /** Takes the exclusive or with another. */
  xor(other: Uint64): this {
    this.high = (this.high ^ other.high) >>> 0;
    this.low = (this.low ^ other.low) >>> 0;
    return this;
  }

  /** The value itself. */
  toBigInt(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }
}
