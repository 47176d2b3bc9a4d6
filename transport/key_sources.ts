/**
 * Where keys come from: a file, the environment, or nowhere yet. Never from a configuration that people pass around.
 *
 * @module
 */

import { ConfigurationError } from "../gossiper/configuration_error.ts";
import type { ClusterKey } from "./authentication.ts";
import { keyProblems } from "./key_strength.ts";

/**
 * The keys in a file, one a line, the first of which signs; empty lines and those that begin with `#` are passed
 * over. Needs the permission to read it.
 *
 * @throws {Deno.errors.NotFound} if there is no such file.
 * @throws {ConfigurationError} where it has no key, or a weak one.
 */
export async function keysFromFile(
  file: string | URL,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly ClusterKey[]> {
  const text = await Deno.readTextFile(file, options);
  return checked(
    text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#")),
  );
}

/**
 * The keys in a variable of the environment, between spaces or commas, the first of which signs. Needs the
 * permission to read it.
 *
 * @throws {ConfigurationError} where it is not set, or has a weak key.
 */
export function keysFromEnvironment(name: string = "HEARSAY_KEYS"): readonly ClusterKey[] {
  return checked((Deno.env.get(name) ?? "").split(/[\s,]+/).filter((key) => key !== ""));
}

/**
 * A new key: 32 random bytes as base64url.
 *
 * @example
 * ```ts
 * import { newClusterKey } from "./key_sources.ts";
 *
 * console.assert((await newClusterKey()).length === 43);
 * ```
 */
export async function newClusterKey(): Promise<string> {
  const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256", length: 256 }, true, ["sign"]);
  const bytes = new Uint8Array(await crypto.subtle.exportKey("raw", key));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function checked(keys: readonly string[]): readonly string[] {
  const problems = keyProblems(keys);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return keys;
}
