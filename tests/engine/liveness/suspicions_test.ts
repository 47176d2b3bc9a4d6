import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import type { EngineEvent } from "../../../engine/events.ts";
import { Suspicions } from "../../../engine/liveness/suspicions.ts";
import { eventsOf, handshake, makeCluster, makePair, note, set, settle, TestClock } from "../harness.ts";

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

function suspect(engine: Engine, id: string, clock: TestClock): void {
  note(engine, engine.suspect(id, clock.now));
}

function confirm(engine: Engine, id: string, clock: TestClock): boolean {
  return note(engine, engine.confirmCrash(id, { waitMs: WAIT_MS }, clock.now)).dueInMs <= 0;
}

/** The types of the events about suspicions and blocks, with the member. */
function eventTypes(engine: Engine): string[] {
  return eventsOf(engine).all.flatMap((event) => {
    if (event.type === "MemberSuspected") return [`suspected ${event.memberId}`];
    if (event.type === "MemberBlocked") return [`${event.reason} ${event.memberId}`];
    return event.type === "MemberUnblocked" ? [`unblocked ${event.memberId}`] : [];
  });
}

Deno.test("Suspicions: a suspicion is due after the wait, and not before (C3)", () => {
  const { suspicions, events } = makeSuspicions();
  assertEquals(isDue(suspicions, WAIT_MS), false);
  suspicions.add("a", 100);
  assertEquals(events, ["MemberSuspected"]);
  assertEquals([isDue(suspicions, 1_199), isDue(suspicions, 1_200)], [false, true]);
  assertEquals([suspicions.has("a"), suspicions.has("b")], [true, false]);
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

Deno.test("Suspicions: a removed suspicion is never due, and its wait is forgotten (C4)", () => {
  const suspicions = new Suspicions(new Set(["a"]), () => {});
  suspicions.add("a", 0);
  suspicions.remove("a");
  assertEquals([suspicions.has("a"), suspicions.dueInMs("a", { nowMs: 9_999, waitMs: 100 }) <= 0], [
    false,
    false,
  ]);
  suspicions.add("a", 500);
  assertEquals(suspicions.dueInMs("a", { nowMs: 599, waitMs: 100 }) <= 0, false);
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

Deno.test("Engine.confirmCrash: blocks a suspect after the wait, with one event for the suspicion and one for the block (C2, C3)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  suspect(a, "b", clock);
  clock.advance(WAIT_MS - 1);
  suspect(a, "b", clock);
  assertEquals(confirm(a, "b", clock), false);
  clock.advance(1);
  assertEquals(confirm(a, "b", clock), true);
  confirm(a, "b", clock);
  assertEquals(eventTypes(a), ["suspected b", "crashed b"]);
  assertEquals(a.view.blockedMember("b")?.reason, "crashed");
});

Deno.test("Engine.confirmCrash: blocks no member that is not suspected (C3)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  clock.advance(10_000);
  assertEquals(confirm(a, "b", clock), false);
  assertEquals(eventTypes(a), []);
});

Deno.test("Engine.suspect: suspects only active members (C2)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  note(a, a.setTopology({ members: ["a", "b", "c"], blocked: ["c"] }, clock.now));
  eventsOf(a).clear();
  for (const id of ["c", "stranger"]) suspect(a, id, clock);
  clock.advance(WAIT_MS);
  for (const id of ["c", "stranger"]) assertEquals(confirm(a, id, clock), false);
  assertEquals(eventTypes(a), []);
  assertEquals(a.view.blockedMember("c")?.reason, "topology");
});

Deno.test("Engine.applyCount: a newer count restarts the wait; an equal or older count does not (C4)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  for (let interval = 0; interval < 5; interval++) note(b, b.countHeartbeat({}, clock.now));
  set(b, "k", 1, clock);
  settle([a, b], { clock });
  note(a, a.applyCount("b", 5, clock.now));
  suspect(a, "b", clock);
  clock.advance(1_000);
  for (const count of [5, 4]) note(a, a.applyCount("b", count, clock.now));
  clock.advance(100);
  assertEquals(confirm(a, "b", clock), true);
  handshake(a, b, clock);
  suspect(a, "b", clock);
  clock.advance(1_000);
  note(a, a.applyCount("b", 6, clock.now));
  clock.advance(WAIT_MS - 1);
  assertEquals(confirm(a, "b", clock), false);
  clock.advance(1);
  assertEquals(confirm(a, "b", clock), true);
});

Deno.test("handshake: ends a suspicion, and a block as crashed (C4, E10)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  suspect(a, "b", clock);
  handshake(a, b, clock);
  clock.advance(WAIT_MS);
  assertEquals(confirm(a, "b", clock), false);
  suspect(a, "b", clock);
  clock.advance(WAIT_MS);
  assertEquals(confirm(a, "b", clock), true);
  assertEquals(handshake(a, b, clock), { byA: undefined, byB: undefined });
  assertEquals(eventTypes(a), ["suspected b", "suspected b", "crashed b", "unblocked b"]);
});

Deno.test("suspicion: after a suspicion was cleared, the next one starts a new wait (C4)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  suspect(a, "b", clock);
  clock.advance(1_000);
  note(a, a.clearSuspicion("b"));
  suspect(a, "b", clock);
  clock.advance(WAIT_MS - 1);
  assertEquals(confirm(a, "b", clock), false);
  assertEquals(eventTypes(a), ["suspected b", "suspected b"]);
});
