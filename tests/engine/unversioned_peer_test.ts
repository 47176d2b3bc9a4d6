import { assert, assertEquals } from "../../deps/std_assert.ts";
import type { Engine } from "../../engine/engine.ts";
import { NO_INCARNATION } from "../../engine/incarnation.ts";
import {
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  type JsonValue,
  type MemberDeltas,
  TYPE,
} from "../../engine/types.ts";
import {
  deliver,
  type EngineOptions,
  entry,
  handshake,
  heartbeat,
  makeCluster,
  memberDelta,
  note,
  set,
  TestClock,
} from "./harness.ts";
import { EARLIER } from "./incarnations.ts";

const STATISTICS = { actorStatistics: { actorCount: { worker: 1 } } };

/** A member `a` after a handshake with an unversioned peer `g`, among these others. */
function makeWithGo(others: readonly string[], clock: TestClock, options: EngineOptions = {}): Engine {
  const [a] = makeCluster(["a", "g", ...others], clock, options);
  meetGo(a, clock);
  return a;
}

function meetGo(engine: Engine, clock: TestClock): void {
  const hello = { id: "g", incarnation: NO_INCARNATION, digest: "0".repeat(16), active: "0".repeat(16) };
  assertEquals(note(engine, engine.applyHello(hello, clock.now)).refusal, undefined);
}

/** By member, the numbers of all heartbeats in a message. */
function heartbeatsIn({ members }: MemberDeltas): Record<string, number[]> {
  return Object.fromEntries(members.flatMap(({ id, entries }) => {
    const numbers = entries.filter(({ key }) => key === HEARTBEAT_KEY).map(({ number }) => number);
    return numbers.length > 0 ? [[id, numbers]] : [];
  }));
}

/** The heartbeats in the next message to `g`. */
function heartbeatsToGo(engine: Engine): Record<string, number[]> {
  return heartbeatsIn(note(engine, engine.disseminate("g")).delta);
}

/** Delivers from a peer a member with statistics of a heartbeat, under a number above its count. */
function bring(engine: Engine, id: string, count: number, clock: TestClock): void {
  const statistics = { key: HEARTBEAT_KEY, number: 40, type: TYPE.heartbeat };
  const value: JsonValue = STATISTICS;
  const entries = [entry("k", 39, 1), { ...statistics, value, json: JSON.stringify(value) }];
  deliver(engine, "relay", memberDelta(id, EARLIER, entries, { count }), clock);
}

Deno.test("disseminate: sends an unversioned peer this member's count as an entry, even if nothing else changed (L1)", () => {
  const clock = new TestClock();
  const a = makeWithGo([], clock);
  for (let interval = 1; interval <= 4; interval++) {
    note(a, a.countHeartbeat({}, clock.now));
    const { delta, sent } = note(a, a.disseminate("g"));
    assertEquals(heartbeatsIn(delta), { a: [interval] });
    note(a, a.handleAck(sent, new Map(), clock.now));
  }
  const { members, partial } = a.disseminate("g").delta;
  assertEquals([members.map(({ entries }) => entries.length), partial, a.view.phase], [
    [1],
    false,
    "confirmed",
  ]);
});

Deno.test("disseminate: sends an unversioned peer the statistics under the count, never under their own number (L1)", () => {
  const clock = new TestClock();
  const a = makeWithGo(["m"], clock);
  for (let times = 0; times < 20; times++) set(a, "k", times, clock);
  note(a, a.countHeartbeat({ worker: 1 }, clock.now));
  bring(a, "m", 7, clock);
  const { members } = a.disseminate("g").delta;
  const found = members.map(({ id, entries }) =>
    [id, entries.filter(({ key }) => key === HEARTBEAT_KEY)] as const
  );
  assertEquals(found.map(([id, each]) => [id, each.map(({ number, value }) => [number, value])]), [
    ["a", [[1, STATISTICS]]],
    ["m", [[7, STATISTICS]]],
  ]);
  // Before the first count there is no heartbeat to send.
  const late = makeWithGo(["m"], clock);
  deliver(late, "relay", memberDelta("m", EARLIER, [entry("k", 1, 1), heartbeat(2)]), clock);
  assertEquals(heartbeatsToGo(late), {});
});

