/**
 * The settings of a member, from a YAML file and flags. Flags win. `hearsay agent` starts it; `hearsay doctor` checks it.
 *
 * @module
 */

import { parse } from "../deps/std_yaml.ts";
import { messageOf } from "../common/error_text.ts";
import { assertOwnKey, copied } from "../gossiper/validation.ts";
import { ConfigurationError, isPlainObject, type PartialConfig } from "../options/configuration.ts";
import { printable } from "../common/printable.ts";
import { describe } from "../options/rules.ts";
import { loadConfig } from "../options/yaml.ts";
import type { JoinOptions } from "../node/join_options.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { assertCertificates, authorityIn, keysOf, pemIn, reading, signingKeyIn } from "./target.ts";
import type { Terminal } from "./terminal.ts";

/** The flags of a member. */
export interface MemberFlags {
  readonly config?: string;
  readonly cluster?: string;
  readonly id?: string;
  readonly hostname?: string;
  readonly port?: string;
  readonly advertise?: string;
  readonly seed?: readonly string[];
  readonly keysFile?: string;
  readonly ca?: string;
}

/** The settings of a member. */
export interface MemberSettings {
  readonly cluster: string;
  readonly id?: string;
  readonly hostname: string;
  readonly port: number;
  readonly advertise?: string;
  readonly dialOnly: boolean;
  readonly insecure: boolean;
  readonly kinds: readonly string[];
  readonly seeds: readonly string[];
  /** Keys to set at the start. */
  readonly state: Readonly<Record<string, unknown>>;
  /** Files with keys, and settings for keys. */
  readonly keysFile?: string;
  readonly signingKeyFile?: string;
  readonly aliases: readonly string[];
  readonly clockTolerance?: number;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  readonly caFile?: string;
  /** The settings of the gossiper. */
  readonly config: PartialConfig;
  /** The flags in place of fields of the file, for errors. */
  readonly flagOf: { readonly [field: string]: string };
}

interface FieldRule {
  readonly allowed: string;
  readonly isRight: (value: unknown) => boolean;
}

