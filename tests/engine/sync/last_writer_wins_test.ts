import { assertEquals } from "../../../deps/std_assert.ts";
import type { ConflictDetected } from "../../../engine/events.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { type SentEntry, TYPE } from "../../../engine/types.ts";
import {
  deliver,
  entry,
  eventsOf,
  makeCluster,
  memberDelta,
  set,
  settle,
  TestClock,
  tombstone,
  valueOf,
} from "../harness.ts";

const clock = new TestClock();
const LIFE = makeIncarnation(clock.wallMs, 0.5);

/** An engine with x under 3 and y under 5 of b. */
function makeWithState() {
  const [a] = makeCluster(["a", "b", "c"], clock);
  deliver(a, "c", memberDelta("b", LIFE, [entry("x", 3, "held"), entry("y", 5, "held")]), clock);
  eventsOf(a).clear();
  return a;
}

function conflicts(a: ReturnType<typeof makeWithState>): readonly ConflictDetected[] {
  return eventsOf(a).of("ConflictDetected");
}

Deno.test("merge: for each key of a member the higher number wins (E3)", () => {
  const a = makeWithState();
  deliver(a, "c", memberDelta("b", LIFE, [entry("x", 6, "new")], { after: 5 }), clock);
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "b", "y")], ["new", "held"]);
  assertEquals(a.view.get("b", "x")?.number, 6);
});

Deno.test("merge: ignores a lower number, without an event (E3)", () => {
  const a = makeWithState();
  const old = memberDelta("b", LIFE, [entry("x", 2, "old"), entry("y", 4, "old")]);
  assertEquals(deliver(a, "c", old, clock), new Map());
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "b", "y")], ["held", "held"]);
  assertEquals([conflicts(a), eventsOf(a).of("GossipUpdate")], [[], []]);
});

Deno.test("merge: ignores an equal number with an equal value, without an event (E3)", () => {
  const a = makeWithState();
  deliver(a, "c", memberDelta("b", LIFE, [entry("x", 3, "held"), entry("y", 5, "held")]), clock);
  assertEquals(a.view.versionOf("b"), { incarnation: LIFE, number: 5 });
  assertEquals([conflicts(a), eventsOf(a).of("GossipUpdate")], [[], []]);
});

Deno.test("merge: ignores an equal number with another value, and emits ConflictDetected (E3)", () => {
  const a = makeWithState();
  deliver(a, "c", memberDelta("b", LIFE, [entry("x", 3, "other"), entry("y", 5, "held")]), clock);
  assertEquals(valueOf(a, "b", "x"), "held");
  assertEquals(conflicts(a), [
    { type: "ConflictDetected", memberId: "b", reason: "value", key: "x", sequenceNumber: 3, peerId: "c" },
  ]);
  assertEquals(eventsOf(a).of("GossipUpdate"), []);
});

Deno.test("merge: another type, or a deletion, under an equal number is another value (E3)", () => {
  const others: SentEntry[] = [{ ...entry("y", 5, "held"), type: TYPE.heartbeat }, tombstone("y", 5)];
  for (const other of others) {
    const a = makeWithState();
    deliver(a, "c", memberDelta("b", LIFE, [entry("x", 3, "held"), other]), clock);
    assertEquals(valueOf(a, "b", "y"), "held");
    assertEquals(conflicts(a).map(({ key }) => key), ["y"]);
  }
});

Deno.test("merge: takes the newer entries of a message that also has a conflicting entry (E3)", () => {
  const a = makeWithState();
  deliver(a, "c", memberDelta("b", LIFE, [entry("x", 3, "other"), entry("y", 6, "new")]), clock);
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "b", "y")], ["held", "new"]);
  assertEquals(conflicts(a).map(({ key }) => key), ["x"]);
});

Deno.test("merge: equal numbers of different incarnations or members are no conflict (E3)", () => {
  const a = makeWithState();
  deliver(a, "c", memberDelta("c", LIFE, [entry("x", 3, "of c")]), clock);
  deliver(
    a,
    "c",
    memberDelta("b", makeIncarnation(clock.wallMs - 1, 0.5), [entry("x", 3, "earlier life")]),
    clock,
  );
  deliver(
    a,
    "c",
    memberDelta("b", makeIncarnation(clock.wallMs + 1, 0.5), [entry("x", 3, "later life")]),
    clock,
  );
  assertEquals(conflicts(a), []);
  assertEquals(valueOf(a, "b", "x"), "later life");
});

Deno.test("merge: keys belong to one member: a set at one leaves the key of others unchanged (E3)", () => {
  const [a, b] = makeCluster(["a", "b"], clock);
  set(a, "k", "of a", clock);
  set(b!, "k", "of b", clock);
  settle([a, b!], { clock });
  for (const engine of [a, b!]) {
    assertEquals([valueOf(engine, "a", "k"), valueOf(engine, "b", "k")], ["of a", "of b"]);
  }
});

Deno.test("merge: ids and keys such as __proto__ are valid (E3)", () => {
  const ids = ["a", "__proto__", "constructor", "toString"];
  const [a] = makeCluster(ids, clock);
  for (const id of ids.slice(1)) {
    const entries = [entry("__proto__", 1, id), entry("hasOwnProperty", 2, id)];
    deliver(a, "c", memberDelta(id, LIFE, entries), clock);
  }
  assertEquals(
    [...a.view.state("__proto__")].map(([id, { value }]) => [id, value]),
    ids.slice(1).map((id) => [id, id]),
  );
  assertEquals(a.view.get("a", "__proto__"), undefined);
  assertEquals(a.view.get("valueOf", "__proto__"), undefined);
});
