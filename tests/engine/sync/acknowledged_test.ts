import { assertEquals, assertNotEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import {
  deliver,
  entry,
  exchange,
  handshake,
  incarnationAt,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  set,
  settle,
  TestClock,
  valueOf,
} from "../harness.ts";

/** The next delta by member, its start and its numbers. */
function nextDelta(from: Engine, to: string): string {
  return from.disseminate(to).delta.members
    .map(({ id, after, entries }) => `${id}>${after}:${entries.map(({ number }) => number).join()}`).join(
      " ",
    );
}

Deno.test("acknowledgement: entries that were only prepared do not count, and are prepared again (E5)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "x", 1, clock);
  assertEquals([nextDelta(a, "b"), nextDelta(a, "b"), nextDelta(a, "b")], ["a>0:1", "a>0:1", "a>0:1"]);
  assertEquals([a.view.acknowledgedBy(1), a.view.phase], [0, "diffusing"]);
});

Deno.test("acknowledgement: a lost request is sent again in the next round (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  exchange(a, b, { clock, lose: "request" });
  assertEquals(valueOf(b, "a", "x"), undefined);
  exchange(a, b, { clock });
  assertEquals(valueOf(b, "a", "x"), 1);
  assertEquals([nextDelta(a, "b"), a.view.acknowledgedBy(1)], ["", 1]);
});

Deno.test("acknowledgement: after a lost reply both request and reply are sent again (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  set(b, "y", 1, clock);
  exchange(a, b, { clock, lose: "reply" });
  assertEquals([nextDelta(a, "b"), nextDelta(b, "a")], ["a>0:1", "b>0:1"]);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "x"), valueOf(a, "b", "y"), nextDelta(a, "b"), nextDelta(b, "a")], [
    1,
    1,
    "",
    "",
  ]);
});

Deno.test("acknowledgement: after a lost acknowledgement only the entries of the reply are sent again (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  set(b, "y", 1, clock);
  exchange(a, b, { clock, lose: "ack" });
  assertEquals([nextDelta(a, "b"), nextDelta(b, "a")], ["", "b>0:1"]);
  set(b, "z", 2, clock);
  const { reply } = exchange(a, b, { clock });
  assertEquals(reply?.delta.members.map(({ id, after }) => [id, after]), [["b", 0]]);
  assertEquals([nextDelta(a, "b"), nextDelta(b, "a")], ["", ""]);
});

Deno.test("acknowledgement: an equal digest in the next request replaces a lost acknowledgement (E12)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  // Incarnations are part of the comparison: each has to know the other's.
  set(a, "x", 1, clock);
  set(b, "x", 1, clock);
  settle([a, b], { clock });
  set(b, "y", 1, clock);
  exchange(a, b, { clock, lose: "ack" });
  assertEquals([nextDelta(b, "a"), b.view.acknowledgedBy(2)], ["b>1:2", 0]);
  const { reply } = exchange(a, b, { clock });
  assertEquals([reply?.delta.members.length, nextDelta(b, "a"), b.view.acknowledgedBy(2)], [0, "", 1]);
  set(b, "z", 2, clock);
  assertEquals([b.view.acknowledgedBy(2), b.view.acknowledgedBy(3)], [1, 0]);
});

Deno.test("acknowledgement: an equal digest in a handshake replaces every missing acknowledgement (E12)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  for (const engine of [a, b]) note(engine, engine.countHeartbeat({}, clock.now));
  settle([a, b], { clock });
  note(b, b.countHeartbeat({ worker: 1 }, clock.now));
  assertEquals([nextDelta(b, "a"), b.view.phase], ["b>2:3", "diffusing"]);
  note(
    b,
    b.applyHello(
      { id: "a", incarnation: a.view.incarnation, digest: b.view.digest, active: b.view.activeHash },
      clock.now,
    ),
  );
  assertEquals([nextDelta(b, "a"), b.view.phase], ["", "confirmed"]);
});

Deno.test("acknowledgement: counts however late it comes, but only for its own entries (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  const first = a.disseminate("b").sent;
  set(a, "y", 1, clock);
  const second = a.disseminate("b").sent;
  set(a, "z", 1, clock);
  clock.advance(60_000);
  note(a, a.handleAck(first, new Map(), clock.now));
  assertEquals([nextDelta(a, "b"), a.view.acknowledgedBy(1), a.view.acknowledgedBy(2)], ["a>1:2,3", 1, 0]);
  note(a, a.handleAck(second, new Map(), clock.now));
  assertEquals([nextDelta(a, "b"), a.view.acknowledgedBy(2), a.view.acknowledgedBy(3)], ["a>2:3", 1, 0]);
  settle([a, b], { clock });
  assertEquals(a.view.acknowledgedBy(3), 1);
});

