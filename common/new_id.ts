/**
 * The ids of members without an `id` option.
 *
 * @module
 */

import type { Runtime } from "./runtime.ts";

/** Creates a UUID of version 4 from the runtime's random numbers. */
export function newId(runtime: Runtime): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(runtime.random() * 16));
  digits[12] = 4;
  digits[16] = 8 + digits[16]! % 4;
  const hex = digits.map((digit) => digit.toString(16)).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
