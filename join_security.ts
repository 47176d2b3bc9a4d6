/**
 * Who may take part, as {@linkcode join} is told it: keys, certificates, and what is allowed without.
 *
 * @module
 */

import type { ConfigurationProblem } from "./gossiper/configuration.ts";
import { authorityOf } from "./gossiper/canonical_address.ts";
import { bracketed, isPlainAddress } from "./gossiper/host_names.ts";
import { isLoopback } from "./gossiper/loopback.ts";
import { describe, isEverywhere, listOf, optionsOf, PEM, unknownNames } from "./gossiper/options.ts";
import type { Runtime } from "./gossiper/runtime.ts";
import type { Signing } from "./gossiper/signing.ts";
import type { Authentication, ClusterKey } from "./transport/authentication.ts";
import { keyProblems } from "./transport/key_strength.ts";

/** Keys that the members of a cluster share. */
export interface AuthenticationOptions {
  /**
   * 1 to 8 keys of 32 random bytes or more, as base64 or bytes: the first signs, all verify. They come from
   * code, from a file or from the environment (`keysFromFile`, `keysFromEnvironment` of `@hearsay/gossip/auth`);
   * weak ones are refused. `gossiper.setKeys()` changes them later.
   */
  readonly keys: readonly ClusterKey[];
  /**
   * Further addresses by which others dial this member, such as `wss://gossip.example:443` of a proxy, or a name
   * that seeds are given by: a token for any other address than these, where it listens and where it is advertised
   * is refused.
   */
  readonly aliases?: readonly string[];
  /** How far the members' clocks may be apart, in milliseconds. 0 to 60,000; default 5,000. */
  readonly clockTolerance?: number;
  /**
   * Whether members sign what they set, and take of each other only what its owner has signed, whoever passes it
   * on. All members of a cluster sign, or none. False by default. Without an `id` of its own a member's id is then
   * its public key.
   */
  readonly sign?: boolean;
  /**
   * What to sign with; a new key pair for every life by default. A member that gives its own `id` gives this too
   * (`signingKeyFromFile` of `@hearsay/gossip/auth` keeps one): others know the id by its key.
   */
  readonly signingKey?: CryptoKeyPair;
}

/** Certificates. */
export interface TlsOptions {
  /** The certificate chain of this member, as the text of a PEM file, where it listens itself. */
  readonly cert?: string;
  /** The private key of the certificate, as the text of a PEM file. */
  readonly key?: string;
  /** Certificates of private authorities, each as the text of a PEM file, that are trusted when dialling beside those of the platform. */
  readonly caCerts?: readonly string[];
}

/** What {@linkcode join} is told of who may take part. */
export interface SecurityOptions {
  /** Authenticates every connection, in both directions, by keys that the members share. */
  readonly authentication?: AuthenticationOptions;
  /**
   * Members are reached by `wss:`. With `cert` and `key` this one serves it itself; without, TLS ends in your own
   * server, or in front of it.
   */
  readonly tls?: TlsOptions;
  /**
   * Lets everybody in who can reach this member, without keys: on a network that is nobody else's. It says so once
   * in the log. Without it, and without keys, only processes of this machine take part.
   */
  readonly insecure?: boolean;
  /** The origins, such as `https://app.example`, of pages that may take part by a browser; none by default. */
  readonly allowedOrigins?: readonly string[];
}

/** The names of the options. */
export const SECURITY_OPTIONS: readonly (keyof SecurityOptions)[] = [
  "authentication",
  "tls",
  "insecure",
  "allowedOrigins",
];

/** What the checks look at. */
interface Checked extends SecurityOptions {
  readonly id?: string;
  readonly listen?: { readonly hostname?: string };
  readonly advertise?: { readonly host: string } | string;
  readonly dialOnly?: boolean;
}

/** Everything that is wrong with them. */
export function securityProblems(options: Checked): ConfigurationProblem[] {
  return [
    ...authenticationProblems(options.authentication, options.id),
    ...tlsProblems(options),
    ...insecureProblems(options),
    ...originProblems(options.allowedOrigins),
  ];
}

/** Whether this member lets in whoever can reach it, from other machines too. */
export function isOpenToAll({ authentication, insecure, ...where }: Checked): boolean {
  return authentication === undefined && insecure === true && otherMachines(where) !== undefined;
}

/** What the log says of such a member. */
export function openToAll(address: string): string {
  return `Hearsay: ${address} lets in whoever can reach it, because \`insecure\` is set and no keys are. ` +
    "Anybody there may read and set what this cluster shares.";
}