Deno.test("disseminate: sends an unversioned peer the counts of others by round-robin, as many as there are slots (L1)", () => {
  const clock = new TestClock();
  const ids = Array.from({ length: 20 }, (_, index) => `m${index}`);
  const a = makeWithGo(ids, clock, { settings: { gossipMaxSend: 5 } });
  note(a, a.countHeartbeat({}, clock.now));
  for (const [index, id] of ids.entries()) bring(a, id, 100 + index, clock);
  while (true) {
    const { delta, sent } = note(a, a.disseminate("g"));
    assert(delta.members.length <= 5);
    if (sent.members.size === 0) break;
    note(a, a.handleAck(sent, new Map(), clock.now));
  }
  const named = new Map<string, number>();
  for (let round = 0; round < 5; round++) {
    const found = heartbeatsToGo(a);
    assertEquals([Object.keys(found).length, found["a"]], [5, [1]]);
    for (const [id, [number]] of Object.entries(found)) named.set(id, number!);
  }
  assertEquals([...named.keys()].sort(), ["a", ...ids].sort());
  for (const [index, id] of ids.entries()) assertEquals(named.get(id), 100 + index);
});

Deno.test("disseminate: every unversioned peer gets all counts, however many peers and messages there are (L1)", () => {
  for (const others of [8, 9, 10, 13]) {
    const clock = new TestClock();
    const ids = Array.from({ length: others }, (_, index) => `m${index}`);
    const a = makeWithGo([...ids, "h"], clock, { settings: { gossipMaxSend: 5 } });
    const hello = { id: "h", incarnation: NO_INCARNATION, digest: "0".repeat(16), active: "0".repeat(16) };
    note(a, a.applyHello(hello, clock.now));
    note(a, a.countHeartbeat({}, clock.now));
    for (const id of ids) note(a, a.applyHello({ ...hello, id, incarnation: EARLIER }, clock.now));
    for (const id of ids) deliver(a, id, memberDelta(id, EARLIER, [entry("k", 1, 1)], { count: 1 }), clock);
    for (const peer of ["g", "h"]) {
      for (let each = 0; each < others; each++) {
        note(a, a.handleAck(a.disseminate(peer).sent, new Map(), clock.now));
      }
    }
    const named = { g: new Set<string>(), h: new Set<string>() };
    for (let message = 0; message < Math.ceil((others + 2) / 4); message++) {
      for (const peer of ["g", "h"] as const) {
        for (const id of Object.keys(heartbeatsIn(note(a, a.disseminate(peer)).delta))) named[peer].add(id);
      }
    }
    assertEquals([named.g.size, named.h.size], [others + 1, others + 1], `${others} others`);
  }
});

Deno.test("disseminate: sends an unversioned peer no count of a blocked member (E10)", () => {
  const clock = new TestClock();
  const a = makeWithGo(["m", "n"], clock);
  bring(a, "m", 7, clock);
  bring(a, "n", 8, clock);
  assertEquals(heartbeatsToGo(a), { m: [7], n: [8] });
  note(a, a.setTopology({ members: ["a", "g", "m", "n"], blocked: ["m"] }, clock.now));
  assertEquals(heartbeatsToGo(a), { n: [8] });
  const ofM = a.disseminate("g").delta.members.find(({ id }) => id === "m");
  assertEquals(ofM?.entries.map(({ key }) => key), ["k"]);
});

Deno.test("disseminate: an unversioned peer is not sent its own heartbeat (E1)", () => {
  const clock = new TestClock();
  const a = makeWithGo(["m"], clock);
  note(a, a.countHeartbeat({}, clock.now));
  deliver(a, "g", memberDelta("g", NO_INCARNATION, [heartbeat(5), entry("x", 6, 1)]), clock);
  bring(a, "m", 7, clock);
  assertEquals(heartbeatsToGo(a), { a: [1], m: [7] });
});

