/**
 * The operators of the mutants: each turns one node of the syntax tree into a small fault.
 *
 * An operator returns no edit for a node where a fault cannot matter: an error text, a log line, a constant that only
 * documents.
 *
 * @module
 */

import { ts } from "../../deps/typescript.ts";

/** One replaced stretch of a file. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** The position by which a comment on the line finds the edit; `start` by default. */
  readonly at?: number;
}

type Operator = (node: ts.Node) => Edit | undefined;

/** All operators by name. The names are part of the mutants' names, so they stay. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ["delete-statement", deleteStatement],
  ["negate-condition", negateCondition],
  ["swap-logic", swapLogic],
  ["move-bound", moveBound],
  ["replace-value", replaceValue],
  ["drop-fallback", dropFallback],
  ["swap-arithmetic", swapArithmetic],
]);

const { SyntaxKind } = ts;

function replace(node: ts.Node, replacement: string): Edit {
  return { start: node.getStart(), end: node.end, replacement };
}

function deleteStatement(node: ts.Node): Edit | undefined {
  if (ts.isExpressionStatement(node)) {
    const { expression } = node;
    const isSuper = ts.isCallExpression(expression) && expression.expression.kind === SyntaxKind.SuperKeyword;
    // Without `super()` the class cannot be constructed at all: every test notices, and none learns anything.
    if (isSuper || ts.isStringLiteral(expression)) return undefined;
    return replace(node, ";");
  }
  if (ts.isReturnStatement(node)) {
    // A function whose end is reached returns undefined anyway.
    const isNothing = node.expression === undefined || node.expression.getText() === "undefined";
    return isNothing && isLastOfFunction(node) ? undefined : replace(node, ";");
  }
  if (ts.isThrowStatement(node) || ts.isContinueStatement(node)) return replace(node, ";");
  // A `break` of a loop; the last one of a `switch` breaks nothing.
  if (ts.isBreakStatement(node) && !ts.isCaseOrDefaultClause(node.parent)) return replace(node, ";");
  return undefined;
}

function isLastOfFunction({ parent, end }: ts.Statement): boolean {
  return ts.isBlock(parent) && ts.isFunctionLike(parent.parent) && parent.statements.at(-1)?.end === end;
}

function negateCondition(node: ts.Node): Edit | undefined {
  if (isCondition(node)) return replace(node, `!(${node.getText()})`);
  if (!ts.isBinaryExpression(node)) return undefined;
  const opposite = OPPOSITES.get(node.operatorToken.kind);
  return opposite === undefined ? undefined : replace(node.operatorToken, opposite);
}

/** Comparisons that are no condition by themselves: of predicates, and of parts of a condition. */
const OPPOSITES: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.EqualsEqualsEqualsToken, "!=="],
  [SyntaxKind.ExclamationEqualsEqualsToken, "==="],
]);

function isCondition(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isConditionalExpression(parent) || ts.isForStatement(parent)) return parent.condition === node;
  return (ts.isIfStatement(parent) || ts.isWhileStatement(parent) || ts.isDoStatement(parent)) &&
    parent.expression === node;
}

function swapLogic(node: ts.Node): Edit | undefined {
  if (!ts.isBinaryExpression(node)) return undefined;
  const { left, operatorToken, right } = node;
  const other = LOGIC.get(operatorToken.kind);
  if (other === undefined) return undefined;
  // The parentheses keep the structure of the syntax tree, whatever stands around the expression.
  const replacement = `((${left.getText()}) ${other} (${right.getText()}))`;
  return { ...replace(node, replacement), at: operatorToken.getStart() };
}

const LOGIC: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.AmpersandAmpersandToken, "||"],
  [SyntaxKind.BarBarToken, "&&"],
]);

function moveBound(node: ts.Node): Edit | undefined {
  if (!ts.isBinaryExpression(node)) return undefined;
  const other = BOUNDS.get(node.operatorToken.kind);
  return other === undefined ? undefined : replace(node.operatorToken, other);
}

const BOUNDS: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.LessThanToken, "<="],
  [SyntaxKind.LessThanEqualsToken, "<"],
  [SyntaxKind.GreaterThanToken, ">="],
  [SyntaxKind.GreaterThanEqualsToken, ">"],
]);

