import { assert, assertEquals, assertNotEquals } from "../../deps/std_assert.ts";
import { Random } from "../../engine/random.ts";

function draw(seed: number, count: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.next());
}

Deno.test("random: equal seeds draw equal numbers, another seed draws others (R3.1)", () => {
  assertEquals(draw(0.25, 20), draw(0.25, 20));
  assertNotEquals(draw(0.25, 20), draw(0.75, 20));
});

Deno.test("random: numbers are at least 0, less than 1, and spread evenly (R3.1)", () => {
  const tenths = new Array<number>(10).fill(0);
  for (const number of draw(0, 10_000)) {
    assert(number >= 0 && number < 1);
    tenths[Math.floor(number * 10)]!++;
  }
  for (const count of tenths) assert(count > 800 && count < 1_200, `${tenths}`);
});
