import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { deliver, entry, incarnationAt, makeCluster, memberDelta, TestClock, valueOf } from "../harness.ts";

/** A member `a` that has merged a part of b's state as of 12: `x` was deleted at 12. It holds b's state up to 8. */
function amidReset(clock: TestClock): { a: Engine; incarnation: string } {
  const [a] = makeCluster(["a", "b", "c", "d"], clock);
  const incarnation = incarnationAt(clock);
  deliver(a, "c", memberDelta("b", incarnation, [entry("x", 3, 1), entry("y", 8, 1)]), clock);
  const part = memberDelta("b", incarnation, [entry("w", 5, 1)], { reset: true, end: 12 });
  assertEquals(deliver(a, "c", part, clock), new Map());
  assertEquals(valueOf(a, "b", "x"), undefined);
  return { a, incarnation };
}

Deno.test("reset: between the parts of a reset, an older reset brings no deleted key back (E8)", () => {
  const clock = new TestClock();
  const { a, incarnation } = amidReset(clock);
  const older = memberDelta("b", incarnation, [entry("x", 3, 1)], { reset: true, end: 10 });
  assertEquals(deliver(a, "d", older, clock), new Map([["b", { incarnation, number: 8 }]]));
  const rest = memberDelta("b", incarnation, [entry("y", 8, 1), entry("z", 13, 1)], {
    after: 5,
    reset: true,
    end: 13,
  });
  assertEquals(deliver(a, "c", rest, clock), new Map());
  assertEquals(["w", "x", "y", "z"].map((key) => valueOf(a, "b", key)), [1, undefined, 1, 1]);
});

Deno.test("reset: an older reset is merged if no other part has come for `heartbeatExpiration`, or if its owner sends it (E8)", () => {
  const older = (incarnation: string) =>
    memberDelta("b", incarnation, [entry("x", 3, 1), entry("y", 8, 1), entry("v", 10, 1)], {
      reset: true,
      end: 10,
    });
  for (const [peerId, afterMs] of [["d", 20_000], ["b", 0]] as const) {
    const clock = new TestClock();
    const { a, incarnation } = amidReset(clock);
    if (afterMs > 0) {
      clock.advance(afterMs - 1);
      deliver(a, "d", older(incarnation), clock);
      assertEquals(valueOf(a, "b", "v"), undefined);
      clock.advance(1);
    }
    assertEquals(deliver(a, peerId, older(incarnation), clock), new Map());
    assertEquals(["x", "v"].map((key) => valueOf(a, "b", key)), [1, 1], peerId);
  }
});
