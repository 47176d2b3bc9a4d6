import { assert, assertEquals } from "../../deps/std_assert.ts";
import { PRODUCT } from "../../tools/house_rules.ts";
import { sourceFiles } from "../../tools/source_files.ts";

const ROOT = new URL("../../", import.meta.url);
/** A rule: R… has parts, the others do not. */
const CITATION = /\b(?:R[1-9]\d?(?:\.\d+)?|[EPLSCM][1-9]\d?)\b/g;
/** Several rules in a row, as in "rules C1 to C4". */
const RANGE = /\b([EPLSCM])(\d+) to \1(\d+)\b/g;
const COMMENT = /\/\*[^]*?\*\/|(?<=^|\s)\/\/ [^\n]*/g;
/** The end of the name of a test: "… (E1, R2.1)". A name may stand in a table, apart from its test. */
const END_OF_NAME = /\(([EPRLSCM]\d[^()\n]*)\)(?=["'`])/g;
/** The page is one line of HTML and scripts, in which `//` begins no comment. */
const UNREAD = "operations/dashboard/page.ts";

interface Rule {
  readonly number: string;
  readonly code: string;
  readonly tests: string;
}

/** A file, and its text in which rules are cited. */
interface Citing {
  readonly path: string;
  readonly text: string;
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

/** The files of folders that match, and those of the root. */
async function filesOf(folders: readonly string[], pattern: RegExp): Promise<string[]> {
  const found = await Promise.all(
    folders.map((folder) => Array.fromAsync(sourceFiles(ROOT, folder, pattern))),
  );
  for await (const { name, isFile } of Deno.readDir(ROOT)) {
    if (isFile && pattern.test(name)) found.push([name]);
  }
  return found.flat();
}

/** The text of a source in which it may cite: its comments, and the ends of the names of tests. */
function citingText(source: string): string {
  return Array.from(source.matchAll(COMMENT), ([comment]) => comment).concat(
    Array.from(source.matchAll(END_OF_NAME), ([, end = ""]) => end),
  ).join("\n");
}

/** Code, tests and documents, each with the text in which it may cite. */
async function citingFiles(): Promise<readonly Citing[]> {
  const sources = await filesOf(
    [...PRODUCT, "tests", "tools", "bench", "examples"],
    /(?<!\.d)\.(?:ts|go|rs)$/,
  );
  const documents = await filesOf(["docs"], /\.md$/);
  return await Promise.all([
    ...sources.filter((path) => path !== UNREAD).map(async (path) => ({
      path,
      text: citingText(await textOf(path)),
    })),
    ...documents.map(async (path) => ({ path, text: await textOf(path) })),
  ]);
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
function leadingNowhere({ path, text }: Citing, numbers: ReadonlySet<string>): string[] {
  // R2 stands for all its parts.
  const isRule = (cited: string) => numbers.has(cited) || numbers.has(`${cited}.1`);
  return citedIn(text).filter((cited) => !isRule(cited)).map((cited) => `${path}: ${cited}`);
}

/** The rules that no file cites, apart from the page of the rules. */
function uncited(numbers: ReadonlySet<string>, files: readonly Citing[]): string[] {
  const cited = new Set(
    files.filter(({ path }) => path !== "docs/rules.md").flatMap(({ text }) => citedIn(text)),
  );
  return [...numbers].filter((number) => !cited.has(number));
}

/** The rules that their test file does not cite. */
function silent(all: readonly Rule[], files: readonly Citing[]): string[] {
  const cited = new Map(files.map(({ path, text }) => [path, citedIn(text)]));
  return all.filter(({ number, tests }) => !cited.get(tests)?.includes(number)).map(({ number, tests }) =>
    `${number}: ${tests}`
  );
}

Deno.test("rules: every citation in code, tests and documents leads to a row of docs/rules.md", async () => {
  const numbers = new Set((await rules()).map(({ number }) => number));
  const files = await citingFiles();
  const count = (folder: string) =>
    files.filter(({ path }) => path.startsWith(folder)).flatMap(({ text }) => citedIn(text)).length;
  const counts = ["engine/", "docs/", "tests/engine/", "tests/conformance/", "tests/protoactor/"].map(count);
  assert(counts.every((each) => each > 15), `${counts}`);
  assertEquals(files.flatMap((file) => leadingNowhere(file, numbers)), []);
});

Deno.test("rules: every rule is cited, and the tests of every rule cite its number", async () => {
  const all = await rules();
  const files = await citingFiles();
  assertEquals(uncited(new Set(all.map(({ number }) => number)), files), []);
  assertEquals(silent(all, files), []);
});

Deno.test("rules: finds a citation of a missing rule", () => {
  const numbers = new Set(["E1", "E2", "R2.1"]);
  const found = (text: string) => leadingNowhere({ path: "x", text }, numbers);
  assertEquals(found("Merges (rules E1, E9 and R2; R2.7)."), ["x: E9", "x: R2.7"]);
  assertEquals(found("See rules E1 to E3."), ["x: E3", "x: E3"]);
});

Deno.test("rules: finds a rule that no file cites, or not its own tests", () => {
  const files = [
    { path: "docs/rules.md", text: "E1 E2 E3" },
    { path: "engine/x.ts", text: citingText("f(); // See E2.\nconst E3 = 1;\n") },
    { path: "tests/x_test.ts", text: citingText('const NAME = "x: is so (E1)";\n/** No name. */\n') },
  ];
  assertEquals(uncited(new Set(["E1", "E2", "E3"]), files), ["E3"]);
  const all = ["E1", "E2"].map((number) => ({ number, code: "engine/x.ts", tests: "tests/x_test.ts" }));
  assertEquals(silent(all, files), ["E2: tests/x_test.ts"]);
});

Deno.test("rules: every row names existing files, and no number stands twice", async () => {
  const all = await rules();
  const numbers = all.map(({ number }) => number);
  assertEquals(numbers.filter((number, index) => numbers.indexOf(number) !== index), []);
  const missing: string[] = [];
  for (const { number, code, tests } of all) {
    for (const path of [code, tests]) {
      const text = await textOf(path).catch(() => undefined);
      if (text === undefined) missing.push(`${number}: ${path}`);
    }
  }
  assertEquals(missing, []);
});

Deno.test("rules: docs/ALGORITHM.md has the text of every L, S and C rule", async () => {
  const text = await textOf("docs/ALGORITHM.md");
  const numbers = (await rules()).map(({ number }) => number).filter((number) => /^[LSC]/.test(number));
  assertEquals(numbers.length, 13);
  assertEquals(numbers.filter((number) => !text.includes(`- **${number}`)), []);
});
