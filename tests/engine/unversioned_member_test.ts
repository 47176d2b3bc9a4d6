import { assert, assertEquals } from "../../deps/std_assert.ts";
import type { Engine } from "../../engine/engine.ts";
import { makeIncarnation, NO_INCARNATION } from "../../engine/incarnation.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, type SentEntry } from "../../engine/types.ts";
import {
  deliver,
  entry,
  eventsOf,
  exchange,
  handshake,
  heartbeat,
  makeCluster,
  makeEngine,
  memberDelta,
  note,
  reconcile,
  set,
  settle,
  TestClock,
  tombstone,
  valueOf,
} from "./harness.ts";

/** Two members with incarnations, `a` and `b`, and one without, `g`, that both have met. */
function makeMixed(clock: TestClock, settings = {}): [a: Engine, b: Engine] {
  const [a, b] = makeCluster(["a", "b", "g"], clock, { settings }).slice(0, 2) as [Engine, Engine];
  handshake(a, b, clock);
  for (const engine of [a, b]) {
    const hello = { id: "g", incarnation: NO_INCARNATION, digest: "0".repeat(16), active: "0".repeat(16) };
    assertEquals(note(engine, engine.applyHello(hello, clock.now)).refusal, undefined);
  }
  return [a, b];
}

/** Delivers state of `g`, by `g` itself or by another. */
function sendStateOfG(engine: Engine, by: string, entries: readonly SentEntry[], clock: TestClock): void {
  assertEquals(deliver(engine, by, memberDelta("g", NO_INCARNATION, entries), clock).size, 0);
}

/** The keys of `g` in the engine's next delta to a peer. */
function nextKeysOfG(engine: Engine, peerId: string): string[] | undefined {
  return engine.disseminate(peerId).delta.members.find(({ id }) => id === "g")?.entries.map(({ key }) => key);
}

Deno.test("unversioned member: its entries are merged key by key, even after missed entries", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, "new")], clock);
  sendStateOfG(a, "g", [entry("y", 3, "late")], clock);
  assertEquals([valueOf(a, "g", "x"), valueOf(a, "g", "y")], ["new", "late"]);
});

Deno.test("unversioned member: the higher number of a key wins, in any order of arrival", () => {
  const clock = new TestClock();
  const [a, b] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, "new")], clock);
  sendStateOfG(a, "g", [entry("x", 3, "old")], clock);
  sendStateOfG(b, "g", [entry("x", 3, "old")], clock);
  sendStateOfG(b, "g", [entry("x", 7, "new")], clock);
  assertEquals([valueOf(a, "g", "x"), valueOf(b, "g", "x")], ["new", "new"]);
  assertEquals(a.view.digest, b.view.digest);
});

Deno.test("unversioned member: an equal number with another value is a conflict and is ignored", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, 1)], clock);
  sendStateOfG(a, "g", [entry("x", 7, 2)], clock);
  assertEquals(valueOf(a, "g", "x"), 1);
  assertEquals(eventsOf(a).of("ConflictDetected").map(({ reason }) => reason), ["value"]);
});

Deno.test("unversioned member: a late entry with a lower number is passed on, although an entry with a higher number was passed on before", () => {
  const clock = new TestClock();
  const [a, b] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, 1)], clock);
  exchange(a, b, { clock });
  sendStateOfG(a, "g", [entry("y", 3, 1)], clock);
  assertEquals(nextKeysOfG(a, "b"), ["y"]);
  exchange(a, b, { clock });
  assertEquals(valueOf(b, "g", "y"), 1);
  assertEquals(nextKeysOfG(a, "b"), undefined);
});

Deno.test("unversioned member: its entries are sent again until they are acknowledged (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, 1)], clock);
  exchange(a, b, { clock, lose: "request" });
  assertEquals(nextKeysOfG(a, "b"), ["x"]);
  exchange(a, b, { clock, lose: "reply" });
  assertEquals(nextKeysOfG(a, "b"), ["x"]);
  exchange(a, b, { clock });
  assertEquals(nextKeysOfG(a, "b"), undefined);
});

