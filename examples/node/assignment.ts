/**
 * Assignments that a user types to set a key.
 *
 * @module
 */

import type { JsonValue } from "../../mod.ts";

/** A key and its new value. */
export interface Assignment {
  readonly key: string;
  /** `undefined` deletes the key. */
  readonly value: JsonValue | undefined;
}

/**
 * Parses `key=json`, or `key=` to delete.
 *
 * @throws {SyntaxError} if the text has another form, or the value is not JSON.
 */
export function readAssignment(text: string): Assignment {
  const at = text.indexOf("=");
  if (at < 1) throw new SyntaxError(`${text} must be key=json, or key= to delete.`);
  const key = text.slice(0, at).trim();
  const json = text.slice(at + 1).trim();
  if (json === "") return { key, value: undefined };
  try {
    return { key, value: JSON.parse(json) };
  } catch {
    throw new SyntaxError(
      `${json} is not JSON. Examples: ${key}=42, ${key}="some text", ${key}={"cpu":0.5}.`,
    );
  }
}
