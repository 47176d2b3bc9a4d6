import { assertEquals, assertNotEquals } from "../../../deps/std_assert.ts";
import type { Engine, EngineSettings } from "../../../engine/engine.ts";

import {
  deliver,
  entry,
  eventsOf,
  handshake,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  sendLiveness,
  set,
  SETTINGS,
  settle,
  TestClock,
} from "../harness.ts";

/** A third of the expiration. */
const ISOLATED_AFTER_MS = SETTINGS.heartbeatExpiration / 3;

/** Advances by intervals in which no member is heard. */
function passSilently(engine: Engine, clock: TestClock, forMs: number): void {
  for (let passed = 0; passed + SETTINGS.gossipInterval <= forMs; passed += SETTINGS.gossipInterval) {
    clock.advance(SETTINGS.gossipInterval);
    note(engine, engine.countHeartbeat({}, clock.now));
    note(engine, engine.tick(clock.now));
  }
}

/** The events about isolation, in order. */
function isolationEvents(engine: Engine): string[] {
  return eventsOf(engine).all.map(({ type }) => type).filter((type) =>
    type === "Isolated" || type === "Rejoined"
  );
}

/** Two members that know that they have the same state. */
function confirmedPair(
  clock: TestClock,
  settings: Partial<EngineSettings> = {},
): [a: Engine, b: Engine] {
  const [a, b] = makePair(clock, { settings });
  for (const engine of [a, b]) {
    set(engine, "k", 1, clock);
    note(engine, engine.countHeartbeat({}, clock.now));
    note(engine, engine.tick(clock.now));
  }
  settle([a, b], { clock });
  for (const engine of [a, b]) eventsOf(engine).clear();
  return [a, b];
}

Deno.test("isolation: a member that hears no other for a third of the expiration is isolated, and not before (L5)", () => {
  const clock = new TestClock();
  const [a] = confirmedPair(clock);
  passSilently(a, clock, ISOLATED_AFTER_MS);
  assertEquals([a.view.isIsolated, isolationEvents(a)], [false, []]);
  passSilently(a, clock, SETTINGS.gossipInterval);
  assertEquals([a.view.isIsolated, isolationEvents(a)], [true, ["Isolated"]]);
  passSilently(a, clock, 5_000);
  assertEquals(isolationEvents(a), ["Isolated"]);
});

Deno.test("isolation: a member with a short expiration is isolated after two intervals with their request timeouts, and not before (L5)", () => {
  const clock = new TestClock();
  // A third of this is less than the two slow rounds of 800 ms.
  const [a] = confirmedPair(clock, { heartbeatExpiration: 2_100 });
  passSilently(a, clock, 1_500);
  clock.advance(100);
  note(a, a.tick(clock.now));
  assertEquals([a.view.isIsolated, isolationEvents(a)], [false, []]);
  clock.advance(1);
  note(a, a.tick(clock.now));
  assertEquals([a.view.isIsolated, isolationEvents(a)], [true, ["Isolated"]]);
});

Deno.test("isolation: an isolated member reports neither consensus nor confirmed until it hears another member (L5, E13)", () => {
  const clock = new TestClock();
  const [a, b] = confirmedPair(clock);
  note(a, a.addCheck("check", "k", (value) => JSON.stringify(value)));
  assertEquals([a.view.phase, a.view.consensus("check").reached], ["confirmed", true]);
  passSilently(a, clock, ISOLATED_AFTER_MS + SETTINGS.gossipInterval);
  assertEquals([a.view.phase, a.view.consensus("check").reached], ["diffusing", false]);
  assertEquals(eventsOf(a).of("ConsensusLost").length, 1);
  sendLiveness(b, a, clock);
  assertEquals([a.view.isIsolated, a.view.phase, a.view.consensus("check").reached], [
    false,
    "confirmed",
    true,
  ]);
  assertEquals(isolationEvents(a), ["Isolated", "Rejoined"]);
});

