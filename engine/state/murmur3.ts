/**
 * Murmur3, the hash of protoactor-go's topologies and of the digest (rules E12, E14).
 *
 * @module
 */

import { Uint64 } from "./uint64.ts";

const encoder = new TextEncoder();
let scratch = new Uint8Array(1024);

/**
 * Writes the UTF-8 of a text to `scratch`, which the next call overwrites. Returns the number of bytes. So hashing
 * allocates no memory. Ids and keys are mostly short ASCII texts, for which a call of the encoder would be the main
 * cost.
 */
function encodeToScratch(text: string): number {
  // At most three bytes for each unit, and room for zeros to fill a block.
  if (scratch.length < text.length * 3 + 16) scratch = new Uint8Array(text.length * 6);
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x80) return encoder.encodeInto(text, scratch).written;
    scratch[index] = unit;
  }
  return text.length;
}

/**
 * Murmur3 of 32 bits over the UTF-8 of a text, under each of two seeds, as unsigned integers.
 *
 * @example
 * ```ts
 * import { assertEquals } from "../../deps/std_assert.ts";
 * import { murmur32Pair } from "./murmur3.ts";
 *
 * assertEquals(murmur32Pair("hello", 0, 1), [0x248bfa47, 0xbb4abcad]);
 * ```
 */
export function murmur32Pair(text: string, seedA: number, seedB: number): [number, number] {
  const length = encodeToScratch(text);
  const bytes = scratch;
  const whole = length & ~3;
  let a = seedA | 0;
  let b = seedB | 0;
  for (let at = 0; at < whole; at += 4) {
    const block = scramble32(
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24),
    );
    a = step32(a, block);
    b = step32(b, block);
  }
  let tail = 0;
  for (let at = length - 1; at >= whole; at--) tail = (tail << 8) | bytes[at]!;
  // Scrambling zero gives zero, so that an empty tail changes nothing.
  tail = scramble32(tail);
  return [finish32(a ^ tail, length), finish32(b ^ tail, length)];
}

function scramble32(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

function step32(hash: number, block: number): number {
  const mixed = hash ^ block;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish32(hash: number, length: number): number {
  let mixed = hash ^ length;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

const C1 = new Uint64(0x87c37b91, 0x114253d5);
const C2 = new Uint64(0x4cf5ad43, 0x2745937f);
const FIVE = new Uint64(0, 5);
const ADD1 = new Uint64(0, 0x52dce729);
const ADD2 = new Uint64(0, 0x38495ab5);
const FINISH1 = new Uint64(0xff51afd7, 0xed558ccd);
const FINISH2 = new Uint64(0xc4ceb9fe, 0x1a85ec53);

/**
 * The first 64 bits of Murmur3's 128 over the UTF-8 of a text, with seed 0. Over sorted and joined member ids it is
 * protoactor-go's topology hash.
 *
 * @example
 * ```ts
 * import { assertEquals } from "../../deps/std_assert.ts";
 * import { murmur64 } from "./murmur3.ts";
 *
 * assertEquals(murmur64("hello"), 0xcbd8a7b341bd9b02n);
 * ```
 */
export function murmur64(text: string): bigint {
  const bytes = encodeToScratch(text);
  const whole = bytes & ~15;
  const length = new Uint64(0, bytes);
  // The tail is one more block, filled up with zeros. Scrambling zero gives zero, so an empty tail changes nothing.
  scratch.fill(0, bytes, whole + 16);
  const view = new DataView(scratch.buffer);
  const h1 = new Uint64();
  const h2 = new Uint64();
  const block = new Uint64();
  for (let at = 0; at < whole; at += 16) {
    h1.xor(scrambleFirst(block.read(view, at))).rotate(27).add(h2).multiply(FIVE).add(ADD1);
    h2.xor(scrambleSecond(block.read(view, at + 8))).rotate(31).add(h1).multiply(FIVE).add(ADD2);
  }
  h2.xor(scrambleSecond(block.read(view, whole + 8))).xor(length);
  h1.xor(scrambleFirst(block.read(view, whole))).xor(length);
  h1.add(h2);
  h2.add(h1);
  return finish64(h1).add(finish64(h2)).toBigInt();
}

function scrambleFirst(block: Uint64): Uint64 {
  return block.multiply(C1).rotate(31).multiply(C2);
}

function scrambleSecond(block: Uint64): Uint64 {
  return block.multiply(C2).rotate(33).multiply(C1);
}

function finish64(hash: Uint64): Uint64 {
  return hash.foldTop31().multiply(FINISH1).foldTop31().multiply(FINISH2).foldTop31();
}

/**
 * protoactor-go's topology hash, as decimal digits: murmur3 (64 bits) over the ids, sorted by their UTF-8 bytes as in
 * Go, and joined without a separator.
 */
export function topologyHash(memberIds: Iterable<string>): string {
  // The built-in order is fast and nearly right, so the second sort has little to do.
  return murmur64([...memberIds].sort().sort(byCodePoint).join("")).toString();
}

/** The order of UTF-8 bytes, which equals the order of code points. JavaScript itself compares UTF-16 units. */
export function byCodePoint(left: string, right: string): number {
  const shorter = Math.min(left.length, right.length);
  for (let index = 0; index < shorter; index++) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a === b) continue;
    // Surrogates stand for code points above every other unit.
    const surrogateA = a >= 0xd800 && a <= 0xdfff;
    const surrogateB = b >= 0xd800 && b <= 0xdfff;
    return surrogateA === surrogateB ? a - b : surrogateA ? 1 : -1;
  }
  return left.length - right.length;
}
