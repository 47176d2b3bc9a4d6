import { assert, assertEquals } from "../../deps/std_assert.ts";
import { layOutCases } from "../../tools/case_lines.ts";

const ROOT = new URL("../../", import.meta.url);

/** The files of data, with their texts. */
async function dataFiles(): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const folder of ["docs/vectors", "tests/protoactor"]) {
    for await (const { name } of Deno.readDir(new URL(folder, ROOT))) {
      const path = `${folder}/${name}`;
      if (name.endsWith(".json")) files.set(path, await Deno.readTextFile(new URL(path, ROOT)));
    }
  }
  return files;
}

/** True for a list, and for an object with a list. */
function hasCases(json: string): boolean {
  const content: unknown = JSON.parse(json);
  return Array.isArray(content) || Object.values(content as object).some(Array.isArray);
}

Deno.test("layOutCases: each file of cases has the layout that its writer gives", async () => {
  const files = [...await dataFiles()].filter(([, text]) => hasCases(text));
  assert(files.length > 10);
  for (const [path, text] of files) {
    assertEquals(text, layOutCases(text), `${path}: tools/case_lines.ts lays it out.`);
  }
});

Deno.test("layOutCases: a case is one line, whatever it contains", () => {
  const cases = [{ ids: [], of: {} }, { text: 'a "b" {c, [d]:' }, [{ deep: [[1, [null, true]]] }]];
  const lines = [
    "[",
    '{ "ids": [], "of": {} },',
    '{ "text": "a \\"b\\" {c, [d]:" },',
    '[{ "deep": [[1, [null, true]]] }]',
    "]",
    "",
  ];
  for (const space of [0, 2, "\t"]) {
    assertEquals(layOutCases(JSON.stringify(cases, null, space)).split("\n"), lines);
  }
});

Deno.test("layOutCases: each field of an object is one line, and so is each item of its lists", () => {
  const text = layOutCases('{"about":"x","keys":{"a":["b"]},"none":[],"cases":[{"a":1},[2]]}');
  assertEquals(text.split("\n"), [
    "{",
    '  "about": "x",',
    '  "keys": { "a": ["b"] },',
    '  "none": [],',
    '  "cases": [',
    '    { "a": 1 },',
    "    [2]",
    "  ]",
    "}",
    "",
  ]);
});

Deno.test("layOutCases: keeps every token in its order, and a second call changes nothing", () => {
  const text = layOutCases('[{"10":-0,"9":1E400,"__proto__":1.0}]');
  assertEquals(text, '[\n{ "10": -0, "9": 1E400, "__proto__": 1.0 }\n]\n');
  assertEquals(layOutCases(text), text);
});
