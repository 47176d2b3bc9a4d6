/**
 * The minimum strength of cluster keys.
 *
 * @module
 */

import { fromHex } from "../common/bytes_text.ts";
import { ConfigurationError, type ConfigurationProblem } from "../options/configuration_error.ts";
import type { ClusterKey } from "../contracts/authentication.ts";
import { isKnownKey } from "./known_keys.ts";

/** The minimum length of a key, in bytes. 32: the length of the HMAC's hash. */
export const MIN_KEY_BYTES = 32;
/** The minimum number of different bytes. 32 random bytes have about 30 different bytes; a repeated phrase has few. */
export const MIN_DISTINCT_BYTES = 16;
/** The maximum number of keys; a rotation needs two. */
export const MAX_KEYS = 8;

const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/**
 * Returns the bytes of keys, without duplicates.
 *
 * @throws {ConfigurationError} naming every weak key; it never contains a key.
 */
export function strongKeys(keys: unknown): Uint8Array<ArrayBuffer>[] {
  const problems = keyProblems(keys);
  if (problems.length > 0) throw new ConfigurationError(problems);
  const byText = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const key of keys as readonly ClusterKey[]) {
    const bytes = bytesOf(key)!;
    byText.set(bytes.join(), bytes);
  }
  return [...byText.values()];
}

/** Returns the faults in `keys`, which may be any value; `field` names them. */
export function keyProblems(keys: unknown, field: string = "authentication.keys"): ConfigurationProblem[] {
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS) {
    const given = Array.isArray(keys) ? `a list of ${keys.length}` : kindOf(keys);
    return [{
      field,
      problem: "must be a list of keys",
      given,
      allowed: `1 to ${MAX_KEYS} keys, the first of which signs`,
    }];
  }
  return keys.flatMap((key: unknown, index): ConfigurationProblem[] => {
    const fault = faultOf(key);
    return fault === undefined ? [] : [{ field: `${field}[${index}]`, ...fault }];
  });
}

function faultOf(key: unknown): Omit<ConfigurationProblem, "field"> | undefined {
  const allowed =
    `${MIN_KEY_BYTES} random bytes or more, as base64 or as a Uint8Array (await newClusterKey() makes one)`;
  if (typeof key !== "string" && !(key instanceof Uint8Array)) {
    return {
      problem: "is no key",
      given: kindOf(key),
      allowed,
    };
  }
  const bytes = bytesOf(key);
  if (!bytes) return { problem: "is not base64", given: `a text of ${key.length} characters`, allowed };
  const given = `${bytes.length} bytes, ${new Set(bytes).size} of them distinct`;
  const weak = (why: string) => ({ problem: `is weak: ${why}`, given, allowed });
  if (bytes.length < MIN_KEY_BYTES) return weak("it is too short");
  if (isKnownKey(bytes)) return weak("it is published in a manual or a standard");
  for (const form of formsOf(key, bytes)) {
    const step = stepOf(form);
    if (step !== undefined) return weak(step === 0 ? "it repeats itself" : "it is a sequence");
    if (isWords(form)) return weak("it has words in it");
  }
  if (new Set(bytes).size >= MIN_DISTINCT_BYTES) return undefined;
  return weak("it repeats itself");
}

/** The type of a value given in place of a key. The value itself is not shown, because it may be a key. */
function kindOf(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** The forms in which a person may have made up the key: its bytes, its text, and the bytes of a hexadecimal text. */
function formsOf(key: ClusterKey, bytes: Uint8Array): Uint8Array[] {
  if (typeof key !== "string") return [bytes];
  const text = key.trim();
  const isHex = /^([\da-f]{2})+$/i.test(text);
  return [bytes, new TextEncoder().encode(text), ...isHex ? [fromHex(text)] : []];
}

/** The most bytes of a key that are searched for a pattern. */
const MAX_COMPARED = 256;
/** The greatest distance of two compared bytes. */
const MAX_LAG = 32;

/**
 * The step between bytes at some distance, if at least half of the bytes have the same step; otherwise `undefined`. 1
 * as in an alphabet, 0 if a few bytes repeat.
 */
function stepOf(form: Uint8Array): number | undefined {
  const bytes = form.subarray(0, MAX_COMPARED);
  for (let lag = 1; lag <= Math.min(MAX_LAG, bytes.length / 2); lag++) {
    const counts = new Array<number>(256).fill(0);
    for (let at = lag; at < bytes.length; at++) counts[(bytes[at]! - bytes[at - lag]!) & 255]!++;
    const step = counts.findIndex((count) => 2 * count >= bytes.length - lag);
    if (step >= 0) return step;
  }
  return undefined;
}

/** Words of placeholders, which stand in a configuration until a key is created. */
const TELLTALE =
  /change.?me|example|password|passphrase|secret|default|replace|placeholder|insert|your.?key/i;

/** True if the bytes are a text that a person wrote, or a placeholder. */
function isWords(form: Uint8Array): boolean {
  if (form.some((byte) => byte < 32 || byte > 126)) return false;
  const text = String.fromCharCode(...form.subarray(0, 4_096));
  const isOneCase = text === text.toLowerCase() || text === text.toUpperCase();
  return TELLTALE.test(text) || /^\{"|.* .* /.test(text) || (isOneCase && !/\d/.test(text));
}

function bytesOf(key: ClusterKey): Uint8Array<ArrayBuffer> | undefined {
  if (typeof key !== "string") return new Uint8Array(key);
  const text = key.trim();
  if (!BASE64.test(text)) return undefined;
  try {
    return Uint8Array.from(
      atob(text.replaceAll("-", "+").replaceAll("_", "/")),
      (char) => char.charCodeAt(0),
    );
  } catch {
    return undefined;
  }
}
