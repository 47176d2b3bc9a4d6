/**
 * Murmur3, the hash of protoactor-go's topologies and of the digest (rules E12, E14).
 *
 * @module
 */

const encoder = new TextEncoder();
let scratch = new Uint8Array(1024);

/**
 * Writes the UTF-8 of a text to `scratch`, which the next call overwrites, and returns how many bytes: hashing
 * allocates nothing. Ids and keys are mostly ASCII, and short: for these the encoder's call costs the most.
 */
function encodeToScratch(text: string): number {
  if (scratch.length < text.length * 3) scratch = new Uint8Array(text.length * 6);
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
 * import { assertEquals } from "../deps/std_assert.ts";
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

const MASK = 2n ** 64n - 1n;
const C1 = 0x87c37b91114253d5n;
const C2 = 0x4cf5ad432745937fn;

/**
 * The first 64 bits of Murmur3's 128 over the UTF-8 of a text, with seed 0: what protoactor-go calls the
 * topology hash of member ids, sorted and joined.
 *
 * @example
 * ```ts
 * import { assertEquals } from "../deps/std_assert.ts";
 * import { murmur64 } from "./murmur3.ts";
 *
 * assertEquals(murmur64("hello"), 0xcbd8a7b341bd9b02n);
 * ```
 */
export function murmur64(text: string): bigint {
  const bytes = scratch.subarray(0, encodeToScratch(text));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const whole = bytes.length & ~15;
  let h1 = 0n;
  let h2 = 0n;
  for (let at = 0; at < whole; at += 16) {
    h1 ^= scrambleFirst(view.getBigUint64(at, true));
    h1 = ((rotate(h1, 27n) + h2) * 5n + 0x52dce729n) & MASK;
    h2 ^= scrambleSecond(view.getBigUint64(at + 8, true));
    h2 = ((rotate(h2, 31n) + h1) * 5n + 0x38495ab5n) & MASK;
  }
  h2 ^= scrambleSecond(littleEndian(bytes.subarray(whole + 8)));
  h1 ^= scrambleFirst(littleEndian(bytes.subarray(whole, whole + 8)));
  h1 ^= BigInt(bytes.length);
  h2 ^= BigInt(bytes.length);
  h1 = (h1 + h2) & MASK;
  h2 = (h2 + h1) & MASK;
  return (finish64(h1) + finish64(h2)) & MASK;
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function rotate(number: bigint, bits: bigint): bigint {
  return ((number << bits) | (number >> (64n - bits))) & MASK;
}

function scrambleFirst(block: bigint): bigint {
  return (rotate((block * C1) & MASK, 31n) * C2) & MASK;
}

function scrambleSecond(block: bigint): bigint {
  return (rotate((block * C2) & MASK, 33n) * C1) & MASK;
}

function finish64(number: bigint): bigint {
  let mixed = ((number ^ (number >> 33n)) * 0xff51afd7ed558ccdn) & MASK;
  mixed = ((mixed ^ (mixed >> 33n)) * 0xc4ceb9fe1a85ec53n) & MASK;
  return mixed ^ (mixed >> 33n);
}

/**
 * protoactor-go's topology hash: murmur3 (64 bits) over the ids, sorted as Go sorts strings (by their
 * UTF-8 bytes) and joined with nothing between, as decimal digits.
 */
export function topologyHash(memberIds: Iterable<string>): string {
  return murmur64([...memberIds].sort(byCodePoint).join("")).toString();
}

/** The order of UTF-8 bytes, which is that of code points; JavaScript's own is of UTF-16 units. */
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
