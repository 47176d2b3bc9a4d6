import { assertEquals, assertStringIncludes } from "../../deps/std_assert.ts";
import { type Mutant, runMutants } from "../../tools/mutant_run.ts";
import { readLists } from "../../tools/mutants.ts";

const CODE = `export function twice(n: number): number {
  return 2 * n;
}
export function name(): string {
  return "a" + "b";
}
export function first(): string {
  return "a";
}
`;

const TESTS = `import { first, name, twice } from "./code.ts";
function assert(right: boolean) {
  if (!right) throw new Error("wrong");
}
Deno.test("R1.1 twice doubles (a number)", () => assert(twice(3) === 6));
Deno.test("R1.1 twice, as said: prints", () => {
  console.log("some text");
  assert(twice(2) === 4);
});
Deno.test("R1.2 name is not looked at", () => assert(name().length === 2));
Deno.test("R1.3 first ends", () => {
  while (first() !== "a");
});
Deno.test("R1.4 is red already", () => assert(false));
Deno.test("R1.5 first comes", async () => {
  if (first() !== "a") await new Promise(() => {});
});
Deno.test("R1.6 nothing goes wrong outside", async () => {
  if (first() !== "a") queueMicrotask(() => { throw new Error("outside"); });
  await new Promise((resolve) => setTimeout(resolve, 1));
});
`;

/** A small tree of code and tests, removed when it is disposed of. */
async function smallTree() {
  const path = await Deno.makeTempDir();
  await Deno.writeTextFile(`${path}/deno.json`, "{}");
  await Deno.writeTextFile(`${path}/code.ts`, CODE);
  await Deno.writeTextFile(`${path}/code_test.ts`, TESTS);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const DOUBLE: Mutant = {
  file: "code.ts",
  find: "2 * n",
  replace: "3 * n",
  test: "R1.1 twice doubles (a",
  files: ["code_test.ts"],
};
const FIRST = { ...DOUBLE, find: '"a";', test: "R1.3 first" };

Deno.test("the runner of the mutants tells what is noticed, what survives, and what is no mutant", async () => {
  await using tree = await smallTree();
  const cases: readonly [Mutant, string, string?][] = [
    [DOUBLE, "killed"],
    [{ ...DOUBLE, test: "R1.1 twice, as said" }, "killed"],
    [{ ...DOUBLE, replace: "n * 2" }, "survived"],
    [{ ...DOUBLE, find: '"a" + "b"', replace: '"b" + "a"', test: "R1.2" }, "survived"],
    [{ ...FIRST, replace: '"b";' }, "timed out"],
    [{ ...FIRST, replace: '"b";', test: "R1.5" }, "killed"],
    [{ ...FIRST, replace: '"b";', test: "R1.6" }, "killed"],
    [{ ...DOUBLE, find: "n" }, "invalid", "occurs"],
    [{ ...DOUBLE, find: "4 * n" }, "invalid", "occurs 0 times"],
    [{ ...DOUBLE, file: "none.ts" }, "invalid", "no such file"],
    [{ ...DOUBLE, test: "R1.4 is red" }, "invalid", "no green test has that name"],
    [{ ...DOUBLE, test: "twice doubles" }, "invalid", "no green test has that name"],
    [{ ...DOUBLE, replace: "2 * (" }, "invalid", "could not run"],
  ];
  const told: string[] = [];
  const verdicts = await runMutants(cases.map(([mutant]) => mutant), {
    root: tree.path,
    limitMs: 5_000,
    onVerdict: ({ outcome }) => told.push(outcome),
  });
  assertEquals(verdicts.map(({ outcome }) => outcome), cases.map(([, outcome]) => outcome));
  assertEquals(told.toSorted(), cases.map(([, outcome]) => outcome).toSorted());
  for (const [index, [, , reason = ""]] of cases.entries()) {
    assertStringIncludes(verdicts[index]?.reason ?? "", reason);
  }
  assertEquals(await Deno.readTextFile(`${tree.path}/code.ts`), CODE);
});

Deno.test("every mutant breaks a text that stands exactly once in its file, and names files of tests that exist", async () => {
  const root = new URL("../../", import.meta.url);
  const texts = new Map<string, string>();
  const read = async (file: string) => {
    if (!texts.has(file)) texts.set(file, await Deno.readTextFile(new URL(file, root)));
    return texts.get(file)!;
  };
  const wrong: string[] = [];
  for (const { file, find, files } of await readLists(new URL("tools/mutants/", root))) {
    const count = (await read(file)).split(find).length - 1;
    if (count !== 1) wrong.push(`${count} times in ${file}: ${find}`);
    for (const each of files) await Deno.stat(new URL(each, root));
  }
  assertEquals(wrong, []);
});

Deno.test("the README says how many mutants there are, and how many only the simulator can notice", async () => {
  const root = new URL("../../", import.meta.url);
  const all = await readLists(new URL("tools/mutants/", root));
  const simulated = all.filter(({ files }) => files.includes("tests/simulation/simulation_test.ts"));
  const readme = (await Deno.readTextFile(new URL("README.md", root))).replaceAll(/\s+/g, " ");
  assertStringIncludes(readme, `breaks the code in ${all.length} small ways`);
  assertStringIncludes(readme, `${simulated.length} of them only the simulator can notice`);
});
