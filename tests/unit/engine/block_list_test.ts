import { assertEquals } from "../../../deps/std_assert.ts";
import { BlockList, endsWithLife } from "../../../engine/block_list.ts";
import type { BlockReason, Instant } from "../../../engine/types.ts";

function at(monotonicMs: number): Instant {
  return { monotonicMs, wallMs: 1_000_000 + monotonicMs };
}

Deno.test("R10.1 a block says who, why, and since when by the wall clock", () => {
  const list = new BlockList(60_000);
  assertEquals(list.block("a", "expired", at(5)), true);
  assertEquals(list.block("b", "topology", at(7)), true);
  assertEquals(list.get("a"), { id: "a", reason: "expired", sinceMs: 1_000_005 });
  assertEquals(list.get("b"), { id: "b", reason: "topology", sinceMs: 1_000_007 });
  assertEquals([list.get("c"), list.reason("c"), list.has("c")], [undefined, undefined, false]);
  assertEquals(list.ids(), ["a", "b"]);
});

Deno.test("R10.4, E10 a graver reason takes the place of another, and nobody is blocked twice", () => {
  const reasons: BlockReason[] = ["expired", "left", "topology"];
  for (const [first, before] of reasons.entries()) {
    for (const [second, reason] of reasons.entries()) {
      const list = new BlockList(60_000);
      list.block("a", before, at(1));
      assertEquals(list.block("a", reason, at(2)), false);
      const stands = reasons[Math.max(first, second)]!;
      assertEquals(list.get("a"), { id: "a", reason: stands, sinceMs: 1_000_001 }, `${before}, ${reason}`);
    }
  }
});

Deno.test("BlockList.block: `crashed` and `expired` weigh the same, and less than `left` and `topology` (E10)", () => {
  for (const [before, reason] of [["crashed", "expired"], ["expired", "crashed"]] as const) {
    const list = new BlockList(60_000);
    list.block("a", before, at(1));
    assertEquals([list.block("a", reason, at(2)), list.reason("a")], [false, before]);
    list.block("a", "left", at(3));
    assertEquals(list.reason("a"), "left", before);
  }
});

Deno.test("endsWithLife: proof of life ends a block for silence, and no other (E10)", () => {
  const reasons = ["crashed", "expired", "left", "topology", undefined] as const;
  assertEquals(reasons.map(endsWithLife), [true, true, false, false, false]);
});

Deno.test("BlockList.expired: counts the members that are blocked as expired, and no others (E10)", () => {
  const list = new BlockList(60_000);
  const steps = [
    () => list.block("a", "expired", at(1)),
    () => list.block("b", "expired", at(1)),
    () => list.block("b", "expired", at(1)),
    () => list.block("c", "crashed", at(1)),
    () => list.block("c", "left", at(1)),
    () => list.block("a", "left", at(1)),
    () => list.free("a"),
    () => list.free("b"),
    () => list.free("b"),
  ];
  assertEquals(list.expired, 0);
  const counts = steps.map((step) => (step(), list.expired));
  assertEquals(counts, [1, 2, 2, 2, 2, 1, 1, 0, 0]);
});

Deno.test("E10 a member that is freed is blocked no more, and can be blocked anew", () => {
  const list = new BlockList(60_000);
  list.block("a", "left", at(1));
  assertEquals([list.free("a"), list.free("a"), list.has("a")], [true, false, false]);
  assertEquals(list.block("a", "expired", at(9)), true);
  assertEquals(list.get("a"), { id: "a", reason: "expired", sinceMs: 1_000_009 });
});

Deno.test("E10 only who is blocked as expired is to be greeted, once an interval, from one interval on", () => {
  const list = new BlockList(1_000);
  list.block("left", "left", at(0));
  list.block("topology", "topology", at(0));
  list.block("a", "expired", at(0));
  list.block("b", "expired", at(600));
  assertEquals(list.dueProbes(999), []);
  assertEquals(list.dueProbes(1_000), ["a"]);
  assertEquals(list.dueProbes(1_599), []);
  assertEquals(list.dueProbes(1_600), ["b"]);
  assertEquals(list.dueProbes(2_599), ["a"]);
  // One that was late is not greeted twice to make up for it.
  assertEquals(list.dueProbes(9_000), ["a", "b"]);
  assertEquals(list.dueProbes(9_999), []);
  assertEquals(list.dueProbes(10_000), ["a", "b"]);
});

Deno.test("E10 who leaves, or is freed, is greeted no more", () => {
  const list = new BlockList(1_000);
  for (const id of ["a", "b", "c"]) list.block(id, "expired", at(0));
  list.block("a", "left", at(100));
  list.free("b");
  assertEquals(list.dueProbes(1_000), ["c"]);
  assertEquals(list.dueProbes(100_000), ["c"]);
});

Deno.test("E10 with an interval of Infinity nobody is ever greeted: protoactor-go's behaviour", () => {
  const list = new BlockList(Infinity);
  list.block("a", "expired", at(0));
  assertEquals(list.dueProbes(Number.MAX_SAFE_INTEGER), []);
});

Deno.test("E6 looking for greetings costs nothing while none is due", () => {
  const list = new BlockList(1_000);
  for (let each = 0; each < 10_000; each++) list.block(`m${each}`, "expired", at(0));
  const start = performance.now();
  for (let each = 0; each < 100_000; each++) list.dueProbes(500);
  assertEquals(list.dueProbes(1_000).length, 10_000);
  for (let each = 0; each < 100_000; each++) list.dueProbes(1_500);
  assertEquals(performance.now() - start < 1_000, true);
});
