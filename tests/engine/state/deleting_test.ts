import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { HEARTBEAT_KEY } from "../../../engine/types.ts";
import {
  entry,
  eventsOf,
  exchange,
  greet,
  heartbeat,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  reconcile,
  remove,
  set,
  settle,
  tell,
  TestClock,
  tombstone,
  valueOf,
} from "../harness.ts";

const RETENTION_MS = 10_000;
const OPTIONS = { settings: { tombstoneRetention: RETENTION_MS } };

function incarnationOf(clock: TestClock): string {
  return makeIncarnation(clock.wallMs, 0.5);
}

Deno.test("delete: is an entry without a value under a new number, and emits one event (E8)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "k", 1, clock);
  set(a, "other", 1, clock);
  eventsOf(a).clear();
  assertEquals(remove(a, "k", clock), 3);
  assertEquals([valueOf(a, "a", "k"), a.view.state("k").size, a.view.versionOf("a")?.number], [
    undefined,
    0,
    3,
  ]);
  assertEquals(a.view.entriesOf("a").map(({ key }) => key), ["other"]);
  assertEquals(eventsOf(a).of("GossipUpdate"), [
    { type: "GossipUpdate", memberId: "a", key: "k", value: undefined, sequenceNumber: 3, deleted: true },
  ]);
});

Deno.test("tombstone: spreads like any value, also over a third member, and emits one event at each (E8)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  set(a, "k", 1, clock);
  exchange(a, b!, { clock });
  exchange(b!, c!, { clock });
  assertEquals(valueOf(c!, "a", "k"), 1);
  remove(a, "k", clock);
  exchange(a, b!, { clock });
  exchange(b!, c!, { clock });
  for (const engine of [b!, c!]) {
    assertEquals(valueOf(engine, "a", "k"), undefined);
    const deletions = eventsOf(engine).of("GossipUpdate").filter(({ deleted }) => deleted);
    assertEquals(deletions, [
      { type: "GossipUpdate", memberId: "a", key: "k", value: undefined, sequenceNumber: 2, deleted: true },
    ]);
    assertEquals(engine.view.digest, a.view.digest);
  }
});

Deno.test("tombstone: one of an unknown key emits no event (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  exchange(a, b, { clock });
  assertEquals(b.view.versionOf("a")?.number, 2);
  assertEquals(eventsOf(b).of("GossipUpdate"), []);
});

Deno.test("delete: a deleted key can be set again (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  settle([a, b], { clock });
  set(a, "k", 2, clock);
  settle([a, b], { clock });
  // The replaced tombstone is gone already, and is not forgotten in its stead.
  const kept = [a.view.footprint, b.view.footprint].map(({ keys, tombstones }) => [keys, tombstones]);
  assertEquals(kept, [[1, 0], [1, 0]]);
  for (const engine of [a, b]) note(engine, engine.tick(clock.advance(RETENTION_MS)));
  assertEquals([valueOf(a, "a", "k"), valueOf(b, "a", "k")], [2, 2]);
  assertEquals([a.view.footprint, b.view.footprint].map(({ keys, tombstones }) => [keys, tombstones]), kept);
});

Deno.test("tombstone: is forgotten after tombstoneRetention and not before, by each member's own clock (E8)", () => {
  const clock = new TestClock();
  // While a member lacks the deletion, it is sent.
  const [a, b] = makeCluster(["a", "b", "away"], clock, OPTIONS) as [Engine, Engine, Engine];
  greet(a, b, clock);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  set(a, "other", 1, clock);
  clock.advance(4_000);
  exchange(a, b, { clock });
  const tombstones = () =>
    [a, b].map((engine) => (note(engine, engine.tick(clock.now)), engine.view.footprint.tombstones));
  clock.advance(RETENTION_MS - 4_001);
  assertEquals(tombstones(), [1, 1]);
  clock.advance(1);
  assertEquals(tombstones(), [0, 1]);
  clock.advance(3_999);
  assertEquals(tombstones(), [0, 1]);
  clock.advance(1);
  assertEquals(tombstones(), [0, 0]);
});

