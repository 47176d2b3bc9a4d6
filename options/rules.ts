/**
 * The rules of options, so that every call reports the same problem in the same words.
 *
 * @module
 */

import { editDistance } from "../deps/levenshtein.ts";
import { ConfigurationError, type ConfigurationProblem } from "./configuration_error.ts";
import { bracketed, hasCredentials, isHost } from "../common/host_names.ts";
import { isFormedAsKey, lengthOf, mayBeKey, withoutKeys } from "../common/key_material.ts";
import { printable } from "../common/printable.ts";
import type { Runtime } from "../common/runtime.ts";

/** Throws one error with all problems of a call's arguments, if there are any. */
export function assertNone(problems: readonly ConfigurationProblem[]): void {
  if (problems.length > 0) throw new ConfigurationError(problems, { isOfCall: true });
}

/** The problems of unknown names in an option, or in all options. A value that is no object is a problem too. */
export function unknownNames(
  field: string | undefined,
  given: unknown,
  { known, sections = {} }: {
    readonly known: readonly string[];
    /** The names within each option that is an object. A user may set such a name at the top level by mistake. */
    readonly sections?: Readonly<Record<string, readonly string[]>>;
  },
): ConfigurationProblem[] {
  if (given instanceof AbortSignal && known.includes("signal")) {
    const allowed = "`{ signal }`";
    return [{ field: field ?? "options", problem: `must be ${allowed}`, given: "an AbortSignal", allowed }];
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    const allowed = `\`{ ${known.join(", ")} }\``;
    return [{ field: field ?? "options", problem: "must be an object", given: describe(given), allowed }];
  }
  const places = new Map(
    Object.entries(sections).flatMap(([section, names]) => names.map((name) => [name, `${section}.${name}`])),
  );
  return Object.keys(given).filter((name) => !known.includes(name)).map((name) => {
    const nearest = places.get(name) ?? nearestOf(name, known) ??
      places.get(nearestOf(name, [...places.keys()]) ?? "");
    const problem = `is not an option${nearest === undefined ? "" : ` (did you mean ${nearest}?)`}`;
    const shown = nearest === undefined ? nameOf(name) : name;
    const path = field === undefined ? shown : `${field}.${shown}`;
    // The value is not shown: a misspelled name may be that of a secret.
    return { field: path, problem, given: "", allowed: nearest ?? known.join(", ") };
  });
}

/** Returns the problems of an option's value. */
export type Rule = (field: string, given: unknown) => readonly ConfigurationProblem[];
/** One rule for each option. */
export type Rules<Options> = { readonly [name in keyof Required<Options>]: Rule };

/**
 * Makes a rule with a single problem. The annotation lets a bundler leave out unused rules.
 *
 * @__NO_SIDE_EFFECTS__
 */
export function rule(
  isRight: (given: unknown) => boolean,
  { allowed, problem = `must be ${allowed}`, show = describe }: {
    readonly allowed: string;
    readonly problem?: string;
    /** Shows the given value. */
    readonly show?: (given: unknown) => string;
  },
): Rule {
  return (field, given) => isRight(given) ? [] : [{ field, problem, given: show(given), allowed }];
}

/** A rule for a list whose items follow a rule. */
export function listOf(each: Rule, allowed: string): Rule {
  return (field, given) => {
    if (!Array.isArray(given)) return [{ field, problem: "must be a list", given: describe(given), allowed }];
    return given.flatMap((item: unknown, index) => each(`${field}[${index}]`, item));
  };
}

/** A rule for an object with options of its own. */
export function optionsOf<Options extends object>(
  rules: Rules<Options>,
  required: readonly (keyof Options)[] = [],
): Rule {
  return (field, given) => [
    ...unknownNames(field, given, { known: Object.keys(rules) }),
    ...typeof given === "object" && given !== null ? brokenBy(given, { rules, required, within: field }) : [],
  ];
}

/** Returns the problems of the given options, and of missing required options. */
export function brokenBy<Options extends object>(
  given: object,
  { rules, required = [], within }: {
    readonly rules: Partial<Rules<Options>>;
    readonly required?: readonly (keyof Options)[];
    /** The name of the object that has the options, if it has one. */
    readonly within?: string;
  },
): ConfigurationProblem[] {
  const values = given as { readonly [name: string]: unknown };
  return Object.entries<Rule>(rules as Rules<Options>).flatMap(([name, rule]) => {
    if (values[name] === undefined && !required.some((each) => each === name)) return [];
    return rule(within === undefined ? name : `${within}.${name}`, values[name]);
  });
}

/** True or false. */
export const FLAG: Rule = rule((given) => typeof given === "boolean", {
  allowed: "true or false",
});

/** A function. */
export const FUNCTION: Rule = rule((given) => typeof given === "function", {
  allowed: "a function",
});

/** A text that is not empty. */
export const TEXT: Rule = rule((given) => typeof given === "string" && given !== "", {
  allowed: "a text that is not empty",
});

/** A text that must not be shown. */
export const SECRET: Rule = rule((given) => typeof given === "string", {
  allowed: "a text",
  show: () => "something else",
});

/** A whole number, of a unit if it has one. */
export function wholeNumber({ least, unit }: { readonly least: number; readonly unit?: string }): Rule {
  return rule((given) => Number.isSafeInteger(given) && (given as number) >= least, {
    allowed: `a whole number ${unit === undefined ? "" : `of ${unit} `}of at least ${least}`,
  });
}

