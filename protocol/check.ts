/**
 * The checks of all fields that a peer sends, and the place of a fault in a message.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import { isIncarnation } from "../engine/incarnation.ts";
import { type Incarnation, MAX_NUMBER } from "../engine/types.ts";
import { CLOSE, ConnectionClosed } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { MAX_KEY_BYTES, MAX_KINDS, MAX_NAME_BYTES } from "../options/member_rules.ts";

export { MAX_KEY_BYTES };

/** The longest id, of a member or of a request, in bytes of UTF-8. */
export const MAX_ID_BYTES: number = MAX_NAME_BYTES;
/** The longest public key or signature, in bytes. */
export const MAX_SIGNATURE_BYTES = 128;
/** The most kinds, or capabilities, in a handshake: as many kinds as a member may have. */
export const MAX_LISTED: number = MAX_KINDS;

/** A JSON object from a peer with unchecked fields. */
export type Fields = Readonly<Record<string, unknown>>;

/** A place in a message. Created at every step down; converted to text only for an error. */
export class JsonPath {
  readonly #parent: JsonPath | undefined;
  readonly #step: string;
  readonly #named: boolean;

  /** Creates a place: the top of a message without `parent`, otherwise one step below `parent`. */
  constructor(step: string, parent?: JsonPath, options: { readonly named: boolean } = { named: true }) {
    this.#step = step;
    this.#parent = parent;
    this.#named = options.named;
  }

  /** A field below this place, named by the protocol. */
  field(name: string): JsonPath {
    return new JsonPath(name, this);
  }

  /** A key or an index below this place, chosen by the peer. */
  item(key: string | number): JsonPath {
    return new JsonPath(String(key), this, { named: false });
  }

  /** The path, as in `request.state.members["a"].values["k"]`. */
  toString(): string {
    const parent = this.#parent?.toString() ?? "";
    if (!this.#named) return `${parent}[${show(this.#step)}]`;
    return parent ? `${parent}.${this.#step}` : this.#step;
  }
}

/** Refuses a message because the value at `place` breaks a rule. */
export function fail(place: JsonPath, rule: string, given: unknown): never {
  throw new ConnectionClosed(CLOSE.invalid, `${place}: must be ${rule}, was ${show(given)}.`);
}

/** A short text for a value from a peer, so that the value cannot fill the logs. */
export function show(given: unknown): string {
  if (given === undefined) return "left out";
  if (typeof given === "object" && given !== null) return Array.isArray(given) ? "an array" : "an object";
  if (typeof given !== "string") return String(given);
  return printable(given.length > 40 ? `${JSON.stringify(given.slice(0, 40))}…` : JSON.stringify(given));
}

/** True if a text has at most `maxBytes` bytes of UTF-8. Counts the bytes only if the text's length does not decide. */
export function fitsBytes(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return false;
  return text.length * 3 <= maxBytes || utf8Length(text) <= maxBytes;
}

/** Reads a JSON object. */
export function readObject(value: unknown, place: JsonPath): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail(place, "an object", value);
  return value as Fields;
}

/** Reads a JSON array. */
export function readList(value: unknown, place: JsonPath): readonly unknown[] {
  if (!Array.isArray(value)) fail(place, "an array", value);
  return value;
}

/** Reads a well-formed string of any length. */
export function readText(value: unknown, place: JsonPath): string {
  if (typeof value !== "string" || !value.isWellFormed()) fail(place, "a well-formed string", value);
  return value;
}

/** Reads a well-formed string of 1 to `maxBytes` bytes. */
export function readName(value: unknown, place: JsonPath, maxBytes: number = MAX_ID_BYTES): string {
  if (
    typeof value !== "string" || value.length === 0 || !value.isWellFormed() || !fitsBytes(value, maxBytes)
  ) {
    fail(place, `a well-formed string of 1 to ${maxBytes} bytes`, value);
  }
  return value;
}

/** Reads a list of at most {@linkcode MAX_LISTED} names. */
export function readNames(value: unknown, place: JsonPath): readonly string[] {
  const list = readList(value, place);
  if (list.length > MAX_LISTED) fail(place, `a list of at most ${MAX_LISTED}`, `a list of ${list.length}`);
  return list.map((item, index) => readName(item, place.item(index)));
}

/** Reads an integer within bounds. */
export function readWhole(value: unknown, place: JsonPath, bounds: { min: number; max: number }): number {
  if (
    typeof value !== "number" || !Number.isInteger(value) || value < bounds.min || value > bounds.max
  ) {
    fail(place, `a whole number from ${bounds.min} to ${bounds.max}`, value);
  }
  // Adding 0 turns -0 into 0: they are equal, but `Object.is` distinguishes them.
  return value + 0;
}

/** Reads the number of an entry, a range or a version: an integer from 0 to 2^52 (rule E2). */
export function readNumber(value: unknown, place: JsonPath): number {
  return readWhole(value, place, { min: 0, max: MAX_NUMBER });
}

const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * A 64-bit integer in proto3 JSON, as a string or a number (rule P3), from `min` to 2^52. Returns `undefined` for an
 * invalid value, so that callers with many numbers need not create a place for each.
 */
export function wholeOf(value: unknown, min: number): number | undefined {
  const whole = typeof value === "string" && DECIMAL.test(value) ? Number(value) : value;
  if (typeof whole !== "number" || !Number.isInteger(whole)) return undefined;
  return whole >= min && whole <= MAX_NUMBER ? whole + 0 : undefined;
}

/** Reads an incarnation (rule E1). Its distance from the clock is checked by code with a clock. */
export function readIncarnation(value: unknown, place: JsonPath): Incarnation {
  if (!isIncarnation(value)) fail(place, "an incarnation such as 0190f3a1b2c3-0badcafe", value);
  return value;
}

const HASH = /^[0-9a-f]{16}$/;

/** Reads a digest, a sum, or a hash of ids (rule E12): sixteen hexadecimal digits. */
export function readHash(value: unknown, place: JsonPath): string {
  if (typeof value !== "string" || !HASH.test(value)) fail(place, "sixteen hexadecimal digits", value);
  return value;
}