Deno.test("acknowledgement: a late acknowledgement of an earlier message does not lower the known version (E5)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "x", 1, clock);
  const first = a.disseminate("b").sent;
  set(a, "y", 1, clock);
  const second = a.disseminate("b").sent;
  note(a, a.handleAck(second, new Map(), clock.now));
  note(a, a.handleAck(first, new Map(), clock.now));
  assertEquals([nextDelta(a, "b"), a.view.acknowledgedBy(2)], ["", 1]);
  set(a, "z", 1, clock);
  assertEquals(nextDelta(a, "b"), "a>2:3");
  note(a, a.handleAck(first, new Map(), clock.now));
  assertEquals([nextDelta(a, "b"), a.view.acknowledgedBy(2)], ["a>2:3", 1]);
});

Deno.test("acknowledgement: a late acknowledgement of an earlier message does not open a repaired gap again (E5)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "x", 1, clock);
  const first = a.disseminate("b").sent;
  set(a, "y", 1, clock);
  note(
    a,
    a.handleAck(
      a.disseminate("b").sent,
      new Map([["a", { incarnation: a.view.incarnation, number: 0 }]]),
      clock.now,
    ),
  );
  assertEquals(nextDelta(a, "b"), "a>0:1,2");
  const filling = a.disseminate("b").sent;
  set(a, "z", 1, clock);
  note(a, a.handleAck(filling, new Map(), clock.now));
  note(a, a.handleAck(first, new Map(), clock.now));
  assertEquals([nextDelta(a, "b"), a.view.acknowledgedBy(2)], ["a>2:3", 1]);
});

Deno.test("acknowledgement: a repeated acknowledgement counts once (E5)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "x", 1, clock);
  const { sent } = a.disseminate("b");
  for (let times = 0; times < 3; times++) note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals([nextDelta(a, "b"), a.view.acknowledgedBy(1)], ["", 1]);
});

Deno.test("acknowledgement: state sent to one peer is not recorded for another (E5)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  handshake(a, c!, clock);
  set(a, "x", 1, clock);
  note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
  assertEquals([nextDelta(a, "b"), nextDelta(a, "c"), a.view.acknowledgedBy(1), a.view.phase], [
    "",
    "a>0:1",
    1,
    "diffusing",
  ]);
});

Deno.test("acknowledgement: a peer that reports a version never sent to it raises nothing (E5)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  const empty = a.disseminate("b").sent;
  for (const key of ["x", "y", "z"]) set(a, key, 1, clock);
  for (const number of [3, 2, 1]) {
    note(a, a.handleAck(empty, new Map([["a", { incarnation: a.view.incarnation, number }]]), clock.now));
    assertEquals(
      [nextDelta(a, "b"), a.view.acknowledgedBy(1), a.view.phase],
      ["a>0:1,2,3", 0, "diffusing"],
      `${number}`,
    );
  }
});

Deno.test("acknowledgement: the report of a peer that names more than was sent counts up to the sent number (E5)", () => {
  for (const number of [3, 2]) {
    const clock = new TestClock();
    const [a] = makePair(clock);
    set(a, "x", 1, clock);
    const { sent } = a.disseminate("b");
    set(a, "y", 1, clock);
    set(a, "z", 1, clock);
    note(a, a.handleAck(sent, new Map([["a", { incarnation: a.view.incarnation, number }]]), clock.now));
    assertEquals(
      [nextDelta(a, "b"), a.view.acknowledgedBy(1), a.view.acknowledgedBy(2)],
      ["a>1:2,3", 1, 0],
      `${number}`,
    );
  }
});

Deno.test("acknowledgement: the same rules apply to other members' state (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const empty = a.disseminate("b").sent;
  deliver(a, "c", memberDelta("c", incarnation, [entry("x", 1, 1), entry("y", 2, 1)]), clock);
  for (const number of [9, 2, 1]) {
    note(a, a.handleAck(empty, new Map([["c", { incarnation, number }]]), clock.now));
    assertEquals(nextDelta(a, "b"), "c>0:1,2", `${number}`);
  }
});

