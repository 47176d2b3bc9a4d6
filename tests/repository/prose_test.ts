import { assertEquals } from "../../deps/std_assert.ts";
import { faultsOfDocument, faultsOfSource, namesOf, pronounsOf } from "../../tools/prose.ts";

/** The words that the faults quote, with their lines. */
function quoted(faults: readonly { readonly line: number; readonly message: string }[]): string[] {
  return faults.map(({ line, message }) => `${line} ${/"(.*?)"/.exec(message)![1]}`);
}

Deno.test("prose: refuses words that describe a process as a person, in comments and in texts", () => {
  const source = `
/** Whoever asks. */
export const a = 1; // nobody
throw new Error("Somebody has told it.");
const code = told(somebody);
`;
  assertEquals(quoted(faultsOfSource(source)), ["2 Whoever", "3 nobody", "4 Somebody", "4 told"]);
});

Deno.test("prose: refuses a sentence that begins with its object, unless it is a question", () => {
  const source = `
/** What it sends. Whether it sends? It sends. Of these none. */
const a = 1;
// The same for b.
const b = "What is left";
throw new Error("It failed. What was set stays set.");
`;
  assertEquals(quoted(faultsOfSource(source)), [
    "2 What it sends. …",
    "2 Of these none. …",
    "4 The same …",
    "6 What was set stays …",
  ]);
});

Deno.test("prose: refuses a cell or an item of a list that begins with its object, unless the cell is a label", () => {
  const document =
    "| What | Of two, the first. |\n- What it does.\n2. Whether it does.\n| a \\| What it is. |\n";
  assertEquals(quoted(faultsOfDocument(document)), [
    "1 Of two, the first. …",
    "2 What it does. …",
    "3 Whether it does. …",
  ]);
});

Deno.test("prose: leaves out code, links and addresses", () => {
  assertEquals(
    faultsOfSource("/** {@linkcode told} and `nobody` at https://told.example. */\nconst a = 1;"),
    [],
  );
  assertEquals(quoted(faultsOfDocument("a\n```ts\ntold\n```\ntold `nobody`\n")), ["5 told"]);
});

Deno.test("prose: counts relative pronouns in doc comments alone", () => {
  const source = "/** A member that is alive, which `that` knows. */\nconst a = 1; // that which\n";
  assertEquals(pronounsOf(source), { pronouns: 2, words: 7 });
});

Deno.test("prose: counts the names of mod.ts", () => {
  assertEquals(namesOf('export { a } from "./a.ts";\nexport {\n  b,\n  type C,\n} from "./b.ts";\n'), 3);
  assertEquals(namesOf('export type { A, B } from "./a.ts";'), 2);
});

Deno.test("prose: refuses British spelling in comments and texts, and leaves attributes alone", () => {
  const source = `
/** The neighbour is dialled. */
export const a = "Its behaviour is recognised.";
const page = "An aria-labelledby attribute names a label.";
`;
  assertEquals(quoted(faultsOfSource(source)), ["2 neighbour", "2 dialled", "3 behaviour", "3 recognised"]);
});
