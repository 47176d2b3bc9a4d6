/**
 * The security options of {@linkcode join}: keys, certificates, and access without them.
 *
 * @module
 */

import type { ConfigurationProblem } from "../options/configuration.ts";
import { authorityOf } from "../common/canonical_address.ts";
import { bracketed, isPlainAddress } from "../common/host_names.ts";
import { isLoopback } from "../common/loopback.ts";
import {
  describe,
  isEverywhere,
  listOf,
  optionsOf,
  PEM,
  type Rules,
  unknownNames,
} from "../options/rules.ts";
import type { Runtime } from "../common/runtime.ts";
import type { Signing, SigningKeyPair } from "../contracts/signing.ts";
import type { Authentication, ClusterKey } from "../contracts/authentication.ts";
import { keyProblems } from "../security/key_strength.ts";

/** Keys that the members of a cluster share. */
export interface AuthenticationOptions {
  /**
   * 1 to 8 keys of 32 random bytes or more, as base64 or bytes. The first signs; all verify. Read them from a
   * file or the environment with `keysFromFile` or `keysFromEnvironment` of `@hearsay/gossip/auth`. Weak keys
   * are refused. `node.setKeys()` replaces them later.
   */
  readonly keys: readonly ClusterKey[];
  /**
   * More addresses that others use to dial this member, such as `wss://gossip.example:443` of a proxy, or a name among
   * the seeds. A token is refused unless it is for an alias, the listening address, or the advertised address.
   */
  readonly aliases?: readonly string[];
  /** The largest difference between the members' clocks, in milliseconds. 0 to 60,000; default 5,000. */
  readonly clockTolerance?: number;
  /**
   * True if members sign their state. Then this member merges only state with its owner's signature, from any peer.
   * Either all members of a cluster sign, or no member signs. False by default. Without an `id`, a member's id is then
   * its public key.
   */
  readonly sign?: boolean;
  /**
   * The key pair for `sign`; by default a new key pair at every start. A member with an `id` must set `signingKey`,
   * because other members bind the id to the key. `signingKeyFromFile` of `@hearsay/gossip/auth` keeps a key pair in a
   * file.
   */
  readonly signingKey?: SigningKeyPair;
}

/** Certificates for `wss:`. */
export interface TlsOptions {
  /** This member's certificate chain, as the text of a PEM file, if it listens itself. */
  readonly cert?: string;
  /** The private key of the certificate, as the text of a PEM file. */
  readonly key?: string;
  /**
   * Certificates of private authorities, each as the text of a PEM file. Dials trust them in addition to the platform's
   * own authorities.
   */
  readonly caCerts?: readonly string[];
}

/** The security options of {@linkcode join}. */
export interface SecurityOptions {
  /** Authenticates every connection, in both directions, with keys that the members share. */
  readonly authentication?: AuthenticationOptions;
  /**
   * Members are dialed by `wss:`. With `cert` and `key` this member serves TLS itself. Otherwise your own server or a
   * proxy must serve TLS.
   */
  readonly tls?: TlsOptions;
  /**
   * Accepts every client that can reach this member, without keys. Only for a trusted network; logs one
   * warning. Without it, and without keys, only processes on this machine can connect.
   */
  readonly insecure?: boolean;
  /** The origins of web pages that may connect, such as `https://app.example`; none by default. */
  readonly allowedOrigins?: readonly string[];
}

export const SECURITY_OPTIONS: readonly (keyof SecurityOptions)[] = [
  "authentication",
  "tls",
  "insecure",
  "allowedOrigins",
];

/** The options that the checks read. */
interface Checked extends SecurityOptions {
  readonly id?: string;
  readonly listen?: { readonly hostname?: string };
  readonly advertise?: { readonly host: string } | string;
  readonly dialOnly?: boolean;
}

