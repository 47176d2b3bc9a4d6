import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
} from "../../../deps/std_assert.ts";
import { entryHeapBytes, MEMBER_HEAP_BYTES } from "../../../engine/state/heap_estimate.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { GRACEFULLY_LEFT_KEY, type JsonValue } from "../../../engine/types.ts";
import {
  deliver,
  deliverLiveness,
  entry,
  eventsOf,
  exchange,
  handshake,
  makeEngine,
  memberDelta,
  note,
  set,
  TestClock,
  valueOf,
  WALL_START_MS,
} from "../harness.ts";
import { Owners, pairAmong } from "../many_members.ts";
import { INCARNATION } from "../incarnations.ts";
import { follow, hearsay, idsOf, meet, stranger } from "./strangers.ts";

const MIB = 2 ** 20;

/** The counted bytes of one value under the key `k`. */
function costOf(value: JsonValue): number {
  return MEMBER_HEAP_BYTES + entryHeapBytes(entry("k", 1, value));
}

const brackets = (count: number): JsonValue => Array.from({ length: count }, () => []);

Deno.test("room: counts the stored state of other members, and follows each change to the byte (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock);
  set(a, "own", "x".repeat(1_000), clock);
  assertEquals(a.view.room.bytes, 0);
  meet(a, "b", 1, clock);
  hearsay(a, "c", brackets(100), clock);
  assertEquals(a.view.room.bytes, costOf(1) + costOf(brackets(100)));
  hearsay(a, "c", "small", clock, 2);
  assertEquals(a.view.room.bytes, costOf(1) + costOf("small"));
  // A later incarnation takes the place of all of it.
  const later = makeIncarnation(WALL_START_MS + 1, 0.5);
  deliver(a, "relay", memberDelta("c", later, [entry("l", 1, 2), entry("m", 2, 3)]), clock);
  assertEquals(a.view.room.bytes, costOf(1) + costOf(2) + entryHeapBytes(entry("m", 2, 3)));
  note(a, a.setTopology({ members: ["a"], blocked: [] }, clock.now));
  note(a, a.tick(clock.advance(700_000)));
  assertEquals([a.view.room.bytes, idsOf(a)], [0, []]);
});

Deno.test("room: hearsay above maxHeldBytes is refused, and takes nothing from stored members (E15)", () => {
  const clock = new TestClock();
  const value = brackets(4_000);
  const limit = 2 * costOf(value);
  const a = stranger("a", clock, { maxHeldBytes: limit });
  meet(a, "b", 1, clock);
  hearsay(a, "c", value, clock);
  const holds = hearsay(a, "d", value, clock);
  assertEquals([idsOf(a), holds.get("d")], [["b", "c"], { incarnation: INCARNATION, number: 0 }]);
  assertLessOrEqual(a.view.room.bytes, limit);
  assertEquals([a.view.room.dropped, a.view.room.refused], [0, 1]);
});

Deno.test("room: the largest state known by hearsay is dropped for smaller states, and does not replace them later (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxHeldBytes: 2 * MIB });
  for (let index = 0; index < 74; index++) hearsay(a, `i${index}`, brackets(5_700), clock);
  assertLessOrEqual(a.view.room.bytes, 2 * MIB);
  const before = idsOf(a);
  const { dropped } = a.view.room;
  hearsay(a, "honest", "x".repeat(2_000), clock);
  hearsay(a, "honest2", "x".repeat(2_000), clock);
  hearsay(a, "honest3", "x".repeat(50_000), clock);
  assertEquals(idsOf(a).filter((id) => id.startsWith("h")), ["honest", "honest2", "honest3"]);
  const left = idsOf(a).filter((id) => id.startsWith("i"));
  assertLess(left.length, before.length);
  assertGreater(a.view.room.dropped, dropped);
  const after = a.view.room.dropped;
  // A repeated and a newer entry: each is refused, and no member loses its place.
  for (const number of [1, 2, 3]) {
    for (const id of before) hearsay(a, id, brackets(5_700), clock, number);
  }
  assertEquals([a.view.room.dropped, idsOf(a).filter((id) => id.startsWith("h")).length], [after, 3]);
});

