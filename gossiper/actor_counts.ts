/**
 * What a user says of its actors, checked: a heartbeat that no peer takes would cut the member off.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import { MAX_NUMBER } from "../engine/types.ts";

/** The longest name of a kind, in bytes of UTF-8. */
const MAX_KIND_BYTES = 1024;
/** The share of a message that the counts may take: they are told with every heartbeat. */
const MAX_SHARE = 1 / 16;

/** A copy of the counts; throws a `TypeError` that says what is wrong with them. */
export function checkedCounts(
  counts: unknown,
  { maxMessageBytes }: { readonly maxMessageBytes: number },
): Readonly<Record<string, number>> {
  if (typeof counts !== "object" || counts === null) {
    throw new TypeError("The counts of actors are no object.");
  }
  const entries = Object.entries(counts);
  let bytes = 0;
  for (const [kind, count] of entries) {
    if (!isKind(kind)) {
      throw new TypeError(
        `A kind of actor must be a well-formed text of 1 to ${MAX_KIND_BYTES} bytes, and is ${show(kind)}.`,
      );
    }
    if (!Number.isInteger(count) || count < 0 || count > MAX_NUMBER) {
      throw new TypeError(
        `The count of actors of the kind ${show(kind)} must be a whole number from 0 to 2^52, and is ${
          show(count)
        }.`,
      );
    }
    bytes += utf8Length(JSON.stringify(kind)) + `${count}`.length + 4;
  }
  if (bytes > maxMessageBytes * MAX_SHARE) {
    throw new TypeError(
      `The counts of actors may take ${maxMessageBytes * MAX_SHARE} bytes, and take ${bytes}.`,
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
