import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeLife } from "../../../engine/life.ts";
import {
  entry,
  exchange,
  greet,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  set,
  settle,
  tell,
  TestClock,
  valueOf,
} from "./harness.ts";

/** What would be told now: by member, from where, and the numbers. */
function told(from: Engine, to: string): string {
  return from.disseminate(to).delta.members
    .map(({ id, after, entries }) => `${id}>${after}:${entries.map(({ number }) => number).join()}`).join(
      " ",
    );
}

Deno.test("E5 what was only handed out counts for nothing: it is handed out again", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "x", 1, clock);
  assertEquals([told(a, "b"), told(a, "b"), told(a, "b")], ["a>0:1", "a>0:1", "a>0:1"]);
  assertEquals([a.acknowledgedBy(1), a.phase], [0, "diffusing"]);
});

Deno.test("E5 a lost request is sent again with the next round", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  exchange(a, b, { clock, lose: "request" });
  assertEquals(valueOf(b, "a", "x"), undefined);
  exchange(a, b, { clock });
  assertEquals(valueOf(b, "a", "x"), 1);
  assertEquals([told(a, "b"), a.acknowledgedBy(1)], ["", 1]);
});

Deno.test("E5 where the reply is lost the request is sent again, and so is the reply", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  set(b, "y", 1, clock);
  exchange(a, b, { clock, lose: "reply" });
  assertEquals([told(a, "b"), told(b, "a")], ["a>0:1", "b>0:1"]);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "x"), valueOf(a, "b", "y"), told(a, "b"), told(b, "a")], [1, 1, "", ""]);
});

Deno.test("E5 where the acknowledgement is lost only what was replied is sent again", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  set(b, "y", 1, clock);
  exchange(a, b, { clock, lose: "ack" });
  assertEquals([told(a, "b"), told(b, "a")], ["", "b>0:1"]);
  set(b, "z", 2, clock);
  const { reply } = exchange(a, b, { clock });
  assertEquals(reply?.delta.members.map(({ id, after }) => [id, after]), [["b", 0]]);
  assertEquals([told(a, "b"), told(b, "a")], ["", ""]);
});

Deno.test("E12 where the acknowledgement is lost an equal digest with the next request takes its place", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  // Lives are part of what is compared: each has to know the other's.
  set(a, "x", 1, clock);
  set(b, "x", 1, clock);
  settle([a, b], { clock });
  set(b, "y", 1, clock);
  exchange(a, b, { clock, lose: "ack" });
  assertEquals([told(b, "a"), b.acknowledgedBy(2)], ["b>1:2", 0]);
  const { reply } = exchange(a, b, { clock });
  assertEquals([reply?.delta.members.length, told(b, "a"), b.acknowledgedBy(2)], [0, "", 1]);
  set(b, "z", 2, clock);
  assertEquals([b.acknowledgedBy(2), b.acknowledgedBy(3)], [1, 0]);
});

Deno.test("greeted: an equal digest takes the place of every acknowledgement (E12)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  for (const engine of [a, b]) note(engine, engine.countHeartbeat({}, clock.now));
  settle([a, b], { clock });
  note(b, b.countHeartbeat({ worker: 1 }, clock.now));
  assertEquals([told(b, "a"), b.phase], ["b>2:3", "diffusing"]);
  note(b, b.greeted({ id: "a", life: a.life, digest: b.digest, active: b.active }, clock.now));
  assertEquals([told(b, "a"), b.phase], ["", "confirmed"]);
});

Deno.test("E5 an acknowledgement counts however late it comes, but only for what it acknowledges", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  const first = a.disseminate("b").sent;
  set(a, "y", 1, clock);
  const second = a.disseminate("b").sent;
  set(a, "z", 1, clock);
  clock.advance(60_000);
  note(a, a.handleAck(first, new Map(), clock.now));
  assertEquals([told(a, "b"), a.acknowledgedBy(1), a.acknowledgedBy(2)], ["a>1:2,3", 1, 0]);
  note(a, a.handleAck(second, new Map(), clock.now));
  assertEquals([told(a, "b"), a.acknowledgedBy(2), a.acknowledgedBy(3)], ["a>2:3", 1, 0]);
  settle([a, b], { clock });
  assertEquals(a.acknowledgedBy(3), 1);
});

Deno.test("E5 a late acknowledgement of less takes back nothing of a later one", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "x", 1, clock);
  const first = a.disseminate("b").sent;
  set(a, "y", 1, clock);
  const second = a.disseminate("b").sent;
  note(a, a.handleAck(second, new Map(), clock.now));
  note(a, a.handleAck(first, new Map(), clock.now));
  assertEquals([told(a, "b"), a.acknowledgedBy(2)], ["", 1]);
  set(a, "z", 1, clock);
  assertEquals(told(a, "b"), "a>2:3");
  note(a, a.handleAck(first, new Map(), clock.now));
  assertEquals([told(a, "b"), a.acknowledgedBy(2)], ["a>2:3", 1]);
});

