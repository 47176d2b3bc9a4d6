import { assertEquals, assertGreater } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import {
  deliver,
  entry,
  eventsOf,
  exchange,
  handshake,
  heartbeat,
  incarnationAt,
  makeCluster,
  makePair,
  memberDelta,
  note,
  reconcile,
  remove,
  set,
  settle,
  TestClock,
  tombstone,
  valueOf,
} from "../harness.ts";
import { OPTIONS, RETENTION_MS } from "../tombstones.ts";

Deno.test("reset: a peer below the floor is sent the whole state as a reset (E8)", () => {
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

Deno.test("reset: a peer exactly at the floor needs no reset (E8)", () => {
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

Deno.test("reset: removes the keys that it omits, with one deleted GossipUpdate for each (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  deliver(
    a,
    "c",
    memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 2), entry("z", 3, 3)]),
    clock,
  );
  deliver(a, "c", memberDelta("b", incarnation, [tombstone("z", 4)], { after: 3 }), clock);
  eventsOf(a).clear();
  deliver(
    a,
    "c",
    memberDelta("b", incarnation, [entry("y", 2, 2), entry("new", 6, 4)], { reset: true }),
    clock,
  );
  assertEquals(["x", "y", "z", "new"].map((key) => valueOf(a, "b", key)), [undefined, 2, undefined, 4]);
  // No event of y, which is unchanged, nor of z, which was deleted before.
  assertEquals(
    eventsOf(a).of("GossipUpdate").map(({ key, value, deleted }) => [key, value, deleted]),
    [["new", 4, false], ["x", undefined, true]],
  );
  assertEquals(a.view.versionOf("b"), { incarnation, number: 6 });
});

Deno.test("reset: a tombstone in a reset deletes a stored key, with one event (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  deliver(a, "c", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 2)]), clock);
  eventsOf(a).clear();
  deliver(
    a,
    "c",
    memberDelta("b", incarnation, [entry("y", 2, 2), tombstone("x", 5)], { reset: true }),
    clock,
  );
  assertEquals(eventsOf(a).of("GossipUpdate").map(({ key, deleted }) => [key, deleted]), [["x", true]]);
});

Deno.test("reset: is merged where a delta has a gap, because it begins at 0 (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  const delta = memberDelta("b", incarnation, [entry("x", 7, 1)], { after: 6 });
  assertEquals([...deliver(a, "c", delta, clock).keys()], ["b"]);
  assertEquals(valueOf(a, "b", "x"), undefined);
  assertEquals(
    deliver(a, "c", memberDelta("b", incarnation, [entry("x", 7, 1)], { reset: true }), clock),
    new Map(),
  );
  assertEquals([valueOf(a, "b", "x"), a.view.versionOf("b")?.number], [1, 7]);
});

Deno.test("reset: is ignored if it ends below the version of its incarnation, and answered with that version (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  deliver(a, "c", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 9, 2)]), clock);
  eventsOf(a).clear();
  const holds = deliver(a, "c", memberDelta("b", incarnation, [entry("z", 8, 1)], { reset: true }), clock);
  assertEquals(holds, new Map([["b", { incarnation, number: 9 }]]));
  assertEquals(["x", "y", "z"].map((key) => valueOf(a, "b", key)), [1, 2, undefined]);
  assertEquals(eventsOf(a).of("GossipUpdate"), []);
});

Deno.test("reset: is merged if it ends exactly at the version (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  deliver(a, "c", memberDelta("b", incarnation, [entry("wrong", 1, 1), entry("y", 9, 2)]), clock);
  deliver(a, "c", memberDelta("b", incarnation, [entry("y", 9, 2)], { reset: true }), clock);
  assertEquals(["wrong", "y"].map((key) => valueOf(a, "b", key)), [undefined, 2]);
});

Deno.test("reset: a reset of a later incarnation is merged, even if it ends below the version of the earlier incarnation (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  deliver(a, "c", memberDelta("b", incarnationAt(clock), [entry("x", 900, 1)]), clock);
  const later = makeIncarnation(clock.wallMs + 1, 0.5);
  deliver(a, "c", memberDelta("b", later, [entry("y", 3, 1)], { reset: true }), clock);
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "b", "y"), a.view.versionOf("b")?.number], [
    undefined,
    1,
    3,
  ]);
});

Deno.test("reset: the last number of a reset is the floor of its receiver, and not of its owner (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock, OPTIONS);
  handshake(a, b!, clock);
  const incarnation = incarnationAt(clock);
  deliver(
    a,
    "c",
    memberDelta("c", incarnation, [entry("x", 4, 1), entry("y", 6, 2)], { reset: true }),
    clock,
  );
  const { sent } = a.disseminate("b");
  for (const [number, reset] of [[4, true], [5, true], [6, false]] as const) {
    note(a, a.handleAck(sent, new Map([["c", { incarnation, number: 0 }]]), clock.now));
    deliver(a, "c", memberDelta("c", incarnation, [entry("x", 7, 3)], { after: 6 }), clock);
    const first = a.disseminate("b");
    note(a, a.handleAck(first.sent, new Map([["c", { incarnation, number }]]), clock.now));
    const [delta] = a.disseminate("b").delta.members;
    assertEquals([delta?.reset, delta?.after], [reset, reset ? 0 : 6], `${number}`);
  }
});