Deno.test("acknowledgement: members without a reported version in an acknowledgement count as acknowledged (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  set(a, "x", 1, clock);
  deliver(a, "c", memberDelta("c", incarnation, [entry("x", 1, 1), entry("y", 2, 1)]), clock);
  const { sent } = a.disseminate("b");
  note(a, a.handleAck(sent, new Map([["c", { incarnation, number: 1 }]]), clock.now));
  assertEquals(nextDelta(a, "b"), "c>1:2");
});

Deno.test("acknowledgement: a number from the peer's earlier incarnation does not count in its next (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  exchange(a, b, { clock });
  set(a, "y", 1, clock);
  const { sent } = a.disseminate("b");
  assertEquals(a.view.acknowledgedBy(1), 1);
  const again = makeEngine("b", clock, { incarnation: makeIncarnation(clock.wallMs + 1, 0.5) });
  handshake(again, a, clock);
  // The reply of the earlier process arrives only now.
  note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals([nextDelta(a, "b"), a.view.acknowledgedBy(1)], ["a>0:1,2", 0]);
});

Deno.test("acknowledgement: a peer's acknowledgements stop counting when another member's delta shows its later incarnation (E5)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  handshake(a, c!, clock);
  const number = set(a, "k", 1, clock);
  exchange(a, b!, { clock });
  assertEquals(a.view.acknowledgedBy(number), 1);
  const again = makeIncarnation(clock.now.wallMs + 1_000, 0.5);
  deliver(a, "c", memberDelta("b", again, [entry("x", 1, 1)]), clock);
  assertEquals([a.view.acknowledgedBy(number), a.view.isAcknowledgedBy("b", number)], [0, false]);
});

Deno.test("handshake: a second handshake in one incarnation changes no known version (E5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  exchange(a, b, { clock });
  set(a, "y", 1, clock);
  handshake(a, b, clock);
  assertEquals([nextDelta(a, "b"), a.view.acknowledgedBy(1)], ["a>1:2", 1]);
});

Deno.test("acknowledgement: state that a peer itself sent is not sent back to it (E5)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  deliver(a, "b", memberDelta("c", incarnation, [entry("x", 1, 1)]), clock);
  deliver(a, "b", memberDelta("b", b!.view.incarnation, [entry("x", 1, 1)]), clock);
  assertEquals(nextDelta(a, "b"), "");
  assertEquals(nextDelta(a, c!.view.id), "b>0:1");
  // Both are pending, and one of the peers sends it.
  deliver(a, "d", memberDelta("c", incarnation, [entry("y", 2, 1)], { after: 1 }), clock);
  assertEquals(nextDelta(a, "b"), "c>1:2");
  deliver(a, "b", memberDelta("c", incarnation, [entry("y", 2, 1)], { after: 1 }), clock);
  assertEquals(nextDelta(a, "b"), "");
});

Deno.test("acknowledgement: after any losses both sides converge and know it (E5)", () => {
  for (const lost of ["request", "reply", "ack"] as const) {
    const clock = new TestClock();
    const [a, b] = makePair(clock);
    for (let round = 0; round < 10; round++) {
      set(a, `a${round % 3}`, round, clock);
      set(b, `b${round % 3}`, round, clock);
      exchange(a, b, { clock, lose: lost });
      exchange(b, a, { clock, lose: lost });
    }
    settle([a, b], { clock });
    assertEquals(a.view.digest, b.view.digest, lost);
    assertEquals([a.view.phase, b.view.phase], ["confirmed", "confirmed"], lost);
    assertEquals([a.view.acknowledgedBy(10), b.view.acknowledgedBy(10)], [1, 1], lost);
  }
});

Deno.test("acknowledgement: state that a peer has no room for is not acknowledged, though its reply arrives (E5, E7)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b"], clock) as [Engine, Engine];
  const full = makeEngine("full", clock, { settings: { maxMembers: 2 } });
  for (const engine of [a, b, full]) {
    note(engine, engine.setTopology({ members: ["a", "b", "full"], blocked: [] }, clock.now));
  }
  handshake(a, full, clock);
  handshake(b, full, clock);
  set(a, "k", 1, clock);
  exchange(a, full, { clock });
  const number = set(b, "k", 2, clock);
  const { reply } = exchange(b, full, { clock });
  assertEquals(full.view.versionOf("b"), undefined);
  assertEquals(reply!.holds.get("b"), { incarnation: b.view.incarnation, number: 0 });
  assertEquals([b.view.acknowledgedBy(number), b.view.isAcknowledgedBy("full", number)], [0, false]);
});

