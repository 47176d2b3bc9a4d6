/**
 * What a member says of itself, as a person types it.
 *
 * @module
 */

import type { JsonValue } from "../../mod.ts";

/** A key and what it is set to. */
export interface Assignment {
  readonly key: string;
  /** `undefined` where the key is to be deleted. */
  readonly value: JsonValue | undefined;
}

/**
 * Reads `key=json`, or `key=` to delete.
 *
 * @throws {SyntaxError} saying what is wrong.
 */
export function readAssignment(text: string): Assignment {
  const at = text.indexOf("=");
  if (at < 1) throw new SyntaxError(`${text} is no assignment: it must be key=json, or key= to delete.`);
  const key = text.slice(0, at).trim();
  const json = text.slice(at + 1).trim();
  if (json === "") return { key, value: undefined };
  try {
    return { key, value: JSON.parse(json) };
  } catch {
    throw new SyntaxError(`${json} is not JSON, as in ${key}=42, ${key}="some text" or ${key}={"cpu":0.5}.`);
  }
}
