import { assertEquals } from "../../deps/std_assert.ts";
import { Random } from "../../engine/random.ts";
import { Turns } from "../../gossiper/turns.ts";

const IDS = ["a", "b", "c", "d", "e"];

function turnsOf(ids: () => readonly string[] = () => IDS): Turns {
  const random = new Random(0.5);
  return new Turns(ids, () => random.next());
}

Deno.test("turns: each id comes once before any comes twice (R2.2)", () => {
  const turns = turnsOf();
  for (let cycle = 0; cycle < 20; cycle++) {
    const taken = IDS.map(() => turns.take(1, () => true)[0]!);
    assertEquals(taken.toSorted(), IDS);
  }
});

Deno.test("turns: returns distinct ids, also where a new turn begins in between (R2.2)", () => {
  const turns = turnsOf();
  for (let times = 0; times < 50; times++) {
    const taken = turns.take(3, () => true);
    assertEquals([taken.length, new Set(taken).size], [3, 3]);
  }
});

Deno.test("turns: takes no more than there are, and no unfit one (R2.2)", () => {
  const turns = turnsOf();
  assertEquals(turns.take(9, () => true).toSorted(), IDS);
  assertEquals(turns.take(9, (id) => id !== "c").toSorted(), ["a", "b", "d", "e"]);
  assertEquals(turns.take(9, () => false), []);
  assertEquals(turnsOf(() => []).take(3, () => true), []);
});

Deno.test("turns: ids that come later have their turn in the next one (R2.2)", () => {
  let ids = ["a", "b"];
  const turns = turnsOf(() => ids);
  turns.take(1, () => true);
  ids = ["a", "b", "c"];
  turns.take(1, () => true);
  assertEquals(turns.take(3, () => true).toSorted(), ["a", "b", "c"]);
});
