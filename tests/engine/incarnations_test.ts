import { assertEquals, assertGreater, assertNotEquals } from "../../deps/std_assert.ts";
import { incarnationStartMs } from "../../engine/incarnation.ts";
import {
  deliver,
  entry,
  eventsOf,
  exchange,
  handshake,
  heartbeat,
  incarnationAt,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  membersOf,
  note,
  sendHigherIncarnation,
  sendLiveness,
  set,
  settle,
  TestClock,
  valueOf,
} from "./harness.ts";

Deno.test("incarnation: a peer's entries about this member are never merged, also with a higher number (E1)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "k", "mine", clock);
  for (const after of [0, 1]) {
    deliver(
      a,
      "b",
      memberDelta("a", a.view.incarnation, [entry("k", 7, "theirs"), entry("x", 8, 1)], { after }),
      clock,
    );
    assertEquals([valueOf(a, "a", "k"), valueOf(a, "a", "x")], ["mine", undefined]);
  }
  deliver(a, "b", memberDelta("a", a.view.incarnation, [entry("x", 9, 1)], { reset: true }), clock);
  assertEquals([valueOf(a, "a", "k"), valueOf(a, "a", "x")], ["mine", undefined]);
});

Deno.test("incarnation: a peer's entries about this member in a higher incarnation are not merged (E1)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "k", "mine", clock);
  deliver(
    a,
    "b",
    memberDelta("a", incarnationAt(clock, 5), [entry("k", 1, "theirs"), entry("x", 2, 1)]),
    clock,
  );
  assertEquals([valueOf(a, "a", "k"), valueOf(a, "a", "x")], ["mine", undefined]);
});

Deno.test("incarnation: a higher incarnation replaces all keys of a lower incarnation (E1)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  deliver(
    a,
    "b",
    memberDelta("b", incarnationAt(clock, 0), [entry("k", 8, "old"), entry("gone", 9, 1)]),
    clock,
  );
  eventsOf(a).clear();
  deliver(a, "b", memberDelta("b", incarnationAt(clock, 1), [entry("k", 1, "new")]), clock);
  assertEquals([valueOf(a, "b", "k"), valueOf(a, "b", "gone")], ["new", undefined]);
  assertEquals(a.view.versionOf("b"), { incarnation: incarnationAt(clock, 1), number: 1 });
  assertEquals(
    eventsOf(a).of("GossipUpdate").map(({ key, value, deleted }) => [key, value, deleted]),
    [["k", "new", false], ["gone", undefined, true]],
  );
});

Deno.test("incarnation: two incarnations with equal milliseconds differ by their random parts (E1)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock, 0, 0.2), [entry("k", 9, "lower")]), clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock, 0, 0.7), [entry("k", 1, "higher")]), clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock, 0, 0.2), [entry("k", 10, "lower")]), clock);
  assertEquals(valueOf(a, "b", "k"), "higher");
});

Deno.test("incarnation: entries of a lower incarnation are not merged, and are answered with the known version (E1)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const held = incarnationAt(clock, 1);
  deliver(a, "c", memberDelta("b", held, [entry("k", 3, "held")]), clock);
  eventsOf(a).clear();
  for (const reset of [false, true]) {
    const old = memberDelta("b", incarnationAt(clock, 0), [entry("k", 99, "old"), heartbeat(100)], { reset });
    assertEquals(deliver(a, "c", old, clock), new Map([["b", { incarnation: held, number: 3 }]]));
  }
  assertEquals(valueOf(a, "b", "k"), "held");
  assertEquals(eventsOf(a).of("GossipUpdate"), []);
});

Deno.test("incarnation: a member whose clock was set back at a restart begins an incarnation above its earlier incarnation (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(b, "k", "before", clock);
  settle([a, b], { clock });
  const former = b.view.incarnation;
  const again = makeEngine("b", clock, { incarnation: incarnationAt(clock, -60_000) });
  again.setTopology({ members: ["a", "b"], blocked: [] }, clock.now);
  handshake(again, a, clock);
  set(again, "k", "after", clock);
  exchange(again, a, { clock });
  assertGreater(again.view.incarnation, former);
  handshake(again, a, clock);
  settle([a, again], { clock });
  assertEquals([valueOf(a, "b", "k"), a.view.incarnationOf("b")], ["after", again.view.incarnation]);
  assertEquals(a.view.digest, again.view.digest);
  assertEquals(a.view.phase, "confirmed");
});

