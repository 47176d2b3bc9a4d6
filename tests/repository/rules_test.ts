import { assert, assertEquals } from "../../deps/std_assert.ts";
import { PRODUCT } from "../../tools/house_rules.ts";
import { sourceFiles } from "../../tools/source_files.ts";

const ROOT = new URL("../../", import.meta.url);
/** A rule: R… has parts, the others do not. */
const CITATION = /\b(?:R[1-9]\d?(?:\.\d+)?|[EPLSCM][1-9]\d?)\b/g;
/** Several rules in a row, as in "rules C1 to C4". */
const RANGE = /\b([EPLSCM])(\d+) to \1(\d+)\b/g;

interface Rule {
  readonly number: string;
  readonly code: string;
  readonly tests: string;
}

async function textOf(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

async function rules(): Promise<readonly Rule[]> {
  const rows = (await textOf("docs/rules.md")).split("\n").filter((line) => /^\| [A-Z]\d/.test(line));
  return rows.map((row) => {
    const [number = "", name = "", text = "", code = "", tests = ""] = row.split("|").slice(1)
      .map((cell) => cell.trim());
    assert(name !== "" && /^.+\.$/.test(text), row);
    return { number, code: code.replaceAll("`", ""), tests: tests.replaceAll("`", "") };
  });
}

async function productFiles(): Promise<string[]> {
  const files = (await Promise.all(PRODUCT.map((folder) => Array.fromAsync(sourceFiles(ROOT, folder)))))
    .flat();
  for await (const { name, isFile } of Deno.readDir(ROOT)) {
    if (isFile && name.endsWith(".ts")) files.push(name);
  }
  return files;
}

/** The comments of a source. */
function commentsOf(source: string): string {
  return source.split("\n").filter((line) => /^\s*(?:\/\*\*|\*|\/\/)/.test(line)).join("\n");
}

/** The rules cited in a text. */
function citedIn(text: string): string[] {
  const cited = [...text.matchAll(CITATION)].map(([citation]) => citation);
  for (const [, letter = "", first, last] of text.matchAll(RANGE)) {
    for (let number = Number(first); number <= Number(last); number++) cited.push(letter + number);
  }
  return cited;
}

/** The citations without a rule, by file. */
function leadingNowhere(path: string, text: string, numbers: ReadonlySet<string>): string[] {
  // R2 stands for all its parts.
  const isRule = (cited: string) => numbers.has(cited) || numbers.has(`${cited}.1`);
  return citedIn(text).filter((cited) => !isRule(cited)).map((cited) => `${path}: ${cited}`);
}

Deno.test("rules: every citation in code and test names leads to a row of docs/rules.md", async () => {
  const numbers = new Set((await rules()).map(({ number }) => number));
  const broken: string[] = [];
  let cited = 0;
  for (const path of await productFiles()) {
    const comments = commentsOf(await textOf(path));
    cited += citedIn(comments).length;
    broken.push(...leadingNowhere(path, comments, numbers));
  }
  for await (const path of sourceFiles(ROOT, "tests")) {
    if (!path.endsWith("_test.ts")) continue;
    const names = [...(await textOf(path)).matchAll(/Deno\.test\(\s*["'`](.+?)["'`],/g)].map(([, name]) =>
      name
    );
    const inNames = names.map((name) => /^(\S+) |\(([^)]*)\)$/.exec(name!)).flatMap((found) =>
      found?.slice(1) ?? []
    );
    broken.push(...leadingNowhere(path, inNames.join("\n"), numbers));
  }
  assert(cited > 100, `${cited}`);
  assertEquals(broken, []);
});

Deno.test("rules: finds a citation of a missing rule", () => {
  const numbers = new Set(["E1", "E2", "R2.1"]);
  assertEquals(leadingNowhere("x", "Merges (rules E1, E9 and R2; R2.7).", numbers), ["x: E9", "x: R2.7"]);
  assertEquals(leadingNowhere("x", "See rules E1 to E3.", numbers), ["x: E3", "x: E3"]);
});

Deno.test("rules: every row names existing files, and no number stands twice", async () => {
  const all = await rules();
  const numbers = all.map(({ number }) => number);
  assertEquals(numbers.filter((number, index) => numbers.indexOf(number) !== index), []);
  const missing: string[] = [];
  for (const { number, code, tests } of all) {
    for (const path of [code, ...tests === "none yet" ? [] : [tests]]) {
      const text = await textOf(path).catch(() => undefined);
      if (text === undefined) missing.push(`${number}: ${path}`);
    }
  }
  assertEquals(missing, []);
});

Deno.test("rules: the tests of every E, P and R rule cite its number", async () => {
  const silent: string[] = [];
  for (const { number, tests } of await rules()) {
    if (!/^[EPR]/.test(number)) continue;
    if (!new RegExp(`\\b${number.replace(".", "\\.")}\\b`).test(await textOf(tests))) silent.push(number);
  }
  assertEquals(silent, []);
});

Deno.test("rules: docs/ALGORITHM.md has the text of every L, S and C rule", async () => {
  const text = await textOf("docs/ALGORITHM.md");
  const numbers = (await rules()).map(({ number }) => number).filter((number) => /^[LSC]/.test(number));
  assertEquals(numbers.length, 13);
  assertEquals(numbers.filter((number) => !text.includes(`- **${number}`)), []);
});
