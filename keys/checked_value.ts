/**
 * The check of one value by a schema.
 *
 * @module
 */

import { errorText } from "../common/error_text.ts";
import { printable } from "../common/printable.ts";
import type { StandardIssue, StandardSchema } from "./standard_schema.ts";

/** The most issues that are kept of one value. */
export const MAX_ISSUES = 8;
/** The longest text of an issue, in UTF-16 units before escaping. */
const MAX_ISSUE = 200;

/** A value that fits, or the reasons why it does not. */
export type Checked<T> =
  | { readonly fits: true; readonly value: T }
  | {
    readonly fits: false;
    readonly isAsync: boolean;
    readonly issues: readonly string[];
    readonly cause?: unknown;
  };

/** Checks a value. Never throws. */
export function checkedBy<T>(schema: StandardSchema<unknown, T>, value: unknown): Checked<T> {
  try {
    const result = schema["~standard"].validate(value);
    if (isPromise(result)) {
      // A rejection would end the process as unhandled.
      result.then(undefined, () => {});
      return { fits: false, isAsync: true, issues: ["the schema is asynchronous, and must not be"] };
    }
    if (!result.issues) return { fits: true, value: result.value };
    const issues = [...result.issues].slice(0, MAX_ISSUES).map(textOf);
    return { fits: false, isAsync: false, issues };
  } catch (cause) {
    const issues = [printable(`the schema threw ${errorText(cause)}`, MAX_ISSUE)];
    return { fits: false, isAsync: false, issues, cause };
  }
}

function isPromise(result: unknown): result is PromiseLike<unknown> {
  return typeof Object(result).then === "function";
}

/** The path and the message. A peer may have chosen parts of both. */
function textOf({ message, path = [] }: StandardIssue): string {
  const names = path.map((segment) => String(typeof segment === "object" ? segment.key : segment)).join(".");
  const text = String(message);
  return printable(names === "" || text.startsWith(names) ? text : `${names}: ${text}`, MAX_ISSUE);
}