Deno.test("disseminate: the heartbeats in a message do not count as acknowledged state (E5)", () => {
  const clock = new TestClock();
  const a = makeWithGo(["m"], clock);
  note(a, a.countHeartbeat({}, clock.now));
  bring(a, "m", 7, clock);
  const { sent } = note(a, a.disseminate("g"));
  note(a, a.handleAck(sent, new Map(), clock.now));
  const again = note(a, a.disseminate("g"));
  assertEquals([again.sent.members.size, heartbeatsIn(again.delta)], [0, { a: [1], m: [7] }]);
  set(a, "k", 1, clock);
  note(a, a.handleAck(again.sent, new Map(), clock.now));
  assertEquals(a.disseminate("g").sent.members.size, 1);
});

Deno.test("disseminate: a peer with incarnations gets statistics as entries when they change, and counts beside them (L1)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "m"], clock);
  handshake(a, b!, clock);
  for (let times = 0; times < 3; times++) note(a, a.countHeartbeat({}, clock.now));
  bring(a, "m", 7, clock);
  const { members } = a.disseminate("b").delta;
  assertEquals(members.map(({ id, count }) => [id, count]), [["a", 3], ["m", 7]]);
  assertEquals(heartbeatsIn({ members }), { a: [1], m: [40] });
  note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
  note(a, a.countHeartbeat({}, clock.now));
  assertEquals(a.disseminate("b").delta.members, []);
});

Deno.test("push: sends an unversioned peer the statistics under the count, and no statistics of a blocked member (L1, E10)", () => {
  const clock = new TestClock();
  const a = makeWithGo(["m", "n", "o"], clock);
  for (let times = 0; times < 20; times++) set(a, "k", times, clock);
  note(a, a.countHeartbeat({ worker: 1 }, clock.now));
  for (const id of ["m", "n"]) bring(a, id, 7, clock);
  deliver(a, "relay", memberDelta("o", EARLIER, [heartbeat(1)]), clock);
  note(a, a.setTopology({ members: ["a", "g", "m", "n", "o"], blocked: ["n"] }, clock.now));
  const { delta } = note(a, a.push("g", ["a", "m", "n", "o"]));
  assertEquals(heartbeatsIn(delta), { a: [1], m: [7] });
  // Nothing is left of o, which has not counted.
  assertEquals(delta.members.map(({ id, entries }) => [id, entries.map(({ key }) => key)]), [
    ["a", ["k", "topology", HEARTBEAT_KEY]],
    ["m", ["k", HEARTBEAT_KEY]],
    ["n", ["k"]],
  ]);
});

Deno.test("push: sends an unversioned member's heartbeat as an entry to a peer with incarnations, and no heartbeat if it is blocked (E10)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "g"], clock);
  handshake(a, b!, clock);
  meetGo(a, clock);
  deliver(a, "g", memberDelta("g", NO_INCARNATION, [heartbeat(5), entry("x", 6, 1)]), clock);
  assertEquals(heartbeatsIn(note(a, a.push("b", ["g"])).delta), { g: [5] });
  note(a, a.setTopology({ members: ["a", "b", "g"], blocked: ["g"] }, clock.now));
  const { members } = note(a, a.push("b", ["g"])).delta;
  assertEquals(members.map(({ entries }) => entries.map(({ key }) => key)), [["x"]]);
});

Deno.test("applyIncoming: an unversioned member's heartbeat is a count, and no change if its statistics are equal (L1)", () => {
  const clock = new TestClock();
  const a = makeWithGo([], clock);
  deliver(a, "g", memberDelta("g", NO_INCARNATION, [entry("x", 1, 1), heartbeat(2)]), clock);
  const { digest } = a.view;
  a.takeChanges();
  for (const number of [3, 9, 7]) {
    deliver(a, "g", memberDelta("g", NO_INCARNATION, [heartbeat(number)]), clock);
  }
  // Otherwise every interval of such a member would be spread as a change.
  assertEquals(a.view.hasChanges, false);
  assertEquals([a.view.heartbeatOf("g")?.number, a.view.digest], [9, digest]);
  const value: JsonValue = STATISTICS;
  const statistics = { ...heartbeat(12), value, json: JSON.stringify(value) };
  deliver(a, "g", memberDelta("g", NO_INCARNATION, [statistics]), clock);
  assertEquals([a.view.heartbeatOf("g")?.number, a.view.get("g", HEARTBEAT_KEY)?.value], [12, STATISTICS]);
  // Each member stores them under the first number that it received: they are not compared.
  assertEquals(a.view.digest, digest);
  deliver(a, "g", memberDelta("g", NO_INCARNATION, [entry(GRACEFULLY_LEFT_KEY, 13, {})]), clock);
  deliver(a, "g", memberDelta("g", NO_INCARNATION, [{ ...statistics, number: 14 }]), clock);
  assertEquals(a.view.blockedMember("g")?.reason, "left");
});

