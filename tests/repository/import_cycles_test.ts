/**
 * Modules that import values from each other: in such a circle a module may read a constant before it exists, and what
 * works depends on the module that a program imports first. Types are erased, and dynamic imports run later.
 *
 * @module
 */

import { assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { ts } from "../../deps/typescript.ts";
import { PRODUCT } from "../../tools/house_rules.ts";
import { sourceFiles } from "../../tools/source_files.ts";

const ROOT = new URL("../../", import.meta.url);

/** The files that each file imports values of, by their paths from the root. */
type ValueImports = ReadonlyMap<string, readonly string[]>;

/** The relative imports and exports of a file that load the other module before this one. */
function valueImportsOf(file: string, text: string): string[] {
  const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  return statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
    const { moduleSpecifier } = statement;
    if (!moduleSpecifier || !ts.isStringLiteral(moduleSpecifier) || !hasValue(statement)) return [];
    const { text: specifier } = moduleSpecifier;
    return specifier.startsWith(".") ? [new URL(specifier, `file:///${file}`).pathname.slice(1)] : [];
  });
}

function hasValue(statement: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  const clause = ts.isImportDeclaration(statement) ? statement.importClause : statement;
  if (clause === undefined) return true;
  if (clause.isTypeOnly) return false;
  const names = ts.isImportClause(clause) ? clause.namedBindings : clause.exportClause;
  if (ts.isImportClause(clause) && clause.name) return true;
  if (!names || !(ts.isNamedImports(names) || ts.isNamedExports(names))) return true;
  return names.elements.some(({ isTypeOnly }) => !isTypeOnly);
}

/** The circles, each from its first file by name back to that file. */
function circlesIn(imports: ValueImports): string[] {
  const circles = new Set<string>();
  const finished = new Set<string>();
  const follow = (file: string, path: readonly string[]) => {
    if (path.includes(file)) return void circles.add(circleFrom(path.slice(path.indexOf(file))));
    if (finished.has(file)) return;
    for (const next of imports.get(file) ?? []) follow(next, [...path, file]);
    finished.add(file);
  };
  for (const file of imports.keys()) follow(file, []);
  return [...circles].sort();
}

function circleFrom(files: readonly string[]): string {
  const start = files.indexOf([...files].sort()[0]!);
  return [...files.slice(start), ...files.slice(0, start + 1)].join(" -> ");
}

Deno.test("imports: no modules of the product import values from each other in a circle", async () => {
  const imports = new Map<string, readonly string[]>();
  for (const folder of PRODUCT) {
    for await (const file of sourceFiles(ROOT, folder)) {
      imports.set(file, valueImportsOf(file, await Deno.readTextFile(new URL(file, ROOT))));
    }
  }
  assertGreater([...imports.values()].flat().length, 1_000);
  assertEquals(circlesIn(imports), []);
});

Deno.test("imports: finds a circle of values, and none of types or dynamic imports", () => {
  const texts = {
    "a/one.ts": 'import { two } from "./two.ts";\n',
    "a/two.ts": 'export { three } from "../b/three.ts";\n',
    "b/three.ts": 'import { one, type One } from "../a/one.ts";\n',
    "b/types.ts": 'import type { A } from "./more.ts";\nimport { type B } from "./more.ts";\n',
    "b/more.ts": 'import { types } from "./types.ts";\nconst later = () => import("./later.ts");\n',
    "b/later.ts": 'import "./more.ts";\n',
  };
  const imports = new Map(Object.entries(texts).map(([file, text]) => [file, valueImportsOf(file, text)]));
  assertEquals(circlesIn(imports), ["a/one.ts -> a/two.ts -> b/three.ts -> a/one.ts"]);
});