Deno.test("incarnation: an owner that learns of a higher incarnation begins an incarnation above it, with a new random part (E1)", () => {
  const incarnations = [0.1, 0.9].map((random) => {
    const clock = new TestClock();
    const [a] = makePair(clock, { random });
    const claimed = incarnationAt(clock, 5_000);
    deliver(a, "b", memberDelta("a", claimed, [entry("k", 1, 1)]), clock);
    assertGreater(a.view.incarnation, claimed);
    assertEquals(incarnationStartMs(a.view.incarnation), incarnationStartMs(claimed) + 1);
    assertEquals(eventsOf(a).of("IncarnationRenewed"), [{
      type: "IncarnationRenewed",
      incarnation: a.view.incarnation,
    }]);
    return a.view.incarnation;
  });
  // Two processes that learn of the same incarnation must not draw the same one.
  assertNotEquals(incarnations[0], incarnations[1]);
});

Deno.test("incarnation: an owner learns of a higher incarnation from a handshake, a delta or an answer (E1)", () => {
  for (const way of ["handshake", "delta", "answer", "empty delta"] as const) {
    const clock = new TestClock();
    const [a] = makePair(clock);
    const claimed = incarnationAt(clock, 5);
    const sent = a.disseminate("b").sent;
    if (way === "handshake") {
      const { refusal } = note(
        a,
        a.applyHello({ id: "a", incarnation: claimed, digest: "", active: "" }, clock.now),
      );
      assertEquals(refusal, "id_conflict");
    } else if (way === "answer") {
      note(a, a.handleAck(sent, new Map([["a", { incarnation: claimed, number: 4 }]]), clock.now));
    } else {
      deliver(a, "b", memberDelta("a", claimed, way === "delta" ? [entry("k", 1, 1)] : []), clock);
    }
    assertGreater(a.view.incarnation, claimed, way);
  }
});

Deno.test("incarnation: is not renewed if a peer knows an equal or lower incarnation of this member (E1)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  const { incarnation } = a.view;
  set(a, "k", 1, clock);
  assertEquals(
    deliver(a, "b", memberDelta("a", incarnationAt(clock, -1), [entry("k", 9, 1)]), clock),
    new Map([["a", { incarnation, number: 1 }]]),
  );
  assertEquals(deliver(a, "b", memberDelta("a", incarnation, [entry("k", 1, 1)]), clock), new Map());
  note(a, a.handleAck(a.disseminate("b").sent, new Map([["a", { incarnation, number: 1 }]]), clock.now));
  const { refusal } = note(a, a.applyHello({ id: "a", incarnation, digest: "", active: "" }, clock.now));
  assertEquals([refusal, a.view.incarnation], ["id_conflict", incarnation]);
});

Deno.test("incarnation: is renewed if a peer has a higher version of this member than this member ever sent (E1)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "k", 1, clock);
  const { incarnation } = a.view;
  note(a, a.handleAck(a.disseminate("b").sent, new Map([["a", { incarnation, number: 2 }]]), clock.now));
  assertGreater(a.view.incarnation, incarnation);
});

Deno.test("incarnation: a renewal sets every live key again, from number 1, and no deleted key (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  set(a, "y", 2, clock);
  set(a, "gone", 3, clock);
  set(a, "x", 4, clock);
  a.delete("gone", clock.now);
  settle([a, b], { clock });
  clock.advance(40);
  sendHigherIncarnation(a, clock);
  assertEquals(
    a.view.entriesOf("a").map(({ key, number, value, timestampMs }) => [key, number, value, timestampMs]),
    [["y", 1, 2, clock.wallMs], ["x", 2, 4, clock.wallMs]],
  );
  assertEquals(a.view.ownNumber("x"), 2);
  assertEquals(set(a, "z", 5, clock), 3);
  assertEquals(a.view.acknowledgedBy(1), 0);
  settle([a, b], { clock });
  assertEquals(["x", "y", "z", "gone"].map((key) => valueOf(b, "a", key)), [4, 2, 5, undefined]);
  assertEquals([b.view.incarnationOf("a"), a.view.acknowledgedBy(3)], [a.view.incarnation, 1]);
});

