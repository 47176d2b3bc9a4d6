import { assertEquals } from "../../../deps/std_assert.ts";
import { Histogram } from "../../../operations/metrics/histogram.ts";

Deno.test("histogram: a bucket counts the values up to its bound, and the last bucket counts all", () => {
  const histogram = new Histogram([1, 2]);
  for (const value of [0.5, 1, 1.5, 2, 9]) histogram.record(value);
  assertEquals(histogram.cumulated(), [2, 4, 5]);
  assertEquals(histogram.sum, 14);
});
