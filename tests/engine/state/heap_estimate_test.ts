import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { entryHeapBytes } from "../../../engine/state/heap_estimate.ts";
import { Expiries } from "../../../engine/state/expiries.ts";
import { MemberState } from "../../../engine/state/member_state.ts";
import type { ExpiringEntry } from "../../../engine/state/stored_entry.ts";
import { TYPE } from "../../../engine/types.ts";

/** Half a mebibyte each: the costliest forms that there are, and the usual ones. */
const LENGTH = 2 ** 19;

function heapUsed(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return Deno.memoryUsage().heapUsed;
}

/** A list of so many items as fit. */
function listOf(item: (index: number) => string): string {
  const items: string[] = [];
  for (let length = 2; length < LENGTH; length += items.at(-1)!.length + 1) items.push(item(items.length));
  return `[${items.join(",")}]`;
}

function estimateOf(json: string): number {
  return entryHeapBytes({ key: "k", number: 1, type: TYPE.value, value: null, json });
}

const FORMS: Readonly<Record<string, string>> = {
  "empty lists": listOf(() => "[]"),
  "empty objects": listOf(() => "{}"),
  "lists nested 60 deep": listOf(() => "[".repeat(60) + "]".repeat(60)),
  "lists of one number": listOf(() => "[1]"),
  "numbers": listOf(() => "1"),
  "numbers and texts": listOf(() => '1.5,"x"'),
  "fractions and one text": listOf((index) => index === 0 ? '"x"' : "1.5"),
  "negative zeros and one text": listOf((index) => index === 0 ? '"x"' : "-0"),
  "objects of one field": listOf(() => '{"a":1.5}'),
  "objects with ever other fields": listOf((index) => `{"${index.toString(36)}":0}`),
  "one object with many fields": `{${listOf((index) => `"k${index.toString(36)}":0`).slice(1, -1)}}`,
  "texts": listOf((index) => `"text ${index} of many"`),
  "one text": JSON.stringify("x".repeat(LENGTH)),
  "one text of other letters": JSON.stringify("ж".repeat(LENGTH / 2)),
};

for (const [form, json] of Object.entries(FORMS)) {
  Deno.test(`heap estimate: ${form} take less than is estimated, and more than a fifth of it (E15)`, () => {
    const values: unknown[] = [];
    const before = heapUsed();
    for (let times = 0; times < 4; times++) values.push(JSON.parse(json), `${json}${times}`.slice(0, -1));
    const bytes = (heapUsed() - before) / 4;
    assertEquals(values.length, 8);
    const estimate = estimateOf(json);
    assert(bytes <= estimate + 4_096 && estimate <= 5 * bytes, `${bytes} bytes, ${estimate} estimated`);
  });
}

Deno.test("heap estimate: entries that expire take less than is estimated, even if each ends at another time (E15, E16)", () => {
  const count = 20_000;
  const before = heapUsed();
  const member = new MemberState("b", "018bcfe56800-1f3a9c02");
  const expiries = new Expiries();
  for (let number = 1; number <= count; number++) {
    const expiresAfter = 1_000_000 + 64 * number;
    const text = { key: `k${number}`, number, type: TYPE.value, json: "1" };
    const held = member.put({ ...text, value: 1, timestampMs: number, expiresAfter }, number, expiresAfter);
    expiries.add(member, held as ExpiringEntry, 0);
  }
  const bytes = heapUsed() - before;
  assertEquals(member.size.keys, count);
  assert(
    bytes <= member.size.heapBytes,
    `${bytes / count} bytes, ${member.size.heapBytes / count} estimated`,
  );
  assertEquals(expiries.takeDue(0), []);
});

Deno.test("heap estimate: brackets and escapes within a JSON string count as text, not as structure (E15)", () => {
  for (const text of ["[[[[", '"[', '\\"[', "\\", '\\\\"{{', '"', "a\\"]) {
    const plain = "x".repeat(JSON.stringify(text).length - 2);
    assertEquals(estimateOf(JSON.stringify(text)), estimateOf(JSON.stringify(plain)), text);
    assertEquals(estimateOf(JSON.stringify([text, []])), estimateOf(JSON.stringify([plain, []])), text);
  }
});
