/**
 * Sequence numbers as protoactor's members see them. They know nothing of lives: to them the higher number wins,
 * whoever counted. So a life and a number travel as one number that rises with both.
 *
 * @module
 */

import { lifeStartMs } from "../../engine/life.ts";
import { type Life, MAX_NUMBER } from "../../engine/types.ts";
import type { Int64 } from "./definitions.ts";

/** How many sets there may be in a millisecond of a life, on average, before the next life's numbers are reached. */
const NUMBERS_PER_MS = 2n ** 20n;

/**
 * The number that a set of a life has towards members that know nothing of lives: that of a later life is higher.
 * It lies above all that such a member can count to (2^52, rule E2), so that it tells whose the entry is, whoever
 * passes it on.
 */
export function numberInLife(life: Life, number: number): Int64 {
  const whole = BigInt(lifeStartMs(life)) * NUMBERS_PER_MS + BigInt(number);
  return { low: Number(BigInt.asIntN(32, whole)), high: Number(whole >> 32n), unsigned: false };
}

/** A number that a member without lives has counted to; undefined where it is none, or one of a life. */
export function countedNumber(number: Int64 | number): number | undefined {
  const whole = wholeOf(number);
  return whole >= 1 && whole <= MAX_NUMBER ? whole : undefined;
}

/** A 64-bit integer; not exact beyond 2^53. */
export function wholeOf(number: Int64 | number): number {
  if (typeof number === "number") return number;
  return (number.unsigned ? number.high >>> 0 : number.high) * 2 ** 32 + (number.low >>> 0);
}

/** The decimal digits of an unsigned 64-bit integer, all of them. */
export function unsignedDigits(number: Int64 | number | string): string {
  if (typeof number !== "object") return `${number}`;
  return ((BigInt(number.high >>> 0) << 32n) | BigInt(number.low >>> 0)).toString();
}
