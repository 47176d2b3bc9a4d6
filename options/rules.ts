/**
 * What is said of options that are not right: wherever options are taken, in the same words.
 *
 * @module
 */

import { editDistance } from "../deps/levenshtein.ts";
import { ConfigurationError, type ConfigurationProblem } from "./configuration_error.ts";
import { bracketed, hasCredentials, isHost } from "../common/host_names.ts";
import { isFormedAsKey, lengthOf, mayBeKey, withoutKeys } from "../common/key_material.ts";
import { printable } from "../common/printable.ts";
import type { Runtime } from "../common/runtime.ts";

/** Throws one error that names all problems, where there are any. */
export function assertNone(problems: readonly ConfigurationProblem[]): void {
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** The names in an option, or in all of them, that are none; or that it is no object at all. */
export function unknownNames(
  field: string | undefined,
  given: unknown,
  known: readonly string[],
): ConfigurationProblem[] {
  if (typeof given !== "object" || given === null) {
    const allowed = `\`{ ${known.join(", ")} }\``;
    return [{ field: field ?? "options", problem: "is no object", given: describe(given), allowed }];
  }
  return Object.keys(given).filter((name) => !known.includes(name)).map((name) => {
    const nearest = nearestOf(name, known);
    const problem = nearest === undefined ? "is no option" : `is no option; did you mean ${nearest}?`;
    const shown = nearest === undefined ? nameOf(name) : name;
    const path = field === undefined ? shown : `${field}.${shown}`;
    // Not what it is: what was misspelt may be a secret.
    return { field: path, problem, given: "something", allowed: nearest ?? known.join(", ") };
  });
}

/** What is wrong with the value of an option. */
export type Rule = (field: string, given: unknown) => readonly ConfigurationProblem[];
/** One rule for each option. */
export type Rules<Options> = { readonly [name in keyof Required<Options>]: Rule };

/** A rule that a value keeps or breaks as a whole. */
export function rule(
  isRight: (given: unknown) => boolean,
  { problem, allowed, show = describe }: {
    readonly problem: string;
    readonly allowed: string;
    /** How what was given is shown. */
    readonly show?: (given: unknown) => string;
  },
): Rule {
  return (field, given) => isRight(given) ? [] : [{ field, problem, given: show(given), allowed }];
}

/** A list, each item of which keeps a rule. */
export function listOf(each: Rule, allowed: string): Rule {
  return (field, given) => {
    if (!Array.isArray(given)) return [{ field, problem: "is no list", given: describe(given), allowed }];
    return given.flatMap((item: unknown, index) => each(`${field}[${index}]`, item));
  };
}

/** An object with options of its own. */
export function optionsOf<Options extends object>(
  rules: Rules<Options>,
  required: readonly (keyof Options)[] = [],
): Rule {
  return (field, given) => [
    ...unknownNames(field, given, Object.keys(rules)),
    ...typeof given === "object" && given !== null ? brokenBy(given, { rules, required, within: field }) : [],
  ];
}

/** What is wrong with the options there are, and with the required ones whether they are there or not. */
export function brokenBy<Options extends object>(
  given: object,
  { rules, required = [], within }: {
    readonly rules: Partial<Rules<Options>>;
    readonly required?: readonly (keyof Options)[];
    /** What the options belong to, where that has a name. */
    readonly within?: string;
  },
): ConfigurationProblem[] {
  const values = given as { readonly [name: string]: unknown };
  return Object.entries<Rule>(rules as Rules<Options>).flatMap(([name, keeps]) => {
    if (values[name] === undefined && !required.some((each) => each === name)) return [];
    return keeps(within === undefined ? name : `${within}.${name}`, values[name]);
  });
}

/** True or false. */
export const FLAG: Rule = rule((given) => typeof given === "boolean", {
  problem: "is neither true nor false",
  allowed: "true or false",
});

/** A function. */
export const FUNCTION: Rule = rule((given) => typeof given === "function", {
  problem: "is no function",
  allowed: "a function",
});

/** A text that is not empty. */
export const TEXT: Rule = rule((given) => typeof given === "string" && given !== "", {
  problem: "is no text",
  allowed: "a text that is not empty",
});

/** A text that nobody else is to see. */
export const SECRET: Rule = rule((given) => typeof given === "string", {
  problem: "is no text",
  allowed: "a text",
  show: () => "something else",
});

/** A port that can be dialled. */
export const PORT: Rule = rule((given) => isPort(given), {
  problem: "is no port",
  allowed: "a whole number from 1 to 65535",
});

/** A port to listen on. */
export const LISTENING_PORT: Rule = rule((given) => isPort(given, 0), {
  problem: "is no port",
  allowed: "a whole number from 0 (any that is free) to 65535",
});

/** A name or an address of a machine. */
export const HOST: Rule = rule(isHost, {
  problem: "is no host",
  allowed: 'a name or an address, such as "10.0.0.5"',
});

/** A certificate or a key, which is not shown; its path in place of it is. */
export const PEM: Rule = rule((given) => typeof given === "string" && given.includes("-----BEGIN "), {
  problem: "is no PEM",
  allowed: "the text in a PEM file, as `await Deno.readTextFile(path)` reads it, and not its path",
  show: (given) => {
    if (given === undefined) return "nothing";
    return /^[^\s]{1,255}\.(pem|crt|cer|key)$/i.test(String(given)) ? describe(given) : "something else";
  },
});

/** What ends something early. */
export const SIGNAL: Rule = rule((given) => given instanceof AbortSignal, {
  problem: "is no signal",
  allowed: "an AbortSignal, such as `AbortSignal.timeout(10_000)`",
});

/** Time and chance. */
export const RUNTIME: Rule = rule((given) => {
  const names: readonly (keyof Runtime)[] = ["monotonicMs", "wallMs", "random", "setTimer"];
  return names.every((name) => typeof Object(given)[name] === "function");
}, { problem: "is no runtime", allowed: "an object with monotonicMs, wallMs, random and setTimer" });

/** Throws unless a signal, where there is one, is one. */
export function assertSignal(given: unknown): void {
  if (given !== undefined) assertNone(SIGNAL("signal", given));
}

/** Whether something is a port that is at least so much. */
export function isPort(given: unknown, least = 1): given is number {
  return Number.isInteger(given) && (given as number) >= least && (given as number) <= 65_535;
}

/** Whether a host stands for all addresses of the machine, none of which is meant. */
export function isEverywhere(host: string): boolean {
  return isHost(host) && ["0.0.0.0", "[::]"].includes(new URL(`ws://${bracketed(host)}`).hostname);
}

/** The name that a misspelt one was probably meant to be; none for what resembles none. */
export function nearestOf(given: string, names: readonly string[]): string | undefined {
  // Nothing longer can be near, and measuring costs the product of the lengths.
  if (given.length > 40) return undefined;
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "");
  const distance = (name: string) =>
    Math.min(
      editDistance(plain(given), plain(name)),
      editDistance(plain(given), plain(name).replace(/^gossip/, "")),
    );
  let nearest: string | undefined;
  let least = Math.floor(plain(given).length / 3) + 1;
  for (const name of names) {
    const steps = distance(name);
    if (steps < least) [nearest, least] = [name, steps];
  }
  return nearest;
}

/** The name of an option that is none, short: it may be a key. */
export function nameOf(given: string): string {
  return mayBeKey(given) ? lengthOf(given) : printable(withoutKeys(given), 60);
}

/** A rule that a name keeps which is no key: names are sent to peers, and shown. */
export function noKey(keeps: Rule): Rule {
  const isNoKey = rule((given) => typeof given !== "string" || !isFormedAsKey(given), {
    problem: "looks like a key, and is sent to others and shown",
    allowed: "a name; keys belong in `authentication: { keys: [...] }`",
  });
  return (field, given) => {
    const problems = keeps(field, given);
    return problems.length > 0 ? problems : isNoKey(field, given);
  };
}

/** A value as a person would write it, short, without anything in it that may be a key or a password. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string": {
      if (hasCredentials(value)) return "a text with an @, which may have a password before it";
      if (mayBeKey(value)) return lengthOf(value);
      // Behind the ? of a URL a token may stand.
      const text = withoutKeys(value.replace(/(:\/\/[^?]*\?).+$/s, "$1…"));
      return printable(JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text));
    }
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "an array" : "an object";
    default:
      return String(value);
  }
}
