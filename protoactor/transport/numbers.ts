/**
 * Sequence numbers for Go members. Go members have no incarnations; for each key the higher number wins. So
 * an incarnation and a number are sent as one number, which rises with both.
 *
 * @module
 */

import { incarnationStartMs } from "../../engine/incarnation.ts";
import { type Incarnation, MAX_NUMBER } from "../../engine/types.ts";
import type { Int64 } from "./definitions.ts";

/**
 * Numbers per millisecond of an incarnation. Above 2^20 sets per millisecond on average, an incarnation would
 * reach the numbers of the next one.
 */
const NUMBERS_PER_MS = 2n ** 20n;

/**
 * Combines an incarnation and a number for Go members; a later incarnation gets a higher result. The result
 * is above 2^52, the highest number of a Go member (rule E2). So it marks an entry as a Hearsay member's,
 * even if a Go member passes the entry on.
 */
export function numberInIncarnation(incarnation: Incarnation, number: number): Int64 {
  const whole = BigInt(incarnationStartMs(incarnation)) * NUMBERS_PER_MS + BigInt(number);
  return { low: Number(BigInt.asIntN(32, whole)), high: Number(whole >> 32n), unsigned: false };
}

/**
 * Returns a Go member's own number, or undefined if it is out of range or belongs to a Hearsay member's
 * incarnation.
 */
export function countedNumber(number: Int64 | number): number | undefined {
  const whole = wholeOf(number);
  return whole >= 1 && whole <= MAX_NUMBER ? whole : undefined;
}

/** Converts a 64-bit integer to a number; not exact beyond 2^53. */
export function wholeOf(number: Int64 | number): number {
  if (typeof number === "number") return number;
  return (number.unsigned ? number.high >>> 0 : number.high) * 2 ** 32 + (number.low >>> 0);
}

/** Formats an unsigned 64-bit integer in decimal, without loss. */
export function unsignedDigits(number: Int64 | number | string): string {
  if (typeof number !== "object") return `${number}`;
  return ((BigInt(number.high >>> 0) << 32n) | BigInt(number.low >>> 0)).toString();
}