Deno.test("room: the state of a member that shook hands replaces state known by hearsay of any size, and stays (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxHeldBytes: 2 * MIB });
  meet(a, "b", 1, clock);
  for (let index = 0; index < 600; index++) hearsay(a, `i${index}`, brackets(50), clock);
  assertGreater(a.view.room.refused, 0);
  deliver(
    a,
    "b",
    memberDelta("b", INCARNATION, [entry("large", 2, "x".repeat(30_000))], { after: 1 }),
    clock,
  );
  meet(a, "c", "x".repeat(20_000), clock);
  assertEquals([valueOf(a, "b", "large"), valueOf(a, "c", "k")], ["x".repeat(30_000), "x".repeat(20_000)]);
  assertLessOrEqual(a.view.room.bytes, 2 * MIB);
  for (let index = 0; index < 600; index++) hearsay(a, `j${index}`, 1, clock);
  assertEquals([valueOf(a, "b", "k"), typeof valueOf(a, "c", "k")], [1, "string"]);
});

Deno.test("room: large states of members that shook hands are dropped for smaller states of others (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxHeldBytes: 2 * MIB });
  meet(a, "b", 1, clock);
  for (let index = 0; index < 8; index++) meet(a, `i${index}`, brackets(3_000), clock);
  follow(a, clock);
  const honest = Array.from({ length: 10 }, (_, index) => `c${index}`);
  for (const id of honest) meet(a, id, "x".repeat(30_000), clock);
  deliver(a, "b", memberDelta("b", INCARNATION, [entry("more", 2, "x".repeat(10_000))], { after: 1 }), clock);
  assertEquals(honest.filter((id) => valueOf(a, id, "k") === undefined), []);
  assertEquals(typeof valueOf(a, "b", "more"), "string");
  assertLessOrEqual(a.view.room.bytes, 2 * MIB);
  // It is a member as before: only its state is not held.
  const [gone] = [0, 1, 2, 3, 4, 5, 6, 7].map((index) => `i${index}`).filter((id) => !idsOf(a).includes(id));
  assert(a.view.activeIds().has(gone!));
});

Deno.test("room: a state that was dropped for its size is refused for 20 s if not all of it fits, so that it does not come back at once (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxHeldBytes: 2 * MIB });
  const keys = Array.from({ length: 10 }, (_, index) => entry(`k${index}`, index + 2, brackets(1_100)));
  const whole = memberDelta("large", INCARNATION, [entry("k", 1, 1), ...keys]);
  meet(a, "large", 1, clock);
  const again = () => deliver(a, "large", whole, clock).get("large")?.number;
  again();
  follow(a, clock);
  for (let index = 0; index < 20; index++) meet(a, `b${index}`, "x".repeat(30_000), clock);
  assertEquals([a.view.versionOf("large"), a.view.room.dropped], [undefined, 1]);
  // Most of it would find room, until the others grow again.
  for (let times = 0; times < 5; times++) assertEquals(again(), 0);
  assertEquals(a.view.room.dropped, 1);
  // It is taken again once it has rested, as far as there is room.
  clock.advance(19_999);
  assertEquals(again(), 0);
  clock.advance(1);
  assertGreater(again()!, 5);
  for (let index = 0; index < 20; index++) {
    deliver(a, `b${index}`, memberDelta(`b${index}`, INCARNATION, [entry("k", 2, "x")], { after: 1 }), clock);
  }
  assertEquals([again(), a.view.versionOf("large")?.number], [undefined, 11]);
});