/** An integer of a range; `unit` is the end of the sentence, after the range. */
export function integer(
  { least, most, unit }: { readonly least: number; readonly most: number; readonly unit?: string },
): Rule {
  const [from, to] = [least, most].map((bound) => bound.toLocaleString("en-US"));
  return rule(
    (given) => Number.isSafeInteger(given) && (given as number) >= least && (given as number) <= most,
    { allowed: `an integer from ${from} to ${to}${unit === undefined ? "" : ` ${unit}`}` },
  );
}

/** A port to dial. */
export const PORT: Rule = rule((given) => isPort(given), {
  allowed: "a whole number from 1 to 65535",
});

/** A port to listen on. */
export const LISTENING_PORT: Rule = rule((given) => isPort(given, 0), {
  allowed: "a whole number from 0 (any that is free) to 65535",
});

/** A host: a name or an address. */
export const HOST: Rule = rule(isHost, {
  allowed: 'a name or an address, such as "10.0.0.5"',
});

/** A host that others dial. */
export const DIALED_HOST: Rule = rule((given) => isHost(given) && !isEverywhere(given), {
  allowed: 'a name or an address that others can dial, such as "10.0.0.5"',
});

/** A certificate or a key. Its text is not shown. A path given by mistake is shown. */
export const PEM: Rule = rule((given) => typeof given === "string" && given.includes("-----BEGIN "), {
  allowed: "the text in a PEM file, as `await Deno.readTextFile(path)` reads it, and not its path",
  show: (given) => {
    if (given === undefined) return "nothing";
    return /^[^\s]{1,255}\.(pem|crt|cer|key)$/i.test(String(given)) ? describe(given) : "something else";
  },
});

/** A signal. */
export const SIGNAL: Rule = rule((given) => given instanceof AbortSignal, {
  allowed: "an AbortSignal, such as `AbortSignal.timeout(10_000)`",
});

/** A {@linkcode Runtime}. */
export const RUNTIME: Rule = rule((given) => {
  const names: readonly (keyof Runtime)[] = ["monotonicMs", "wallMs", "random", "setTimer"];
  return names.every((name) => typeof Object(given)[name] === "function");
}, { allowed: "an object with monotonicMs, wallMs, random and setTimer" });

/** Throws if the options of a call have an unknown name or an invalid value: a plain `deno run` checks no types. */
export function assertOptions<Options extends object>(given: unknown, rules: Rules<Options>): void {
  const problems = unknownNames(undefined, given, { known: Object.keys(rules) });
  assertNone([...problems, ...brokenBy<Options>(Object(given), { rules })]);
}

/** True for a port of at least `least`. */
export function isPort(given: unknown, least = 1): given is number {
  return Number.isInteger(given) && (given as number) >= least && (given as number) <= 65_535;
}

/** True for the address of all interfaces, which no peer can dial. */
export function isEverywhere(host: string): boolean {
  return isHost(host) && ["0.0.0.0", "[::]"].includes(new URL(`ws://${bracketed(host)}`).hostname);
}

/** True if a URL has a host and a port that can be dialed. */
export function isDialableUrl({ hostname, port }: URL): boolean {
  return hostname !== "" && port !== "0" && !isEverywhere(hostname);
}

/** The name most similar to a misspelled name; `undefined` if no name is similar. */
export function nearestOf(given: string, names: readonly string[]): string | undefined {
  // No option has a longer name, and the comparison costs time in proportion to the product of the lengths.
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
  return nearest ?? onlyWithPrefix(plain(given), names, plain);
}

/** The only name that begins with the given name: `hostname` for `host`. */
function onlyWithPrefix(
  prefix: string,
  names: readonly string[],
  plain: (name: string) => string,
): string | undefined {
  if (prefix.length < 3) return undefined;
  const longer = names.filter((name) => plain(name).startsWith(prefix));
  return longer.length === 1 ? longer[0] : undefined;
}

/** An unknown option's name, shortened and without a key. */
export function nameOf(given: string): string {
  return mayBeKey(given) ? lengthOf(given) : printable(withoutKeys(given), 60);
}

/** A rule that also refuses keys: names are sent to peers and shown. */
export function noKey(first: Rule): Rule {
  const isNoKey = rule((given) => typeof given !== "string" || !isFormedAsKey(given), {
    problem: "must not be a key, because it is sent to others and shown",
    allowed: "a name; keys belong in `authentication: { keys: [...] }`",
  });
  return both(first, isNoKey);
}

/** A rule of two: checks the second rule only if the first one holds. */
export function both(first: Rule, second: Rule): Rule {
  return (field, given) => {
    const problems = first(field, given);
    return problems.length > 0 ? problems : second(field, given);
  };
}

/** Shows the length of a list whose length may be the problem. */
export function describeList(given: unknown): string {
  return Array.isArray(given) ? `a list of ${given.length}` : describe(given);
}

/** A value as in code, shortened, without anything that may be a key or a password. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string": {
      if (hasCredentials(value)) return "a text with an @, which may have a password before it";
      if (mayBeKey(value)) return lengthOf(value);
      // The query of a URL may contain a token.
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