function replaceValue(node: ts.Node): Edit | undefined {
  if (node.kind === SyntaxKind.TrueKeyword) return replace(node, "false");
  if (node.kind === SyntaxKind.FalseKeyword) return replace(node, "true");
  if (isName(node)) return undefined;
  if (ts.isNumericLiteral(node)) return replace(node, String(otherNumber(Number(node.text))));
  if (ts.isBigIntLiteral(node)) {
    return replace(node, `${otherNumber(Number(node.getText().slice(0, -1).replaceAll("_", "")))}n`);
  }
  if (!ts.isStringLiteral(node) || isProse(node)) return undefined;
  return replace(node, JSON.stringify(`${node.text}~`));
}

/** Another number. One of 10 or more is doubled: many are tuning values, and 1,025 in place of 1,024 breaks nothing. */
function otherNumber(value: number): number {
  if (value === 1) return 0;
  return value < 10 ? value + 1 : value * 2;
}

/** A text for people: a sentence, or the name of a place or a unit in an error. */
function isProse({ text, parent }: ts.StringLiteral): boolean {
  if (ts.isPropertyAssignment(parent)) return /\s/.test(text) || TEXT_PROPERTIES.has(parent.name.getText());
  if (!ts.isCallExpression(parent) && !ts.isNewExpression(parent)) return /\s/.test(text);
  return /\s/.test(text) || /(^|\.)(Place|field)$/.test(parent.expression.getText());
}

const TEXT_PROPERTIES: ReadonlySet<string> = new Set(["allowed", "problem", "unit"]);

/** True for a literal that names a property or a module. */
function isName({ parent, pos }: ts.Node): boolean {
  if (ts.isCallExpression(parent)) return parent.expression.kind === SyntaxKind.ImportKeyword;
  return "name" in parent && (parent.name as ts.Node | undefined)?.pos === pos;
}

function dropFallback(node: ts.Node): Edit | undefined {
  if (!ts.isBinaryExpression(node)) return undefined;
  const { left, operatorToken } = node;
  if (operatorToken.kind !== SyntaxKind.QuestionQuestionToken) return undefined;
  return { start: left.end, end: node.end, replacement: "", at: operatorToken.getStart() };
}

function swapArithmetic(node: ts.Node): Edit | undefined {
  if (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) return swapStep(node);
  if (ts.isPropertyAccessExpression(node) && node.expression.getText() === "Math") {
    const other = EXTREMES.get(node.name.text);
    return other === undefined ? undefined : replace(node.name, other);
  }
  if (!ts.isBinaryExpression(node) || isConcatenation(node)) return undefined;
  const other = ARITHMETIC.get(node.operatorToken.kind);
  return other === undefined ? undefined : replace(node.operatorToken, other);
}

function swapStep(node: ts.PrefixUnaryExpression | ts.PostfixUnaryExpression): Edit | undefined {
  const other = STEPS.get(node.operator);
  if (other === undefined) return undefined;
  const operand = node.operand.getText();
  return replace(node, ts.isPrefixUnaryExpression(node) ? other + operand : operand + other);
}

const STEPS: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.PlusPlusToken, "--"],
  [SyntaxKind.MinusMinusToken, "++"],
]);

const EXTREMES: ReadonlyMap<string, string> = new Map([["min", "max"], ["max", "min"]]);

/** True if `+` joins texts: `-` between them would be an error at every call. */
function isConcatenation({ left, right }: ts.BinaryExpression): boolean {
  return [left, right].some((side) =>
    ts.isStringLiteralLike(side) || ts.isTemplateExpression(side) ||
    (ts.isBinaryExpression(side) && isConcatenation(side))
  );
}

const ARITHMETIC: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [SyntaxKind.PlusToken, "-"],
  [SyntaxKind.MinusToken, "+"],
  [SyntaxKind.AsteriskToken, "/"],
  [SyntaxKind.SlashToken, "*"],
  [SyntaxKind.PercentToken, "*"],
  [SyntaxKind.AmpersandToken, "|"],
  [SyntaxKind.BarToken, "&"],
  [SyntaxKind.LessThanLessThanToken, ">>"],
  [SyntaxKind.GreaterThanGreaterThanToken, "<<"],
  [SyntaxKind.GreaterThanGreaterThanGreaterThanToken, "<<"],
  [SyntaxKind.PlusEqualsToken, "-="],
  [SyntaxKind.MinusEqualsToken, "+="],
  [SyntaxKind.AsteriskEqualsToken, "/="],
  [SyntaxKind.SlashEqualsToken, "*="],
]);
