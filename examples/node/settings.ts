/**
 * Settings of the member, from a YAML file and from flags. Flags win.
 *
 * @module
 */

import { parse } from "../../deps/std_yaml.ts";
import { loadConfig } from "../../options/yaml.ts";
import type { PartialConfig } from "../../mod.ts";
import { type Flags, giveUp, isAddress, shown } from "../flags.ts";
import { readAssignment } from "./assignment.ts";

/** The settings of the member. */
export interface Settings {
  readonly cluster: string;
  /** `undefined` for a new id at every start. */
  readonly id: string | undefined;
  readonly hostname: string;
  readonly port: number;
  readonly seeds: readonly string[];
  /** Keys to set at the start. */
  readonly state: ReadonlyMap<string, unknown>;
  /** Settings of the gossiper. */
  readonly config: PartialConfig;
}

/** Reads the file and the flags. An invalid flag ends the program. */
export async function readSettings(flags: Flags): Promise<Settings> {
  const file = flags.text("config");
  const { config = {}, ...inFile } = file === undefined ? {} : await readFile(file);
  const seeds = flags.seeds();
  return {
    cluster: flags.text("cluster") ?? inFile.cluster ?? "example",
    id: flags.text("id") ?? inFile.id,
    hostname: flags.text("hostname") ?? inFile.hostname ?? "127.0.0.1",
    port: flags.port() ?? inFile.port ?? 0,
    seeds: seeds.length > 0 ? seeds : inFile.seeds ?? [],
    state: new Map([...inFile.state ?? [], ...flags.texts("set").map(readPair)]),
    config,
  };
}

/** Checks of the fields beside the gossiper's settings. */
const OWN = {
  cluster: { allowed: "a text", isRight: isText },
  hostname: { allowed: "a text", isRight: isText },
  id: { allowed: "a text", isRight: isText },
  port: { allowed: "an integer from 0 to 65535", isRight: isPort },
  seeds: { allowed: "a list of addresses such as ws://127.0.0.1:7001", isRight: isListOfAddresses },
  state: { allowed: "values by name", isRight: isMapping },
} as const;

/**
 * @throws {ConfigurationError} if the file is no YAML mapping, or a setting of the gossiper is invalid.
 * @throws {RangeError} if another field is invalid.
 */
async function readFile(file: string): Promise<Partial<Settings>> {
  const config = await loadConfig(file, { ignore: Object.keys(OWN) });
  const fields = new Map(Object.entries(parse(await Deno.readTextFile(file)) as Record<string, unknown>));
  const wrong = Object.entries(OWN).filter(([name, { isRight }]) =>
    fields.has(name) && !isRight(fields.get(name))
  );
  if (wrong.length > 0) {
    const problems = wrong.map(([name, { allowed }]) =>
      `  ${name} must be ${allowed}; got ${described(fields.get(name))}`
    );
    throw new RangeError(`${file} has invalid fields:\n${problems.join("\n")}`);
  }
  const given = Object.fromEntries([...fields].filter(([name]) => Object.hasOwn(OWN, name))) as Partial<
    Settings
  >;
  return { ...given, state: new Map(Object.entries(fields.get("state") ?? {})), config };
}

function described(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 20 || text.includes("@") ? "something longer" : text;
}

function readPair(text: string): [string, unknown] {
  try {
    const { key, value } = readAssignment(text);
    if (value !== undefined) return [key, value];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    giveUp(`--set: ${error.message}`);
  }
  return giveUp(`--set must be key=json; got ${shown(text)}.`);
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535;
}

function isListOfAddresses(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === "string" && isAddress(each));
}

function isMapping(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