Deno.test("unversioned member: an acknowledgement counts for the sent entries, not for later entries (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, 1)], clock);
  const { delta, sent } = a.disseminate("b");
  sendStateOfG(a, "g", [entry("y", 3, 1)], clock);
  // Sent too, and lost.
  note(a, a.disseminate("b"));
  note(b, b.applyIncoming("a", delta, clock.now));
  note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals(nextKeysOfG(a, "b"), ["y"]);
});

Deno.test("unversioned member: its entries are not sent back to their sender, but the entries that the sender lacks are", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "b", [entry("x", 7, 1)], clock);
  assertEquals(nextKeysOfG(a, "b"), undefined);
  sendStateOfG(a, "g", [entry("x", 9, 2), entry("y", 8, 1)], clock);
  sendStateOfG(a, "b", [entry("y", 8, 1)], clock);
  assertEquals(nextKeysOfG(a, "b"), ["y", "x"]);
  sendStateOfG(a, "b", [entry("y", 8, 1), entry("x", 9, 2)], clock);
  assertEquals(nextKeysOfG(a, "b"), undefined);
});

Deno.test("unversioned member: a peer that sends an earlier entry is sent the later entry, whatever it acknowledged", () => {
  const clock = new TestClock();
  const [a, b] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("w", 1, 1), entry("x", 9, 2)], clock);
  exchange(a, b, { clock });
  sendStateOfG(a, "b", [entry("x", 4, 1)], clock);
  assertEquals(nextKeysOfG(a, "b"), ["x"]);
});

Deno.test("unversioned member: its own entries are never sent to it (E1)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 9, 2)], clock);
  sendStateOfG(a, "g", [entry("x", 4, 1)], clock);
  assertEquals([nextKeysOfG(a, "g"), a.view.footprint.pending], [undefined, 0]);
});

Deno.test("unversioned member: two peers with different parts of its state notice the difference, and both get all entries (E12)", () => {
  const clock = new TestClock();
  const [a, b] = makeMixed(clock);
  // Each takes the other as up to date, as after dropped memories.
  sendStateOfG(a, "b", [entry("x", 7, 1), entry("z", 9, 1)], clock);
  sendStateOfG(b, "a", [entry("y", 8, 1), entry("z", 9, 1)], clock);
  // Incarnations are part of the comparison: each has to know the other's.
  set(a, "own", 1, clock);
  set(b, "own", 1, clock);
  for (let round = 0; round < 4; round++) {
    exchange(a, b, { clock });
    reconcile(a, b);
  }
  settle([a, b], { clock });
  for (const engine of [a, b]) {
    assertEquals(engine.view.entriesOf("g").map(({ key }) => key), ["x", "y", "z"]);
  }
  assertEquals(a.view.digest, b.view.digest);
});

Deno.test("unversioned member: a reset removes no entry that it omits (E8)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, 1)], clock);
  deliver(a, "b", memberDelta("g", NO_INCARNATION, [entry("y", 9, 1)], { reset: true }), clock);
  assertEquals(a.view.entriesOf("g").map(({ key }) => key), ["x", "y"]);
});

Deno.test("unversioned member: an entry without a value deletes the key, and is kept as long as the member (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, 1), entry("y", 8, 1)], clock);
  sendStateOfG(a, "g", [tombstone("x", 9), entry("y", 10, 2)], clock);
  assertEquals(valueOf(a, "g", "x"), undefined);
  clock.advance(3_600_001);
  note(a, a.tick(clock.now));
  clock.advance(3_600_001);
  note(a, a.tick(clock.now));
  sendStateOfG(a, "b", [entry("x", 7, 1)], clock);
  assertEquals(valueOf(a, "g", "x"), undefined);
  assertEquals(b.view.entriesOf("g"), []);
});