Deno.test("isolation: a member that has blocked all others as expired stays isolated (L5)", () => {
  const clock = new TestClock();
  const [a, b] = confirmedPair(clock);
  passSilently(a, clock, SETTINGS.heartbeatExpiration + 2_000);
  assertEquals([a.view.blockedMember("b")?.reason, a.view.isIsolated], ["expired", true]);
  assertNotEquals(a.view.phase, "confirmed");
  handshake(a, b, clock);
  assertEquals([a.view.isIsolated, isolationEvents(a)], [false, ["Isolated", "Rejoined"]]);
});

Deno.test("isolation: each message of another member restarts the wait for isolation (L5)", () => {
  const clock = new TestClock();
  const [a, b] = confirmedPair(clock);
  for (let time = 0; time < 5; time++) {
    passSilently(a, clock, ISOLATED_AFTER_MS - SETTINGS.gossipInterval);
    sendLiveness(b, a, clock);
  }
  assertEquals(isolationEvents(a), []);
});

Deno.test("isolation: a member that is alone is not isolated (L5)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock);
  note(a, a.setTopology({ members: ["a"], blocked: [] }, clock.now));
  passSilently(a, clock, 60_000);
  assertEquals([a.view.isIsolated, isolationEvents(a), a.view.phase], [false, [], "confirmed"]);
});

Deno.test("isolation: a member is not isolated after all other members left or crashed (L5)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  for (const other of [b!, c!]) handshake(a, other, clock);
  deliver(a, "b", memberDelta("b", b!.view.incarnation, [entry("left", 1, {})]), clock);
  note(a, a.suspect("c", clock.now));
  clock.advance(1_100);
  note(a, a.confirmCrash("c", { waitMs: 1_100 }, clock.now));
  assertEquals(a.view.blockedMembers().map(({ id, reason }) => [id, reason]), [["b", "left"], [
    "c",
    "crashed",
  ]]);
  passSilently(a, clock, 60_000);
  assertEquals([a.view.isIsolated, isolationEvents(a), a.view.phase], [false, [], "confirmed"]);
});

Deno.test("isolation: ends when the last other member is blocked as crashed (L5)", () => {
  const clock = new TestClock();
  const [a] = confirmedPair(clock);
  passSilently(a, clock, ISOLATED_AFTER_MS + SETTINGS.gossipInterval);
  note(a, a.suspect("b", clock.now));
  clock.advance(1_100);
  note(a, a.confirmCrash("b", { waitMs: 1_100 }, clock.now));
  passSilently(a, clock, SETTINGS.gossipInterval);
  assertEquals([a.view.isIsolated, isolationEvents(a)], [false, ["Isolated", "Rejoined"]]);
});

Deno.test("isolation: the time in which this process stood still does not count (L5)", () => {
  const clock = new TestClock();
  const [a] = confirmedPair(clock);
  passSilently(a, clock, 3_000);
  clock.advance(3_600_000);
  note(a, a.tick(clock.now));
  assertEquals(isolationEvents(a), []);
  // The suspension counts as one slow round of 800 ms.
  passSilently(a, clock, ISOLATED_AFTER_MS - 3_000 - 800);
  assertEquals(isolationEvents(a), []);
  passSilently(a, clock, 2 * SETTINGS.gossipInterval);
  assertEquals(isolationEvents(a), ["Isolated"]);
});

Deno.test("isolation: the silence counts from a message that arrives between a standstill of the process and the next tick (L5)", () => {
  const clock = new TestClock();
  const [a, b] = confirmedPair(clock);
  clock.advance(3_600_000);
  sendLiveness(b, a, clock);
  note(a, a.tick(clock.now));
  passSilently(a, clock, ISOLATED_AFTER_MS + SETTINGS.gossipInterval);
  assertEquals(isolationEvents(a), ["Isolated"]);
});