Deno.test("acknowledgement: a forgotten pending member does not count as acknowledged when it becomes active (E5, E12)", () => {
  const clock = new TestClock();
  const peers = Array.from({ length: 14 }, (_, index) => `p${index}`);
  const newcomers = Array.from({ length: 15 }, (_, index) => `x${index}`);
  // Fewer may be pending than these peers lack together.
  const [a, ...others] = makeCluster(["a", ...peers], clock, { settings: { maxMembers: 30 } });
  for (const peer of others) handshake(a, peer, clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.1);
  deliver(a, "p0", newcomers.map((id) => memberDelta(id, incarnation, [entry("k", 1, 1)])), clock);
  const agree = (id: string) => {
    const equal = { members: [], digest: a.view.digest, active: a.view.activeHash, partial: false };
    note(a, a.applyIncoming(id, equal, clock.now));
  };
  for (const id of [...peers, ...peers]) agree(id);
  note(a, a.setTopology({ members: ["a", ...peers, ...newcomers], blocked: [] }, clock.now));
  // All but one acknowledge their messages; that one is sent nothing, and reports no version.
  for (const id of [...peers, ...newcomers]) {
    if (id !== "p1") note(a, a.handleAck(a.disseminate(id).sent, new Map(), clock.now));
  }
  deliver(a, "p1", [], clock);
  assertEquals(nextDelta(a, "p1"), "");
  assertEquals([a.view.isAcknowledgedBy("p1", 1), a.view.phase], [false, "diffusing"]);
  // Its equal digest shows that it has the state.
  agree("p1");
  assertEquals([a.view.isAcknowledgedBy("p1", 1), a.view.phase], [true, "confirmed"]);
});

Deno.test("acknowledgement: a merged part of a state acknowledges no value that an entry after the part may replace (E5, E7)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { maxMessageBytes: 32_768 } });
  const waited = set(a, "waited", 1, clock);
  for (let key = 0; key < 3; key++) set(a, `large${key}`, "x".repeat(10_000), clock);
  set(a, "waited", 2, clock);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "waited"), b.view.versionOf("a")!.number > waited], [undefined, true]);
  assertEquals([a.view.acknowledgedBy(waited), a.view.isAcknowledgedBy("b", waited)], [0, false]);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "waited"), a.view.acknowledgedBy(waited)], [2, 1]);
});

Deno.test("acknowledgement: a peer with a later incarnation of this member acknowledges nothing, even if this member cannot begin a later one (E2, E5)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  const number = set(a, "k", 1, clock);
  // This member's clock is years late, so it takes the incarnation for a false one.
  const later = incarnationAt(clock, 2 * 366 * 86_400_000);
  for (let round = 0; round < 3; round++) {
    const { sent } = note(a, a.prepareGossip("b"));
    note(a, a.handleAck(sent, new Map([["a", { incarnation: later, number: 3 }]]), clock.now));
    assertEquals([a.view.isAcknowledgedBy("b", number), a.view.phase], [false, "diffusing"]);
    clock.advance(300);
  }
});

Deno.test("acknowledgement: a peer with another member's later incarnation does not agree, even if that incarnation seems false (E2, E12)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock) as [Engine, Engine];
  handshake(a, b, clock);
  deliver(a, "c", memberDelta("c", incarnationAt(clock), [entry("k", 1, 1)]), clock);
  const { sent } = note(a, a.prepareGossip("b"));
  const later = incarnationAt(clock, 2 * 366 * 86_400_000);
  note(a, a.handleAck(sent, new Map([["c", { incarnation: later, number: 3 }]]), clock.now));
  assertEquals(a.view.isAcknowledgedBy("b", 1), false);
});

Deno.test("acknowledgement: a peer that refused the state of an ended process gets the state of the later process at once (E1, E5)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "m"], clock) as [Engine, Engine];
  handshake(a, b, clock);
  const incarnation = incarnationAt(clock, 1);
  deliver(a, "m", memberDelta("m", incarnation, [entry("k", 1, 1)]), clock);
  const sends = () => {
    note(a, a.tick(clock.advance(300)));
    const { sent, delta } = note(a, a.prepareGossip("b"));
    return delta.members.some(({ id }) => id === "m") ? sent : undefined;
  };
  for (let refusals = 0; refusals < 5;) {
    const sent = sends();
    if (!sent) continue;
    note(a, a.handleAck(sent, new Map([["m", { incarnation, number: 0 }]]), clock.now));
    refusals++;
  }
  assertEquals(sends(), undefined);
  deliver(a, "m", memberDelta("m", incarnationAt(clock, 10), [entry("k", 1, 2)]), clock);
  assertNotEquals(sends(), undefined);
});