Deno.test("tombstone: forgetting it emits no event and changes no digest, so members that forgot and others agree (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  set(a, "other", 1, clock);
  settle([a, b], { clock });
  eventsOf(a).clear();
  note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals([a.view.footprint.tombstones, b.view.footprint.tombstones], [0, 1]);
  assertEquals([a.view.digest, a.view.phase, eventsOf(a).all], [b.view.digest, "confirmed", []]);
});

Deno.test("tombstone: a member's latest entry is not forgotten, because it has the version (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  set(a, "k", 1, clock);
  set(a, "other", 1, clock);
  remove(a, "k", clock);
  for (let times = 0; times < 3; times++) note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals([a.view.footprint.tombstones, a.view.versionOf("a")?.number], [1, 3]);
  const { request } = exchange(a, b, { clock });
  assertEquals(request.members.map(({ reset, entries }) => [reset, entries.at(-1)?.number]), [[false, 3]]);
  set(a, "other", 2, clock);
  note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals(a.view.footprint.tombstones, 0);
});

Deno.test("tombstone: the latest entry of a member is not forgotten, whatever its key (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock, OPTIONS);
  const incarnation = incarnationOf(clock);
  tell(a, "b", memberDelta("b", incarnation, [entry("k", 1, 1), tombstone(HEARTBEAT_KEY, 2)]), clock);
  note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals([a.view.footprint.tombstones, a.view.versionOf("b")?.number], [1, 2]);
});

Deno.test("tombstone: the latest one is kept through heartbeats, which are not entries, so that a new member can agree (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  for (const engine of [a, b]) note(engine, engine.countHeartbeat({}, clock.now));
  set(a, "other", 1, clock);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  for (let times = 0; times < 3; times++) {
    note(a, a.tick(clock.advance(RETENTION_MS)));
    for (const engine of [a, b]) note(engine, engine.countHeartbeat({}, clock.now));
  }
  assertEquals(a.view.footprint.tombstones, 1);
  settle([a, b], { clock });
  assertEquals([b.view.digest, a.view.phase, b.view.phase], [a.view.digest, "confirmed", "confirmed"]);
  set(a, "other", 2, clock);
  note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals(a.view.footprint.tombstones, 0);
  const late = makeEngine("b", clock, { incarnation: makeIncarnation(clock.wallMs, 0.9) });
  late.setTopology({ members: ["a", "b"], blocked: [] }, clock.now);
  note(late, late.countHeartbeat({}, clock.now));
  greet(late, a, clock);
  settle([a, late], { clock });
  assertEquals([late.view.digest, a.view.phase], [a.view.digest, "confirmed"]);
});

Deno.test("reset: a peer below the floor is sent the whole state as one (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  set(a, "k", 1, clock);
  set(a, "stays", 1, clock);
  exchange(a, b, { clock });
  remove(a, "k", clock);
  set(a, "later", 1, clock);
  // b did not receive the deletion in time.
  note(a, a.disseminate("b"));
  note(a, a.tick(clock.advance(RETENTION_MS)));
  const { request } = exchange(a, b, { clock });
  const [delta] = request.members;
  assertEquals([delta?.reset, delta?.after], [true, 0]);
  assertEquals(delta?.entries.map(({ key, number }) => [key, number]), [["stays", 2], ["later", 4]]);
  assertEquals(["k", "stays", "later"].map((key) => valueOf(b, "a", key)), [undefined, 1, 1]);
  assertEquals([b.view.versionOf("a")?.number, b.view.digest], [4, a.view.digest]);
});

Deno.test("reset: a peer exactly at the floor needs none (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  exchange(a, b, { clock });
  set(a, "later", 1, clock);
  note(a, a.disseminate("b"));
  note(a, a.tick(clock.advance(RETENTION_MS)));
  const [delta] = exchange(a, b, { clock }).request.members;
  assertEquals([delta?.reset, delta?.after, delta?.entries.length], [false, 2, 1]);
});

