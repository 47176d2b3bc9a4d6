/**
 * Checks the actor counts that a user sets. Peers refuse a heartbeat with invalid counts, so a wrong count would
 * cut the member off.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import { MAX_NUMBER } from "../engine/types.ts";

/** The longest name of a kind, in bytes of UTF-8. */
const MAX_KIND_BYTES = 1024;
/** The share of a message that the counts may take. 1/16: each heartbeat carries them. */
const MAX_SHARE = 1 / 16;

/** Returns a copy of the counts; throws a `TypeError` if a kind or a count is invalid. */
export function checkedCounts(
  counts: unknown,
  { maxMessageBytes }: { readonly maxMessageBytes: number },
): Readonly<Record<string, number>> {
  if (typeof counts !== "object" || counts === null) {
    throw new TypeError(`The actor counts must be an object; got ${show(counts)}. Nothing was changed.`);
  }
  const entries = Object.entries(counts);
  let bytes = 0;
  for (const [kind, count] of entries) {
    if (!isKind(kind)) {
      throw new TypeError(
        `A kind of actor must be a well-formed text of 1 to ${MAX_KIND_BYTES} bytes; got ${show(kind)}.`,
      );
    }
    if (!Number.isInteger(count) || count < 0 || count > MAX_NUMBER) {
      throw new TypeError(
        `The actor count of ${show(kind)} must be a whole number from 0 to 2^52; got ${show(count)}.`,
      );
    }
    bytes += utf8Length(JSON.stringify(kind)) + `${count}`.length + 4;
  }
  if (bytes > maxMessageBytes * MAX_SHARE) {
    throw new TypeError(
      `The actor counts must take at most ${maxMessageBytes * MAX_SHARE} bytes; got ${bytes}.`,
    );
  }
  return Object.fromEntries(entries);
}

function isKind(kind: string): boolean {
  return kind !== "" && kind.isWellFormed() && utf8Length(kind) <= MAX_KIND_BYTES;
}

function show(given: unknown): string {
  return typeof given === "string" ? JSON.stringify(given.slice(0, 60)) : String(given);
}
