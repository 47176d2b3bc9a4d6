/**
 * The heap memory of a value, estimated from its JSON text, so that the value need not be parsed or walked.
 *
 * The estimate should be above the true size. V8 takes 32 to 64 bytes for an array or object. Deeply nested lists, such
 * as `[[[[]]]]`, take up to 28 times the length of their text. `tests/engine/state/heap_estimate_test.ts` measures the
 * costliest forms.
 *
 * @module
 */

import { utf8Length } from "../json.ts";
import type { SentEntry } from "../types.ts";

/**
 * An array or object: 32 bytes, 24 for its elements or 32 for its fields, and its own slot in another array or object.
 */
const OBJECT_BYTES = 64;
/** An item after the first: 8 bytes for its slot, and 16 for a number that is not whole, in a list that also has texts. */
const ITEM_BYTES = 24;
/** A field beside its name: its slot, and its hidden class if no other object has the same fields. */
const FIELD_BYTES = 72;
/** A text, beside its characters. */
const TEXT_BYTES = 24;
/** An entry without its texts and its value, and its list node. */
const ENTRY_BYTES = 256;
/** The lifetime of an entry, and a slot of time with no other entry in it: a peer may give each entry another time. */
const EXPIRY_BYTES = 224;
/** A member without its entries: its state, its list nodes, and its records elsewhere. */
export const MEMBER_HEAP_BYTES = 1_024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const BRACKET = 0x5b;
const BRACE = 0x7b;

/** The approximate heap bytes of an entry: its texts and its value, even if the value is not parsed yet. */
export function entryHeapBytes({ key, type, json, expiresAfter }: SentEntry): number {
  // A single character beyond Latin-1 makes every character of a text take two bytes.
  const isPlain = utf8Length(json) === json.length;
  const textBytes = (isPlain ? 1 : 2) * json.length;
  const times = expiresAfter === undefined ? 0 : EXPIRY_BYTES;
  return ENTRY_BYTES + times + 2 * key.length + type.length + textBytes +
    valueBytes(json, isPlain && !json.includes("\\u") ? 1 : 2);
}

/** The heap bytes of the value of a JSON text, with `unitBytes` for a character. */
function valueBytes(json: string, unitBytes: number): number {
  let bytes = 0;
  for (let index = 0; index < json.length; index++) {
    const unit = json.charCodeAt(index);
    if (unit === QUOTE) {
      const end = endOfText(json, index);
      bytes += TEXT_BYTES + unitBytes * (end - index);
      index = end;
    } else if (unit === BRACKET || unit === BRACE) bytes += OBJECT_BYTES;
    else if (unit === COMMA) bytes += ITEM_BYTES;
    else if (unit === COLON) bytes += FIELD_BYTES;
  }
  return bytes;
}

/** The index of the closing quote of a text. Found by search, because that is fast for long texts. */
function endOfText(json: string, start: number): number {
  let end = json.indexOf('"', start + 1);
  while (end > 0 && isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end < 0 ? json.length : end;
}

function isEscaped(json: string, index: number): boolean {
  let before = index;
  while (json.charCodeAt(before - 1) === BACKSLASH) before--;
  return (index - before) % 2 === 1;
}