Deno.test("reset: removes the keys that are not in it, with one deleted GossipUpdate each (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationOf(clock);
  tell(a, "c", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 2), entry("z", 3, 3)]), clock);
  tell(a, "c", memberDelta("b", incarnation, [tombstone("z", 4)], { after: 3 }), clock);
  eventsOf(a).clear();
  tell(a, "c", memberDelta("b", incarnation, [entry("y", 2, 2), entry("new", 6, 4)], { reset: true }), clock);
  assertEquals(["x", "y", "z", "new"].map((key) => valueOf(a, "b", key)), [undefined, 2, undefined, 4]);
  // No event of y, which is unchanged, nor of z, which was deleted before.
  assertEquals(
    eventsOf(a).of("GossipUpdate").map(({ key, value, deleted }) => [key, value, deleted]),
    [["new", 4, false], ["x", undefined, true]],
  );
  assertEquals(a.view.versionOf("b"), { incarnation, number: 6 });
});

Deno.test("reset: a tombstone in it deletes a stored key, with one event (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationOf(clock);
  tell(a, "c", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 2)]), clock);
  eventsOf(a).clear();
  tell(a, "c", memberDelta("b", incarnation, [entry("y", 2, 2), tombstone("x", 5)], { reset: true }), clock);
  assertEquals(eventsOf(a).of("GossipUpdate").map(({ key, deleted }) => [key, deleted]), [["x", true]]);
});

Deno.test("reset: begins from nothing where a delta would have a gap (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationOf(clock);
  assertEquals(
    tell(a, "c", memberDelta("b", incarnation, [entry("x", 7, 1)], { reset: true }), clock),
    new Map(),
  );
  assertEquals([valueOf(a, "b", "x"), a.view.versionOf("b")?.number], [1, 7]);
});

Deno.test("reset: one that ends below the version of the same incarnation is ignored, and answered with the version (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationOf(clock);
  tell(a, "c", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 9, 2)]), clock);
  eventsOf(a).clear();
  const holds = tell(a, "c", memberDelta("b", incarnation, [entry("z", 8, 1)], { reset: true }), clock);
  assertEquals(holds, new Map([["b", { incarnation, number: 9 }]]));
  assertEquals(["x", "y", "z"].map((key) => valueOf(a, "b", key)), [1, 2, undefined]);
  assertEquals(eventsOf(a).of("GossipUpdate"), []);
});

Deno.test("reset: one that ends exactly at the version is merged (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationOf(clock);
  tell(a, "c", memberDelta("b", incarnation, [entry("wrong", 1, 1), entry("y", 9, 2)]), clock);
  tell(a, "c", memberDelta("b", incarnation, [entry("y", 9, 2)], { reset: true }), clock);
  assertEquals(["wrong", "y"].map((key) => valueOf(a, "b", key)), [undefined, 2]);
});

Deno.test("reset: one of a later incarnation that ends below the version of an earlier one is merged (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  tell(a, "c", memberDelta("b", incarnationOf(clock), [entry("x", 900, 1)]), clock);
  const later = makeIncarnation(clock.wallMs + 1, 0.5);
  tell(a, "c", memberDelta("b", later, [entry("y", 3, 1)], { reset: true }), clock);
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "b", "y"), a.view.versionOf("b")?.number], [
    undefined,
    1,
    3,
  ]);
});

Deno.test("reset: its last number is the floor of its receiver, and not of its owner (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock, OPTIONS);
  greet(a, b!, clock);
  const incarnation = incarnationOf(clock);
  tell(a, "c", memberDelta("c", incarnation, [entry("x", 4, 1), entry("y", 6, 2)], { reset: true }), clock);
  const { sent } = a.disseminate("b");
  for (const [number, reset] of [[4, true], [5, true], [6, false]] as const) {
    note(a, a.handleAck(sent, new Map([["c", { incarnation, number: 0 }]]), clock.now));
    tell(a, "c", memberDelta("c", incarnation, [entry("x", 7, 3)], { after: 6 }), clock);
    const first = a.disseminate("b");
    note(a, a.handleAck(first.sent, new Map([["c", { incarnation, number }]]), clock.now));
    const [delta] = a.disseminate("b").delta.members;
    assertEquals([delta?.reset, delta?.after], [reset, reset ? 0 : 6], `${number}`);
  }
});

