import { assert, assertEquals, assertNotEquals } from "../../deps/std_assert.ts";
import { FOLDERS, readMutants, sampleOf, within } from "../../tools/mutants/choice.ts";
import { distancesFrom, importsOf, readImportGraph } from "../../tools/mutants/import_graph.ts";
import { mutantsOf, textWith } from "../../tools/mutants/mutants_of.ts";
import { OPERATORS } from "../../tools/mutants/operators.ts";
import { planFor, SLOW_TESTS, type Step } from "../../tools/mutants/plan.ts";
import { reasonsIn } from "../../tools/mutants/reasons.ts";
import { runMutants } from "../../tools/mutants/run.ts";
import { sourceFiles } from "../../tools/source_files.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** The texts that an operator makes of a source. */
function madeBy(operator: string, text: string): string[] {
  return mutantsOf("a.ts", text).filter((mutant) => mutant.operator === operator)
    .map((mutant) => textWith(text, mutant));
}

Deno.test("mutants: each operator makes exactly its faults", () => {
  const cases: readonly (readonly [operator: string, text: string, made: readonly string[]])[] = [
    ["delete-statement", "f();", [";"]],
    ["delete-statement", "if (a) return 1;", ["if (a) ;"]],
    ["delete-statement", "if (a) throw new Error();", ["if (a) ;"]],
    ["delete-statement", "for (;;) if (a) continue; else break;", [
      "for (;;) if (a) ; else break;",
      "for (;;) if (a) continue; else ;",
    ]],
    ["delete-statement", "function f() { g(); return; }", ["function f() { ; return; }"]],
    ["delete-statement", "function f() { return undefined; }", []],
    ["delete-statement", "class A extends B { constructor() { super(); } }", []],
    ["delete-statement", "switch (a) { case 1: break; }", []],
    ["delete-statement", "console.log(1);", []],
    ["negate-condition", "if (a) b();", ["if (!(a)) b();"]],
    ["negate-condition", "const a = b ? 1 : 2;", ["const a = !(b) ? 1 : 2;"]],
    ["negate-condition", "while (a < 1);", ["while (!(a < 1));"]],
    ["negate-condition", "do ; while (a);", ["do ; while (!(a));"]],
    ["negate-condition", "for (let i = 0; i < 1; );", ["for (let i = 0; !(i < 1); );"]],
    ["negate-condition", "if (a === b) c();", ["if (!(a === b)) c();"]],
    ["negate-condition", "const f = () => a === b;", ["const f = () => a !== b;"]],
    ["negate-condition", "const f = () => a !== b;", ["const f = () => a === b;"]],
    ["swap-logic", "const f = a && b || c;", [
      "const f = ((a && b) && (c));",
      "const f = ((a) || (b)) || c;",
    ]],
    ["move-bound", "f(a < b, a <= b, a > b, a >= b);", [
      "f(a <= b, a <= b, a > b, a >= b);",
      "f(a < b, a < b, a > b, a >= b);",
      "f(a < b, a <= b, a >= b, a >= b);",
      "f(a < b, a <= b, a > b, a > b);",
    ]],
    ["replace-value", "f(0, 1, 5, 64);", [
      "f(1, 1, 5, 64);",
      "f(0, 0, 5, 64);",
      "f(0, 1, 6, 64);",
      "f(0, 1, 5, 128);",
    ]],
    ["replace-value", "f(1n, 1_000n);", ["f(0n, 1_000n);", "f(1n, 2000n);"]],
    ["replace-value", "f(true, false);", ["f(false, false);", "f(true, true);"]],
    ["replace-value", 'f("a");', ['f("a~");']],
    ["replace-value", 'f("a text for people");', []],
    ["replace-value", 'new Place("a").field("b");', []],
    ["replace-value", 'const a = { "b": c, unit: "ms" };', []],
    ["replace-value", 'const a: "b" = await import("c");', []],
    ["replace-value", 'throw new Error("a", 1);', []],
    ["drop-fallback", "const a = b ?? c;", ["const a = b;"]],
    ["swap-arithmetic", "f(a + b, a - b, a * b, a / b, a % b);", [
      "f(a - b, a - b, a * b, a / b, a % b);",
      "f(a + b, a + b, a * b, a / b, a % b);",
      "f(a + b, a - b, a / b, a / b, a % b);",
      "f(a + b, a - b, a * b, a * b, a % b);",
      "f(a + b, a - b, a * b, a / b, a * b);",
    ]],
    ["swap-arithmetic", "a += 1;", ["a -= 1;"]],
    ["swap-arithmetic", "a++;", ["a--;"]],
    ["swap-arithmetic", "--a;", ["++a;"]],
    ["swap-arithmetic", "Math.max(a, Math.min(b, c));", [
      "Math.min(a, Math.min(b, c));",
      "Math.max(a, Math.max(b, c));",
    ]],
    ["swap-arithmetic", 'f(a + "b" + c);', []],
  ];
  for (const [operator, text, made] of cases) assertEquals(madeBy(operator, text), made, text);
  assertEquals(new Set(cases.map(([operator]) => operator)), new Set(OPERATORS.keys()));
});