Deno.test("E5 a late acknowledgement of less takes back nothing of what a gap was filled with", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "x", 1, clock);
  const first = a.disseminate("b").sent;
  set(a, "y", 1, clock);
  note(a, a.handleAck(a.disseminate("b").sent, new Map([["a", { life: a.life, number: 0 }]]), clock.now));
  assertEquals(told(a, "b"), "a>0:1,2");
  const filling = a.disseminate("b").sent;
  set(a, "z", 1, clock);
  note(a, a.handleAck(filling, new Map(), clock.now));
  note(a, a.handleAck(first, new Map(), clock.now));
  assertEquals([told(a, "b"), a.acknowledgedBy(2)], ["a>2:3", 1]);
});

Deno.test("E5 what a process held counts no more once others tell of a later one under its id", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(b, "k", 1, clock);
  set(a, "x", 1, clock);
  exchange(a, b, { clock });
  assertEquals(a.acknowledgedBy(1), 1);
  clock.advance(5_000);
  tell(a, "c", memberDelta("b", makeLife(clock.wallMs, 0.5), [entry("k", 1, 2)]), clock);
  assertEquals(a.acknowledgedBy(1), 0);
});

Deno.test("E5 an acknowledgement that comes twice counts once", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "x", 1, clock);
  const { sent } = a.disseminate("b");
  for (let times = 0; times < 3; times++) note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals([told(a, "b"), a.acknowledgedBy(1)], ["", 1]);
});

Deno.test("E5 what was sent to one peer is not known to be held by another", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  greet(a, b!, clock);
  greet(a, c!, clock);
  set(a, "x", 1, clock);
  note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
  assertEquals([told(a, "b"), told(a, "c"), a.acknowledgedBy(1), a.phase], ["", "a>0:1", 1, "diffusing"]);
});

Deno.test("E5 a peer that says it holds what was never sent to it raises nothing", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  const empty = a.disseminate("b").sent;
  for (const key of ["x", "y", "z"]) set(a, key, 1, clock);
  for (const number of [3, 2, 1]) {
    note(a, a.handleAck(empty, new Map([["a", { life: a.life, number }]]), clock.now));
    assertEquals([told(a, "b"), a.acknowledgedBy(1), a.phase], ["a>0:1,2,3", 0, "diffusing"], `${number}`);
  }
});

Deno.test("E5 a peer that says it holds more than was sent to it is believed as far as that", () => {
  for (const number of [3, 2]) {
    const clock = new TestClock();
    const [a] = makePair(clock);
    set(a, "x", 1, clock);
    const { sent } = a.disseminate("b");
    set(a, "y", 1, clock);
    set(a, "z", 1, clock);
    note(a, a.handleAck(sent, new Map([["a", { life: a.life, number }]]), clock.now));
    assertEquals([told(a, "b"), a.acknowledgedBy(1), a.acknowledgedBy(2)], ["a>1:2,3", 1, 0], `${number}`);
  }
});

Deno.test("E5 the same holds for other members' state", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  greet(a, b!, clock);
  const life = makeLife(clock.wallMs, 0.5);
  const empty = a.disseminate("b").sent;
  tell(a, "c", memberDelta("c", life, [entry("x", 1, 1), entry("y", 2, 1)]), clock);
  for (const number of [9, 2, 1]) {
    note(a, a.handleAck(empty, new Map([["c", { life, number }]]), clock.now));
    assertEquals(told(a, "b"), "c>0:1,2", `${number}`);
  }
});

Deno.test("E5 of several members those count as held of which the peer says nothing else", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  greet(a, b!, clock);
  const life = makeLife(clock.wallMs, 0.5);
  set(a, "x", 1, clock);
  tell(a, "c", memberDelta("c", life, [entry("x", 1, 1), entry("y", 2, 1)]), clock);
  const { sent } = a.disseminate("b");
  note(a, a.handleAck(sent, new Map([["c", { life, number: 1 }]]), clock.now));
  assertEquals(told(a, "b"), "c>1:2");
});

Deno.test("E5 a number that an earlier life of the peer held counts for nothing in its next", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  exchange(a, b, { clock });
  set(a, "y", 1, clock);
  const { sent } = a.disseminate("b");
  assertEquals(a.acknowledgedBy(1), 1);
  const again = makeEngine("b", clock, { life: makeLife(clock.wallMs + 1, 0.5) });
  greet(again, a, clock);
  // The reply of the process before comes only now.
  note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals([told(a, "b"), a.acknowledgedBy(1)], ["a>0:1,2", 0]);
});

Deno.test("E5 what a peer held counts no more as soon as anybody tells of a later life of it", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  greet(a, b!, clock);
  greet(a, c!, clock);
  const number = set(a, "k", 1, clock);
  exchange(a, b!, { clock });
  assertEquals(a.acknowledgedBy(number), 1);
  const again = makeLife(clock.now.wallMs + 1_000, 0.5);
  tell(a, "c", memberDelta("b", again, [entry("x", 1, 1)]), clock);
  assertEquals([a.acknowledgedBy(number), a.isAcknowledgedBy("b", number)], [0, false]);
});