Deno.test("reset: one that changes nothing is not passed on, and raises no floor (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  greet(a, b!, clock);
  const incarnation = incarnationOf(clock);
  const entries = [entry("x", 4, 1), tombstone("gone", 5), entry("y", 6, 2)];
  tell(a, "c", memberDelta("c", incarnation, entries), clock);
  note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
  eventsOf(a).clear();
  tell(a, "c", memberDelta("c", incarnation, entries, { reset: true }), clock);
  tell(a, "c", memberDelta("c", incarnation, [entries[0]!, entries[2]!], { reset: true }), clock);
  assertEquals([eventsOf(a).of("GossipUpdate"), a.disseminate("b").delta.members], [[], []]);
});

Deno.test("reset: one with only a later tombstone is a change, since its number is part of the digest (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationOf(clock);
  const entries = [entry("x", 4, 1), tombstone("gone", 5)];
  tell(a, "c", memberDelta("c", incarnation, entries.slice(0, 1)), clock);
  tell(b!, "c", memberDelta("c", incarnation, entries), clock);
  tell(a, "b", memberDelta("c", incarnation, entries, { reset: true }), clock);
  assertEquals([a.view.versionOf("c"), a.view.digest], [b!.view.versionOf("c"), b!.view.digest]);
});

Deno.test("reset: an unchanged entry keeps its merge time (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationOf(clock);
  tell(a, "c", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 2)]), clock);
  const before = clock.wallMs;
  clock.advance(5_000);
  tell(a, "c", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 3, 3)], { reset: true }), clock);
  assertEquals([a.view.get("b", "x")?.timestampMs, a.view.get("b", "y")?.timestampMs], [
    before,
    clock.wallMs,
  ]);
});

Deno.test("reset: an old delta brings no removed key back (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationOf(clock);
  const old = memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 2)]);
  tell(a, "c", old, clock);
  tell(a, "c", memberDelta("b", incarnation, [entry("y", 5, 3)], { reset: true }), clock);
  tell(a, "c", old, clock);
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "b", "y")], [undefined, 3]);
});

Deno.test("reset: passes from member to member, to every member that still has a removed key (E8)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock, OPTIONS);
  set(a, "k", 1, clock);
  exchange(a, b!, { clock });
  exchange(b!, c!, { clock });
  remove(a, "k", clock);
  set(a, "later", 1, clock);
  note(a, a.tick(clock.advance(RETENTION_MS)));
  exchange(a, b!, { clock });
  // b is expected to be at the floor, answers that it is not, and gets the reset; likewise c.
  exchange(a, b!, { clock });
  assertEquals([valueOf(b!, "a", "k"), valueOf(c!, "a", "k")], [undefined, 1]);
  exchange(b!, c!, { clock });
  assertEquals([valueOf(c!, "a", "k"), valueOf(c!, "a", "later"), c!.view.digest], [
    undefined,
    1,
    a.view.digest,
  ]);
  settle([a, b!, c!], { clock });
  assertEquals([a, b!, c!].map(({ view }) => view.phase), ["confirmed", "confirmed", "confirmed"]);
});

Deno.test("reset: a lost one is sent again (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  set(a, "k", 1, clock);
  exchange(a, b, { clock });
  remove(a, "k", clock);
  set(a, "later", 1, clock);
  note(a, a.disseminate("b"));
  note(a, a.tick(clock.advance(RETENTION_MS)));
  for (const lose of ["request", "reply", undefined] as const) {
    assertEquals(exchange(a, b, { clock, ...(lose && { lose }) }).request.members[0]?.reset, true);
  }
  assertEquals(a.disseminate("b").delta.members, []);
});

/**
 * Members `a` and `b` with different values of `c` under one number: only a reset by the smaller id can
 * repair it.
 */
function pairThatDiffers(clock: TestClock): { a: Engine; b: Engine; incarnation: string } {
  const [a, b, c] = makeCluster(["a", "b", "c"], clock) as [Engine, Engine, Engine];
  greet(a, b, clock);
  // Incarnations are part of the comparison: each has to know the other's.
  for (const engine of [a, b]) set(engine, "own", 1, clock);
  const { incarnation } = c.view;
  tell(a, "c", memberDelta("c", incarnation, [entry("x", 1, "one"), entry("y", 2, 1)]), clock);
  tell(b, "c", memberDelta("c", incarnation, [entry("z", 1, "other"), entry("y", 2, 1)]), clock);
  for (let round = 0; round < 3; round++) exchange(a, b, { clock });
  return { a, b, incarnation };
}