Deno.test("reset: a reset without a change is not passed on, and raises no floor (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  const incarnation = incarnationAt(clock);
  const entries = [entry("x", 4, 1), tombstone("gone", 5), entry("y", 6, 2)];
  deliver(a, "c", memberDelta("c", incarnation, entries), clock);
  note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
  eventsOf(a).clear();
  deliver(a, "c", memberDelta("c", incarnation, entries, { reset: true }), clock);
  deliver(a, "c", memberDelta("c", incarnation, [entries[0]!, entries[2]!], { reset: true }), clock);
  assertEquals([eventsOf(a).of("GossipUpdate"), a.disseminate("b").delta.members], [[], []]);
});

Deno.test("reset: a reset that adds only a later tombstone is a change, since its number is part of the digest (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  const entries = [entry("x", 4, 1), tombstone("gone", 5)];
  deliver(a, "c", memberDelta("c", incarnation, entries.slice(0, 1)), clock);
  deliver(b!, "c", memberDelta("c", incarnation, entries), clock);
  deliver(a, "b", memberDelta("c", incarnation, entries, { reset: true }), clock);
  assertEquals([a.view.versionOf("c"), a.view.digest], [b!.view.versionOf("c"), b!.view.digest]);
});

Deno.test("reset: an unchanged entry keeps its merge time (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  deliver(a, "c", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 2)]), clock);
  const before = clock.wallMs;
  clock.advance(5_000);
  deliver(
    a,
    "c",
    memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 3, 3)], { reset: true }),
    clock,
  );
  assertEquals([a.view.get("b", "x")?.timestampMs, a.view.get("b", "y")?.timestampMs], [
    before,
    clock.wallMs,
  ]);
});

Deno.test("reset: an old delta brings no removed key back (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  const old = memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 2)]);
  deliver(a, "c", old, clock);
  deliver(a, "c", memberDelta("b", incarnation, [entry("y", 5, 3)], { reset: true }), clock);
  deliver(a, "c", old, clock);
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "b", "y")], [undefined, 3]);
});

Deno.test("reset: a reset passes from member to member, to every member that still has a removed key (E8)", () => {
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

Deno.test("reset: a lost reset is sent again (E8)", () => {
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
  handshake(a, b, clock);
  // Incarnations are part of the comparison: each has to know the other's.
  for (const engine of [a, b]) set(engine, "own", 1, clock);
  const { incarnation } = c.view;
  deliver(a, "c", memberDelta("c", incarnation, [entry("x", 1, "one"), entry("y", 2, 1)]), clock);
  deliver(b, "c", memberDelta("c", incarnation, [entry("z", 1, "other"), entry("y", 2, 1)]), clock);
  for (let round = 0; round < 3; round++) exchange(a, b, { clock });
  return { a, b, incarnation };
}

Deno.test("reset: a repair continues through other acknowledgements (E8)", () => {
  const clock = new TestClock();
  const { a, b, incarnation } = pairThatDiffers(clock);
  assertEquals(reconcile(a, b), true);
  // Before the repair is sent, b sends a heartbeat of c, and an old message is acknowledged.
  deliver(a, "b", memberDelta("c", incarnation, [heartbeat(3)], { after: 2 }), clock);
  assertEquals(a.disseminate("b").delta.members.map(({ id, reset }) => [id, reset]), [["c", true]]);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "c", "x"), valueOf(b, "c", "z"), b.view.digest], [
    "one",
    undefined,
    a.view.digest,
  ]);
});

Deno.test("merge: a reset that only adds entries raises the floor, because it may omit deletions (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  const incarnation = incarnationAt(clock);
  deliver(a, "c", memberDelta("c", incarnation, [entry("x", 1, 1), entry("y", 2, 1)]), clock);
  deliver(
    a,
    "c",
    memberDelta("c", incarnation, [entry("x", 1, 1), entry("y", 2, 1), entry("z", 5, 1)], { reset: true }),
    clock,
  );
  const [sent] = a.disseminate("b").delta.members;
  assertEquals([sent?.reset, sent?.entries.length], [true, 3]);
});

