/**
 * Upper bounds for the size of JSON, so that the engine's deltas always fit a message. The codec's tests prove that no
 * encoding exceeds them.
 *
 * @module
 */

import { entryHeapBytes } from "./heap_estimate.ts";
import { utf8Length } from "../json.ts";
import { type KnownVersions, type SentEntry, TYPE } from "../types.ts";

/** The most bytes of a message beside its member states. */
// mutant replace-value: a margin; a larger one costs a little room in each message.
export const ENVELOPE_BYTES = 4096;
/** The most bytes of an entry's braces, names, number, type prefix and timestamp. */
const ENTRY_OVERHEAD_BYTES = 192;
/** The most bytes of the names and numbers of an entry's lifetime and age. */
const EXPIRY_BYTES = 80;
/** The stored bytes of an entry's number. */
const NUMBER_BYTES = 16;
/** The most bytes of a member's braces, names, incarnation and four numbers. */
const MEMBER_OVERHEAD_BYTES = 128;

/** The most bytes of an entry in a message. */
export function entryBytes(entry: SentEntry): number {
  const value = utf8Length(entry.json);
  // Counts in a heartbeat travel as strings, with quotes that the value in memory does not have.
  const quoted = entry.type === TYPE.heartbeat ? value * 2 : value;
  const times = entry.expiresAfter === undefined ? 0 : EXPIRY_BYTES;
  return ENTRY_OVERHEAD_BYTES + quotedBytes(entry.key) + entry.type.length + quoted + times;
}

/** The stored bytes of an entry: its texts, and a little for its number. */
export function storedBytes({ key, type, json }: SentEntry): number {
  return NUMBER_BYTES + utf8Length(key) + type.length + utf8Length(json);
}

/** The size of a state, including tombstones. */
export interface StateSize {
  readonly keys: number;
  /** The sum of {@linkcode storedBytes} over all entries. */
  readonly bytes: number;
  /** The most bytes of all entries in a message. */
  readonly sentBytes: number;
  /** The approximate heap bytes of all entries. */
  readonly heapBytes: number;
}

/** The size of a state with an entry in place of the entry `before`. */
export function sizeWith(
  { keys, bytes, sentBytes, heapBytes }: StateSize,
  entry: SentEntry,
  before?: SentEntry,
): StateSize {
  return {
    keys: keys + (before ? 0 : 1),
    bytes: bytes + storedBytes(entry) - (before ? storedBytes(before) : 0),
    sentBytes: sentBytes + entryBytes(entry) - (before ? entryBytes(before) : 0),
    heapBytes: heapBytes + entryHeapBytes(entry) - (before ? entryHeapBytes(before) : 0),
  };
}

/** The most bytes of a member in a message, without its entries. */
export function memberBytes(id: string): number {
  // The id is written with the state, with the range and, for a reset, a third time.
  return MEMBER_OVERHEAD_BYTES + 3 * quotedBytes(id);
}

/** The most bytes of the signature over a member's state in a message. */
export function signatureBytes(id: string, proof: string): number {
  return quotedBytes(id) + quotedBytes(proof) + 2;
}

/** The most bytes of versions in a message. */
export function versionsBytes(versions: KnownVersions): number {
  let bytes = 0;
  for (const id of versions.keys()) bytes += versionBytes(id);
  return bytes;
}

/** The most bytes of one member's version in a message. */
export function versionBytes(id: string): number {
  return MEMBER_OVERHEAD_BYTES + quotedBytes(id);
}

/**
 * The most bytes that a well-formed text takes as a JSON string. They are counted, because writing the string would
 * cost far more.
 */
function quotedBytes(text: string): number {
  let bytes = 2 + utf8Length(text);
  // mutant move-bound: the code after the last character is NaN, which adds nothing.
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x20) bytes += 5;
    else if (unit === 0x22 || unit === 0x5c) bytes += 1;
  }
  return bytes;
}