Deno.test("reset: a repair continues through other acknowledgements (E8)", () => {
  const clock = new TestClock();
  const { a, b, incarnation } = pairThatDiffers(clock);
  assertEquals(reconcile(a, b), true);
  // Before the repair is sent, b sends a heartbeat of c, and an old message is acknowledged.
  tell(a, "b", memberDelta("c", incarnation, [heartbeat(3)], { after: 2 }), clock);
  assertEquals(a.disseminate("b").delta.members.map(({ id, reset }) => [id, reset]), [["c", true]]);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "c", "x"), valueOf(b, "c", "z"), b.view.digest], [
    "one",
    undefined,
    a.view.digest,
  ]);
});

Deno.test("tombstone: an endlessly set and deleted key leaves one, and a removed member leaves none (E8, E6)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { settings: { departedRetention: 1_000 } });
  for (let time = 1; time <= 100; time++) {
    set(a, "k", time, clock);
    remove(a, "k", clock);
  }
  assertEquals(a.view.footprint.tombstones, 1);
  set(a, "k", 0, clock);
  assertEquals(a.view.footprint.tombstones, 0);
  tell(a, "b", memberDelta("x", incarnationOf(clock), [tombstone("k", 1), entry("l", 2, 0)]), clock);
  assertEquals(a.view.footprint.tombstones, 1);
  clock.advance(1_001);
  note(a, a.tick(clock.now));
  assertEquals([a.view.versionOf("x"), a.view.footprint.tombstones], [undefined, 0]);
});

Deno.test("merge: a reset that only adds entries raises the floor, because it may omit deletions (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  greet(a, b!, clock);
  const incarnation = incarnationOf(clock);
  tell(a, "c", memberDelta("c", incarnation, [entry("x", 1, 1), entry("y", 2, 1)]), clock);
  tell(
    a,
    "c",
    memberDelta("c", incarnation, [entry("x", 1, 1), entry("y", 2, 1), entry("z", 5, 1)], { reset: true }),
    clock,
  );
  const [told] = a.disseminate("b").delta.members;
  assertEquals([told?.reset, told?.entries.length], [true, 3]);
});

Deno.test("disseminate: a repair by reset is sent whole, also where some of it was just pushed (E8, E12, S2)", () => {
  const clock = new TestClock();
  const { a, b, incarnation } = pairThatDiffers(clock);
  tell(a, "c", memberDelta("c", incarnation, [entry("w", 3, 1)], { after: 2 }), clock);
  const { delta } = note(a, a.push("b", ["c"]));
  note(b, b.applyPush("a", { delta, relay: false }, clock.now));
  assertEquals([b.view.versionOf("c")?.number, reconcile(a, b)], [3, true]);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "c", "x"), valueOf(b, "c", "z"), b.view.digest], [
    "one",
    undefined,
    a.view.digest,
  ]);
});

Deno.test("applyIncoming: a part of a reset ends no repair of its sender, which may have wrong entries above it (E8)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  greet(a, b!, clock);
  for (const engine of [a, b!]) set(engine, "own", 1, clock);
  const incarnation = c!.view.incarnation;
  tell(a, "c", memberDelta("c", incarnation, [entry("x", 1, 1), entry("y", 2, "one")]), clock);
  tell(b!, "c", memberDelta("c", incarnation, [entry("x", 1, 1), entry("z", 2, "other")]), clock);
  for (let round = 0; round < 3; round++) exchange(a, b!, { clock });
  assertEquals(reconcile(a, b!), true);
  tell(a, "b", memberDelta("c", incarnation, [entry("x", 1, 1)], { reset: true, end: 2 }), clock);
  const sent = a.disseminate("b").delta.members.find(({ id }) => id === "c");
  assertEquals([sent?.reset, sent?.after], [true, 0]);
});
