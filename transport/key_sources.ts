/**
 * Where keys come from: a file, the environment, or nowhere yet. Never from a configuration that people pass around.
 *
 * @module
 */

import { ConfigurationError } from "../gossiper/configuration_error.ts";
import { HearsayError } from "../gossiper/errors.ts";
import { isFormedAsKey, mayBeKey } from "../gossiper/key_material.ts";
import { describe } from "../gossiper/options.ts";
import { newSigningKey } from "../gossiper/ed25519.ts";
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
  assertNoKey("file", file);
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
  assertNoKey("name", name);
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

/**
 * The signing key in a file, made there where there is none yet: for a member whose id stays the same, so that its
 * next life can speak for that id too. Of several processes that make it at once all get the same key. Needs the
 * permission to read and write the file's folder.
 *
 * @throws {HearsayError} with code `invalid_configuration` where the file holds no such key, or others than its owner
 * may read it; nothing is changed then.
 */
export async function signingKeyFromFile(file: string | URL): Promise<CryptoKeyPair> {
  assertNoKey("file", file);
  let text = await readOrUndefined(file);
  if (text === undefined) {
    await createWhole(file, `${JSON.stringify(await newPrivateJwk())}\n`);
    text = await Deno.readTextFile(file);
  }
  await assertPrivate(file);
  try {
    const { kty, crv, x, d } = JSON.parse(text) as JsonWebKey;
    const jwk = { kty, crv, x } as JsonWebKey;
    return {
      privateKey: await crypto.subtle.importKey("jwk", { ...jwk, d } as JsonWebKey, "Ed25519", true, [
        "sign",
      ]),
      publicKey: await crypto.subtle.importKey("jwk", jwk, "Ed25519", true, ["verify"]),
    };
  } catch (cause) {
    const text = "The file holds no signing key (an Ed25519 key pair as a JWK); nothing was made.";
    throw new HearsayError("invalid_configuration", text, { cause });
  }
}

async function newPrivateJwk(): Promise<JsonWebKey> {
  const { privateKey } = await newSigningKey();
  return await crypto.subtle.exportKey("jwk", privateKey);
}

/** Creates a file with all of its text at once, readable by its owner alone; another's that is there already stays. */
async function createWhole(file: string | URL, text: string): Promise<void> {
  const path = typeof file === "string" ? file : decodeURIComponent(file.pathname);
  const dir = path.replace(/[^/\\]*$/, "") || ".";
  // Made with mode 600. A process that ends while it writes leaves this behind, and no half key.
  const whole = await Deno.makeTempFile({ dir, prefix: ".signing_key_" });
  try {
    await Deno.writeTextFile(whole, text);
    await Deno.link(whole, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    await Deno.remove(whole);
  }
}

async function assertPrivate(file: string | URL): Promise<void> {
  const { mode } = await Deno.stat(file);
  // Windows has no modes.
  if (mode === null || (mode & 0o077) === 0) return;
  throw new HearsayError(
    "invalid_configuration",
    `A signing key file must be readable by its owner alone (mode 600); ${file} has ${
      (mode & 0o777).toString(8)
    }. ` +
      "`chmod 600` it, and make a new key if others have read it; nothing was changed.",
  );
}

async function readOrUndefined(file: string | URL): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Deno's own errors show the path, or the name, that was not found. */
function assertNoKey(field: "file" | "name", given: string | URL): void {
  if (typeof given !== "string" || !mayBeKey(given) || !isFormedAsKey(given.trim())) return;
  const allowed = field === "file"
    ? "the path of a file with keys in it"
    : "the name of a variable with keys in it";
  throw new ConfigurationError([
    { field, problem: "is a key itself", given: describe(given), allowed },
  ]);
}

function checked(keys: readonly string[]): readonly string[] {
  const problems = keyProblems(keys);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return keys;
}