const NAME: FieldRule = {
  allowed: "a text",
  isRight: (value) => typeof value === "string" && value !== "",
};
const SWITCH: FieldRule = { allowed: "true or false", isRight: (value) => typeof value === "boolean" };
const NAMES: FieldRule = { allowed: "a list of texts", isRight: (value) => isList(value, NAME.isRight) };
const ADDRESSES: FieldRule = {
  allowed: "a list of addresses such as ws://127.0.0.1:7001",
  isRight: (value) => isList(value, isAddress),
};
const whole = (most: number): FieldRule => ({
  allowed: `an integer from 0 to ${most}`,
  isRight: (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most,
});

/** The fields of the file other than the gossiper's settings. */
const FIELDS: { readonly [field in Exclude<keyof MemberSettings, "config" | "flagOf">]: FieldRule } = {
  advertise: NAME,
  aliases: ADDRESSES,
  caFile: NAME,
  clockTolerance: whole(60_000),
  cluster: NAME,
  dialOnly: SWITCH,
  hostname: NAME,
  id: NAME,
  insecure: SWITCH,
  keysFile: NAME,
  kinds: NAMES,
  port: whole(65_535),
  seeds: ADDRESSES,
  signingKeyFile: NAME,
  state: {
    allowed: "values by name",
    isRight: isPlainObject,
  },
  tlsCertFile: NAME,
  tlsKeyFile: NAME,
};

/** The settings of a file and of flags. */
export async function memberSettingsOf(flags: MemberFlags): Promise<MemberSettings> {
  const { config = {}, ...file } = flags.config === undefined ? {} : await readFile(flags.config);
  const port = flags.port === undefined ? file.port ?? 0 : portOf(flags.port);
  const seeds = flags.seed ?? file.seeds ?? [];
  const wrong = seeds.find((seed) => !isAddress(seed));
  if (wrong !== undefined) throw usage("--seed", "an address such as ws://127.0.0.1:7001", wrong);
  const cluster = flags.cluster ?? file.cluster;
  if (cluster === undefined) {
    const text = "The cluster's name must be given; add --cluster <name>, or `cluster:` in the file.";
    throw new CommandFailure(EXIT.usage, text);
  }
  return {
    ...file,
    cluster,
    ...(flags.id !== undefined && { id: flags.id }),
    hostname: flags.hostname ?? file.hostname ?? "127.0.0.1",
    port,
    ...(flags.advertise !== undefined && { advertise: flags.advertise }),
    dialOnly: file.dialOnly ?? false,
    insecure: file.insecure ?? false,
    kinds: file.kinds ?? [],
    seeds,
    state: file.state ?? {},
    aliases: file.aliases ?? [],
    ...(flags.keysFile !== undefined && { keysFile: flags.keysFile }),
    ...(flags.ca !== undefined && { caFile: flags.ca }),
    config,
    flagOf: {
      ...(flags.keysFile !== undefined && { keysFile: "--keys-file" }),
      ...(flags.ca !== undefined && { caFile: "--ca" }),
    },
  };
}

/** The name of a setting in errors: the flag, or the field of the file. */
export function nameIn({ flagOf }: MemberSettings, field: keyof typeof FIELDS): string {
  return Object.hasOwn(flagOf, field) ? flagOf[field]! : `\`${field}\``;
}

/** The options of `join` for a member. Reads its files. */
export async function joinOptionsOf(settings: MemberSettings, terminal: Terminal): Promise<JoinOptions> {
  const { cluster, id, hostname, port, advertise, dialOnly, insecure, kinds, seeds, config } = settings;
  const { tlsCertFile, tlsKeyFile, caFile, aliases, clockTolerance, signingKeyFile } = settings;
  const keys = await keysOf(settings, terminal, { name: nameIn(settings, "keysFile") });
  const signingKey = signingKeyFile === undefined
    ? undefined
    : await signingKeyIn(signingKeyFile, nameIn(settings, "signingKeyFile"));
  const cert = tlsCertFile && await pemIn(tlsCertFile, nameIn(settings, "tlsCertFile"));
  const key = tlsKeyFile && await pemIn(tlsKeyFile, nameIn(settings, "tlsKeyFile"));
  if (tlsCertFile && cert && key) {
    assertCertificates({ cert, key }, { file: tlsCertFile, name: nameIn(settings, "tlsCertFile") });
  }
  if ((cert ?? key ?? caFile) !== undefined && (!cert || !key) && (!dialOnly || cert || key)) {
    const why = dialOnly ? "belong together" : "must be given for a member that listens with TLS";
    throw new CommandFailure(
      EXIT.usage,
      `\`tlsCertFile\` and \`tlsKeyFile\` ${why}; got one or none of them.`,
    );
  }
  const ca = caFile && await authorityIn(caFile, nameIn(settings, "caFile"));
  return {
    cluster,
    ...(dialOnly ? { dialOnly } : { listen: { hostname, port } }),
    ...(advertise !== undefined && { advertise: advertiseOf(advertise) }),
    ...(id !== undefined && { id }),
    ...(insecure && { insecure }),
    kinds,
    seeds,
    config,
    ...(keys && {
      authentication: {
        keys,
        aliases,
        ...(clockTolerance !== undefined && { clockTolerance }),
        ...(signingKey && { sign: true, signingKey }),
      },
    }),
    ...((cert ?? key ?? ca) !== undefined && {
      tls: {
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
        ...(ca !== undefined && { caCerts: [ca] }),
      },
    }),
  };
}

/** The error of `join` for these options, in the words of the file and of the flags. */
export function inWordsOfFile({ problems }: ConfigurationError): ConfigurationError {
  const reworded = (text: string) =>
    text.replaceAll("`advertise: { host, port }`", "`advertise: host:port`")
      .replaceAll("`{ host, port }`", "`host:port`")
      .replaceAll("`authentication: { keys: [...] }`", "`keysFile` (--keys-file, HEARSAY_KEYS)");
  return new ConfigurationError(problems.map(({ field, problem, allowed, ...rest }) => ({
    ...rest,
    field: field === "authentication" ? "keysFile" : field.replace(/^(authentication|config|listen)\./, ""),
    problem: reworded(problem),
    allowed: reworded(allowed),
  })));
}

/** `host:port`, or a URL. */
function advertiseOf(text: string): NonNullable<JoinOptions["advertise"]> {
  const [, host, port] = /^(.+):(\d+)$/.exec(text) ?? [];
  return text.includes("://") || host === undefined
    ? text
    : { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

async function readFile(file: string): Promise<Partial<MemberSettings>> {
  const ignore = Object.keys(FIELDS);
  const config = await reading(file, "--config", () => loadConfig(file, { ignore }));
  const given = parse(await Deno.readTextFile(file)) as Readonly<Record<string, unknown>>;
  const own = Object.entries(given).filter(([field]) => Object.hasOwn(FIELDS, field));
  for (const [field, value] of own) {
    const { allowed, isRight } = FIELDS[field as keyof typeof FIELDS];
    if (!isRight(value)) throw usage(`\`${field}\` in ${printable(file, 200)}`, allowed, value);
  }
  for (const [key, value] of Object.entries(Object(given["state"]))) assertState(file, key, value);
  const settings = Object.entries(config).filter(([field]) => Object.hasOwn(given, field));
  return { ...Object.fromEntries(own), config: Object.fromEntries(settings) };
}

/** Refuses a key or a value before the member joins: a member that fails later has joined in vain. */
function assertState(file: string, key: string, value: unknown): void {
  try {
    assertOwnKey(key);
    copied(key, value);
  } catch (error) {
    // The hint of the library is for code.
    const text = messageOf(error).replace(/(?: \(`[^`]*` makes .*?\))?\. Nothing was changed\.$/, "") +
      (value instanceof Date ? "; put a date in quotes." : ".");
    throw new CommandFailure(EXIT.usage, `\`state\` in ${printable(file, 200)}: ${text}`);
  }
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw usage("--port", "an integer from 0 to 65535", text);
}

function usage(name: string, allowed: string, given: unknown): CommandFailure {
  return new CommandFailure(EXIT.usage, `${name} must be ${allowed}; got ${describe(given)}.`);
}

function isAddress(value: unknown): boolean {
  const url = typeof value === "string" ? URL.parse(value) : null;
  return url !== null && /^wss?:$/.test(url.protocol) && url.hostname !== "";
}

function isList(value: unknown, isRight: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isRight);
}
