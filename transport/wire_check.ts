/**
 * The checks that everything from a peer goes through, and how they say where something is wrong.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import { type Life, MAX_NUMBER } from "../engine/types.ts";
import { CLOSE, ConnectionClosed } from "../gossiper/errors.ts";
import { printable } from "../gossiper/printable.ts";
import { MAX_KINDS } from "../gossiper/validation.ts";

/** The longest id, of a member or of a request, in bytes of UTF-8. */
export const MAX_ID_BYTES = 256;
/** The longest key of an entry, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;
/** The longest public key or signature, in bytes. */
export const MAX_SIGNATURE_BYTES = 128;
/** The most kinds, or capabilities, that a greeting may list: as many kinds as a member may have. */
export const MAX_LISTED: number = MAX_KINDS;

/** A JSON object of a peer, before its fields are checked. */
export type Fields = Readonly<Record<string, unknown>>;

/** Where in a message something stands. Made at every step down, and turned into text only to complain. */
export class Place {
  readonly #parent: Place | undefined;
  readonly #step: string;
  readonly #named: boolean;

  /** Makes a place at the top of a message (no parent), or one step below another. */
  constructor(step: string, parent?: Place, options: { readonly named: boolean } = { named: true }) {
    this.#step = step;
    this.#parent = parent;
    this.#named = options.named;
  }

  /** The place of a field that the protocol names. */
  field(name: string): Place {
    return new Place(name, this);
  }

  /** The place of what stands under a key, or at an index, that the peer chose. */
  item(key: string | number): Place {
    return new Place(String(key), this, { named: false });
  }

  /** The path, as in `request.state.members["a"].values["k"]`. */
  toString(): string {
    const parent = this.#parent?.toString() ?? "";
    if (!this.#named) return `${parent}[${show(this.#step)}]`;
    return parent ? `${parent}.${this.#step}` : this.#step;
  }
}

/** Ends the reading of a message: what stands at the place breaks the rule. */
export function fail(place: Place, rule: string, given: unknown): never {
  throw new ConnectionClosed(CLOSE.invalid, `${place}: must be ${rule}, was ${show(given)}.`);
}

/** A few characters that show what was given: hostile text must not fill the logs. */
export function show(given: unknown): string {
  if (given === undefined) return "left out";
  if (typeof given === "object" && given !== null) return Array.isArray(given) ? "an array" : "an object";
  if (typeof given !== "string") return String(given);
  return printable(given.length > 40 ? `${JSON.stringify(given.slice(0, 40))}…` : JSON.stringify(given));
}

/** Whether the text takes at most so many bytes of UTF-8; counts them only where the length leaves doubt. */
export function fitsBytes(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return false;
  return text.length * 3 <= maxBytes || utf8Length(text) <= maxBytes;
}

/** A JSON object. */
export function readObject(value: unknown, place: Place): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail(place, "an object", value);
  return value as Fields;
}

/** A JSON array. */
export function readList(value: unknown, place: Place): readonly unknown[] {
  if (!Array.isArray(value)) fail(place, "an array", value);
  return value;
}

/** A well-formed string, of any length. */
export function readText(value: unknown, place: Place): string {
  if (typeof value !== "string" || !value.isWellFormed()) fail(place, "a well-formed string", value);
  return value;
}

/** A well-formed string of at least one character and at most so many bytes. */
export function readName(value: unknown, place: Place, maxBytes: number = MAX_ID_BYTES): string {
  if (
    typeof value !== "string" || value.length === 0 || !value.isWellFormed() || !fitsBytes(value, maxBytes)
  ) {
    fail(place, `a well-formed string of 1 to ${maxBytes} bytes`, value);
  }
  return value;
}

/** A list of names, bounded. */
export function readNames(value: unknown, place: Place): readonly string[] {
  const list = readList(value, place);
  if (list.length > MAX_LISTED) fail(place, `a list of at most ${MAX_LISTED}`, `a list of ${list.length}`);
  return list.map((item, index) => readName(item, place.item(index)));
}

/** A JSON number that is whole and within the bounds. */
export function readWhole(value: unknown, place: Place, bounds: { min: number; max: number }): number {
  if (
    typeof value !== "number" || !Number.isInteger(value) || value < bounds.min || value > bounds.max
  ) {
    fail(place, `a whole number from ${bounds.min} to ${bounds.max}`, value);
  }
  // Minus nought is a whole number, and equal to nought, but not the same to everyone.
  return value + 0;
}

/** A number of an entry, of a range or of what is held: whole, from 0 to 2^52 (rule E2). */
export function readNumber(value: unknown, place: Place): number {
  return readWhole(value, place, { min: 0, max: MAX_NUMBER });
}

const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * A 64-bit integer as proto3 JSON has it, a string or a number (rule P3), within the bounds; `undefined`
 * where it is not one, so that the caller, who has many, makes no place for each.
 */
export function wholeOf(value: unknown, min: number): number | undefined {
  const whole = typeof value === "string" && DECIMAL.test(value) ? Number(value) : value;
  if (typeof whole !== "number" || !Number.isInteger(whole)) return undefined;
  return whole >= min && whole <= MAX_NUMBER ? whole + 0 : undefined;
}

const LIFE = /^[0-9a-f]{12}-[0-9a-f]{8}$/;

/** A life (rule E1). Whether it lies too far ahead of the clock is for those to say who have one. */
export function readLife(value: unknown, place: Place): Life {
  if (typeof value !== "string" || !LIFE.test(value)) {
    fail(place, "a life such as 0190f3a1b2c3-0badcafe", value);
  }
  return value;
}

const HASH = /^[0-9a-f]{16}$/;

/** A digest, a sum, or a hash of ids (rule E12): sixteen hexadecimal digits. */
export function readHash(value: unknown, place: Place): string {
  if (typeof value !== "string" || !HASH.test(value)) fail(place, "sixteen hexadecimal digits", value);
  return value;
}
