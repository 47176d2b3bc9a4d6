/**
 * The member that a command asks: its address, keys and certificates.
 *
 * @module
 */

import { messageOf } from "../common/error_text.ts";
import { HearsayError } from "../common/errors.ts";
import { utf8Length } from "../engine/json.ts";
import { MAX_KEY_BYTES } from "../options/member_rules.ts";
import { assertMayRead } from "../common/permission.ts";
import { printable } from "../common/printable.ts";
import { type ObserveOptions, Observer } from "../observer/client.ts";
import type { SigningKeyPair } from "../contracts/signing.ts";
import { keysFromEnvironment, keysFromFile, signingKeyFromFile } from "../security/key_sources.ts";
import { CommandFailure, EXIT, exitCodeOf } from "./failure.ts";
import type { Terminal } from "./terminal.ts";
import { inWordsOfCommand } from "./words.ts";

/** The address without `--at` and `HEARSAY_AT`. */
export const DEFAULT_ADDRESS = "ws://127.0.0.1:7000";

/**
 * The text of a dial that got 503. Its error has the code `connection`, as if no member answered, because a peer tries
 * again after both.
 */
const REFUSED_FOR_NOW = /accepts no connection now \(503\)/;

/** The options of every command that asks a member. */
export interface TargetFlags {
  readonly at?: string;
  readonly cluster?: string;
  readonly keysFile?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly path?: string;
}

/** A member to ask. */
export interface Target {
  readonly address: string;
  /** True if the user named the address. */
  readonly isGiven: boolean;
  readonly options: ObserveOptions;
}

/** Reads the flags, the files that they name, and the environment. */
export async function targetOf(flags: TargetFlags, terminal: Terminal): Promise<Target> {
  // An empty variable counts as unset.
  const given = flags.at ?? (terminal.env("HEARSAY_AT") || undefined);
  const address = given ?? DEFAULT_ADDRESS;
  const url = URL.parse(address);
  if (!url || !/^wss?:$/.test(url.protocol) || url.hostname === "") {
    const text = `--at must be an address such as ws://127.0.0.1:7000 or wss://host:443/gossip; got ${
      JSON.stringify(printable(address, 100))
    }.`;
    throw new CommandFailure(EXIT.usage, text);
  }
  const keys = await keysOf(flags, terminal);
  const cluster = flags.cluster ?? (terminal.env("HEARSAY_CLUSTER") || undefined);
  // An empty flag keeps the variable out.
  const token = (flags.token ?? terminal.env("HEARSAY_TOKEN")) || undefined;
  if (keys && cluster === undefined) {
    const text =
      "With keys the name of the cluster must be given, because a token names it; add --cluster <name>, or set " +
      "HEARSAY_CLUSTER.";
    throw new CommandFailure(EXIT.usage, text);
  }
  return {
    address,
    isGiven: given !== undefined,
    options: {
      runtime: terminal.runtime,
      ...(flags.path !== undefined && { path: flags.path }),
      ...(keys && { keys }),
      ...(token !== undefined && !keys && { token }),
      ...(cluster !== undefined && { cluster }),
      ...(flags.ca !== undefined && { caCerts: [await authorityIn(flags.ca, "--ca")] }),
    },
  };
}

/** The keys of a file or of the environment; `undefined` without any. */
export async function keysOf(
  { keysFile }: Pick<TargetFlags, "keysFile">,
  terminal: Terminal,
  { name = "--keys-file" }: { readonly name?: string } = {},
): Promise<ObserveOptions["keys"]> {
  if (keysFile !== undefined) return await reading(keysFile, name, () => keysFromFile(keysFile));
  return terminal.env("HEARSAY_KEYS") ? keysFromEnvironment() : undefined;
}

/** The key on the command line. A member would refuse a wrong one in words for its own code. */
export function keyIn([key = ""]: readonly (string | undefined)[]): string {
  const bytes = utf8Length(key);
  if (bytes > 0 && bytes <= MAX_KEY_BYTES) return key;
  throw new CommandFailure(EXIT.usage, `The key must have 1 to ${MAX_KEY_BYTES} bytes; got ${bytes}.`);
}

/** The text of a PEM file. `name` is that of the flag or of the setting with the file. */
export async function pemIn(file: string, name: string): Promise<string> {
  const text = await reading(file, name, () => {
    assertMayRead(file);
    return Deno.readTextFile(file);
  });
  if (text.includes("-----BEGIN ")) return text;
  throw wrongFile(file, name, "is no PEM file: it has no line `-----BEGIN …-----`");
}

/** The text of a PEM file with certificates of authorities. */
export async function authorityIn(file: string, name: string): Promise<string> {
  const caCerts = [await pemIn(file, name)];
  assertCertificates({ caCerts }, { file, name });
  return caCerts[0]!;
}

/** Throws if the certificates, or the key of a certificate, cannot be used. */
export function assertCertificates(
  given: Deno.CreateHttpClientOptions | (Deno.CreateHttpClientOptions & Deno.TlsCertifiedKeyPem),
  { file, name }: { readonly file: string; readonly name: string },
): void {
  try {
    Deno.createHttpClient(given).close();
  } catch (error) {
    throw wrongFile(file, name, `has no valid certificate: ${messageOf(error)}`);
  }
}

/** Reads or makes a file. A file that cannot be used is an error of usage. */
export async function reading<T>(
  file: string,
  name: string,
  read: () => Promise<T>,
  { absent = "does not exist" }: { readonly absent?: string } = {},
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    // The contents are wrong; the error says how.
    if (error instanceof HearsayError) throw error;
    const why = error instanceof Deno.errors.NotFound
      ? absent
      // Without the call and the path that Deno adds.
      : `cannot be used: ${messageOf(error).replace(/: \w+ '.*'$/s, "")}`;
    throw wrongFile(file, name, why);
  }
}

/** The key pair in a file. The file is made if it does not exist. */
export function signingKeyIn(file: string, name: string): Promise<SigningKeyPair> {
  return reading(file, name, () => signingKeyFromFile(file), { absent: "is in no folder that exists" });
}

function wrongFile(file: string, name: string, why: string): CommandFailure {
  return new CommandFailure(
    EXIT.usage,
    `${name} must name a file; ${JSON.stringify(printable(file, 200))} ${why.replace(/\.$/, "")}.`,
  );
}

/** The end of a stream that the member itself has ended: it leaves, and so sends no more. */
export function askedLeft({ welcome: { self } }: Observer): CommandFailure {
  return new CommandFailure(
    EXIT.unreachable,
    `The asked member, ${printable(self, 100)}, has left; ask another one with --at.`,
  );
}

/** Connects to the member. */
export async function connect(
  { address, options, isGiven }: Target,
  signal?: AbortSignal,
): Promise<Observer> {
  try {
    return await Observer.connect(address, { ...options, ...(signal && { signal }) });
  } catch (cause) {
    const error = inWordsOfCommand(cause, options);
    if (error !== cause) throw error;
    const isRefusal = error instanceof HearsayError &&
      (exitCodeOf(error) === EXIT.refused || REFUSED_FOR_NOW.test(error.message));
    // The doctor takes no token.
    if (isRefusal && options.token === undefined) {
      throw new CommandFailure(EXIT.refused, `${error.message} \`hearsay doctor\` looks for the fault.`);
    }
    if (isGiven || !(error instanceof Error) || (error as { code?: unknown }).code !== "connection") {
      throw error;
    }
    const text =
      `${error.message} Name another member with --at or HEARSAY_AT; \`hearsay doctor\` looks for the fault.`;
    throw new CommandFailure(EXIT.unreachable, text);
  }
}
