import { assert, assertEquals } from "../../deps/std_assert.ts";
import {
  incarnationAbove,
  incarnationStartMs,
  isFarAhead,
  isIncarnation,
  makeIncarnation,
} from "../../engine/incarnation.ts";

const DAY_MS = 24 * 3_600_000;

Deno.test("incarnation: is the clock's milliseconds at its start and a random part, of fixed width (E1)", () => {
  assertEquals(makeIncarnation(1_700_000_000_000, 0.5), "018bcfe56800-80000000");
  assertEquals(makeIncarnation(0, 0), "000000000000-00000000");
  assertEquals(makeIncarnation(0, 1 - Number.EPSILON), "000000000000-ffffffff");
  assertEquals(makeIncarnation(1_700_000_000_000.9, 0.5), "018bcfe56800-80000000");
});

Deno.test("incarnation: two incarnations are compared by their milliseconds, then by their random parts (E1)", () => {
  assert(makeIncarnation(1_000, 0.9) < makeIncarnation(1_001, 0.1));
  assert(makeIncarnation(1_000, 0.1) < makeIncarnation(1_000, 0.9));
  assert(makeIncarnation(0xff, 0) < makeIncarnation(0x100, 0));
  assert(makeIncarnation(0xfffffff, 0) < makeIncarnation(0x10000000, 0));
});

Deno.test("incarnation: a clock before 1970 gives a valid incarnation (E1)", () => {
  assert(isIncarnation(makeIncarnation(-5, 0.5)));
});

Deno.test("incarnationAbove: is later than the given incarnation, even if the clock is behind it (E1)", () => {
  const known = makeIncarnation(5_000, 1 - Number.EPSILON);
  for (const wallMs of [0, 4_999, 5_000, 5_001, 9_000]) {
    for (const random of [0, 0.5]) {
      assert(incarnationAbove(known, wallMs, random) > known, `${wallMs} ${random}`);
    }
  }
  assertEquals(incarnationAbove(known, 4_000, 0.25), makeIncarnation(5_001, 0.25));
});

Deno.test("incarnationAbove: does not start before the clock (E1)", () => {
  assertEquals(incarnationAbove(makeIncarnation(5_000, 0.5), 9_000, 0.25), makeIncarnation(9_000, 0.25));
});

Deno.test("incarnationStartMs: returns the start of an incarnation (E1)", () => {
  assertEquals(incarnationStartMs(makeIncarnation(1_700_000_000_123, 0.7)), 1_700_000_000_123);
});

Deno.test("isIncarnation: accepts only text in the form of an incarnation (E1)", () => {
  assert(isIncarnation("018bcfe56800-80000000"));
  for (
    const wrong of [
      "018bcfe56800-8000000",
      "018bcfe56800-800000000",
      "18bcfe56800-80000000",
      "018BCFE56800-80000000",
      "018bcfe56800_80000000",
      " 018bcfe56800-80000000",
      "018bcfe56800-80000000\n",
      "018bcfe5680g-80000000",
      "",
      undefined,
      null,
      7,
      ["018bcfe56800-80000000"],
    ]
  ) assertEquals(isIncarnation(wrong), false, JSON.stringify(wrong));
});

Deno.test("incarnation: is far ahead only if it starts more than a year after this clock (E2)", () => {
  const wallMs = 1_700_000_000_000;
  assertEquals(isFarAhead(makeIncarnation(wallMs + 365 * DAY_MS, 1 - Number.EPSILON), wallMs), false);
  assertEquals(isFarAhead(makeIncarnation(wallMs + 367 * DAY_MS, 0), wallMs), true);
  assertEquals(isFarAhead(makeIncarnation(wallMs - 10_000 * DAY_MS, 0), wallMs), false);
  assertEquals(isFarAhead("ffffffffffff-ffffffff", wallMs), true);
});
