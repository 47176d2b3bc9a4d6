/**
 * Test names against the code: a reader finds the subject of `Store.put: …` or `versionBytes: …` by its name.
 *
 * @module
 */

import { assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { PRODUCT } from "../../tools/house_rules.ts";
import { sourceFiles } from "../../tools/source_files.ts";

const ROOT = new URL("../../", import.meta.url);

const TEST = /Deno\.test\(\s*(["`])(.*?)\1/g;
const COMMENT = /\/\*[^]*?\*\/|(^|\s)\/\/ [^\n]*/g;
const DECLARATION = /^(?:export )?(?:async )?(?:class|const|function|interface|let|type) (\w+)/gm;

/** The names in the code of a file, without its comments and test names. */
interface Source {
  readonly path: string;
  readonly subjects: readonly string[];
  readonly declared: ReadonlySet<string>;
  readonly names: ReadonlySet<string>;
}

function sourceOf(path: string, text: string): Source {
  const code = text.replace(COMMENT, "").replace(TEST, "");
  return {
    path,
    subjects: Array.from(text.matchAll(TEST), ([, , name = ""]) => name.split(":")[0]!),
    declared: new Set(Array.from(code.matchAll(DECLARATION), ([, name = ""]) => name)),
    names: new Set(code.match(/[A-Za-z]\w*/g)),
  };
}

/** True for `aName` and `Subject.member`, but not for ordinary words and names of files. */
function isName(subject: string): boolean {
  return /^[a-z]\w*[A-Z]\w*$|^\w+\.\w+$/.test(subject) && !/\.(md|ts)$/.test(subject);
}

/** True if the code has the name; a member must be in the file that declares its class. */
function exists(subject: string, sources: readonly Source[]): boolean {
  const [first = "", member] = subject.split(".");
  return sources.some(({ declared, names }) =>
    member === undefined ? names.has(first) : declared.has(first) && names.has(member)
  );
}

Deno.test("test names: a subject that has the form of a name in code is a name in code", async () => {
  const sources: Source[] = [];
  for (const folder of [...PRODUCT, "bench", "tests", "tools"]) {
    for await (const path of sourceFiles(ROOT, folder)) {
      sources.push(sourceOf(path, await Deno.readTextFile(new URL(path, ROOT))));
    }
  }
  const named = sources.flatMap(({ path, subjects }) =>
    subjects.filter(isName).map((subject) => ({ path, subject }))
  );
  assertGreater(named.length, 300);
  assertEquals(named.filter(({ subject }) => !exists(subject, sources)), []);
});

Deno.test("test names: finds a name that no code has, also a member that its class lacks", () => {
  const sources = [
    sourceOf("a.ts", "export class Store {\n  put() {} // settle\n}\n"),
    sourceOf(
      "a_test.ts",
      'Deno.test("Store.put: puts", () => storedBytes());\nDeno.test("heldBytes: x", f);\n',
    ),
  ];
  assertEquals(sources[1]!.subjects, ["Store.put", "heldBytes"]);
  const found = ["Store.put", "Store.settle", "Shop.put", "storedBytes", "heldBytes"].map((each) =>
    exists(each, sources)
  );
  assertEquals(found, [true, false, false, true, false]);
  assertEquals(["merge", "Store.put", "heldBytes", "mod.ts"].map(isName), [false, true, true, false]);
});
