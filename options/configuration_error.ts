/**
 * The error that a configuration with wrong values gets.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { withoutKeys } from "../common/key_material.ts";
import { printable } from "../common/printable.ts";

/** One thing that is wrong with a configuration. */
export interface ConfigurationProblem {
  /** The setting, or for a rule between settings the one to change. */
  readonly field: string;
  /** What is wrong with it, as the end of a sentence that begins with its name. */
  readonly problem: string;
  /** What was given, as text. */
  readonly given: string;
  /** What is allowed. */
  readonly allowed: string;
  /** Where the value came from (`code`, or the file's name), where there was more than one place. */
  readonly source?: string;
}

/** A configuration with wrong values; names every one of them. Nothing was made of it. */
export class ConfigurationError extends HearsayError {
  /** The class's own name, also after minification. */
  override readonly name: string = "ConfigurationError";
  /** Everything that is wrong, in the order of the settings given. */
  readonly problems: readonly ConfigurationProblem[];

  /** Makes the error that names these problems, one on a line. */
  constructor(given: readonly ConfigurationProblem[], options?: ErrorOptions) {
    const problems = given.map(fitForPrint);
    const lines = problems.map(({ field, problem, given, allowed, source }) =>
      `  ${field}${source === undefined ? "" : ` (${source})`} ${problem}: given ${given}, allowed ${allowed}`
    );
    const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
    super(
      "invalid_configuration",
      `The configuration has ${count}; nothing was made of it.\n${lines.join("\n")}`,
      options,
    );
    this.problems = Object.freeze(problems);
  }
}

/** A key may have been given as anything, a name too; and a file may hold any text. */
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