/** The keys of each member, without heartbeats, in the next message to `g`. */
function keysToGo(engine: Engine): Record<string, string[]> {
  const { delta } = note(engine, engine.disseminate("g"));
  return Object.fromEntries(delta.members.flatMap(({ id, entries }) => {
    const keys = entries.map(({ key }) => key).filter((key) => key !== HEARTBEAT_KEY);
    return keys.length > 0 ? [[id, keys]] : [];
  }));
}

/** A member with all its state sent to `g`. */
function makeWithUpToDateGo(clock: TestClock): Engine {
  const engine = makeWithGo(["b"], clock);
  set(engine, "k", 1, clock);
  deliver(engine, "b", memberDelta("b", EARLIER, [entry("k", 1, 1)]), clock);
  note(engine, engine.handleAck(note(engine, engine.disseminate("g")).sent, new Map(), clock.now));
  assertEquals(keysToGo(engine), {});
  return engine;
}

Deno.test("unversioned peer: is sent all state again when the topology changes, because it may have purged state", () => {
  const clock = new TestClock();
  const a = makeWithUpToDateGo(clock);
  note(a, a.setTopology({ members: ["a", "b", "g", "c"], blocked: [] }, clock.now));
  assertEquals(keysToGo(a), { a: ["k"], b: ["k"] });
  note(a, a.handleAck(note(a, a.disseminate("g")).sent, new Map(), clock.now));
  assertEquals(keysToGo(a), {});
});

/** A report that the member list of `g` has changed. */
function topologyOfGo(number: number) {
  return memberDelta("g", NO_INCARNATION, [{ ...entry("topology", number, 1), type: TYPE.topology }]);
}

Deno.test("unversioned peer: is sent all state again when it reports that its own topology changed", () => {
  const clock = new TestClock();
  const a = makeWithUpToDateGo(clock);
  deliver(a, "g", topologyOfGo(5), clock);
  assertEquals(keysToGo(a), { a: ["k"], b: ["k"] });
  note(a, a.handleAck(note(a, a.disseminate("g")).sent, new Map(), clock.now));
  // Only a newer one counts.
  deliver(a, "g", topologyOfGo(5), clock);
  assertEquals(keysToGo(a), {});
});

Deno.test("unversioned peer: is sent all state again when another peer reports that its topology changed", () => {
  const clock = new TestClock();
  const a = makeWithUpToDateGo(clock);
  deliver(a, "b", topologyOfGo(5), clock);
  assertEquals(keysToGo(a), { a: ["k"], b: ["k"] });
  note(a, a.handleAck(note(a, a.disseminate("g")).sent, new Map(), clock.now));
  // It reports it itself too, and later.
  deliver(a, "g", topologyOfGo(5), clock);
  assertEquals(keysToGo(a), {});
  note(a, a.applyPush("b", { delta: { members: [topologyOfGo(6)] }, relay: true }, clock.now));
  assertEquals(keysToGo(a), { a: ["k"], b: ["k"] });
});

Deno.test("unversioned peer: an acknowledgement of state from before its topology changed proves nothing (E5)", () => {
  const clock = new TestClock();
  const a = makeWithUpToDateGo(clock);
  set(a, "later", 1, clock);
  const { sent } = note(a, a.disseminate("g"));
  deliver(a, "b", topologyOfGo(5), clock);
  note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals(keysToGo(a), { a: ["k", "later"], b: ["k"] });
});

Deno.test("unversioned peer: is sent all state again when its id leaves the topology and reappears", () => {
  const clock = new TestClock();
  const a = makeWithUpToDateGo(clock);
  note(a, a.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  note(a, a.setTopology({ members: ["a", "b", "g"], blocked: [] }, clock.now));
  assertEquals(keysToGo(a), { a: ["k"], b: ["k"] });
});