Deno.test("room: drops no more state than is needed to free a sixteenth of the limit, to the byte (E15)", () => {
  const clock = new TestClock();
  const value = "x".repeat(1_000);
  const maxHeldBytes = 16 * costOf(value);
  const a = stranger("a", clock, { maxHeldBytes });
  for (let index = 0; index < 16; index++) hearsay(a, `i${index}`, value, clock);
  assertEquals([a.view.room.bytes, a.view.room.dropped], [maxHeldBytes, 0]);
  meet(a, "b", value, clock);
  assertEquals([valueOf(a, "b", "k"), a.view.room.bytes, a.view.room.dropped], [value, maxHeldBytes, 1]);
  assertEquals(eventsOf(a).of("StateDropped").map(({ limit, count }) => [limit, count]), [[
    "maxHeldBytes",
    1,
  ]]);
});

Deno.test("room: a state that was dropped for its size is merged as soon as all of it fits, to the byte (E15)", () => {
  const clock = new TestClock();
  const value = "x".repeat(1_000);
  const a = stranger("a", clock, { maxHeldBytes: 16 * costOf(value) });
  hearsay(a, "large", "x".repeat(12_000), clock);
  let small = 0;
  while (a.view.room.dropped === 0) hearsay(a, `i${++small}`, value, clock);
  assertEquals(a.view.versionOf("large"), undefined);
  while (small < 15) hearsay(a, `i${++small}`, value, clock);
  hearsay(a, "large", value, clock, 2);
  assertEquals(valueOf(a, "large", "k"), value);
});

Deno.test("room: a state that shrinks is merged even if no other state has room (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxHeldBytes: MIB });
  hearsay(a, "c", brackets(8_000), clock);
  const full = a.view.room.bytes;
  hearsay(a, "c", brackets(7_000), clock, 2);
  assertEquals(a.view.versionOf("c")?.number, 2);
  assertLess(a.view.room.bytes, full);
});

Deno.test("room: a state of many keys is merged up to the last key that fits (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxHeldBytes: MIB });
  const entries = Array.from({ length: 100 }, (_, index) => entry(`k${index}`, index + 1, brackets(500)));
  const holds = deliver(a, "relay", memberDelta("c", INCARNATION, entries), clock);
  const number = a.view.versionOf("c")!.number;
  assertEquals(holds.get("c"), { incarnation: INCARNATION, number });
  assertGreater(number, 5);
  assertLess(number, 30);
  assertLessOrEqual(a.view.room.bytes, MIB);
});

Deno.test("room: a handshake takes the slot of a member known by hearsay, the newest first, and of no member that shook hands (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxMembers: 6 });
  for (const id of ["old", "i1", "i2"]) hearsay(a, id, 1, clock);
  for (const id of ["b", "c"]) meet(a, id, 1, clock);
  follow(a, clock);
  // Hearsay takes no place of hearsay that is active.
  hearsay(a, "i3", 1, clock);
  assertEquals([idsOf(a), a.view.room.refused], [["b", "c", "i1", "i2", "old"], 1]);
  assertEquals(note(a, a.makePlaceInTopology(clock.now)).id, "i2");
  meet(a, "d", 1, clock);
  assertEquals([idsOf(a), a.view.isMember("i2"), a.view.activeIds().has("i2")], [
    ["b", "c", "d", "i1", "old"],
    false,
    false,
  ]);
  follow(a, clock);
  for (const [id, victim] of [["e", "i1"], ["f", "old"]] as const) {
    assertEquals(note(a, a.makePlaceInTopology(clock.now)).id, victim);
    meet(a, id, 1, clock);
    follow(a, clock);
  }
  assertEquals(note(a, a.makePlaceInTopology(clock.now)).id, undefined);
  assertEquals(idsOf(a), ["b", "c", "d", "e", "f"]);
});

Deno.test("room: a member known by hearsay takes the slot of another that was not active for an expiration (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxMembers: 4 });
  for (const id of ["i1", "i2"]) hearsay(a, id, 1, clock);
  meet(a, "b", 1, clock);
  hearsay(a, "early", 1, clock);
  assertEquals(idsOf(a), ["b", "i1", "i2"]);
  note(a, a.tick(clock.advance(20_000)));
  hearsay(a, "new", 1, clock);
  assertEquals(idsOf(a), ["b", "i2", "new"]);
  hearsay(a, "newer", 1, clock);
  // A dropped entry that arrives again is not new.
  hearsay(a, "i1", 1, clock);
  assertEquals([idsOf(a), a.view.room.dropped], [["b", "new", "newer"], 2]);
});