/** The authentication that the options ask for. What it takes is loaded only here. */
export async function authenticationOf(
  options: AuthenticationOptions,
  who: {
    readonly cluster: string;
    readonly id: string;
    readonly runtime: Runtime;
    readonly signing: Signing | undefined;
  },
): Promise<Authentication> {
  const { clusterKeys } = await import("./transport/cluster_keys.ts");
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
 * The addresses by which a member that listens on all of its machine's is reached, where it may ask for them without
 * a prompt: seeds that are names are dialled by what the names lead to.
 */
export function ownHosts({ listen }: Pick<Checked, "listen">): string[] {
  if (!isEverywhere(listen?.hostname ?? "")) return [];
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
  return state === "granted" ? Deno.networkInterfaces().map(({ address }) => address) : [];
}

/** What this member signs with, where it does. */
export async function signingOf(options: AuthenticationOptions | undefined): Promise<Signing | undefined> {
  if (!options?.sign) return undefined;
  const { ed25519Signing, newSigningKey } = await import("./gossiper/ed25519.ts");
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
    return [{ field, problem: "is no object", given: describe(given), allowed: "`{ keys: [...] }`" }];
  }
  const { keys, aliases = [], clockTolerance = 0 } = given as { readonly [name: string]: unknown };
  const problems = [...unknownNames(field, given, AUTHENTICATION), ...keyProblems(keys)];
  if (!isListOf(aliases, (alias) => isPlainAddress(alias) && authorityOf(alias) !== undefined)) {
    const allowed =
      'a list of addresses such as "wss://gossip.example:443", without a user, a query and a fragment';
    problems.push({
      field: `${field}.aliases`,
      problem: "is no list of addresses",
      given: describe(aliases),
      allowed,
    });
  }
  const isTolerance = Number.isInteger(clockTolerance) && (clockTolerance as number) >= 0 &&
    (clockTolerance as number) <= 60_000;
  if (!isTolerance) {
    const allowed = "a whole number of milliseconds from 0 to 60000";
    const problem = "is out of range";
    problems.push({ field: `${field}.clockTolerance`, problem, given: describe(clockTolerance), allowed });
  }
  return [...problems, ...signingProblems(given, id)];
}

function signingProblems(
  { sign = false, signingKey }: { readonly sign?: unknown; readonly signingKey?: unknown },
  id: unknown,
): ConfigurationProblem[] {
  if (typeof sign !== "boolean") {
    const problem = "is no yes or no";
    return [{ field: "authentication.sign", problem, given: describe(sign), allowed: "true or false" }];
  }
  const field = "authentication.signingKey";
  if (signingKey === undefined) {
    if (!sign || id === undefined) return [];
    const problem = "is missing: others know an id by its key, and would refuse the next life of this one";
    const allowed = "a key pair that is kept (signingKeyFromFile), or no `id`: it is the public key then";
    return [{ field, problem, given: "nothing", allowed }];
  }
  const { publicKey, privateKey } = (signingKey ?? {}) as { publicKey?: unknown; privateKey?: unknown };
  const isPair = [publicKey, privateKey].every((key) =>
    key instanceof CryptoKey && key.algorithm.name === "Ed25519"
  );
  if (isPair && sign) return [];
  const problem = isPair ? "is given, and `sign` is not" : "is no key pair";
  return [{
    field,
    problem,
    given: describe(signingKey),
    allowed: "an Ed25519 CryptoKeyPair, with `sign: true`",
  }];
}

const CA_CERTS = listOf(PEM, "a list of the texts in PEM files");

function tlsProblems({ tls, listen }: Checked): readonly ConfigurationProblem[] {
  if (tls === undefined) return [];
  const { cert, key }: TlsOptions = Object(tls);
  // Who listens itself needs both, and so does who gives one.
  const isComplete = listen !== undefined || cert !== undefined || key !== undefined;
  const rules = { cert: PEM, key: PEM, caCerts: CA_CERTS };
  return optionsOf<TlsOptions>(rules, isComplete ? ["cert", "key"] : [])("tls", tls);
}

/** Whether a member is open to other machines though nothing says that this is meant; of some, no option takes keys. */
export function insecureProblems(
  options: Checked,
  { hasKeys = true }: { readonly hasKeys?: boolean } = {},
): ConfigurationProblem[] {
  const { insecure, authentication } = options;
  if (insecure !== undefined && typeof insecure !== "boolean") {
    return [{
      field: "insecure",
      problem: "is no yes or no",
      given: describe(insecure),
      allowed: "true or false",
    }];
  }
  const host = otherMachines(options);
  if (host === undefined || authentication !== undefined || insecure) return [];
  const problem = "is missing, and other machines are to reach this member";
  const open = "`insecure: true` to let everybody in who gets there";
  return hasKeys
    ? [{
      field: "authentication",
      problem,
      given: describe(host),
      allowed: `\`authentication: { keys: [...] }\`, or ${open}`,
    }]
    : [{ field: "insecure", problem, given: describe(host), allowed: open }];
}

/** The host by which other machines reach this member; none where it is of this machine alone. */
function otherMachines(
  { listen, advertise, dialOnly }: Pick<Checked, "listen" | "advertise" | "dialOnly">,
): string | undefined {
  // Whoever only dials is reached by nobody.
  const advertised = typeof advertise === "string" ? URL.parse(advertise)?.hostname : advertise?.host;
  const hosts: unknown[] = dialOnly ? [] : [listen?.hostname, advertised];
  // What is no host at all is told elsewhere.
  return hosts.find((host): host is string =>
    typeof host === "string" && URL.canParse(`ws://${bracketed(host)}`) && !isLoopback(host)
  );
}

function originProblems(origins: unknown): ConfigurationProblem[] {
  if (origins === undefined || isListOf(origins, (origin) => URL.parse(origin)?.origin === origin)) return [];
  const allowed = 'a list of origins such as "https://app.example"';
  const problem = "is no list of origins";
  return [{ field: "allowedOrigins", problem, given: describe(origins), allowed }];
}

function isListOf(given: unknown, isRight: (item: string) => boolean): boolean {
  return Array.isArray(given) && given.every((item: unknown) => typeof item === "string" && isRight(item));
}