Deno.test("unversioned member: a newer heartbeat is a sign of life, also through a relay (E9)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  const live = (number: number, by: string) => {
    for (let interval = 0; interval < 50; interval++) note(a, a.tick(clock.advance(300)));
    sendStateOfG(a, by, [heartbeat(number)], clock);
  };
  live(1, "g");
  live(2, "b");
  for (let interval = 0; interval < 60; interval++) note(a, a.tick(clock.advance(300)));
  assertEquals(eventsOf(a).of("MemberBlocked").map(({ memberId }) => memberId), ["b"]);
  for (let interval = 0; interval < 10; interval++) note(a, a.tick(clock.advance(300)));
  assertEquals(a.view.blockedMember("g")?.reason, "expired");
  sendStateOfG(a, "b", [heartbeat(2)], clock);
  assertEquals(a.view.blockedMember("g")?.reason, "expired");
  sendStateOfG(a, "b", [heartbeat(3)], clock);
  assertEquals(a.view.blockedMember("g"), undefined);
});

Deno.test("unversioned member: the state of a blocked unversioned member is passed on without its heartbeat (E10)", () => {
  const clock = new TestClock();
  const [a, b] = makeMixed(clock);
  sendStateOfG(a, "g", [heartbeat(1), entry("x", 2, 1)], clock);
  for (let interval = 0; interval < 80; interval++) {
    note(a, a.countHeartbeat({}, clock.advance(300)));
    note(a, a.tick(clock.now));
    note(b, b.countHeartbeat({}, clock.now));
    deliver(a, "b", b.disseminate("a").delta.members, clock);
  }
  assertEquals(a.view.blockedMember("g")?.reason, "expired");
  sendStateOfG(a, "b", [entry("y", 1, 1)], clock);
  const late = memberDelta("g", NO_INCARNATION, [entry("w", 1, 1)]);
  deliver(a, "g", late, clock);
  assertEquals(nextKeysOfG(a, "b")?.includes("heathbeat"), false);
  assert(nextKeysOfG(a, "b")!.includes("x"));
});

Deno.test("unversioned member: is blocked as left if it has the gracefully-left key (R10.3)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "b", [entry(GRACEFULLY_LEFT_KEY, 5, {})], clock);
  assertEquals(a.view.blockedMember("g")?.reason, "left");
  sendStateOfG(a, "b", [heartbeat(6)], clock);
  assertEquals(a.view.blockedMember("g")?.reason, "left");
});

Deno.test("unversioned member: forgotten state comes back only with a higher number (E11)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, 1), entry("y", 9, 1)], clock);
  note(a, a.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  clock.advance(600_001);
  note(a, a.tick(clock.now));
  assertEquals(a.view.entriesOf("g"), []);
  sendStateOfG(a, "b", [entry("y", 9, 1)], clock);
  sendStateOfG(a, "b", [entry("x", 8, 1)], clock);
  assertEquals(a.view.entriesOf("g"), []);
  sendStateOfG(a, "b", [entry("x", 10, 1)], clock);
  assertEquals(a.view.entriesOf("g").map(({ key }) => key), ["x"]);
});

Deno.test("unversioned member: a late acknowledgement of forgotten state does not count for new state (E5)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 7, 1)], clock);
  const { sent } = a.disseminate("b");
  note(a, a.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  clock.advance(600_001);
  note(a, a.tick(clock.now));
  note(a, a.setTopology({ members: ["a", "b", "g"], blocked: [] }, clock.now));
  sendStateOfG(a, "g", [entry("x", 8, 1)], clock);
  note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals(nextKeysOfG(a, "b"), ["x"]);
});

Deno.test("unversioned member: an incarnation of its id replaces all its state (E1)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 9, 1)], clock);
  deliver(a, "b", memberDelta("g", makeIncarnation(clock.wallMs, 0.5), [entry("y", 1, 1)]), clock);
  assertEquals(a.view.entriesOf("g").map(({ key, number }) => [key, number]), [["y", 1]]);
  assertEquals(
    deliver(a, "b", memberDelta("g", NO_INCARNATION, [entry("x", 10, 1)]), clock).get("g")?.number,
    1,
  );
  assertEquals(valueOf(a, "g", "x"), undefined);
});

