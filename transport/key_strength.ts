/**
 * The minimum strength of cluster keys.
 *
 * @module
 */

import { ConfigurationError, type ConfigurationProblem } from "../gossiper/configuration_error.ts";
import type { ClusterKey } from "./authentication.ts";

/** The minimum length of a key: that of the HMAC's hash. */
export const MIN_KEY_BYTES = 32;
/** The minimum number of different bytes: 32 random bytes have about 30, a repeated phrase has few. */
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

/** Returns the faults in `keys`, which may be any value. */
export function keyProblems(keys: unknown): ConfigurationProblem[] {
  const field = "authentication.keys";
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS) {
    const given = Array.isArray(keys) ? `a list of ${keys.length}` : `a ${typeof keys}`;
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
      given: typeof key === "object" ? "an object" : `a ${typeof key}`,
      allowed,
    };
  }
  const bytes = bytesOf(key);
  if (!bytes) return { problem: "is not base64", given: `a text of ${key.length} characters`, allowed };
  const given = `${bytes.length} bytes, of which ${new Set(bytes).size} differ`;
  if (bytes.length < MIN_KEY_BYTES) return { problem: "is weak: it is too short", given, allowed };
  if (isSequence(bytes)) return { problem: "is weak: it is a sequence", given, allowed };
  if (new Set(bytes).size >= MIN_DISTINCT_BYTES) return undefined;
  return { problem: "is weak: it repeats itself", given, allowed };
}

/** True if half of the steps from byte to byte or more are alike and lead on: as in the bytes 0 to 31, or an alphabet. */
function isSequence(bytes: Uint8Array): boolean {
  const counts = new Array<number>(256).fill(0);
  for (let at = 1; at < bytes.length; at++) counts[(bytes[at]! - bytes[at - 1]!) & 255]!++;
  return counts.some((count, step) => step !== 0 && 2 * count >= bytes.length - 1);
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
