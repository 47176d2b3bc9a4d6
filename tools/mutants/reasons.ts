/**
 * The reasons, beside the code, for mutants without a failing test.
 *
 * `// mutant move-bound: <reason>` covers the mutants of that operator on its own line, or on the next line of code
 * where the comment has a line to itself. `// mutant move-bound 2: <reason>` covers the second of that line alone, and
 * `// mutant move-bound, swap-logic: <reason>` those of two operators.
 *
 * @module
 */

/** One such comment. */
export interface Reason {
  readonly operator: string;
  /** The number of the mutant on its line, from 1; `undefined` for all. */
  readonly ordinal?: number;
  /** The line of the code beside it, from 1. */
  readonly line: number;
  readonly text: string;
}

/** The reasons in a file. */
export function reasonsIn(text: string): Reason[] {
  const lines = text.split("\n");
  const reasons: Reason[] = [];
  for (const [index, line] of lines.entries()) {
    const [, code = "", operators, reason] = /^(.*?)\/\/ mutant ([a-z-]+[a-z0-9, -]*): (.+)$/.exec(line) ??
      [];
    if (operators === undefined || reason === undefined) continue;
    const isAlone = code.trim() === "";
    const beside = (isAlone ? nextCode(lines, index) : index) + 1;
    for (const each of operators.split(", ")) {
      const [operator = "", ordinal] = each.split(" ");
      const which = ordinal === undefined ? {} : { ordinal: Number(ordinal) };
      reasons.push({ operator, ...which, line: beside, text: reason });
    }
  }
  return reasons;
}

function nextCode(lines: readonly string[], from: number): number {
  return lines.findIndex((line, index) => index > from && !/^\s*(\/\/.*)?$/.test(line));
}
