import { assert, assertEquals } from "../../deps/std_assert.ts";
import houseRules, { PRODUCT } from "../../tools/house_rules.ts";
import { sourceFiles } from "../../tools/source_files.ts";

const ROOT = new URL("../../", import.meta.url);

/** The rules that a text breaks in this file. */
function brokenBy(file: string, text: string): string[] {
  return Deno.lint.runPlugin(houseRules, file, text).map(({ id }) => id);
}

function assertBreaks(rule: string, cases: Readonly<Record<string, readonly string[]>>) {
  for (const [file, texts] of Object.entries(cases)) {
    for (const text of texts) assertEquals(brokenBy(file, text), [rule], `${file}: ${text}`);
  }
}

function assertClean(cases: Readonly<Record<string, readonly string[]>>) {
  for (const [file, texts] of Object.entries(cases)) {
    for (const text of texts) assertEquals(brokenBy(file, text), [], `${file}: ${text}`);
  }
}

Deno.test("imports: go only downwards through the folders, and not between neighbors", () => {
  assertBreaks("house/imports", {
    "engine/x.ts": [
      'import { a } from "../gossiper/a.ts";',
      'import type { A } from "../deps/a.ts";',
      'import { a } from "../common/a.ts";',
      'export { a } from "../transport/a.ts";',
      'export * from "../mod.ts";',
      'export const a = await import("../discovery/a.ts");',
      'export type A = import("../gossiper/a.ts").A;',
      "export const a = await import(`./${name}.ts`);",
    ],
    "engine/deep/x.ts": ['import { a } from "../../gossiper/a.ts";'],
    "common/x.ts": ['import { a } from "../engine/a.ts";'],
    "options/x.ts": ['import { a } from "../protocol/a.ts";'],
    "protocol/x.ts": ['import { a } from "../contracts/a.ts";'],
    "contracts/x.ts": ['import { a } from "../security/a.ts";'],
    "gossiper/x.ts": ['import { a } from "../transport/a.ts";', 'import { a } from "../node/a.ts";'],
    "transport/x.ts": [
      'import { a } from "../discovery/a.ts";',
      'import { a } from "../gossiper/a.ts";',
      'import "../tests/a.ts";',
    ],
    "discovery/x.ts": ['import { a } from "../transport/a.ts";', 'import { a } from "../mod.ts";'],
    "node/x.ts": ['import { a } from "../mod.ts";', 'import { a } from "../examples/a.ts";'],
    "adapters/x.ts": ['import { a } from "../operations/a.ts";', 'import { a } from "npm:yjs@13.6.33";'],
    "operations/x.ts": ['import { a } from "../mod.ts";', 'import { a } from "../protoactor/a.ts";'],
    "consensus/x.ts": ['import { a } from "../keys/a.ts";', 'import { a } from "../node/a.ts";'],
    "keys/x.ts": ['import { a } from "../node/a.ts";', 'import { a } from "../transport/a.ts";'],
    "members/x.ts": ['import { a } from "../node/a.ts";', 'import { a } from "../transport/a.ts";'],
    "maps/x.ts": ['import { a } from "../node/a.ts";', 'import { a } from "../keys/a.ts";'],
    "roles/x.ts": ['import { a } from "../operations/a.ts";', 'import { a } from "../mod.ts";'],
    "mod.ts": [
      'export { a } from "./deps/a.ts";',
      'export { a } from "./operations/a.ts";',
      'export { a } from "./consensus/a.ts";',
      'export { a } from "./keys/a.ts";',
      'export { a } from "./maps/a.ts";',
      'export { a } from "./adapters/a.ts";',
      'export { a } from "./roles/a.ts";',
      'export { a } from "./members/a.ts";',
      'export { a } from "./protoactor/a.ts";',
    ],
    "deps/x.ts": ['export { a } from "../engine/a.ts";'],
  });
  assertClean({
    "engine/x.ts": ['import { a } from "./a.ts";', 'import { a } from "../engine/a.ts";'],
    "gossiper/x.ts": ['import { a } from "../engine/a.ts";', 'import { a } from "../deps/a.ts";'],
    "transport/x.ts": ['import { a } from "../contracts/a.ts";'],
    "discovery/x.ts": ['import { a } from "../engine/a.ts";'],
    "node/x.ts": ['import { a } from "../transport/a.ts";', 'import { b } from "../discovery/b.ts";'],
    "keys/x.ts": ['import { a } from "../consensus/a.ts";', 'import { a } from "../gossiper/a.ts";'],
    "maps/x.ts": ['import { a } from "../gossiper/a.ts";'],
    "protoactor/x.ts": ['import { a } from "../maps/a.ts";'],
    "adapters/x.ts": ['import { a } from "../node/a.ts";'],
    "operations/x.ts": ['import { a } from "../node/a.ts";', 'import { a } from "../transport/a.ts";'],
    "mod.ts": ['export { a } from "./node/join.ts";', 'export type { A } from "./engine/types.ts";'],
    "tests/engine/x_test.ts": ['import { a } from "../../engine/a.ts";', 'import { a } from "../../mod.ts";'],
  });
});

