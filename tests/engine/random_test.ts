import { assert, assertEquals, assertNotEquals } from "../../deps/std_assert.ts";
import { Random } from "../../engine/random.ts";

function draw(seed: number, count: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.next());
}

Deno.test("random: equal seeds draw equal numbers, and another seed draws other numbers (R3.1)", () => {
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

Deno.test("random: draws the numbers of mulberry32, so that a seed has the same outcome in every version (R3.1)", () => {
  assertEquals(draw(0, 3), [0.26642920868471265, 0.0003297457005828619, 0.2232720274478197]);
  assertEquals(draw(0.25, 3), [0.6198235186748207, 0.934133165050298, 0.689656768925488]);
});
