import { assertEquals } from "../../../deps/std_assert.ts";
import { BlockList, endsWithProofOfLife } from "../../../engine/membership/block_list.ts";
import type { BlockReason } from "../../../engine/types.ts";
import { at } from "../instants.ts";

Deno.test("block list: a block has the member, the reason and the wall-clock time (R10.1)", () => {
  const list = new BlockList(60_000);
  assertEquals(list.block("a", "expired", at(5)), true);
  assertEquals(list.block("b", "topology", at(7)), true);
  assertEquals(list.get("a"), { id: "a", reason: "expired", sinceMs: 1_000_005 });
  assertEquals(list.get("b"), { id: "b", reason: "topology", sinceMs: 1_000_007 });
  assertEquals([list.get("c"), list.reason("c"), list.has("c")], [undefined, undefined, false]);
  assertEquals(list.ids(), ["a", "b"]);
});

Deno.test("block list: a second block keeps the time of the first, and the graver of both reasons (R10.4, E10)", () => {
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

Deno.test("endsWithProofOfLife: proof of life ends a block for silence, and no other block (E10)", () => {
  const reasons = ["crashed", "expired", "left", "topology", undefined] as const;
  assertEquals(reasons.map(endsWithProofOfLife), [true, true, false, false, false]);
});

Deno.test("BlockList.expired: counts the members that are blocked as expired, and no other members (E10)", () => {
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

Deno.test("BlockList.expired: leaves out members that were never heard here (E10, L5)", () => {
  const list = new BlockList(60_000);
  list.block("a", "expired", at(1), { isHearsay: true });
  assertEquals(list.expired, 0);
  list.block("a", "left", at(2));
  list.free("a");
  assertEquals(list.expired, 0);
});

Deno.test("block list: a freed member is not blocked, and can be blocked again (E10)", () => {
  const list = new BlockList(60_000);
  list.block("a", "left", at(1));
  assertEquals([list.free("a"), list.free("a"), list.has("a")], [true, false, false]);
  assertEquals(list.block("a", "expired", at(9)), true);
  assertEquals(list.get("a"), { id: "a", reason: "expired", sinceMs: 1_000_009 });
});

Deno.test("block list: only a member blocked as expired is probed, at every interval after the block (E10)", () => {
  const list = new BlockList(1_000);
  list.block("left", "left", at(0));
  list.block("topology", "topology", at(0));
  list.block("a", "expired", at(0));
  list.block("b", "expired", at(600));
  assertEquals(list.takeDueProbes(999), []);
  assertEquals(list.takeDueProbes(1_000), ["a"]);
  assertEquals(list.takeDueProbes(1_599), []);
  assertEquals(list.takeDueProbes(1_600), ["b"]);
  assertEquals(list.takeDueProbes(2_599), ["a"]);
  // A late one is not probed twice to make up for it.
  assertEquals(list.takeDueProbes(9_000), ["b", "a"]);
  assertEquals(list.takeDueProbes(9_999), []);
  assertEquals(list.takeDueProbes(10_000), ["a", "b"]);
});

Deno.test("block list: a member that leaves or is freed is not probed (E10)", () => {
  const list = new BlockList(1_000);
  for (const id of ["a", "b", "c"]) list.block(id, "expired", at(0));
  list.block("a", "left", at(100));
  list.free("b");
  assertEquals(list.takeDueProbes(1_000), ["c"]);
  assertEquals(list.takeDueProbes(100_000), ["c"]);
});

Deno.test("block list: with an interval of Infinity no member is probed, as in protoactor-go (E10)", () => {
  const list = new BlockList(Infinity);
  list.block("a", "expired", at(0));
  assertEquals(list.takeDueProbes(Number.MAX_SAFE_INTEGER), []);
});

Deno.test("block list: a check for probes looks at no member while no probe is due (E6)", () => {
  const list = new BlockList(1_000);
  for (let each = 0; each < 100; each++) list.block(`m${each}`, "expired", at(0));
  for (let each = 0; each < 100 / 16; each++) list.takeDueProbes(1_000);
  const { [Symbol.iterator]: entries, values } = Map.prototype;
  let iterations = 0;
  try {
    Map.prototype[Symbol.iterator] = function () {
      iterations++;
      return entries.call(this);
    };
    Map.prototype.values = function () {
      iterations++;
      return values.call(this);
    };
    for (const nowMs of [1_001, 1_500, 1_999]) list.takeDueProbes(nowMs);
    assertEquals(iterations, 0);
    list.takeDueProbes(2_000);
    assertEquals(iterations, 2);
  } finally {
    Map.prototype[Symbol.iterator] = entries;
    Map.prototype.values = values;
  }
});

Deno.test("block list: at most 16 probes are returned at a time, the longest due first (E10)", () => {
  const blocks = new BlockList(1_000);
  const ids = Array.from({ length: 20 }, (_, index) => `m${index}`);
  for (const id of ids) blocks.block(id, "expired", { monotonicMs: 0, wallMs: 0 }, { isHearsay: true });
  assertEquals(blocks.takeDueProbes(0), ids.slice(0, 16));
  assertEquals([blocks.takeDueProbes(0), blocks.takeDueProbes(0)], [ids.slice(16), []]);
  assertEquals(blocks.takeDueProbes(1_000), ids.slice(0, 16));
  assertEquals(blocks.takeDueProbes(2_000), [...ids.slice(16), ...ids.slice(0, 12)]);
});
