/**
 * The error of an invalid configuration.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { withoutKeys } from "../common/key_material.ts";
import { printable } from "../common/printable.ts";

/** One problem of a configuration. */
export interface ConfigurationProblem {
  /** The setting. For a rule between settings, the setting to change. */
  readonly field: string;
  /** The broken rule, as the end of a sentence that begins with the setting's name: "must be a list". */
  readonly problem: string;
  /** The given value, as text; empty if the problem says it, or if the value must not be shown. */
  readonly given: string;
  /** The allowed values. */
  readonly allowed: string;
  /** The source of the value (`code`, or a file's name), if there are several. */
  readonly source?: string;
}

/** A configuration, or the arguments of a call, are invalid. The error names every problem; nothing was changed. */
export class ConfigurationError extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "ConfigurationError";
  /** All problems, in the order of the given settings. */
  readonly problems: readonly ConfigurationProblem[];

  /** Makes the error, with one line for each problem. `isOfCall` is true for the arguments of a call. */
  constructor(
    given: readonly ConfigurationProblem[],
    options: ErrorOptions & { readonly isOfCall?: boolean } = {},
  ) {
    const problems = given.map(fitForPrint);
    const lines = problems.map(lineOf);
    const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
    super(
      "invalid_configuration",
      `The ${options.isOfCall ? "call" : "configuration"} has ${count}; nothing was changed.\n${
        lines.join("\n")
      }`,
      options,
    );
    this.problems = Object.freeze(problems);
  }
}

/** "`gossipFanOut` (file.yaml, line 3) must be a whole number of peers from 1 to 1000; got 0." */
function lineOf({ field, problem, given, allowed, source }: ConfigurationProblem): string {
  const place = source === undefined ? "" : ` (${source})`;
  const got = given === "" ? "" : `; got ${given}`;
  const rest = problem.includes(allowed) ? "" : ` Allowed: ${allowed}.`;
  return `  \`${field}\`${place} ${problem}${got}.${rest}`;
}

/**
 * Replaces texts that may be keys, because a user may give a key in any place, even as a name. Also escapes the text of
 * a file.
 */
function fitForPrint(problem: ConfigurationProblem): ConfigurationProblem {
  const { field, problem: what, given, source } = problem;
  return Object.freeze({
    ...problem,
    field: printable(withoutKeys(field)),
    problem: printable(withoutKeys(what)),
    given: printable(withoutKeys(given)),
    ...(source !== undefined && { source: printable(source) }),
  });
}