Deno.test("unversioned member: counts as up to date only after it acknowledged everything (R3.5)", () => {
  const clock = new TestClock();
  const [a, b] = makeMixed(clock);
  set(a, "x", 1, clock);
  settle([a, b], { clock });
  assertEquals(a.view.phase, "diffusing");
  assertEquals(a.view.isAcknowledgedBy("g", 1), false);
  const { sent } = a.disseminate("g");
  note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals(a.view.isAcknowledgedBy("g", 1), true);
  assertEquals(a.view.phase, "confirmed");
});

Deno.test("merge: takes an equal value of an unversioned member under a higher number", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "g", [entry("x", 3, "v")], clock);
  sendStateOfG(a, "g", [entry("x", 7, "v")], clock);
  assertEquals([a.view.get("g", "x")?.number, nextKeysOfG(a, "b")], [7, ["x"]]);
});

Deno.test("merge: neither another entry nor a deleted heartbeat counts as a heartbeat of an unversioned member (E9)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  sendStateOfG(a, "g", [heartbeat(2)], clock);
  for (let interval = 0; interval < 80; interval++) note(a, a.tick(clock.advance(300)));
  assertEquals(a.view.blockedMember("g")?.reason, "expired");
  sendStateOfG(a, "b", [entry("x", 9, 1)], clock);
  sendStateOfG(a, "b", [tombstone(HEARTBEAT_KEY, 11)], clock);
  assertEquals(a.view.blockedMember("g")?.reason, "expired");
});

Deno.test("merge: refuses entries of an unversioned member over the limits, and takes replacements (E7)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock, { maxKeysPerMember: 2 });
  const keys = (...numbers: number[]) => numbers.map((number) => entry(`k${number}`, number, 1));
  sendStateOfG(a, "g", keys(7, 8, 9), clock);
  const tooMuch = memberDelta("g", NO_INCARNATION, keys(1, 2));
  assertEquals(deliver(a, "b", tooMuch, clock).size, 1);
  assertEquals(a.view.entriesOf("g").length, 3);
  assertEquals(eventsOf(a).of("ConflictDetected").map(({ reason }) => reason), ["limit"]);
  sendStateOfG(a, "g", [entry("k8", 20, 2)], clock);
  assertEquals([valueOf(a, "g", "k8"), eventsOf(a).of("ConflictDetected").length], [2, 1]);
});

Deno.test("merge: refuses an unversioned member's state that fits no message, because it cannot be cut (E7)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock, { maxMessageBytes: 16_384 });
  const large = memberDelta("g", NO_INCARNATION, [entry("x", 1, "x".repeat(9_000))]);
  assertEquals([deliver(a, "b", large, clock).size, a.view.versionOf("g")], [1, undefined]);
});

Deno.test("merge: a peer without room for an unversioned member's state is offered the state ever less often (E7)", () => {
  const clock = new TestClock();
  const [a] = makeMixed(clock);
  const full = makeEngine("b", clock, { settings: { maxKeysPerMember: 2 } });
  note(full, full.setTopology({ members: ["a", "b", "g"], blocked: [] }, clock.now));
  handshake(a, full, clock);
  sendStateOfG(a, "g", ["v", "w", "x", "y", "z"].map((key, index) => entry(key, 7 + index, 1)), clock);
  let offers = 0;
  for (let round = 0; round < 60; round++) {
    const { request } = exchange(a, full, { clock });
    if (request.members.some(({ id }) => id === "g")) offers++;
    clock.advance(300);
  }
  assertEquals(full.view.entriesOf("g"), []);
  // In rounds 0, 1, 3, 7, 15 and 31.
  assertEquals(offers, 6);
});
