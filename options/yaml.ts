/**
 * A configuration from a YAML file: `@hearsay/gossip/yaml`.
 *
 * The file holds the settings of `GossiperConfig` at its top level; `.inf` is YAML's `Infinity`.
 *
 * ```yaml
 * gossipInterval: 200
 * gossipFanOut: 4
 * blockedProbeInterval: .inf
 * ```
 *
 * @module
 */

import { assertDeno } from "../common/needs_deno.ts";
import { assertMayRead } from "../common/permission.ts";
import { parse, YamlSyntaxError } from "../deps/std_yaml.ts";
import {
  ConfigurationError,
  type ConfigurationProblem,
  type ConfigurationSource,
  configureFrom,
  type GossiperConfig,
  isPlainObject,
  type PartialConfig,
  settingsFrom,
} from "./configuration.ts";
import { isUnknown, unknownFault } from "./configuration_rules.ts";
import { assertOptions, describe, listOf, type Rules, SIGNAL, TEXT } from "./rules.ts";

export { ConfigurationError } from "./configuration.ts";
export type { ConfigurationProblem, GossiperConfig, PartialConfig } from "./configuration.ts";

/** Options of {@linkcode parseConfig}. */
export interface ParseOptions {
  /** The file's name, for errors; `"YAML"` by default. */
  readonly name?: string;
  /** Top-level names that belong to the caller; they are not checked. */
  readonly ignore?: readonly string[];
}

/** Options of {@linkcode loadConfig}. */
export interface LoadOptions {
  /** Settings from code; they win over the settings of the file. */
  readonly override?: PartialConfig;
  /** Top-level names that belong to the caller; they are not checked. */
  readonly ignore?: readonly string[];
  /** Stops the read; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

const PARSE: Rules<ParseOptions> = { name: TEXT, ignore: listOf(TEXT, "a list of names") };
/** `override` is checked with the settings of the file. */
const LOAD: Rules<LoadOptions> = { override: () => [], ignore: PARSE.ignore, signal: SIGNAL };

/**
 * Returns the settings in a YAML text. Each is checked alone; `configure` completes them and checks them together.
 *
 * @example
 * ```ts
 * import { parseConfig } from "@hearsay/gossip/yaml";
 *
 * const settings = parseConfig("gossipInterval: 100\nseeds: [ws://127.0.0.1:7001]", { ignore: ["seeds"] });
 * console.assert(settings.gossipInterval === 100);
 * ```
 *
 * @throws {ConfigurationError} with every problem and its line, if the text is no YAML mapping, has a name twice, or
 * has an unknown or invalid setting. An empty text is a valid mapping.
 */
export function parseConfig(text: string, options: ParseOptions = {}): PartialConfig {
  assertOptions(options, PARSE);
  const { settings, problems } = settingsFrom([read(text, options)]);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return Object.freeze(settings);
}

/**
 * Returns the configuration of a YAML file, completed with the defaults. Needs the permission to read the file.
 *
 * @throws {ConfigurationError} with every problem of the file and of `override`, and its place.
 * @throws {Deno.errors.NotFound} if the file does not exist.
 * @throws {Deno.errors.NotCapable} if the permission is missing. There is no prompt for it.
 */
export async function loadConfig(file: string | URL, options: LoadOptions = {}): Promise<GossiperConfig> {
  assertOptions(options, LOAD);
  assertDeno("loadConfig", "read the file, and pass its text to `parseConfig`");
  const { override = {}, ignore = [], signal } = options;
  const name = typeof file === "string" ? file : decodeURIComponent(file.pathname);
  assertMayRead(name);
  const text = await Deno.readTextFile(file, signal === undefined ? {} : { signal });
  return configureFrom([read(text, { name, ignore }), { values: override, placeOf: () => "code" }]);
}

/** Reads the settings of a text, with the line of each. */
function read(text: string, { name = "YAML", ignore = [] }: ParseOptions): ConfigurationSource {
  const placeOf = (field: string) => `${name}, line ${lineOf(field, text)}`;
  let values: unknown;
  try {
    values = parse(text);
  } catch (error) {
    if (!(error instanceof YamlSyntaxError)) throw error;
    return { values: {}, problems: [unreadable(error, { text, name })] };
  }
  if (values === null) return { values: {}, problems: [{ ...EMPTY, source: `${name}, line 1` }] };
  if (!isPlainObject(values)) return { values, placeOf };
  const settings = Object.entries(values).filter(([field]) => !ignore.includes(field) || SECRETS.has(field));
  const problems: ConfigurationProblem[] = [];
  const own: [string, unknown][] = [];
  for (const [field, value] of settings) {
    const source = placeOf(field);
    if (SECRETS.has(field)) problems.push({ ...SECRET, field, source });
    // The caller's names are allowed too, so they are suggested and listed.
    else if (isUnknown(field)) {
      problems.push({ field, given: describe(value), ...unknownFault(field, value, ignore), source });
    } else own.push([field, value]);
  }
  return { values: Object.fromEntries(own), placeOf, problems };
}

/** Names of secrets. A configuration file is copied, mailed and committed, so it must not contain keys. */
const SECRETS: ReadonlySet<string> = new Set(["authentication", "key", "keys", "secret", "secrets"]);

const SECRET: Omit<ConfigurationProblem, "field" | "source"> = {
  problem: "must not be in YAML",
  given: "something secret",
  allowed: "keys from code, a file of their own or the environment: see @hearsay/gossip/auth",
};

const EMPTY: ConfigurationProblem = {
  field: "configuration",
  problem: "must not be empty",
  given: "nothing",
  allowed: "settings by name, or {} for none",
};

function unreadable(
  { line, message }: YamlSyntaxError,
  { text, name }: { readonly text: string; readonly name: string },
): ConfigurationProblem {
  const given = text.split("\n")[line - 1]?.trim() ?? "";
  // The parser's message continues with the position and an excerpt.
  const [rule = ""] = message.split(" at line ");
  return {
    field: "configuration",
    problem: `must be valid YAML (${rule})`,
    given: given === "" ? "the end of the text" : describe(given),
    allowed: "one YAML mapping of settings, each given once",
    source: `${name}, line ${line}`,
  };
}

/** The line of a top-level name; if it is not found, the first line with content. */
function lineOf(field: string, text: string): number {
  const lines = text.split("\n");
  const found = lines.findIndex((line) => /^(["']?)(.*?)\1\s*:/.exec(line)?.[2] === field);
  return 1 + (found >= 0 ? found : Math.max(0, lines.findIndex((line) => /^\s*[^\s#]/.test(line))));
}