Deno.test("imports: the code that mod.ts can reach uses no bare specifier", () => {
  const text = 'import { assert } from "@std/assert";';
  for (
    const file of [
      "engine/x.ts",
      "gossiper/x.ts",
      "transport/x.ts",
      "discovery/x.ts",
      "deps/x.ts",
      "node/x.ts",
    ]
  ) {
    assertBreaks("house/imports", { [file]: [text] });
  }
  assertBreaks("house/imports", { "mod.ts": ['export { a } from "a";'] });
  assertClean({ "examples/x.ts": ['import { join } from "@hearsay/gossip";'] });
});

Deno.test("imports: third-party code comes in through deps/ only, with one exact version", () => {
  assertBreaks("house/imports", {
    "gossiper/x.ts": ['import { a } from "npm:a@1.0.0";', 'import { a } from "node:fs";'],
    "transport/x.ts": [
      'import { a } from "https://example.com/a.ts";',
      'import { a } from "jsr:@a/a@1.0.0";',
    ],
    "tests/engine/x_test.ts": ['import { a } from "npm:a@1.0.0";'],
    "deps/x.ts": [
      'export { a } from "npm:a";',
      'export { a } from "npm:a@1";',
      'export { a } from "npm:a@^1.0.0/b";',
    ],
  });
  assertClean({
    "deps/x.ts": ['export { a } from "npm:a@1.0.0/b.js";', 'export { a } from "npm:@a/b@1.2.3";'],
  });
});

Deno.test("house rules: only the runtime uses a clock, a timer or a random source (R3.1)", () => {
  const texts = [
    "export const a = Date.now();",
    "export const a = Date['now']();",
    "export const a = globalThis.Date.now();",
    "export const a = new Date();",
    "export const a = Date();",
    "const { now } = Date;",
    "const MyDate = Date;",
    "export const a = performance.now();",
    "export const a = Temporal.Now.instant();",
    "setTimeout(() => {}, 5);",
    "globalThis.setTimeout(() => {}, 5);",
    "const later = setTimeout;",
    "const options = { setTimeout };",
    "const options = { later: setTimeout };",
    "setInterval(() => {}, 5);",
    "setImmediate(() => {});",
    "export const a = Math.random();",
    "const { random } = Math;",
    "const key = 'ran' + 'dom'; Math[key]();",
    "export const a = crypto.randomUUID();",
    "crypto.getRandomValues(new Uint8Array(1));",
    "export const a = AbortSignal.timeout(5);",
  ];
  for (const file of ["engine/x.ts", "gossiper/x.ts", "transport/x.ts", "discovery/x.ts", "node/x.ts"]) {
    assertBreaks("house/runtime-only", { [file]: texts });
  }
  assertClean({ "common/runtime.ts": texts, "tests/engine/x_test.ts": texts, "examples/x.ts": texts });
});

Deno.test("house rules: code that only resembles a clock, a timer or a random source is allowed (R3.1)", () => {
  assertClean({
    "gossiper/x.ts": [
      "export const a = new Date(5).toISOString();",
      "export const a = (b: unknown) => b instanceof Date;",
      "export const a = (b: Date): Date => b;",
      "export const a = Math.max(1, 2);",
      "queueMicrotask(() => {});",
      "export const a = AbortSignal.any([]);",
      "export const a = runtime.setTimeout(5);",
      "export const a = { setTimeout: 5, performance() {} };",
      "export interface A { setTimeout(): void; now: number }",
      "export const a = crypto.subtle;",
      "export const a = options.performance.now();",
    ],
  });
});

Deno.test("house rules: the library prints only through its one log", () => {
  const texts = ["console.log(1);", "globalThis.console.error(1);", "const { log } = console;"];
  for (const file of ["engine/x.ts", "gossiper/x.ts", "transport/x.ts", "discovery/x.ts", "node/x.ts"]) {
    assertBreaks("house/no-console", { [file]: texts });
  }
  assertClean({
    "examples/x.ts": texts,
    "common/log.ts": texts,
    "gossiper/x.ts": ["options.console.log(1);"],
  });
});