Deno.test("room: a handshake takes the slot of an expired member after the slots of all members known by hearsay (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxMembers: 4 });
  for (const id of ["b", "c"]) meet(a, id, 1, clock);
  hearsay(a, "i", 1, clock);
  follow(a, clock);
  for (let steps = 0; steps < 30; steps++) {
    clock.advance(800);
    deliverLiveness(a, "c", { count: steps + 1 }, clock);
    note(a, a.applyCount("i", steps + 1, clock.now));
    note(a, a.tick(clock.now));
  }
  assertEquals(a.view.blockedMember("b")?.reason, "expired");
  assertEquals(note(a, a.makePlaceInTopology(clock.now)).id, "i");
  meet(a, "d", 1, clock);
  follow(a, clock);
  assertEquals(note(a, a.makePlaceInTopology(clock.now)).id, "b");
  assertEquals([a.view.blockedMember("b"), a.view.isMember("b")], [undefined, false]);
  // A member that comes back shakes hands, and is held like any other.
  note(a, a.setTopology({ members: ["a", "b", "c", "d"], blocked: [] }, clock.now));
  meet(a, "b", 1, clock);
  assertEquals(valueOf(a, "b", "k"), 1);
});

Deno.test("room: members of a topology that does not come from peers count as members that shook hands (E15)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock, { settings: { maxMembers: 3 } });
  hearsay(a, "i", 1, clock);
  hearsay(a, "j", 1, clock);
  note(a, a.setTopology({ members: ["a", "b", "c"], blocked: [] }, clock.now));
  hearsay(a, "b", 1, clock);
  hearsay(a, "c", 1, clock);
  assertEquals(idsOf(a), ["b", "c"]);
  hearsay(a, "i", 2, clock);
  assertEquals(idsOf(a), ["b", "c"]);
});

Deno.test("room: the first drop emits an event, and all drops in the expiration after it emit one more (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxMembers: 11 });
  for (let index = 0; index < 10; index++) hearsay(a, `i${index}`, 1, clock);
  for (let index = 0; index < 5; index++) {
    note(a, a.makePlaceInTopology(clock.now));
    meet(a, `b${index}`, 1, clock);
  }
  const emitted = () => eventsOf(a).of("StateDropped").map(({ memberId, count }) => [memberId, count]);
  assertEquals([emitted(), a.view.room.dropped], [[["i9", 1]], 5]);
  assertEquals(eventsOf(a).of("StateDropped")[0]!.limit, "maxMembers");
  note(a, a.tick(clock.advance(19_999)));
  assertEquals(emitted().length, 1);
  note(a, a.tick(clock.advance(1)));
  assertEquals(emitted(), [["i9", 1], ["i5", 4]]);
  note(a, a.tick(clock.advance(40_000)));
  assertEquals(emitted().length, 2);
});

Deno.test("room: refusals of a member emit one event in an expiration, whatever arrives (E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxMembers: 2 });
  meet(a, "b", 1, clock);
  const emitted = () =>
    eventsOf(a).of("ConflictDetected").map(({ memberId, reason }) => `${memberId} ${reason}`);
  for (let number = 1; number < 100; number++) hearsay(a, "i", number, clock, number);
  assertEquals([emitted(), a.view.room.refused], [["i limit"], 99]);
  clock.advance(20_000);
  hearsay(a, "i", 100, clock, 100);
  assertEquals(emitted().length, 2);
  for (let index = 0; index < 3_000; index++) hearsay(a, `j${index}`, 1, clock);
  assertEquals(emitted().length, 1_025);
});

