/**
 * JSON values: values of the user are copied and frozen, values of peers are checked.
 *
 * @module
 */

import type { JsonValue } from "./types.ts";

/** The most levels of arrays and objects: a deeper value could exhaust the stack of recursive code. */
export const MAX_DEPTH = 64;

/** A value is not JSON; the message has the path to the fault. */
export class JsonValueError extends TypeError {
  /** The name of the class, also after minification. */
  override readonly name: string = "JsonValueError";
}

/** A frozen copy of a value, and its JSON text. */
export interface JsonCopy {
  readonly value: JsonValue;
  readonly json: string;
}

/**
 * Copies a JSON value and freezes the copy at every depth.
 *
 * @throws {JsonValueError} with the path of the first fault: `undefined`, a function, a symbol, a bigint, `NaN`, an
 * infinity, a lone surrogate, a hole, a class instance, a cycle, or nesting deeper than {@linkcode MAX_DEPTH}.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "../deps/std_assert.ts";
 * import { copyJson } from "./json.ts";
 *
 * assertEquals(copyJson({ cpu: 0.3 }).json, '{"cpu":0.3}');
 * assertThrows(() => copyJson({ loads: [1, NaN] }), TypeError, "value.loads[1]");
 * ```
 */
export function copyJson(value: unknown): JsonCopy {
  const copy = copyAt(value, "value", []);
  return { value: copy, json: JSON.stringify(copy) };
}

/** The conversion to JSON that an error suggests, by the kind of the value. */
const HINTS: ReadonlyMap<string, string> = new Map([
  ["a bigint", "`String()` makes a text of it"],
  ["an instance of Date", "`toISOString()` makes a text of it"],
  ["an instance of Map", "`Object.fromEntries()` makes an object of it"],
  ["an instance of Set", "`Array.from()` makes an array of it"],
  ["an instance of Uint8Array", "`toBase64()` makes a text of it"],
]);

function errorAt(path: string, got: string): JsonValueError {
  const hint = HINTS.get(got);
  const rest = hint === undefined ? "" : ` (${hint})`;
  return new JsonValueError(`${path} must be a JSON value; got ${got}${rest}.`);
}

function copyAt(value: unknown, path: string, ancestors: object[]): JsonValue {
  if (value === null || typeof value !== "object") {
    const wrong = wrongScalar(value);
    if (wrong) throw errorAt(path, wrong);
    return Object.is(value, -0) ? 0 : value as JsonValue;
  }
  if (ancestors.includes(value)) {
    throw errorAt(path, "a cycle: it leads back to itself");
  }
  if (ancestors.length === MAX_DEPTH) {
    throw errorAt(path, `a value nested deeper than ${MAX_DEPTH} levels`);
  }
  ancestors.push(value);
  const copy = Array.isArray(value) ? copyArray(value, path, ancestors) : copyObject(value, path, ancestors);
  ancestors.pop();
  return Object.freeze(copy);
}

function copyArray(value: readonly unknown[], path: string, ancestors: object[]): JsonValue[] {
  assertNothingElse(value, path, value.length + 1);
  return Array.from(value, (item, index) => copyAt(item, `${path}[${index}]`, ancestors));
}

function copyObject(value: object, path: string, ancestors: object[]): { [key: string]: JsonValue } {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    const given = value.constructor?.name ?? "an unknown class";
    throw errorAt(path, `an instance of ${given}`);
  }
  const copy: { [key: string]: JsonValue } = {};
  const entries = Object.entries(value);
  assertNothingElse(value, path, entries.length);
  for (const [key, item] of entries) {
    if (!key.isWellFormed()) {
      throw errorAt(path, "a key with a lone surrogate");
    }
    const copied = copyAt(
      item,
      /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`,
      ancestors,
    );
    // Plain assignment to `__proto__` would set the prototype and lose the key.
    if (key === "__proto__") {
      Object.defineProperty(copy, key, {
        value: copied,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    } else {
      copy[key] = copied;
    }
  }
  return copy;
}

/** `JSON.stringify` silently leaves out symbols, hidden properties, and properties of an array that are not items. */
function assertNothingElse(value: object, path: string, properties: number): void {
  const keys = Reflect.ownKeys(value);
  if (keys.length === properties || keys.length < properties && Array.isArray(value)) return;
  const hidden = keys.find((key) =>
    typeof key === "symbol" || !Object.prototype.propertyIsEnumerable.call(value, key)
  );
  const got = Array.isArray(value)
    ? "an array with a property that is no item"
    : `an object with the hidden property ${String(hidden)}`;
  throw errorAt(path, got);
}

function wrongScalar(value: unknown): string | undefined {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? undefined : "a string with a lone surrogate";
    case "number":
      return Number.isFinite(value) ? undefined : `the number ${value}`;
    case "boolean":
      return undefined;
    case "object":
      return undefined;
    case "undefined":
      return "undefined";
    default:
      return `a ${typeof value}`;
  }
}

/**
 * Checks a result of `JSON.parse`, which accepts infinities (`1e999`), lone surrogates and any depth. Returns the first
 * fault as a sentence with its path, or `undefined`.
 */
export function checkJson(value: unknown, path: string = "value"): string | undefined {
  const trail: (string | number)[] = [];
  const wrong = checkAt(value, trail);
  return wrong &&
    `${path}${trail.reverse().map((step) => `[${JSON.stringify(step)}]`).join("")} is ${wrong}.`;
}

/** Adds the path to `trail` from the inside out, so that a valid value costs no text. */
function checkAt(value: unknown, trail: (string | number)[], depth: number = 0): string | undefined {
  if (value === null || typeof value !== "object") return wrongScalar(value);
  if (depth === MAX_DEPTH) return `nested deeper than ${MAX_DEPTH} levels`;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const wrong = checkAt(value[index], trail, depth + 1);
      if (wrong) return trail.push(index), wrong;
    }
    return undefined;
  }
  for (const key of Object.keys(value)) {
    const wrong = key.isWellFormed()
      ? checkAt((value as { [key: string]: unknown })[key], trail, depth + 1)
      : "under a key with a lone surrogate";
    if (wrong) return trail.push(key), wrong;
  }
  return undefined;
}

/** Freezes a JSON value at every depth and returns it. A part that is already frozen must be frozen at every depth. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

/** Up to this length the loop is faster than the encoder; for long texts the encoder is twenty times as fast. */
const COUNTED_LENGTH = 64;
const encoder = new TextEncoder();
/** The encoder's output: only its length is used. */
const scratch = new Uint8Array(16_384);

/** The number of bytes of a well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  // mutant delete-statement, negate-condition: either counts the same, only slower.
  if (text.length <= COUNTED_LENGTH) return countedLength(text);
  let bytes = 0;
  for (let rest = text; rest !== "";) {
    const { read, written } = encoder.encodeInto(rest, scratch);
    bytes += written;
    rest = rest.slice(read);
  }
  return bytes;
}

function countedLength(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    // Each half of a surrogate pair is one unit, and stands for two of the pair's four bytes.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}
