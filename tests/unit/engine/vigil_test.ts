import { assertEquals } from "../../../deps/std_assert.ts";
import { Vigil } from "../../../engine/vigil.ts";

const GAP_MS = 800;
const LIMIT_MS = 20_000;

/** Looks every 300 ms up to a moment; returns who was found silent, and when. */
function lookUntil(vigil: Vigil, span: { readonly fromMs: number; readonly untilMs: number }): string[] {
  const found: string[] = [];
  for (let atMs = span.fromMs; atMs <= span.untilMs; atMs += 300) {
    for (const id of vigil.look(atMs, LIMIT_MS)) {
      found.push(`${id} at ${atMs}`);
      vigil.release(id);
    }
  }
  return found;
}

Deno.test("E9 who is silent for longer than the limit is found, and not before", () => {
  const vigil = new Vigil(GAP_MS, 0);
  vigil.refresh("a", 0);
  assertEquals(vigil.look(500, 500), []);
  assertEquals(vigil.look(501, 500), ["a"]);
});

Deno.test("E9 the age is counted from the last sign of life, not from the first", () => {
  const vigil = new Vigil(GAP_MS, 0);
  vigil.refresh("a", 0);
  vigil.refresh("b", 0);
  assertEquals(lookUntil(vigil, { fromMs: 0, untilMs: 15_000 }), []);
  vigil.refresh("a", 15_000);
  // The first looks after 20,000 and after 35,000.
  assertEquals(lookUntil(vigil, { fromMs: 15_000, untilMs: 40_000 }), ["b at 20100", "a at 35100"]);
});

Deno.test("E9 a sign of life between two looks counts from its own moment", () => {
  const vigil = new Vigil(GAP_MS, 0);
  vigil.look(300, 1_000);
  vigil.refresh("a", 500);
  vigil.look(600, 1_000);
  vigil.look(1_200, 1_000);
  assertEquals(vigil.look(1_500, 1_000), []);
  assertEquals(vigil.look(1_501, 1_000), ["a"]);
});

Deno.test("E9 the time that the process lost counts against nobody", () => {
  const vigil = new Vigil(GAP_MS, 0);
  vigil.refresh("a", 0);
  assertEquals(lookUntil(vigil, { fromMs: 300, untilMs: 9_000 }), []);
  // An hour's suspension counts as one slow round.
  assertEquals(vigil.look(3_609_000, LIMIT_MS), []);
  assertEquals(vigil.look(3_609_300, LIMIT_MS), []);
  const rest = LIMIT_MS - 9_000 - GAP_MS - 300;
  assertEquals(vigil.look(3_609_300 + GAP_MS, rest + 9_000 + GAP_MS + 300), []);
  assertEquals(lookUntil(vigil, { fromMs: 3_610_200, untilMs: 3_630_000 }), ["a at 3619500"]);
});

Deno.test("E9 what is heard after a stall and before the next look is no older than that stall may count", () => {
  const vigil = new Vigil(GAP_MS, 0);
  vigil.refresh("a", 0);
  vigil.refresh("b", 60_000);
  assertEquals(vigil.look(60_000, 700), ["a"]);
  vigil.release("a");
  assertEquals(vigil.look(60_700, 700), []);
  assertEquals(vigil.look(60_701, 700), ["b"]);
});

Deno.test("E9 a gap of just the longest that a round may take counts in full", () => {
  const vigil = new Vigil(GAP_MS, 0);
  vigil.refresh("a", 0);
  assertEquals(vigil.look(800, 799), ["a"]);
  const stalled = new Vigil(GAP_MS, 0);
  stalled.refresh("a", 0);
  assertEquals(stalled.look(801, 800), []);
});

Deno.test("E9 a clock that stands still, or is asked for an earlier moment, makes nobody older", () => {
  const vigil = new Vigil(GAP_MS, 1_000);
  vigil.refresh("a", 1_000);
  for (let each = 0; each < 100; each++) assertEquals(vigil.look(1_000, 0), []);
  assertEquals(vigil.look(500, 0), []);
});

Deno.test("E9 who is awaited no more is not found", () => {
  const vigil = new Vigil(GAP_MS, 0);
  vigil.refresh("a", 0);
  vigil.refresh("b", 0);
  vigil.release("a");
  assertEquals(vigil.look(600, 500), ["b"]);
});

Deno.test("E6 a look costs no more than the silent are many", () => {
  const vigil = new Vigil(GAP_MS, 0);
  for (let each = 0; each < 100_000; each++) vigil.refresh(`m${each}`, each < 2 ? 0 : 400);
  const start = performance.now();
  for (let each = 0; each < 10_000; each++) assertEquals(vigil.look(501, 500).length, 2);
  // Looking at all of them each time would be a thousand million steps.
  assertEquals(performance.now() - start < 2_000, true);
});