Deno.test("mod.ts: has exports and no other code", () => {
  assertBreaks("house/mod-exports-only", {
    "mod.ts": [
      'import { a } from "./node/join.ts";',
      "export const a = 1;",
      "console;",
      'export * from "./node/join.ts";',
      "export default 1;",
    ],
  });
  assertClean({
    "mod.ts": ['export { a, type B } from "./node/join.ts";'],
    "node/join.ts": ["export const a = 1;"],
  });
});

interface Module {
  readonly specifier: string;
  readonly error?: string;
  readonly dependencies?: readonly Dependency[];
}

interface Dependency {
  readonly isDynamic?: boolean;
  readonly code?: { readonly specifier: string };
}

/** The graph of modules of a file. */
async function graphOf(file: string): Promise<readonly Module[]> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-config", new URL(file, ROOT).href],
    stdout: "piped",
    stderr: "null",
  }).output();
  assert(success);
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { readonly modules: readonly Module[] };
  for (const { specifier, error } of modules) assertEquals(error, undefined, specifier);
  return modules;
}

/** Every module reached by the file, by its path in the checkout or, from elsewhere, by its specifier. */
async function reachedFrom(file: string): Promise<string[]> {
  return (await graphOf(file)).map(({ specifier }) => specifier.replace(ROOT.href, "")).sort();
}

/** The modules reached by the file without dynamic imports. */
async function loadedWith(file: string): Promise<string[]> {
  const modules = new Map((await graphOf(file)).map((module) => [module.specifier, module]));
  const loaded = new Set<string>();
  const load = (specifier: string) => {
    if (loaded.has(specifier)) return;
    loaded.add(specifier);
    for (const { isDynamic, code } of modules.get(specifier)?.dependencies ?? []) {
      if (!isDynamic && code) load(code.specifier);
    }
  };
  load(new URL(file, ROOT).href);
  return [...loaded].map((specifier) => specifier.replace(ROOT.href, "")).sort();
}

Deno.test("mod.ts: reaches no optional module, and loads two small packages", async () => {
  const reached = await reachedFrom("mod.ts");
  const folders = new Set(reached.filter((path) => !path.includes(":")).map((path) => path.split("/")[0]));
  assertEquals([...folders].sort(), [
    "common",
    "contracts",
    "deps",
    "discovery",
    "engine",
    "gossiper",
    "mod.ts",
    "node",
    "observer",
    "options",
    "protocol",
    "security",
    "transport",
  ]);
  assertEquals(
    reached.filter((path) => /yaml|assert|etcd|kubernetes|discovery\/memory|protoactor/.test(path)),
    [],
  );
  const packages = (paths: readonly string[]) =>
    paths.filter((path) => /^[a-z]+:/.test(path)).map((path) => path.replace(/^npm:\//, "npm:"));
  const always = ["npm:canonicalize@5.1.0", "npm:fastest-levenshtein@1.0.16"];
  // A package for tokens is imported dynamically, only with keys.
  assertEquals(packages(reached), [...always, "npm:jose@6.2.3"]);
  const loaded = await loadedWith("mod.ts");
  assert(loaded.includes("node/join_security.ts"));
  assertEquals([packages(loaded), loaded.filter((path) => /jose|cluster_keys/.test(path))], [always, []]);
  // The code for observers is loaded with the first one.
  const forObservers = ["observer/door.ts", "observer/protocol.ts", "observer/troubles.ts"];
  assertEquals(loaded.filter((path) => path.startsWith("observer/")), forObservers);
});

Deno.test("product files: every product file is reached from mod.ts, or is a separate export", async () => {
  const { exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as {
    exports: Record<string, string>;
  };
  const reached = new Set((await Promise.all(Object.values(exports).map(reachedFrom))).flat());
  const files: string[] = [];
  for (const folder of PRODUCT) {
    for await (const path of sourceFiles(ROOT, folder)) files.push(path);
  }
  assert(files.length > 10);
  assertEquals(files.filter((path) => !reached.has(path)), []);
});

Deno.test("lint: refuses functions of the product with more than 50 lines, and no test", () => {
  const lines = (count: number) => `function f(): void {\n${"  f();\n".repeat(count - 2)}}\n`;
  const method = `class A {\n  ${lines(51).replace("function f", "f")}}\n`;
  const arrow = lines(51).replace("function f(): void", "export const f = (): void =>");
  assertBreaks("house/short-functions", { "engine/a.ts": [lines(51), method, arrow] });
  assertClean({ "engine/a.ts": [lines(50)], "tests/engine/a_test.ts": [lines(51)] });
});
