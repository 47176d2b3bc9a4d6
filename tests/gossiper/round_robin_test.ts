import { assertEquals } from "../../deps/std_assert.ts";
import { Random } from "../../engine/random.ts";
import { RoundRobin } from "../../gossiper/round_robin.ts";

const IDS = ["a", "b", "c", "d", "e"];

function makeRoundRobin(ids: () => readonly string[] = () => IDS): RoundRobin {
  const random = new Random(0.5);
  return new RoundRobin(ids, () => random.next());
}

Deno.test("round-robin: takes every id once before it takes an id twice", () => {
  const roundRobin = makeRoundRobin();
  for (let cycle = 0; cycle < 20; cycle++) {
    const taken = IDS.map(() => roundRobin.take(1, () => true)[0]!);
    assertEquals(taken.toSorted(), IDS);
  }
});

Deno.test("round-robin: takes distinct ids, even if a new order begins in between", () => {
  const roundRobin = makeRoundRobin();
  for (let times = 0; times < 50; times++) {
    const taken = roundRobin.take(3, () => true);
    assertEquals([taken.length, new Set(taken).size], [3, 3]);
  }
});

Deno.test("round-robin: takes at most all ids, and only ids that fit", () => {
  const roundRobin = makeRoundRobin();
  assertEquals(roundRobin.take(9, () => true).toSorted(), IDS);
  assertEquals(roundRobin.take(9, (id) => id !== "c").toSorted(), ["a", "b", "d", "e"]);
  assertEquals(roundRobin.take(9, () => false), []);
  assertEquals(makeRoundRobin(() => []).take(3, () => true), []);
});

Deno.test("round-robin: takes a new id in the next order at the latest", () => {
  let ids = ["a", "b"];
  const roundRobin = makeRoundRobin(() => ids);
  roundRobin.take(1, () => true);
  ids = ["a", "b", "c"];
  roundRobin.take(1, () => true);
  assertEquals(roundRobin.take(3, () => true).toSorted(), ["a", "b", "c"]);
});
