import { assertEquals } from "../../../deps/std_assert.ts";
import type { EngineEvent } from "../../../engine/events.ts";
import { Suspicions } from "../../../engine/liveness/suspicions.ts";

const WAIT_MS = 1_100;

/** Suspicions with "a" as the only active member, and the types of their events. */
function makeSuspicions() {
  const active = new Set(["a"]);
  const events: string[] = [];
  const suspicions = new Suspicions(active, ({ type }: EngineEvent) => void events.push(type));
  return { suspicions, active, events };
}

function isDue(suspicions: Suspicions, nowMs: number): boolean {
  return suspicions.dueInMs("a", { nowMs, waitMs: WAIT_MS }) <= 0;
}

Deno.test("Suspicions: a suspicion is due after the wait, and not before (C3)", () => {
  const { suspicions, events } = makeSuspicions();
  assertEquals(isDue(suspicions, WAIT_MS), false);
  suspicions.add("a", 100);
  assertEquals(events, ["MemberSuspected"]);
  assertEquals([isDue(suspicions, 1_199), isDue(suspicions, 1_200)], [false, true]);
});

Deno.test("Suspicions: more evidence does not restart the wait (C3)", () => {
  const { suspicions, events } = makeSuspicions();
  suspicions.add("a", 0);
  suspicions.add("a", 1_000);
  assertEquals([events, isDue(suspicions, WAIT_MS)], [["MemberSuspected"], true]);
});

Deno.test("Suspicions: a newer count restarts the wait, and suspects no member (C4)", () => {
  const { suspicions } = makeSuspicions();
  suspicions.restart("a", 0);
  assertEquals(suspicions.has("a"), false);
  suspicions.add("a", 0);
  suspicions.restart("a", 500);
  assertEquals([isDue(suspicions, 1_599), isDue(suspicions, 1_600)], [false, true]);
});

Deno.test("Suspicions: a member that is no longer suspected is not due (C4)", () => {
  const { suspicions } = makeSuspicions();
  suspicions.add("a", 0);
  suspicions.remove("a");
  assertEquals([suspicions.has("a"), isDue(suspicions, 9_999)], [false, false]);
});

Deno.test("Suspicions: a member that is not active is not suspected, and its suspicion ends without an event (C2, C4)", () => {
  const { suspicions, active, events } = makeSuspicions();
  suspicions.add("b", 0);
  assertEquals([events, suspicions.has("b"), suspicions.dueInMs("b", { nowMs: 9_999, waitMs: 0 })], [
    [],
    false,
    Infinity,
  ]);
  suspicions.add("a", 0);
  active.clear();
  assertEquals(suspicions.has("a"), false);
  suspicions.remove("a");
  suspicions.remove("a");
  active.add("a");
  assertEquals([events, suspicions.has("a")], [["MemberSuspected"], false]);
  suspicions.add("a", 0);
  suspicions.remove("a");
  assertEquals(events, ["MemberSuspected", "MemberSuspected", "SuspicionEnded"]);
});
