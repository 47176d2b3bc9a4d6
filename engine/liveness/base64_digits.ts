/**
 * Numbers from 0 to 63 as one character each.
 *
 * @module
 */

/** The digits of base64url, by value. */
export const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const VALUES = new Int8Array(128).fill(-1);
for (let value = 0; value < DIGITS.length; value++) VALUES[DIGITS.charCodeAt(value)] = value;

/** The value of the digit at an index of a text; -1 if there is no digit. */
export function digitAt(text: string, index: number): number {
  return VALUES[text.charCodeAt(index)] ?? -1;
}
