import { assertEquals } from "../../deps/std_assert.ts";
import type { Engine } from "../../engine/engine.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import {
  deliver,
  entry,
  eventsOf,
  exchange,
  makeCluster,
  makePair,
  memberDelta,
  remove,
  set,
  TestClock,
  tombstone,
  valueOf,
  WALL_START_MS,
} from "../engine/harness.ts";

/** The emitted changes of an engine, without the entries that members publish about themselves. */
function updatesOf(engine: Engine) {
  return eventsOf(engine).of("GossipUpdate")
    .filter(({ key }) => key !== HEARTBEAT_KEY)
    .map(({ memberId, key, value, sequenceNumber, deleted }) => ({
      memberId,
      key,
      value,
      sequenceNumber,
      deleted,
    }));
}

/** A member with `k` under 5 with "held" and `other` under 6 of b. */
function makeWithState() {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 5, "held"), entry("other", 6, 1)]), clock);
  eventsOf(a).clear();
  return { a, incarnation, clock };
}

Deno.test("merge: takes only the entries of a message with newer numbers (R5.1)", () => {
  const { a, incarnation, clock } = makeWithState();
  const entries = [entry("older", 4, 1), entry("k", 5, "equal"), entry("newer", 7, 1)];
  deliver(a, "b", memberDelta("b", incarnation, entries), clock);
  assertEquals(["older", "k", "newer", "other"].map((key) => valueOf(a, "b", key)), [
    undefined,
    "held",
    1,
    1,
  ]);
  assertEquals(updatesOf(a).map(({ key }) => key), ["newer"]);
});

Deno.test("merge: compares numbers as numbers and not as text (R5.1)", () => {
  const { a, incarnation, clock } = makeWithState();
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 10, "ten")], { after: 6 }), clock);
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 9, "nine")], { after: 6 }), clock);
  assertEquals(valueOf(a, "b", "k"), "ten");
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 2 ** 52, "most")], { after: 10 }), clock);
  assertEquals(a.view.get("b", "k")?.number, 2 ** 52);
});

Deno.test("merge: a higher number overwrites the local value (R5.2)", () => {
  const { a, incarnation, clock } = makeWithState();
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 7, "remote")], { after: 6 }), clock);
  assertEquals([valueOf(a, "b", "k"), a.view.get("b", "k")?.number, a.view.state("k").size], [
    "remote",
    7,
    1,
  ]);
});

Deno.test("merge: the last of two writes wins at every member, also within one message (R5.2)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "k", "first", clock);
  set(a, "k", "last", clock);
  exchange(a, b, { clock });
  assertEquals([valueOf(a, "a", "k"), valueOf(b, "a", "k")], ["last", "last"]);
});

Deno.test("merge: a higher number wins with any value, also null or an equal value (R5.2)", () => {
  const { a, incarnation, clock } = makeWithState();
  for (const [number, value] of [[7, "held"], [8, null], [9, 0], [10, ""], [11, false]] as const) {
    deliver(a, "b", memberDelta("b", incarnation, [entry("k", number, value)], { after: number - 1 }), clock);
    assertEquals([valueOf(a, "b", "k"), a.view.get("b", "k")?.number], [value, number]);
  }
});

Deno.test("merge: ignores a value with an equal number (R5.3)", () => {
  const { a, incarnation, clock } = makeWithState();
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 5, "remote"), entry("other", 6, 1)]), clock);
  assertEquals([valueOf(a, "b", "k"), updatesOf(a)], ["held", []]);
});

Deno.test("merge: ignores a value with a lower number (R5.3)", () => {
  const { a, incarnation, clock } = makeWithState();
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 4, "remote")]), clock);
  assertEquals([valueOf(a, "b", "k"), updatesOf(a)], ["held", []]);
});

Deno.test("merge: a repeated or late message changes nothing (R5.3)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "k", 1, clock);
  const { delta: old } = a.disseminate("b");
  exchange(a, b, { clock });
  set(a, "k", 2, clock);
  exchange(a, b, { clock });
  eventsOf(b).clear();
  b.applyIncoming("a", old, clock.now);
  assertEquals([valueOf(b, "a", "k"), updatesOf(b)], [2, []]);
});

Deno.test("merge: a merged value has the receiver's time, whatever the sender's clock says (R5.4)", () => {
  const ahead = new TestClock();
  ahead.wallMs += 3_600_000;
  const clock = new TestClock();
  const [a] = makePair(ahead);
  const [, b] = makePair(clock);
  set(a, "k", 1, ahead);
  clock.advance(700);
  // The sender's own stamps are sent too, and ignored.
  b.applyIncoming("a", a.disseminate("b").delta, clock.now);
  assertEquals(a.view.get("a", "k")?.timestampMs, WALL_START_MS + 3_600_000);
  assertEquals(b.view.get("a", "k")?.timestampMs, WALL_START_MS + 700);
});

Deno.test("merge: every merge sets the timestamp, and an ignored entry does not (R5.4)", () => {
  const { a, incarnation, clock } = makeWithState();
  clock.advance(100);
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 5, "held"), entry("other", 6, 1)]), clock);
  assertEquals(a.view.get("b", "k")?.timestampMs, WALL_START_MS);
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 7, "new")], { after: 6 }), clock);
  assertEquals(a.view.get("b", "k")?.timestampMs, WALL_START_MS + 100);
  assertEquals(a.view.get("b", "other")?.timestampMs, WALL_START_MS);
});

Deno.test("GossipUpdate: every change emits an update with member, key, value and sequence number (R5.5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", { deep: [1] }, clock);
  set(a, "y", null, clock);
  const expected = [
    { memberId: "a", key: "x", value: { deep: [1] }, sequenceNumber: 1, deleted: false },
    { memberId: "a", key: "y", value: null, sequenceNumber: 2, deleted: false },
  ];
  assertEquals(updatesOf(a), expected);
  exchange(a, b, { clock });
  assertEquals(updatesOf(b), expected);
  exchange(a, b, { clock });
  assertEquals(updatesOf(b), expected);
});

Deno.test("GossipUpdate: a merged deletion emits an update too (R5.5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  exchange(a, b, { clock });
  remove(a, "x", clock);
  eventsOf(b).clear();
  exchange(a, b, { clock });
  assertEquals(updatesOf(b), [
    { memberId: "a", key: "x", value: undefined, sequenceNumber: 2, deleted: true },
  ]);
});

Deno.test("GossipUpdate: events come in the order of their numbers (R5.5)", () => {
  const { a, incarnation, clock } = makeWithState();
  const entries = [entry("z", 7, 1), tombstone("k", 8), entry("a", 9, 1)];
  deliver(a, "b", memberDelta("b", incarnation, entries, { after: 6 }), clock);
  assertEquals(updatesOf(a).map(({ sequenceNumber }) => sequenceNumber), [7, 8, 9]);
});