Deno.test("room: a member known by hearsay that is removed to make room is no longer active, and no repair of its state begins (E12, E15)", () => {
  const clock = new TestClock();
  const a = stranger("a", clock, { maxMembers: 3 });
  const b = stranger("b", clock);
  handshake(a, b, clock);
  set(a, "k", 1, clock);
  set(b, "k", 1, clock);
  for (const engine of [a, b]) hearsay(engine, "i", 1, clock);
  for (const engine of [a, b]) {
    note(engine, engine.setTopology({ members: ["a", "b", "i"], blocked: [] }, clock.now));
  }
  const rounds = (count: number) => {
    for (let round = 0; round < count; round++) exchange(a, b, { clock });
  };
  // It acknowledges each delta, so that all agree.
  const agree = () => {
    for (const engine of [a, b]) {
      note(engine, engine.applyCount("i", 1, clock.now));
      const { digest, activeHash: active } = engine.view;
      const delta = { members: [], digest, active, partial: false };
      note(engine, engine.applyIncoming("i", delta, clock.now));
    }
  };
  rounds(5);
  agree();
  assertEquals([a.view.phase, b.view.phase], ["confirmed", "confirmed"]);
  note(a, a.makePlaceInTopology(clock.now));
  rounds(5);
  assertEquals([a.view.activeIds().has("i"), b.view.activeIds().has("i"), a.view.digest === b.view.digest], [
    false,
    true,
    false,
  ]);
  // Each is confirmed among those that it has: what was acknowledged is all that it knows of the other.
  set(a, "k", 2, clock);
  assertEquals(a.view.phase, "diffusing");
  rounds(5);
  assertEquals([a.view.phase, a.view.footprint.pending, b.view.footprint.pending], ["confirmed", 0, 0]);
  for (const engine of [a, b]) assertEquals(eventsOf(engine).of("ReconcilingRequested"), []);
  note(b, b.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  rounds(5);
  assertEquals([a.view.phase, b.view.phase], ["confirmed", "confirmed"]);
});

Deno.test("limits: at most maxMembers members are stored, and an event is emitted (E15)", () => {
  const clock = new TestClock();
  const { a, others } = pairAmong(9, clock, { maxMembers: 5 });
  const owners = new Owners(clock);
  owners.change(a, others);
  assertEquals([...a.view.memberIds()].length, 5);
  assertEquals(eventsOf(a).of("ConflictDetected").map(({ memberId, reason }) => `${memberId} ${reason}`), [
    "m4 limit",
    "m5 limit",
    "m6 limit",
    "m7 limit",
    "m8 limit",
  ]);
  // Changes of known members are still merged.
  owners.change(a, ["m0"]);
  assertEquals(valueOf(a, "m0", "k"), 2);
});

Deno.test("room: a member whose state was dropped keeps its incarnation, so that no state of an earlier process is merged (E1, E15)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock, { settings: { maxHeldBytes: 3 * costOf(brackets(1_000)) } });
  note(a, a.setTopology({ members: ["a", "p", "q"], blocked: [] }, clock.now));
  const later = makeIncarnation(WALL_START_MS + 5, 0.5);
  for (const id of ["p", "q"]) handshake(makeEngine(id, clock, { incarnation: later }), a, clock);
  deliver(a, "p", memberDelta("p", later, [entry("k", 1, brackets(2_800))]), clock);
  deliver(a, "q", memberDelta("q", later, [entry("k", 1, brackets(1_000))]), clock);
  assertEquals([a.view.incarnationOf("p"), a.view.activeIds().has("p")], [undefined, true]);
  note(a, a.tick(clock.advance(20_100)));
  const entries = [entry("k", 1, "of an earlier process"), entry(GRACEFULLY_LEFT_KEY, 2, {})];
  deliver(a, "relay", memberDelta("p", INCARNATION, entries), clock);
  assertEquals([valueOf(a, "p", "k"), a.view.blockedMember("p")?.reason], [undefined, undefined]);
  deliver(a, "relay", memberDelta("p", later, [entry("k", 1, "small")]), clock);
  assertEquals(valueOf(a, "p", "k"), "small");
});