Deno.test("E5 to greet again in the same life changes nothing of what is known", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  exchange(a, b, { clock });
  set(a, "y", 1, clock);
  greet(a, b, clock);
  assertEquals([told(a, "b"), a.acknowledgedBy(1)], ["a>1:2", 1]);
});

Deno.test("E5 what a peer told itself it holds: it is not told that again", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  greet(a, b!, clock);
  const life = makeLife(clock.wallMs, 0.5);
  tell(a, "b", memberDelta("c", life, [entry("x", 1, 1)]), clock);
  tell(a, "b", memberDelta("b", b!.life, [entry("x", 1, 1)]), clock);
  assertEquals(told(a, "b"), "");
  assertEquals(told(a, c!.id), "b>0:1");
  // It waits for both, and one of them tells it.
  tell(a, "d", memberDelta("c", life, [entry("y", 2, 1)], { after: 1 }), clock);
  assertEquals(told(a, "b"), "c>1:2");
  tell(a, "b", memberDelta("c", life, [entry("y", 2, 1)], { after: 1 }), clock);
  assertEquals(told(a, "b"), "");
});

Deno.test("E5 whatever is lost for a while, both sides end with the same state and know it", () => {
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
    assertEquals(a.digest, b.digest, lost);
    assertEquals([a.phase, b.phase], ["confirmed", "confirmed"], lost);
    assertEquals([a.acknowledgedBy(10), b.acknowledgedBy(10)], [1, 1], lost);
  }
});

Deno.test("E5 E7 what a peer has no room for is not acknowledged, however well its reply arrives", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b"], clock) as [Engine, Engine];
  const full = makeEngine("full", clock, { settings: { maxMembers: 2 } });
  for (const engine of [a, b, full]) {
    note(engine, engine.setTopology({ members: ["a", "b", "full"], blocked: [] }, clock.now));
  }
  greet(a, full, clock);
  greet(b, full, clock);
  set(a, "k", 1, clock);
  exchange(a, full, { clock });
  const number = set(b, "k", 2, clock);
  const { reply } = exchange(b, full, { clock });
  assertEquals(full.holdOf("b"), undefined);
  assertEquals(reply!.holds.get("b"), { life: b.life, number: 0 });
  assertEquals([b.acknowledgedBy(number), b.isAcknowledgedBy("full", number)], [0, false]);
});

Deno.test("E5 E12 what was forgotten of whom a peer lacks is not taken to be held when that member becomes active", () => {
  const clock = new TestClock();
  const peers = Array.from({ length: 14 }, (_, index) => `p${index}`);
  const newcomers = Array.from({ length: 15 }, (_, index) => `x${index}`);
  // Fewer may wait than these peers lack together.
  const [a, ...others] = makeCluster(["a", ...peers], clock, { settings: { maxMembers: 30 } });
  for (const peer of others) greet(a, peer, clock);
  const life = makeLife(clock.wallMs, 0.1);
  tell(a, "p0", newcomers.map((id) => memberDelta(id, life, [entry("k", 1, 1)])), clock);
  const agree = (id: string) => {
    const equal = { members: [], digest: a.digest, active: a.active, partial: false };
    note(a, a.applyIncoming(id, equal, clock.now));
  };
  for (const id of [...peers, ...peers]) agree(id);
  note(a, a.setTopology({ members: ["a", ...peers, ...newcomers], blocked: [] }, clock.now));
  // All but one acknowledge what they are told; that one is told nothing, and says nothing of what it holds.
  for (const id of [...peers, ...newcomers]) {
    if (id !== "p1") note(a, a.handleAck(a.disseminate(id).sent, new Map(), clock.now));
  }
  tell(a, "p1", [], clock);
  assertEquals(told(a, "p1"), "");
  assertEquals([a.isAcknowledgedBy("p1", 1), a.phase], [false, "diffusing"]);
  // Once it holds the same, that is known.
  agree("p1");
  assertEquals([a.isAcknowledgedBy("p1", 1), a.phase], [true, "confirmed"]);
});

Deno.test("E5 E7 part of a state acknowledges no value: a later one may have taken its place, beyond the part", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { maxMessageBytes: 32_768 } });
  const waited = set(a, "waited", 1, clock);
  for (let key = 0; key < 3; key++) set(a, `large${key}`, "x".repeat(10_000), clock);
  set(a, "waited", 2, clock);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "waited"), b.holdOf("a")!.number > waited], [undefined, true]);
  assertEquals([a.acknowledgedBy(waited), a.isAcknowledgedBy("b", waited)], [0, false]);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "waited"), a.acknowledgedBy(waited)], [2, 1]);
});