Deno.test("mutants: types, imports and exports have no mutants", () => {
  const text = `import { a } from "./a.ts";
export { b } from "./b.ts";
export type C = "c" | 1 | true;
export interface D { readonly e: "e"; f(): 1 }
declare const g: 5 | "g";
`;
  assertEquals(mutantsOf("a.ts", text), []);
});

const CODE = `const MOST = 5;
export class A {
  #b = 0;
  constructor() {
    this.#b = 1;
  }
  get b() {
    return this.#b;
  }
  c(given: number) {
    const deep = (other: number) => other < 2;
    if (given > MOST) return deep(given);
    return true;
  }
}
export function d() {
  return { e: () => 1 };
}
`;

Deno.test("mutants: a name has the file, class and function, the operator, and its position in that function", () => {
  assertEquals(mutantsOf("engine/a.ts", CODE).map(({ name }) => name), [
    "engine/a.ts MOST replace-value 1",
    "engine/a.ts A.#b replace-value 1",
    "engine/a.ts A.constructor delete-statement 1",
    "engine/a.ts A.constructor replace-value 1",
    "engine/a.ts A.b delete-statement 1",
    "engine/a.ts A.c.deep move-bound 1",
    "engine/a.ts A.c.deep replace-value 1",
    "engine/a.ts A.c negate-condition 1",
    "engine/a.ts A.c move-bound 1",
    "engine/a.ts A.c delete-statement 1",
    "engine/a.ts A.c delete-statement 2",
    "engine/a.ts A.c replace-value 1",
    "engine/a.ts d delete-statement 1",
    "engine/a.ts d.e replace-value 1",
  ]);
});

Deno.test("mutants: a name stays when other functions, lines or local names change", () => {
  const changed = `// A comment.\nfunction first() {\n  return 1 < 2;\n}\n${
    CODE.replaceAll("given", "renamed").replaceAll("return true;", "return   true;")
  }`;
  const names = new Set(mutantsOf("a.ts", changed).map(({ name }) => name));
  assertEquals(mutantsOf("a.ts", CODE).map(({ name }) => name).filter((name) => !names.has(name)), []);
});

Deno.test("mutants: a comment on the line of a mutant, or on the line before, gives the reason", () => {
  const text = `// mutant move-bound: at equality
// both are the same.
f(a < b, c);
f(a < b, 1); // mutant replace-value: a reason
// mutant replace-value 2: only this one
f(1, 2, 3);
f(a < b);
// mutant move-bound, replace-value 1: of two operators
f(a < 2, 3);
`;
  assertEquals(
    mutantsOf("a.ts", text).filter(({ reason }) => reason !== undefined).map(({ operator, line, reason }) => [
      operator,
      line,
      reason,
    ]),
    [
      ["move-bound", 3, "at equality"],
      ["replace-value", 4, "a reason"],
      ["replace-value", 6, "only this one"],
      ["move-bound", 9, "of two operators"],
      ["replace-value", 9, "of two operators"],
    ],
  );
});

Deno.test("mutants: every reason in the code is beside a mutant that exists", async () => {
  const idle: string[] = [];
  for (const folder of FOLDERS) {
    for await (const file of sourceFiles(ROOT, folder)) {
      const text = await Deno.readTextFile(`${ROOT}${file}`);
      const reasons = reasonsIn(text);
      if (reasons.length === 0) continue;
      const mutants = mutantsOf(file, text);
      for (const { operator, line, ordinal = 1 } of reasons) {
        const beside = mutants.filter((mutant) => mutant.operator === operator && mutant.line === line);
        if (beside.length < ordinal) idle.push(`${file}:${line} ${operator} ${ordinal}`);
      }
    }
  }
  assertEquals(idle, []);
});

Deno.test("mutants: engine, gossiper and transport have thousands, each with a unique name", async () => {
  const mutants = await readMutants(ROOT);
  assertEquals(new Set(mutants.map(({ name }) => name)).size, mutants.length);
  for (const folder of FOLDERS) assert(within(mutants, folder).length > 0, folder);
  assertEquals(new Set(mutants.map(({ operator }) => operator)), new Set(OPERATORS.keys()));
  assertEquals(
    new Set(within(mutants, "engine/sync/merge.ts").map(({ file }) => file)),
    new Set(["engine/sync/merge.ts"]),
  );
});