Deno.test("incarnation: a late acknowledgement of the earlier incarnation does not count in the new incarnation (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  set(a, "y", 1, clock);
  const { sent } = a.disseminate("b");
  sendHigherIncarnation(a, clock);
  note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals(a.view.acknowledgedBy(1), 0);
  assertEquals(membersOf(a.disseminate("b").delta.members), ["a"]);
  settle([a, b], { clock });
  assertEquals(valueOf(b, "a", "y"), 1);
});

Deno.test("incarnation: a peer that sends a lower incarnation receives the higher incarnation, even if it had acknowledged that (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  const [lower, higher] = [incarnationAt(clock, 0), incarnationAt(clock, 1)];
  deliver(a, "c", memberDelta("c", higher, [entry("k", 1, "new")]), clock);
  // An acknowledgement whose sender lost the acknowledged state.
  note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
  assertEquals(a.disseminate("b").delta.members, []);
  deliver(b!, "c", memberDelta("c", lower, [entry("k", 9, "old")]), clock);
  exchange(b!, a, { clock });
  assertEquals(valueOf(b!, "c", "k"), "new");
});

Deno.test("incarnation: a peer in an ended incarnation receives the later incarnation, though it sends no entries (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  for (const engine of [a, b]) note(engine, engine.countHeartbeat({}, clock.now));
  settle([a, b], { clock });
  const later = incarnationAt(clock, 5);
  deliver(a, "c", memberDelta("b", later, [entry("k", 1, "of another process")]), clock);
  const { request, reply } = exchange(b, a, { clock });
  assertEquals([request.members, reply?.holds.get("b")?.incarnation], [[], later]);
  assertGreater(b.view.incarnation, later);
});

Deno.test("applyLiveness: a count of an ended incarnation does not count for the later incarnation (E1, L1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { heartbeatExpiration: 5_000 } });
  for (let interval = 0; interval < 40; interval++) note(b, b.countHeartbeat({}, clock.now));
  settle([a, b], { clock });
  sendLiveness(b, a, clock);
  assertEquals(a.view.heartbeatOf("b")?.number, 40);
  const later = incarnationAt(clock, 5);
  deliver(a, "c", memberDelta("b", later, [entry("k", 1, 1)], { count: 2 }), clock);
  for (let interval = 0; interval < 18; interval++) {
    note(a, a.tick(clock.advance(300)));
    note(b, b.countHeartbeat({}, clock.now));
    sendLiveness(b, a, clock);
  }
  assertEquals([a.view.heartbeatOf("b")?.number, a.view.blockedMember("b")?.reason], [2, "expired"]);
});

Deno.test("applyLiveness: a count of a later incarnation does not count for the earlier incarnation that is still stored (E1, L1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { heartbeatExpiration: 5_000 } });
  for (let interval = 0; interval < 40; interval++) note(b, b.countHeartbeat({}, clock.now));
  deliver(a, "c", memberDelta("b", incarnationAt(clock, -5), [entry("k", 1, 1)], { count: 3 }), clock);
  for (let interval = 0; interval < 20; interval++) {
    note(a, a.tick(clock.advance(300)));
    note(b, b.countHeartbeat({}, clock.now));
    sendLiveness(b, a, clock);
  }
  // It still shows that b is alive.
  assertEquals([a.view.heartbeatOf("b")?.number, a.view.blockedMember("b")], [3, undefined]);
  exchange(b, a, { clock });
  assertEquals(a.view.heartbeatOf("b")?.number, 60);
});

Deno.test("applyLiveness: a count of an ended incarnation does not count for the later incarnation of a peer that was forgotten (E1, L1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { heartbeatExpiration: 5_000 } });
  for (let interval = 0; interval < 40; interval++) note(b, b.countHeartbeat({}, clock.now));
  settle([a, b], { clock });
  note(a, a.setTopology({ members: ["a"], blocked: [] }, clock.now));
  while (a.view.incarnationOf("b") !== undefined) note(a, a.tick(clock.advance(300)));
  note(a, a.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  deliver(a, "c", memberDelta("b", incarnationAt(clock, 5), [entry("k", 1, 1)], { count: 2 }), clock);
  sendLiveness(b, a, clock);
  assertEquals(a.view.heartbeatOf("b")?.number, 2);
});