/** Returns all faults in the security options. */
export function securityProblems(options: Checked): ConfigurationProblem[] {
  return [
    ...authenticationProblems(options.authentication, options.id),
    ...tlsProblems(options),
    ...insecureProblems(options),
    ...originProblems(options.allowedOrigins),
  ];
}

/** The warning about a member that accepts clients from other machines without keys; `undefined` for another member. */
export function openToAll(
  { authentication, insecure, ...where }: Checked,
  address: string,
): string | undefined {
  if (authentication !== undefined || insecure !== true || otherMachines(where) === undefined) {
    return undefined;
  }
  return `Hearsay: ${address} accepts every client that can reach it, because \`insecure\` is set and no keys are. ` +
    "Such a client can read and change this cluster's state.";
}

/** Creates the authentication. Its module is loaded only if there are keys. */
export async function authenticationOf(
  options: AuthenticationOptions,
  who: {
    readonly cluster: string;
    readonly id: string;
    readonly runtime: Runtime;
    readonly signing: Signing | undefined;
  },
): Promise<Authentication> {
  const { clusterKeys } = await import("../security/cluster_keys.ts");
  const { keys, clockTolerance } = options;
  const { signing, ...rest } = who;
  return clusterKeys({
    keys,
    ...rest,
    ...(clockTolerance !== undefined && { clockTolerance }),
    ...(signing && { signing }),
  });
}

/**
 * The addresses of this machine, for a member that listens on all interfaces: other members may dial any of these
 * addresses. Empty without the permission to read the addresses, so that Deno does not prompt.
 */
export function ownHosts(
  { listen }: Pick<Checked, "listen">,
  { ownAddresses }: { readonly ownAddresses: () => readonly string[] },
): readonly string[] {
  return isEverywhere(listen?.hostname ?? "") ? ownAddresses() : [];
}

/** Creates the signing, if it is enabled. */
export async function signingOf(options: AuthenticationOptions | undefined): Promise<Signing | undefined> {
  if (!options?.sign) return undefined;
  const { ed25519Signing, newSigningKey } = await import("../security/ed25519.ts");
  return await ed25519Signing(options.signingKey ?? await newSigningKey());
}

const AUTHENTICATION: readonly (keyof AuthenticationOptions)[] = [
  "keys",
  "aliases",
  "clockTolerance",
  "sign",
  "signingKey",
];

function authenticationProblems(given: unknown, id: unknown): ConfigurationProblem[] {
  if (given === undefined) return [];
  const field = "authentication";
  if (typeof given !== "object" || given === null) {
    return [{ field, problem: "must be an object", given: describe(given), allowed: "`{ keys: [...] }`" }];
  }
  const { keys, aliases = [], clockTolerance = 0 } = given as { readonly [name: string]: unknown };
  const problems = [...unknownNames(field, given, { known: AUTHENTICATION }), ...keyProblems(keys)];
  if (!isListOf(aliases, (alias) => isPlainAddress(alias) && authorityOf(alias) !== undefined)) {
    const allowed =
      'a list of addresses such as "wss://gossip.example:443", without credentials, query or fragment';
    problems.push({
      field: `${field}.aliases`,
      problem: "must be a list of addresses",
      given: describe(aliases),
      allowed,
    });
  }
  const isTolerance = Number.isInteger(clockTolerance) && (clockTolerance as number) >= 0 &&
    (clockTolerance as number) <= 60_000;
  if (!isTolerance) {
    const allowed = "a whole number of milliseconds from 0 to 60000";
    const problem = "must be a duration";
    problems.push({ field: `${field}.clockTolerance`, problem, given: describe(clockTolerance), allowed });
  }
  return [...problems, ...signingProblems(given, id)];
}

