/**
 * Sources of keys: a file, the environment, or a new random key. Keys do not belong in a shared configuration
 * file.
 *
 * @module
 */

import { assertDeno } from "../common/needs_deno.ts";
import { assertMayRead, assertMayReadVariable, assertMayWrite } from "../common/permission.ts";
import { environmentVariable } from "../common/host_process.ts";
import { toBase64Url } from "../common/bytes_text.ts";
import type { SigningKeyPair } from "../contracts/signing.ts";
import { ConfigurationError } from "../options/configuration_error.ts";
import { HearsayError } from "../common/errors.ts";
import { isFormedAsKey, mayBeKey } from "../common/key_material.ts";
import { assertNone, assertOptions, describe, SIGNAL } from "../options/rules.ts";
import { newSigningKey } from "./ed25519.ts";
import type { ClusterKey } from "../contracts/authentication.ts";
import { keyProblems, MAX_KEYS } from "./key_strength.ts";

/**
 * Reads the keys in a file, one per line. The first signs; all are accepted. Empty lines and lines that begin with `#` are
 * skipped. Needs the permission to read the file.
 *
 * @throws {Deno.errors.NotFound} if the file does not exist.
 * @throws {Deno.errors.NotCapable} if the permission is missing. There is no prompt for it.
 * @throws {ConfigurationError} if the file has no key, too many keys or a weak key, or if `file` is itself a key.
 * @throws {HearsayError} with code `invalid_configuration` if other users may write the file.
 */
export async function keysFromFile(
  file: string | URL,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly ClusterKey[]> {
  assertNoKey("file", file);
  assertOptions(options, { signal: SIGNAL });
  assertDeno("keysFromFile", "read the file, and split its text");
  assertMayRead(pathOf(file));
  const text = await Deno.readTextFile(file, options);
  await assertOwn(file);
  const lines = text.split("\n").map((line) => line.trim());
  return checked(`${file}`, lines.filter((line) => line !== "" && !line.startsWith("#")));
}

/**
 * Reads the keys in an environment variable, separated by spaces or commas. The first signs. Needs the
 * permission to read the variable.
 *
 * @throws {Deno.errors.NotCapable} if the permission is missing. There is no prompt for it.
 * @throws {ConfigurationError} if the variable is not set, or has a weak key.
 */
export function keysFromEnvironment(name: string = "HEARSAY_KEYS"): readonly ClusterKey[] {
  assertNoKey("name", name);
  assertMayReadVariable(name);
  const text = environmentVariable(name);
  return checked(name, text?.split(/[\s,]+/).filter((key) => key !== ""));
}

/**
 * Creates a key: 32 random bytes as base64url.
 *
 * @example
 * ```ts
 * import { newClusterKey } from "@hearsay/gossip/auth";
 *
 * console.assert((await newClusterKey()).length === 43);
 * ```
 */
export async function newClusterKey(): Promise<string> {
  const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256", length: 256 }, true, ["sign"]);
  const bytes = new Uint8Array(await crypto.subtle.exportKey("raw", key));
  return toBase64Url(bytes);
}

/**
 * Reads the signing key in a file, or creates one there. For a member with a fixed `id`: after a restart it
 * must sign with the same key. If several processes create the file at once, all get the same key. Needs the
 * permission to read the file, and to create it, to read and write its folder.
 *
 * @throws {Deno.errors.NotCapable} if a permission is missing. There is no prompt for it.
 * @throws {HearsayError} with code `invalid_configuration` if the file has no such key, or if other users may
 * read it; then nothing is changed.
 */
export async function signingKeyFromFile(file: string | URL): Promise<SigningKeyPair> {
  assertNoKey("file", file);
  assertDeno("signingKeyFromFile", "keep the key pair in another way");
  assertMayRead(pathOf(file));
  let text = await readOrUndefined(file);
  if (text === undefined) {
    await createWhole(pathOf(file), `${JSON.stringify(await newPrivateJwk())}\n`);
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
    const text = "The file must have a signing key (an Ed25519 key pair as a JWK). Nothing was changed.";
    throw new HearsayError("invalid_configuration", text, { cause });
  }
}

async function newPrivateJwk(): Promise<JsonWebKey> {
  const { privateKey } = await newSigningKey();
  return await crypto.subtle.exportKey("jwk", privateKey);
}

/**
 * Creates a file with its whole text at once, readable only by its owner. An existing file stays as it is.
 */
async function createWhole(path: string, text: string): Promise<void> {
  const dir = path.replace(/[^/\\]*$/, "") || ".";
  assertMayRead(dir);
  assertMayWrite(dir);
  // Created with mode 600. A process that ends here leaves this file behind, but never half a key.
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

function pathOf(file: string | URL): string {
  return typeof file === "string" ? file : decodeURIComponent(file.pathname);
}

/**
 * Refuses cluster keys that another user could have added. Others may read the file, because secrets of containers are
 * mounted with mode 644 or 444.
 */
async function assertOwn(file: string | URL): Promise<void> {
  const { isFile, mode } = await Deno.stat(file);
  // Windows has no modes, and the mode of a pipe or a terminal is none of its user's choice.
  if (!isFile || mode === null || (mode & 0o022) === 0) return;
  throw new HearsayError(
    "invalid_configuration",
    `A file of cluster keys must be writable by its owner alone (mode 600); ${file} has ${octal(mode)}. ` +
      "Check that all keys in it are yours, and `chmod 600` it. Nothing was changed.",
  );
}

async function assertPrivate(file: string | URL): Promise<void> {
  const { mode } = await Deno.stat(file);
  // Windows has no modes.
  if (mode === null || (mode & 0o077) === 0) return;
  throw new HearsayError(
    "invalid_configuration",
    `A signing key file must be readable by its owner alone (mode 600); ${file} has ${octal(mode)}. ` +
      "`chmod 600` it, and make a new key if others have read it. Nothing was changed.",
  );
}

/** The permission bits of a file, as `chmod` takes them. */
function octal(mode: number): string {
  return (mode & 0o777).toString(8);
}

async function readOrUndefined(file: string | URL): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Refuses a key given in place of a path or a name, because Deno's errors show a path or name that was not found. */
function assertNoKey(field: "file" | "name", given: string | URL): void {
  if (typeof given !== "string" || !mayBeKey(given) || !isFormedAsKey(given.trim())) return;
  const allowed = field === "file"
    ? "the path of a file with keys in it"
    : "the name of a variable with keys in it";
  throw new ConfigurationError([
    { field, problem: "is a key itself", given: describe(given), allowed },
  ]);
}

/** Checks the keys of a source; `undefined` if the source does not exist. */
function checked(source: string, keys: readonly string[] | undefined): readonly string[] {
  if (keys === undefined || keys.length === 0 || keys.length > MAX_KEYS) {
    const allowed = `1 to ${MAX_KEYS} keys`;
    const why = keys === undefined ? "; it is not set" : keys.length === 0 ? "; it has none" : "";
    const given = why === "" ? `${keys!.length}` : "";
    throw new ConfigurationError([{ field: source, problem: `must have ${allowed}${why}`, given, allowed }]);
  }
  assertNone(keyProblems(keys, source));
  return keys;
}
