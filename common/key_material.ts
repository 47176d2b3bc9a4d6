/**
 * Texts that may be keys. A key given in the wrong option must not be shown, and must not be sent to peers as a name.
 *
 * @module
 */

/** A whole text that may be a key in base64, base64url or hexadecimal. 22 characters: 16 bytes in base64. */
const ALONE = /^[\w+/-]{22,}={0,2}$/;
/** A key within a longer text. 32 characters: paths and host names have shorter runs of such characters. */
const WITHIN = /[\w+/-]{32,}={0,2}/g;
/** Texts that are ids: lowercase words and short numbers with separators, and UUIDs. */
const PLAIN =
  /^[-_/]*([a-z]+|\d{1,6})([-_/]+([a-z]+|\d{1,6}))*[-_/]*$|^[\da-fA-F]{8}(-[\da-fA-F]{4}){3}-[\da-fA-F]{12}$/;
/** The shortest key of 32 bytes, in base64 characters and in hexadecimal digits. */
const MIN_BASE64 = 43;
const MIN_HEX = 64;

/** Replaces each run of 32 or more base64 characters by its length, such as `(43 characters)`. Words and UUIDs stay. */
export function withoutKeys(text: string): string {
  return text.replace(WITHIN, shown);
}

/** True if a text may be a key as a whole. */
export function mayBeKey(text: string): boolean {
  const alone = text.trim();
  return ALONE.test(alone) && !PLAIN.test(alone);
}

/** A text's length, to show instead of the text. */
export function lengthOf(text: string): string {
  return `(${text.length} characters)`;
}

/** True if a text has the form of a key of this library. Names that people choose do not have it. */
export function isFormedAsKey(text: string): boolean {
  if (/^[\da-f]+$/i.test(text)) return text.length >= MIN_HEX;
  return ALONE.test(text) && text.length >= MIN_BASE64 &&
    [/[a-z]/, /[A-Z]/, /\d/].every((kind) => kind.test(text));
}

function shown(run: string): string {
  return PLAIN.test(run) ? run : lengthOf(run);
}
