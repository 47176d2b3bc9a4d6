import { assertEquals } from "../../../deps/std_assert.ts";
import { Suspicions } from "../../../engine/liveness/suspicions.ts";

const WAIT_MS = 1_100;

function isDue(suspicions: Suspicions, nowMs: number): boolean {
  return suspicions.dueInMs("a", { nowMs, waitMs: WAIT_MS }) <= 0;
}

Deno.test("Suspicions: a suspicion is due after the wait, and not before (C3)", () => {
  const suspicions = new Suspicions();
  assertEquals(isDue(suspicions, WAIT_MS), false);
  assertEquals(suspicions.add("a", 100), true);
  assertEquals([isDue(suspicions, 1_199), isDue(suspicions, 1_200)], [false, true]);
});

Deno.test("Suspicions: more evidence does not restart the wait (C3)", () => {
  const suspicions = new Suspicions();
  suspicions.add("a", 0);
  assertEquals([suspicions.add("a", 1_000), isDue(suspicions, WAIT_MS)], [false, true]);
});

Deno.test("Suspicions: a newer count restarts the wait, and suspects no member (C4)", () => {
  const suspicions = new Suspicions();
  suspicions.restart("a", 0);
  assertEquals(suspicions.has("a"), false);
  suspicions.add("a", 0);
  suspicions.restart("a", 500);
  assertEquals([isDue(suspicions, 1_599), isDue(suspicions, 1_600)], [false, true]);
});

Deno.test("Suspicions: a member that is no longer suspected is not due (C4)", () => {
  const suspicions = new Suspicions();
  suspicions.add("a", 0);
  suspicions.remove("a");
  assertEquals([suspicions.has("a"), isDue(suspicions, 9_999)], [false, false]);
});
