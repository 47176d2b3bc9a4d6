/**
 * The member that a command asks: its address, keys and certificates.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { assertMayRead } from "../common/permission.ts";
import { printable } from "../common/printable.ts";
import { type ObserveOptions, Observer } from "../observer/client.ts";
import { keysFromEnvironment, keysFromFile } from "../security/key_sources.ts";
import { CommandFailure, EXIT, exitCodeOf } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** The address without `--at` and `HEARSAY_AT`. */
export const DEFAULT_ADDRESS = "ws://127.0.0.1:7000";

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
  const token = flags.token ?? (terminal.env("HEARSAY_TOKEN") || undefined);
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
      ...(flags.ca !== undefined && { caCerts: [await textOf(flags.ca, "--ca")] }),
    },
  };
}

/** The keys of a file or of the environment; `undefined` without any. */
export async function keysOf(
  { keysFile }: Pick<TargetFlags, "keysFile">,
  terminal: Terminal,
): Promise<ObserveOptions["keys"]> {
  if (keysFile !== undefined) return await reading(keysFile, "--keys-file", () => keysFromFile(keysFile));
  return terminal.env("HEARSAY_KEYS") ? keysFromEnvironment() : undefined;
}

/** The text of a file that a flag names. */
export function textOf(file: string, flag: string): Promise<string> {
  return reading(file, flag, () => {
    assertMayRead(file);
    return Deno.readTextFile(file);
  });
}

/** Reads a file. Its absence is an error of usage. */
export async function reading<T>(file: string, flag: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const text = `${flag} must name a file; ${JSON.stringify(printable(file, 200))} does not exist.`;
    throw new CommandFailure(EXIT.usage, text);
  }
}

/** Connects to the member. */
export async function connect(
  { address, options, isGiven }: Target,
  signal?: AbortSignal,
): Promise<Observer> {
  try {
    return await Observer.connect(address, { ...options, ...(signal && { signal }) });
  } catch (error) {
    if (error instanceof HearsayError && exitCodeOf(error) === EXIT.refused) {
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