Deno.test("disseminate: a repair by reset is sent whole, even if part of it was just pushed (E8, E12, S2)", () => {
  const clock = new TestClock();
  const { a, b, incarnation } = pairThatDiffers(clock);
  deliver(a, "c", memberDelta("c", incarnation, [entry("w", 3, 1)], { after: 2 }), clock);
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

Deno.test("applyIncoming: a received part of a reset does not end the repair of its sender, which may have wrong entries above the part (E8)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  for (const engine of [a, b!]) set(engine, "own", 1, clock);
  const incarnation = c!.view.incarnation;
  deliver(a, "c", memberDelta("c", incarnation, [entry("x", 1, 1), entry("y", 2, "one")]), clock);
  deliver(b!, "c", memberDelta("c", incarnation, [entry("x", 1, 1), entry("z", 2, "other")]), clock);
  for (let round = 0; round < 3; round++) exchange(a, b!, { clock });
  assertEquals(reconcile(a, b!), true);
  deliver(a, "b", memberDelta("c", incarnation, [entry("x", 1, 1)], { reset: true, end: 2 }), clock);
  const sent = a.disseminate("b").delta.members.find(({ id }) => id === "c");
  assertEquals([sent?.reset, sent?.after], [true, 0]);
});

const SMALL = { settings: { ...OPTIONS.settings, maxMessageBytes: 16_384 } };

/** Exchanges until both members have equal states; returns the starts of the parts of the resets. */
function partsUntilEqual(a: Engine, b: Engine, clock: TestClock, between: () => unknown): number[] {
  const starts: number[] = [];
  for (let round = 0; a.view.digest !== b.view.digest; round++) {
    if (round === 40) throw new Error(`After 40 rounds the states still differ; parts from ${starts}.`);
    const { request } = exchange(a, b, { clock });
    starts.push(...request.members.filter(({ reset }) => reset).map(({ after }) => after));
    between();
  }
  return starts;
}

/** Two members; the first needs a reset in several parts, because it dropped the deletion of a key. */
function pairBeforeLongReset(clock: TestClock): [a: Engine, b: Engine] {
  const [a, b] = makePair(clock, SMALL);
  for (let key = 0; key < 60; key++) set(a, `many ${key}`, "x".repeat(600), clock);
  set(a, "gone", 1, clock);
  settle([a, b], { clock });
  remove(a, "gone", clock);
  note(a, a.tick(clock.advance(RETENTION_MS / 2)));
  return [a, b];
}

Deno.test("reset: continues with its next part if only deletions made before its first part are dropped meanwhile (E8)", () => {
  const clock = new TestClock();
  const [a, b] = pairBeforeLongReset(clock);
  remove(a, "many 0", clock);
  remove(a, "many 1", clock);
  set(a, "last", 1, clock);
  note(a, a.disseminate("b"));
  // The deletion of `gone` is dropped now, the other two after the first part.
  note(a, a.tick(clock.advance(RETENTION_MS / 2)));
  const starts = partsUntilEqual(a, b, clock, () => note(a, a.tick(clock.advance(RETENTION_MS / 2))));
  assertEquals(starts, [...new Set(starts)].sort((one, other) => one - other));
  assertGreater(starts.length, 2);
  assertEquals(["gone", "many 0", "many 1"].map((key) => valueOf(b, "a", key)), [
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("reset: begins again, and completes, if a deletion made after its first part is dropped meanwhile (E8)", () => {
  const clock = new TestClock();
  const [a, b] = pairBeforeLongReset(clock);
  set(a, "last", 1, clock);
  note(a, a.disseminate("b"));
  note(a, a.tick(clock.advance(RETENTION_MS / 2)));
  let rounds = 0;
  const starts = partsUntilEqual(a, b, clock, () => {
    // b has this key in the first part.
    if (rounds++ !== 1) return;
    remove(a, "many 0", clock);
    set(a, "last", 2, clock);
    note(a, a.tick(clock.advance(RETENTION_MS)));
  });
  assertEquals(starts.filter((after) => after === 0).length, 2);
  assertEquals([valueOf(b, "a", "gone"), valueOf(b, "a", "many 0")], [undefined, undefined]);
});

Deno.test("reset: a part that ends below the floor does not lower it, so that a peer between both gets a reset (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c", "d"], clock, OPTIONS);
  const incarnation = incarnationAt(clock);
  deliver(
    a,
    "c",
    memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 2), entry("z", 3, 3)]),
    clock,
  );
  deliver(a, "d", memberDelta("b", incarnation, [tombstone("y", 4), entry("w", 5, 5)], { after: 3 }), clock);
  note(a, a.tick(clock.advance(RETENTION_MS)));
  // b has deleted x, and the first part of its state ends before the deletion of y, which a has dropped.
  deliver(a, "d", memberDelta("b", incarnation, [entry("z", 3, 3)], { reset: true, end: 6 }), clock);
  assertEquals(["x", "y", "z", "w"].map((key) => valueOf(a, "b", key)), [undefined, undefined, 3, 5]);
  // c, which still has y, did not take the message.
  const { sent } = a.disseminate("c");
  note(a, a.handleAck(sent, new Map([["b", { incarnation, number: 3 }]]), clock.now));
  const delta = a.disseminate("c").delta.members.find(({ id }) => id === "b");
  assertEquals([delta?.after, delta?.reset], [0, true]);
});
