/**
 * The rules of prose that a program can check, for comments, documents and texts that a user reads. Part of
 * `deno task check`. Prints each place and the word, and exits with 1 if there is one.
 *
 * @module
 */

import { ts } from "../deps/typescript.ts";

/** A violation of a rule. */
export interface Fault {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** Text of one kind, and the line at which it begins. Texts of the code and cells of tables are sentences if they end as such. */
interface Piece {
  readonly line: number;
  readonly text: string;
  readonly kind: "comment" | "doc comment" | "label or sentence";
}

/** A process is "it", and each operation has one verb: see CONTRIBUTING.md. */
const REFUSED_WORDS = /\b(whoever|whomever|nobody|somebody|anybody|everybody|anew|tells?|told|telling)\b/gi;
/** One spelling, that of the identifiers. */
const BRITISH_SPELLING =
  /\b(\w*(?:dialled|dialling|dialler|behaviour|cancelled|cancelling|neighbour|colour|favour|honour|labelled(?!by)|signalled|modelled|travelled|recognis|organis|authoris|initialis|serialis|normalis|analyse|licence|defence|centre)\w*)/gi;
/** A sentence begins with its subject. */
const REFUSED_OPENINGS = /(?:^|[.!:]\s+)((?:What|Whether|Whom|Of)\b[^.?!]*[.?!]?)/g;
/** The mark of an item in a list of Markdown, before its first word. */
const LIST_MARK = /^\s*(?:[-*]|\d+\.)\s+/;
/** A relative pronoun begins one more clause for the reader to keep in mind. Each use of these words counts. */
const PRONOUNS = /\b(who|whom|whose|what|which|where|that)\b/gi;
/** The most relative pronouns in 1,000 words of doc comments. 25: well-written libraries have 11 to 24. */
const MAX_PRONOUNS = 25;
/** The most bytes of README.md: one screen after another is not read. */
const MAX_README_BYTES = 8_192;
/** The most lines of a file: a reader can hold no more of one subject. */
const MAX_LINES = 450;
/** The most exported names of `mod.ts`. */
const MAX_NAMES = 50;
/** Files with prose of others, or about the refused words themselves. */
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  ["tools/prose.ts", "names the words"],
  ["tests/repository/prose_test.ts", "names the words"],
]);

/** Files outside the product. */
const OUTSIDE_PRODUCT = /^(tests|tools|bench|examples|deps)\//;

/** The faults of a source file. */
export function faultsOfSource(source: string): Fault[] {
  return piecesOf(source).flatMap(faultsOfPiece);
}

/** The faults of a document in Markdown; code in it is left out. */
export function faultsOfDocument(source: string): Fault[] {
  const lines = source.replace(/^```.*?^```$/gms, (code) => code.replace(/[^\n]/g, "")).split("\n");
  return lines.flatMap((text, index) => {
    const line = index + 1;
    if (!text.startsWith("|")) {
      return faultsOfPiece({ line, text: text.replace(LIST_MARK, ""), kind: "comment" });
    }
    const cells = text.split(/(?<!\\)\|/).map((cell) => cell.trim());
    return cells.flatMap((cell) => faultsOfPiece({ line, text: cell, kind: "label or sentence" }));
  });
}

/** The relative pronouns and the words of all doc comments in a source file. */
export function pronounsOf(source: string): { readonly pronouns: number; readonly words: number } {
  return pronounsIn(piecesOf(source));
}

