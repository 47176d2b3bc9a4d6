/**
 * Settings of an instance, from the environment.
 *
 * @module
 */

import { isFormedAsKey } from "../../common/key_material.ts";
import { HearsayError } from "../../mod.ts";
import { type ClusterKey, keysFromEnvironment } from "../../security/cluster_keys.ts";
import { giveUp, isAddress, shown } from "../flags.ts";

/** The settings of an instance. */
export interface Settings {
  /** `LISTEN_HOST`: the address to listen on; 127.0.0.1 by default, 0.0.0.0 for all. */
  readonly listenHost: string;
  /** `PORT`; 8443 by default. */
  readonly port: number;
  /** `ADVERTISE_HOST`: the name or address that other members dial; `LISTEN_HOST` by default. */
  readonly advertiseHost: string;
  /** `SEEDS`: addresses of some members, such as `wss://10.0.0.1:8443`, separated by spaces or commas. */
  readonly seeds: readonly string[];
  /** `HEARSAY_KEYS`: the cluster's keys, separated by spaces or commas; the first one signs. */
  readonly keys: readonly ClusterKey[];
  /** The PEM certificate in `TLS_CERT_FILE`; it must be valid for `ADVERTISE_HOST`. */
  readonly cert: string;
  /** Its PEM private key in `TLS_KEY_FILE`. */
  readonly key: string;
  /** The PEM authorities in `TLS_CA_FILE`, if certificates of members have a private authority. */
  readonly caCerts: readonly string[];
  /** `READY_WITHIN_MS`: the instance is ready after this time in any case; 10,000 by default. */
  readonly readyWithinMs: number;
  /** `HEARTBEAT_EXPIRATION_MS`: a member silent for longer is blocked; 20,000 by default. */
  readonly heartbeatExpiration: number;
  /** `DRAIN_MS`: how long it takes requests after SIGTERM; 1,000 by default, 1,500 at most. */
  readonly drainMs: number;
}

/**
 * Reads the settings.
 *
 * @throws {RangeError} if a variable, or the file that it names, is invalid.
 * @throws {ConfigurationError} if a key is weak or missing.
 */
export async function readSettings(): Promise<Settings> {
  const listenHost = Deno.env.get("LISTEN_HOST") || "127.0.0.1";
  return {
    listenHost,
    port: wholeNumber("PORT", { usual: 8443, most: 65_535 }),
    advertiseHost: Deno.env.get("ADVERTISE_HOST") || listenHost,
    seeds: seedsOf(Deno.env.get("SEEDS") ?? ""),
    keys: keysFromEnvironment(),
    cert: await readNamed("TLS_CERT_FILE"),
    key: await readNamed("TLS_KEY_FILE"),
    caCerts: Deno.env.get("TLS_CA_FILE") ? [await readNamed("TLS_CA_FILE")] : [],
    readyWithinMs: wholeNumber("READY_WITHIN_MS", { usual: 10_000, most: 3_600_000 }),
    heartbeatExpiration: wholeNumber("HEARTBEAT_EXPIRATION_MS", { usual: 20_000, most: 3_600_000 }),
    // At most 1,500 ms: `beforeLeaving` has half of the shutdown timeout.
    drainMs: wholeNumber("DRAIN_MS", { usual: 1_000, most: 1_500 }),
  };
}

/** Ends the program with a message if the user can correct the error; throws it otherwise. */
export function explainSettings(error: unknown): never {
  // `PORT` sets the port: the server listens, not the member.
  if (error instanceof HearsayError && error.code === "cannot_listen") {
    giveUp(`${error.message} Choose another with PORT.`);
  }
  const isMistake = error instanceof RangeError || error instanceof HearsayError ||
    error instanceof Deno.errors.InvalidData;
  if (isMistake) giveUp(error.message);
  throw error;
}

function wholeNumber(
  name: string,
  { usual, most }: { readonly usual: number; readonly most: number },
): number {
  const text = Deno.env.get(name);
  if (!text) return usual;
  if (/^\d+$/.test(text) && Number(text) <= most) return Number(text);
  throw new RangeError(
    `${name} must be an integer from 0 to ${most}; got ${shown(text)}.`,
  );
}

function seedsOf(text: string): readonly string[] {
  const seeds = text.split(/[\s,]+/).filter((seed) => seed !== "");
  const wrong = seeds.find((seed) => !isAddress(seed));
  if (wrong === undefined) return seeds;
  throw new RangeError(
    `SEEDS must be addresses such as wss://127.0.0.1:8443; got ${shown(wrong)}.`,
  );
}

async function readNamed(name: string): Promise<string> {
  const file = Deno.env.get(name);
  if (!file) throw new RangeError(`${name} must name a PEM file; it is not set.`);
  // It may hold the key itself.
  if (/\s|-----BEGIN/.test(file) || isFormedAsKey(file)) {
    throw new RangeError(`${name} must be the path of a PEM file, and not what is in it.`);
  }
  const text = await Deno.readTextFile(file).catch((error) => {
    throw new RangeError(`${name} names ${file}, which cannot be read: ${error.message}`);
  });
  if (!text.includes("-----BEGIN ")) throw new RangeError(`${name} names ${file}, which is no PEM file.`);
  return text;
}
