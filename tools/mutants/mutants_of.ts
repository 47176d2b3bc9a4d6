/**
 * All mutants of a file, with names that are independent of other lines.
 *
 * @module
 */

import { ts } from "../../deps/typescript.ts";
import { type Edit, OPERATORS } from "./operators.ts";
import { type Reason, reasonsIn } from "./reasons.ts";

/** One small fault in one file. */
export interface Mutant extends Edit {
  /** The file, the enclosing class and function, the operator, and its place among these of that function. */
  readonly name: string;
  /** The file's path from the root of the repository. */
  readonly file: string;
  readonly operator: string;
  /** The line, from 1, for a comment with a reason. */
  readonly line: number;
  /** Why no test can or should notice it, from a comment beside the code. */
  readonly reason?: string;
}

/** The mutants of a file, in the order of their places. */
export function mutantsOf(file: string, text: string): Mutant[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const mutants: Omit<Mutant, "reason">[] = [];
  const counts = new Map<string, number>();
  const visit = (node: ts.Node, outer: string) => {
    if (isSilent(node)) return;
    const place = placeOf(node, outer);
    for (const [operator, apply] of OPERATORS) {
      const edit = apply(node);
      if (edit === undefined) continue;
      const prefix = `${file} ${place || "module"} ${operator}`;
      const ordinal = (counts.get(prefix) ?? 0) + 1;
      counts.set(prefix, ordinal);
      const line = source.getLineAndCharacterOfPosition(edit.at ?? edit.start).line + 1;
      mutants.push({ name: `${prefix} ${ordinal}`, file, operator, line, ...edit });
    }
    // The text of an error is for people; that it is thrown matters.
    if (!ts.isThrowStatement(node)) ts.forEachChild(node, (child) => visit(child, place));
  };
  ts.forEachChild(source, (child) => visit(child, ""));
  return withReasons(mutants, reasonsIn(text));
}

/** The file's text with the fault in it. */
export function textWith(text: string, { start, end, replacement }: Edit): string {
  return text.slice(0, start) + replacement + text.slice(end);
}

function withReasons(mutants: readonly Omit<Mutant, "reason">[], reasons: readonly Reason[]): Mutant[] {
  return mutants.map((mutant) => {
    const sameLine = mutants.filter(({ line, operator }) =>
      line === mutant.line && operator === mutant.operator
    );
    const reason = reasons.find(({ operator, line, ordinal }) =>
      operator === mutant.operator && line === mutant.line &&
      (ordinal === undefined || sameLine[ordinal - 1] === mutant)
    );
    return reason === undefined ? mutant : { ...mutant, reason: reason.text };
  });
}

/** True for a node that does not run, or only prints. */
function isSilent(node: ts.Node): boolean {
  return (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) ||
    ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) ||
    ts.isImportDeclaration(node) || ts.isExportDeclaration(node) ||
    (ts.isExpressionStatement(node) && /^console\./.test(node.getText()));
}

/** The place within which the children of a node are counted: `Class.method`, `function`, `function.inner`. */
function placeOf(node: ts.Node, outer: string): string {
  const name = placeName(node, outer);
  if (name === undefined) return outer;
  return outer === "" ? name : `${outer}.${name}`;
}

function placeName(node: ts.Node, outer: string): string | undefined {
  if (ts.isConstructorDeclaration(node)) return "constructor";
  if (ts.isVariableDeclaration(node)) {
    // A local value is no place of its own: its name may change any day.
    const isPlace = outer === "" || isFunction(node.initializer);
    return isPlace && ts.isIdentifier(node.name) ? node.name.text : undefined;
  }
  if (ts.isPropertyAssignment(node)) return isFunction(node.initializer) ? nameOf(node.name) : undefined;
  if (
    ts.isClassDeclaration(node) || ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node) ||
    ts.isAccessor(node) || ts.isPropertyDeclaration(node)
  ) return node.name && nameOf(node.name);
  return undefined;
}

function isFunction(node: ts.Node | undefined): boolean {
  return node !== undefined && (ts.isArrowFunction(node) || ts.isFunctionExpression(node));
}

/** The name as one word, so that a mutant's name can be split into its parts. */
function nameOf(name: ts.DeclarationName): string {
  return name.getText().replaceAll(/["'\[\]\s]/g, "");
}