Deno.test("mutants: a seed decides the sample, a longer sample begins with the shorter, and other mutants change nothing", () => {
  const all = mutantsOf("a.ts", Array.from({ length: 1_000 }, (_, index) => `f${index}();`).join("\n"));
  const sample = sampleOf(all, { seed: 7, count: 100 });
  assertEquals(new Set(sample).size, 100);
  assertEquals(sampleOf(all, { seed: 7, count: 300 }).slice(0, 100), sample);
  assertNotEquals(sampleOf(all, { seed: 8, count: 100 }), sample);
  assertEquals(new Set(sampleOf(all, { seed: 7, count: 2_000 })), new Set(all));
  const others = all.filter((mutant) => mutant !== sample[3]);
  assertEquals(sampleOf(others, { seed: 7, count: 99 }), sample.filter((mutant) => others.includes(mutant)));
});

Deno.test("mutants: the imports of a file are its imports at run time", () => {
  const text = `import { a } from "./a.ts";
import type { B } from "./b.ts";
import { c } from "npm:c@1.0.0";
export { d } from "../d.ts";
export type { E } from "./e.ts";
const f = await import("./f.ts");
const g = new Worker(new URL("./g.ts", import.meta.url));
`;
  assertEquals(importsOf("x/y.ts", text), ["x/a.ts", "d.ts", "x/f.ts", "x/g.ts"]);
  const graph = new Map([["a", ["b"]], ["b", ["c", "a"]], ["c", []], ["d", ["c"]]]);
  assertEquals([...distancesFrom("a", graph)], [["a", 0], ["b", 1], ["c", 2]]);
});

Deno.test("mutants: the near tests of a file come first, the slow tests and the simulator last", async () => {
  const graph = await readImportGraph(ROOT, [...FOLDERS, "tests"]);
  const plan = planFor("engine/sync/merge.ts", graph);
  assert(plan[0]!.files.includes("tests/engine/sync/last_writer_wins_test.ts"));
  assert(plan[0]!.files.every((file) => file.startsWith("tests/engine/") && !SLOW_TESTS.has(file)));
  assert(plan[1]!.files.includes("tests/requirements/rounds_test.ts"));
  assert(plan.at(-1)!.args.includes("--seeds"));
  assertEquals(planFor("engine/sync/merge.ts", graph, "near"), plan.slice(0, 1));
  const quick = planFor("engine/sync/merge.ts", graph, "quick");
  assert(
    quick.length < plan.length && quick.every(({ files }) => (SLOW_TESTS.get(files[0] ?? "") ?? 0) <= 15),
  );
  assertEquals(quick.at(-1), plan.at(-1));
  assertEquals(planFor("gossiper/views.ts", graph)[0]!.files[0], "tests/gossiper/views_test.ts");
  for (const test of SLOW_TESTS.keys()) assert(graph.has(test), test);
});

const TESTS = `import { first, name, twice } from "./code.ts";
function assert(right: boolean) {
  if (!right) throw new Error("wrong");
}
Deno.test("twice doubles", () => assert(twice(3) === 6));
Deno.test("name is not looked at", () => assert(name().length === 1));
Deno.test("first ends", () => {
  while (first() !== "a");
});
`;

/** A small tree of code and tests, removed when it is disposed of. */
async function smallTree() {
  const path = await Deno.makeTempDir();
  const code = `export function twice(n: number): number {
  return 2 * n;
}
export function name(): string {
  return 1 < 2 ? "a" : "b";
}
export function first(): string {
  return "a";
}
`;
  await Deno.writeTextFile(`${path}/deno.json`, "{}");
  await Deno.writeTextFile(`${path}/code.ts`, code);
  await Deno.writeTextFile(`${path}/code_test.ts`, TESTS);
  await Deno.writeTextFile(`${path}/red_test.ts`, 'Deno.test("red", () => { throw new Error("red"); });');
  return { path, code, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function stepOf(...files: readonly string[]): Step {
  return { args: ["test", "--no-check", "--no-lock", "--fail-fast", ...files], files };
}

Deno.test("mutants: the runner reports which test notices which mutant, leaves out red tests, and leaves the tree as it was", async () => {
  await using tree = await smallTree();
  const mutants = mutantsOf("code.ts", tree.code);
  const chosen = [
    "twice swap-arithmetic 1",
    "name replace-value 3",
    "name move-bound 1",
    "first replace-value 1",
  ]
    .map((name) => mutants.find((mutant) => mutant.name === `code.ts ${name}`)!);
  const printed: string[] = [];
  const { verdicts, red } = await runMutants(chosen, {
    root: tree.path,
    plan: () => [stepOf("red_test.ts", "code_test.ts")],
    parallel: 2,
    leastLimitMs: 5_000,
    onVerdict: ({ name }) => void printed.push(name),
  });
  assertEquals(verdicts.map(({ outcome, by }) => [outcome, by]), [
    ["failed", "code_test.ts: twice doubles"],
    ["failed", "code_test.ts: name is not looked at"],
    ["survived", undefined],
    ["timed out", "code_test.ts"],
  ]);
  assertEquals(red, ["red_test.ts"]);
  assertEquals(printed.toSorted(), chosen.map(({ name }) => name).toSorted());
  assertEquals(await Deno.readTextFile(`${tree.path}/code.ts`), tree.code);
});