function pronounsIn(pieces: readonly Piece[]): { readonly pronouns: number; readonly words: number } {
  const plain = withoutCode(
    pieces.filter(({ kind }) => kind === "doc comment").map(({ text }) => text).join(" "),
  );
  return {
    pronouns: plain.match(PRONOUNS)?.length ?? 0,
    words: plain.match(/[\p{L}\p{N}'-]+/gu)?.length ?? 0,
  };
}

function faultsOfPiece({ line, text, kind }: Piece): Fault[] {
  const plain = withoutCode(text);
  const faults: Fault[] = [];
  const lineAt = (index: number) => line + plain.slice(0, index).split("\n").length - 1;
  for (const match of plain.matchAll(REFUSED_WORDS)) {
    faults.push({
      line: lineAt(match.index),
      message: `"${match[0]}": a process is "it", an operation has its verb`,
    });
  }
  for (const match of plain.matchAll(BRITISH_SPELLING)) {
    faults.push({ line: lineAt(match.index), message: `"${match[0]}": use the American spelling` });
  }
  for (const match of plain.matchAll(REFUSED_OPENINGS)) {
    const isAllowed = kind === "label or sentence" ? !/[.!]$/.test(match[1]!) : match[1]!.endsWith("?");
    if (isAllowed) continue;
    const opening = match[1]!.split(/\s+/).slice(0, 4).join(" ");
    faults.push({ line: lineAt(match.index), message: `"${opening} …": begin with the subject` });
  }
  if (kind !== "label or sentence" && /^\s*The same\b/.test(plain)) {
    faults.push({ line, message: '"The same …": name the subject' });
  }
  return faults;
}

/** Text without code and addresses, with as many lines. */
function withoutCode(text: string): string {
  return text.replace(/```[^]*?```|`[^`]*`|\{@\w+[^}]*\}|https?:\S+/g, (code) => code.replace(/[^\n]/g, " "));
}

function piecesOf(source: string): Piece[] {
  const file = ts.createSourceFile("x.ts", source, ts.ScriptTarget.ESNext, true);
  const lineOf = (position: number) => file.getLineAndCharacterOfPosition(position).line + 1;
  const pieces: Piece[] = [];
  const seen = new Set<number>();
  const takeComments = (ranges: readonly ts.CommentRange[] | undefined) => {
    for (const { pos, end } of ranges ?? []) {
      if (seen.has(pos)) continue;
      seen.add(pos);
      const raw = source.slice(pos, end);
      const text = raw.replace(/^\/\*\*?|\*\/$|^\/\/ ?/g, "").replace(/^\s*\* ?/gm, "").replace(
        /```[^]*?```/g,
        (code) => code.replace(/[^\n]/g, ""),
      );
      pieces.push({
        line: lineOf(pos),
        text: text.trimStart(),
        kind: raw.startsWith("/**") ? "doc comment" : "comment",
      });
    }
  };
  const visit = (node: ts.Node) => {
    takeComments(ts.getLeadingCommentRanges(source, node.getFullStart()));
    takeComments(ts.getTrailingCommentRanges(source, node.getEnd()));
    if (
      ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) || ts.isTemplateHead(node) ||
      ts.isTemplateMiddle(node) || ts.isTemplateTail(node)
    ) {
      if (/\s\S+\s/.test(node.text)) {
        pieces.push({ line: lineOf(node.getStart()), text: node.text, kind: "label or sentence" });
      }
    }
    for (const child of node.getChildren(file)) visit(child);
  };
  visit(file);
  return pieces;
}

if (import.meta.main) {
  const faults = await check(new URL("..", import.meta.url));
  for (const fault of faults) console.log(fault);
  if (faults.length > 0) {
    console.error(`${faults.length} places break the rules of prose; see "Style" in CONTRIBUTING.md.`);
    Deno.exitCode = 1;
  }
}

/** Every fault of the tracked files, as one line each. */
async function check(root: URL): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", { args: ["ls-files", "*.ts", "*.md"], cwd: root })
    .output();
  const paths = new TextDecoder().decode(stdout).trim().split("\n").filter((path) => !EXCEPTIONS.has(path));
  const faults: string[] = [];
  let [pronouns, words] = [0, 0];
  for (const path of paths) {
    const source = await Deno.readTextFile(new URL(path, root));
    const lines = source.split("\n").length - 1;
    if (path.endsWith(".ts") && lines > MAX_LINES) {
      faults.push(`${path}: ${lines} lines; at most ${MAX_LINES} may be.`);
    }
    const pieces = path.endsWith(".md") ? [] : piecesOf(source);
    const found = path.endsWith(".md") ? faultsOfDocument(source) : pieces.flatMap(faultsOfPiece);
    faults.push(...found.map(({ line, message }) => `${path}:${line} ${message}`));
    if (path.endsWith(".md") || OUTSIDE_PRODUCT.test(path)) continue;
    const counted = pronounsIn(pieces);
    pronouns += counted.pronouns;
    words += counted.words;
  }
  const rate = Math.round(1_000 * pronouns / words);
  if (rate > MAX_PRONOUNS) {
    faults.push(`doc comments: ${rate} relative pronouns in 1,000 words; at most ${MAX_PRONOUNS} may be.`);
  }
  const { size } = await Deno.stat(new URL("README.md", root));
  if (size > MAX_README_BYTES) faults.push(`README.md: ${size} bytes; at most ${MAX_README_BYTES} may be.`);
  const names = namesOf(await Deno.readTextFile(new URL("mod.ts", root)));
  if (names > MAX_NAMES) faults.push(`mod.ts: ${names} names; at most ${MAX_NAMES} may be.`);
  return faults;
}

/** The number of names in a list of exports. */
export function namesOf(source: string): number {
  const lists = source.matchAll(/^export (?:type )?\{([^}]*)\}/gm);
  return [...lists].flatMap(([, list = ""]) => list.split(",").filter((name) => name.trim() !== "")).length;
}
