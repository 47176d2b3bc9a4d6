/**
 * The graph of imports of a tree: how far it is from a test to a module.
 *
 * @module
 */

import { ts } from "../../deps/typescript.ts";
import { sourceFiles } from "../source_files.ts";

/** The files that each file of a tree imports at run time, by their paths from the root. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** Reads all TypeScript files of the folders. */
export async function readImportGraph(root: string, folders: readonly string[]): Promise<ImportGraph> {
  const graph = new Map<string, readonly string[]>();
  for (const folder of folders) {
    for await (const file of sourceFiles(root, folder)) {
      graph.set(file, importsOf(file, await Deno.readTextFile(`${root}/${file}`)));
    }
  }
  return graph;
}

/** The relative imports of a file, without those of types alone. */
export function importsOf(file: string, text: string): string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const specifiers: string[] = [];
  const add = (node: ts.Node) => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) specifiers.push(specifier);
  };
  const visit = (node: ts.Node) => {
    add(node);
    ts.forEachChild(node, visit);
  };
  // Walking the whole tree of every file would take seconds; most have imports at the top level alone.
  if (/\bimport\(|new URL\(/.test(text)) visit(source);
  else source.statements.forEach((each) => add(each));
  const base = new URL(file, "file:///");
  return [...new Set(specifiers.filter((each) => each.startsWith(".")))].map((each) =>
    decodeURIComponent(new URL(each, base).pathname.slice(1))
  );
}

/** The specifier of an import, of an export from a module, or of the URL of a worker: `new URL("./worker.ts", import.meta.url)`. */
function specifierOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node)) {
    return node.importClause?.isTypeOnly ? undefined : textOf(node.moduleSpecifier);
  }
  if (ts.isExportDeclaration(node)) return node.isTypeOnly ? undefined : textOf(node.moduleSpecifier);
  const isImport = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
  const isUrl = ts.isNewExpression(node) && node.expression.getText() === "URL";
  if (!isImport && !isUrl) return undefined;
  const text = textOf(node.arguments?.[0]);
  return text?.endsWith(".ts") ? text : undefined;
}

function textOf(node: ts.Node | undefined): string | undefined {
  return node && ts.isStringLiteral(node) ? node.text : undefined;
}

/** How many imports lead from a file to each file that it reaches; 0 to itself. */
export function distancesFrom(file: string, graph: ImportGraph): Map<string, number> {
  const distances = new Map([[file, 0]]);
  for (const [reached, distance] of distances) {
    for (const next of graph.get(reached) ?? []) {
      if (!distances.has(next)) distances.set(next, distance + 1);
    }
  }
  return distances;
}
