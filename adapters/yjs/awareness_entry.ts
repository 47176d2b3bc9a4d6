/**
 * The entry with a member's awareness state, and the update that Yjs reads.
 *
 * @module
 */

import { HearsayError } from "../../common/errors.ts";
import { utf8Length } from "../../engine/json.ts";

/** The awareness state of one client. */
export interface AwarenessEntry {
  /** The client's id in Yjs. */
  readonly clientId: number;
  /** Rises with each change of the state. */
  readonly clock: number;
  /** The state, as the client set it. */
  readonly state: { readonly [field: string]: unknown };
}

/**
 * Reads the value of a member.
 *
 * @throws {HearsayError} with code `invalid_value`, or `too_large` if the state has more than `maxBytes`.
 */
export function entryOf(value: unknown, { maxBytes }: { readonly maxBytes: number }): AwarenessEntry {
  const { clientId, clock, state } = Object(value) as Partial<AwarenessEntry>;
  if (!isCount(clientId) || !isCount(clock) || typeof state !== "object" || state === null) {
    throw new HearsayError(
      "invalid_value",
      "An awareness entry must be `{ clientId, clock, state }`; a member has another value under this key. It is not shown.",
    );
  }
  assertFits(JSON.stringify(state), maxBytes, "It is not shown.");
  return { clientId, clock, state };
}

/** Throws if the JSON of a state is too long. `outcome` says what happens to the state. */
export function assertFits(json: string, maxBytes: number, outcome: string): void {
  const bytes = utf8Length(json);
  if (bytes <= maxBytes) return;
  const text =
    `An awareness state must have at most ${maxBytes} bytes (\`maxBytes\`) as JSON; it has ${bytes}. ${outcome}`;
  throw new HearsayError("too_large", text);
}

/** The update of one client, in the format of `y-protocols`: counts with 7 bits in each byte, and JSON. */
export function updateOf({ clientId, clock, state }: AwarenessEntry): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(state));
  return Uint8Array.from([1, clientId, clock, json.length].flatMap(bytesOfCount).concat([...json]));
}

function bytesOfCount(count: number): number[] {
  const bytes: number[] = [];
  // Bit operators would cut a count to 32 bits.
  for (; count > 127; count = Math.floor(count / 128)) bytes.push(128 + count % 128);
  return [...bytes, count];
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
