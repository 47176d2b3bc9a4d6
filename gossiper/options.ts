/**
 * What is said of options that are not right: wherever options are taken, in the same words.
 *
 * @module
 */

import { levenshteinDistance } from "../deps/std_text.ts";
import { ConfigurationError, type ConfigurationProblem } from "./configuration_error.ts";

/** Throws one error that names all problems, where there are any. */
export function assertNone(problems: readonly ConfigurationProblem[]): void {
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** The names in an option that it does not have, or that it is no object at all. */
export function unknownNames(
  field: string,
  given: unknown,
  known: readonly string[],
): ConfigurationProblem[] {
  if (typeof given !== "object" || given === null) {
    return [{
      field,
      problem: "is no object",
      given: describe(given),
      allowed: `\`{ ${known.join(", ")} }\``,
    }];
  }
  return Object.keys(given).filter((name) => !known.includes(name)).map((name) => {
    const nearest = nearestOf(name, known);
    const problem = nearest === undefined ? "is no option" : `is no option; did you mean ${nearest}?`;
    // Not what it is: what was misspelt may be a secret.
    return { field: `${field}.${name}`, problem, given: "something", allowed: known.join(", ") };
  });
}

/** Throws unless a signal, where there is one, is one. */
export function assertSignal(given: unknown): void {
  assertNone(signalProblems("signal", given));
}

/** What is wrong with a signal. */
export function signalProblems(field: string, given: unknown): ConfigurationProblem[] {
  if (given === undefined || given instanceof AbortSignal) return [];
  const allowed = "an AbortSignal, such as `AbortSignal.timeout(10_000)`";
  return [{ field, problem: "is no signal", given: describe(given), allowed }];
}

/** The name that a misspelt one was probably meant to be; none for what resembles none. */
export function nearestOf(given: string, names: readonly string[]): string | undefined {
  // Nothing longer can be near, and measuring costs the product of the lengths.
  if (given.length > 40) return undefined;
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "");
  const distance = (name: string) =>
    Math.min(
      levenshteinDistance(plain(given), plain(name)),
      levenshteinDistance(plain(given), plain(name).replace(/^gossip/, "")),
    );
  let nearest: string | undefined;
  let least = Math.floor(plain(given).length / 3) + 1;
  for (const name of names) {
    const steps = distance(name);
    if (steps < least) [nearest, least] = [name, steps];
  }
  return nearest;
}

/** A value as a person would write it, short. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
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
