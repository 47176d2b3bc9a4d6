/**
 * Texts that may be keys: one that was given in a wrong place must not be shown, nor be sent to peers as a name.
 *
 * @module
 */

/** What a key in base64, base64url or hexadecimal digits is made of. 22 characters are 16 bytes in base64. */
const ALONE = /^[\w+/-]{22,}={0,2}$/;
/** The same within a longer text, where paths and names of hosts have runs of such characters too. */
const WITHIN = /[\w+/-]{32,}={0,2}/g;
/** Lowercase words and short numbers with separators between them, and UUIDs, which are ids. */
const PLAIN =
  /^[-_/]*([a-z]+|\d{1,6})([-_/]+([a-z]+|\d{1,6}))*[-_/]*$|^[\da-fA-F]{8}(-[\da-fA-F]{4}){3}-[\da-fA-F]{12}$/;
/** The fewest characters of base64, and the fewest hexadecimal digits, of a key of 32 bytes. */
const MIN_BASE64 = 43;
const MIN_HEX = 64;

/** A text in which every run that may be a key is replaced by its length. */
export function withoutKeys(text: string): string {
  return text.replace(WITHIN, shown);
}

/** True if a text may be a key as a whole. */
export function mayBeKey(text: string): boolean {
  const alone = text.trim();
  return ALONE.test(alone) && !PLAIN.test(alone);
}

/** The length of a text, in its place. */
export function lengthOf(text: string): string {
  return `(${text.length} characters)`;
}

/** True if a text has the form of a key of this library. Names that people choose do not: this refuses what it finds. */
export function isFormedAsKey(text: string): boolean {
  if (/^[\da-f]+$/i.test(text)) return text.length >= MIN_HEX;
  return ALONE.test(text) && text.length >= MIN_BASE64 &&
    [/[a-z]/, /[A-Z]/, /\d/].every((kind) => kind.test(text));
}

function shown(run: string): string {
  return PLAIN.test(run) ? run : lengthOf(run);
}
