import { assertEquals } from "../../../deps/std_assert.ts";
import { Random } from "../../../engine/random.ts";
import { ChangeRanges } from "../../../engine/sync/change_ranges.ts";

/** The serials of a set up to a bound. */
function has(serials: ChangeRanges, upTo: number): number[] {
  return Array.from({ length: upTo }, (_, index) => index + 1).filter((serial) => serials.has(serial));
}

Deno.test("ChangeRanges: has the added serials, and no other serial (E6)", () => {
  const serials = new ChangeRanges();
  assertEquals([serials.has(0), serials.has(1)], [true, false]);
  serials.add(4, 6);
  serials.add(8, 9);
  assertEquals(has(serials, 12), [5, 6, 9]);
  serials.add(6, 8);
  assertEquals(has(serials, 12), [5, 6, 7, 8, 9]);
  assertEquals(serials.upTo, 0);
  serials.add(0, 4);
  assertEquals([has(serials, 12), serials.upTo], [[1, 2, 3, 4, 5, 6, 7, 8, 9], 9]);
  serials.add(3, 5);
  serials.add(12, 12);
  serials.add(-1, 0);
  assertEquals([has(serials, 12).length, serials.upTo], [9, 9]);
});

Deno.test("ChangeRanges: equals a plain set, except that the narrowest ranges may be dropped (E6)", () => {
  const random = new Random(0.5);
  for (let run = 0; run < 200; run++) {
    const serials = new ChangeRanges();
    const plain = new Set<number>();
    for (let step = 0; step < 15; step++) {
      const after = Math.floor(random.next() * 100);
      const upTo = after + Math.floor(random.next() * 12);
      serials.add(after, upTo);
      for (let serial = after + 1; serial <= upTo; serial++) plain.add(serial);
      assertEquals(has(serials, 120), [...plain].sort((one, other) => one - other));
    }
  }
});

Deno.test("ChangeRanges: above its limit, drops the narrowest range, and the lowest of equally narrow ranges (E6)", () => {
  const serials = new ChangeRanges();
  for (let range = 0; range < 16; range++) serials.add(10 * range + 1, 10 * range + (range === 3 ? 3 : 4));
  serials.add(500, 502);
  assertEquals([serials.has(33), serials.has(32), serials.has(502), serials.has(3)], [
    false,
    false,
    true,
    true,
  ]);
  serials.add(600, 602);
  assertEquals([serials.has(502), serials.has(602), serials.has(4)], [false, true, true]);
  serials.add(700, 710);
  assertEquals([serials.has(602), serials.has(710)], [false, true]);
});
