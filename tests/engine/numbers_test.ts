import { assertEquals } from "../../deps/std_assert.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../../engine/types.ts";
import {
  entry,
  eventsOf,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  message,
  note,
  remove,
  set,
  TestClock,
  valueOf,
} from "./harness.ts";

const DAY_MS = 24 * 3_600_000;

Deno.test("numbers: begin at 1 and rise by one at every set of any key (E2)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock);
  assertEquals(["x", "y", "x", "x", "z"].map((key) => set(a, key, 1, clock)), [1, 2, 3, 4, 5]);
  assertEquals(a.view.versionOf("a")?.number, 5);
});

Deno.test("numbers: a set of an equal value takes a number (E2)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock);
  assertEquals([set(a, "x", 1, clock), set(a, "x", 1, clock)], [1, 2]);
  assertEquals(eventsOf(a).of("GossipUpdate").map(({ sequenceNumber }) => sequenceNumber), [1, 2]);
});

Deno.test("numbers: a deletion takes a number, and a deletion of a missing key does not (E2)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock);
  set(a, "x", 1, clock);
  assertEquals(remove(a, "never", clock), undefined);
  assertEquals(remove(a, "x", clock), 2);
  assertEquals(remove(a, "x", clock), undefined);
  assertEquals(set(a, "y", 1, clock), 3);
});

Deno.test("numbers: entries that a member publishes about itself take numbers from the same sequence (E2)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock);
  set(a, "x", 1, clock);
  note(a, a.countHeartbeat({}, clock.now));
  assertEquals([HEARTBEAT_KEY, TOPOLOGY_KEY].map((key) => a.view.ownNumber(key)), [2, 3]);
  assertEquals(note(a, a.leave(clock.now)).number, 4);
  assertEquals(a.view.ownNumber(GRACEFULLY_LEFT_KEY), 4);
  assertEquals(set(a, "y", 1, clock), 5);
});

Deno.test("countHeartbeat: takes a number only if the actor statistics changed (E2, R6.2)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock);
  const numbers: (number | undefined)[] = [];
  for (const actorCount of [{}, {}, { worker: 1 }, { worker: 1 }, { worker: 2 }, {}]) {
    note(a, a.countHeartbeat(actorCount, clock.advance(300)));
    numbers.push(a.view.ownNumber(HEARTBEAT_KEY));
  }
  // The topology, set with the first of them, has the second number.
  assertEquals(numbers, [1, 1, 3, 3, 4, 5]);
  assertEquals([a.view.versionOf("a")?.number, a.view.heartbeatOf("a")?.number], [5, 6]);
});

Deno.test("numbers: a member's own numbers do not depend on other members' numbers (E2)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  const { holds } = note(
    a,
    a.applyIncoming(
      "b",
      message(memberDelta("b", makeIncarnation(clock.wallMs, 0.5), [entry("x", 900, 1)])),
      clock.now,
    ),
  );
  assertEquals(holds, new Map());
  assertEquals(set(a, "x", 1, clock), 1);
});

Deno.test("incarnation: is refused more than a year ahead, and the rest of the message is merged (E2)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const good = memberDelta("b", makeIncarnation(clock.wallMs, 0.5), [entry("k", 1, 1)]);
  const ahead = memberDelta("c", makeIncarnation(clock.wallMs + 367 * DAY_MS, 0.5), [entry("k", 1, 1)]);
  const { holds } = note(a, a.applyIncoming("b", message(good, ahead), clock.now));
  assertEquals([...holds], [["c", { incarnation: ahead.incarnation, number: 0 }]]);
  assertEquals([valueOf(a, "b", "k"), valueOf(a, "c", "k")], [1, undefined]);
  note(a, a.applyPush("b", { delta: message(ahead), relay: true }, clock.now));
  assertEquals(valueOf(a, "c", "k"), undefined);
});

Deno.test("incarnation: is believed less than a year ahead, because clocks differ (E2)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  const ahead = memberDelta("b", makeIncarnation(clock.wallMs + 364 * DAY_MS, 0.5), [entry("k", 1, 1)]);
  note(a, a.applyIncoming("b", message(ahead), clock.now));
  assertEquals(valueOf(a, "b", "k"), 1);
});

Deno.test("incarnation: an incarnation of this member's own id more than a year ahead changes nothing, in any message (E2)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "k", 1, clock);
  const { incarnation } = a.view;
  const ahead = makeIncarnation(clock.wallMs + 367 * DAY_MS, 0.5);
  const { sent } = a.disseminate("b");
  note(a, a.applyIncoming("b", message(memberDelta("a", ahead, [entry("k", 1, 2)])), clock.now));
  note(a, a.handleAck(sent, new Map([["a", { incarnation: ahead, number: 5 }]]), clock.now));
  const { refusal } = note(
    a,
    a.applyHello({ id: "a", incarnation: ahead, digest: "", active: "" }, clock.now),
  );
  assertEquals([a.view.incarnation, refusal], [incarnation, "invalid"]);
  assertEquals(eventsOf(a).of("IncarnationRenewed"), []);
});

Deno.test("handshake: an incarnation more than a year ahead is refused as invalid and changes nothing (E2)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  const before = makeIncarnation(clock.wallMs, 0.5);
  note(a, a.applyIncoming("b", message(memberDelta("b", before, [entry("k", 1, 1)])), clock.now));
  const ahead = makeIncarnation(clock.wallMs + 367 * DAY_MS, 0.5);
  const hello = { id: "b", incarnation: ahead, digest: b.view.digest, active: b.view.activeHash };
  assertEquals(note(a, a.applyHello(hello, clock.now)).refusal, "invalid");
  assertEquals([valueOf(a, "b", "k"), a.view.incarnationOf("b")], [1, before]);
});