function signingProblems(
  { sign = false, signingKey }: { readonly sign?: unknown; readonly signingKey?: unknown },
  id: unknown,
): ConfigurationProblem[] {
  if (typeof sign !== "boolean") {
    const problem = "must be a boolean";
    return [{ field: "authentication.sign", problem, given: describe(sign), allowed: "true or false" }];
  }
  const field = "authentication.signingKey";
  if (signingKey === undefined) {
    if (!sign || id === undefined) return [];
    const problem =
      "must be given with `id`, because others bind an id to its key and refuse a restart with a new key";
    const allowed = "a stored key pair (`signingKeyFromFile`), or no `id`: then the id is the public key";
    return [{ field, problem, given: "nothing", allowed }];
  }
  const { publicKey, privateKey } = (signingKey ?? {}) as { publicKey?: unknown; privateKey?: unknown };
  const isPair = [publicKey, privateKey].every((key) =>
    key instanceof CryptoKey && key.algorithm.name === "Ed25519"
  );
  if (isPair && sign) return [];
  const problem = isPair ? "needs `sign: true`" : "must be a key pair";
  return [{
    field,
    problem,
    given: describe(signingKey),
    allowed: "an Ed25519 CryptoKeyPair, with `sign: true`",
  }];
}

const TLS: Rules<TlsOptions> = {
  cert: PEM,
  key: PEM,
  caCerts: listOf(PEM, "a list of texts from PEM files"),
};
/** The names in each of these options that is an object. */
export const SECURITY_SECTIONS: { readonly [section: string]: readonly string[] } = {
  authentication: AUTHENTICATION,
  tls: Object.keys(TLS),
};

function tlsProblems({ tls, listen }: Checked): readonly ConfigurationProblem[] {
  if (tls === undefined) return [];
  const { cert, key }: TlsOptions = Object(tls);
  // A certificate and its key belong together; a member that listens needs both.
  const isComplete = listen !== undefined || cert !== undefined || key !== undefined;
  return optionsOf(TLS, isComplete ? ["cert", "key"] : [])("tls", tls);
}

/**
 * Returns a fault if other machines can reach the member although it has neither keys nor `insecure`. `hasKeys` is
 * false for a member that cannot have keys.
 */
export function insecureProblems(
  options: Checked,
  { hasKeys = true }: { readonly hasKeys?: boolean } = {},
): ConfigurationProblem[] {
  const { insecure, authentication } = options;
  if (insecure !== undefined && typeof insecure !== "boolean") {
    return [{
      field: "insecure",
      problem: "must be a boolean",
      given: describe(insecure),
      allowed: "true or false",
    }];
  }
  const host = otherMachines(options);
  if (host === undefined || authentication !== undefined || insecure) return [];
  const problem = "must be given for a member that other machines can reach";
  const open = "`insecure: true` to accept every client";
  return hasKeys
    ? [{
      field: "authentication",
      problem,
      given: describe(host),
      allowed: `\`authentication: { keys: [...] }\`, or ${open}`,
    }]
    : [{ field: "insecure", problem, given: describe(host), allowed: open }];
}

/** The host that other machines dial; `undefined` if only this machine can connect. */
function otherMachines(
  { listen, advertise, dialOnly }: Pick<Checked, "listen" | "advertise" | "dialOnly">,
): string | undefined {
  // No member can dial a `dialOnly` member.
  const advertised = typeof advertise === "string" ? URL.parse(advertise)?.hostname : advertise?.host;
  const hosts: unknown[] = dialOnly ? [] : [listen?.hostname, advertised];
  // An invalid host has its own fault.
  return hosts.find((host): host is string =>
    typeof host === "string" && URL.canParse(`ws://${bracketed(host)}`) && !isLoopback(host)
  );
}

function originProblems(origins: unknown): ConfigurationProblem[] {
  if (origins === undefined || isListOf(origins, (origin) => URL.parse(origin)?.origin === origin)) return [];
  const allowed = 'a list of origins such as "https://app.example"';
  const problem = "must be a list of origins";
  return [{ field: "allowedOrigins", problem, given: describe(origins), allowed }];
}

function isListOf(given: unknown, isRight: (item: string) => boolean): boolean {
  return Array.isArray(given) && given.every((item: unknown) => typeof item === "string" && isRight(item));
}
