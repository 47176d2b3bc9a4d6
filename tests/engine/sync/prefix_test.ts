import { assert, assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import type { MemberDelta } from "../../../engine/types.ts";
import {
  deliver,
  drawFrom,
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
  note,
  remove,
  set,
  settle,
  TestClock,
  tombstone,
  valueOf,
} from "../harness.ts";

/** The next delta of one member to another. */
function deltaOf(from: Engine, to: string, id: string): MemberDelta | undefined {
  return from.disseminate(to).delta.members.find((each) => each.id === id);
}

function numbersOf(delta: MemberDelta | undefined): number[] | undefined {
  return delta?.entries.map(({ number }) => number);
}

Deno.test("delta: has every live entry above `after` in rising order, also statistics and tombstones (E4)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  set(a, "y", 1, clock);
  exchange(a, b, { clock });
  set(a, "z", 1, clock);
  remove(a, "y", clock);
  note(a, a.countHeartbeat({}, clock.now));
  set(a, "z", 2, clock);
  const delta = deltaOf(a, "b", "a");
  assertEquals(numbersOf(delta), [4, 5, 6, 7]);
  assertEquals(delta?.entries[0]?.value, undefined);
});

Deno.test("delta: the first delta starts after 0, and a later delta after the nearest entry below the peer's version (E4)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "x", 1, clock);
  set(a, "y", 1, clock);
  assertEquals(deltaOf(a, "b", "a")?.after, 0);
  exchange(a, b, { clock });
  set(a, "z", 1, clock);
  assertEquals(deltaOf(a, "b", "a")?.after, 2);
  exchange(a, b, { clock });
  // The peer's last version was z under 3; that is gone, and the nearest entry below is y under 2.
  set(a, "z", 2, clock);
  const { after, entries } = deltaOf(a, "b", "a")!;
  assertEquals([after, entries.map(({ number }) => number)], [2, [4]]);
});

Deno.test("delta: starts after the floor if no entry is below the peer's version (E4)", () => {
  const clock = new TestClock();
  const options = { settings: { tombstoneRetention: 1_000 } };
  const [a, b] = makeCluster(["a", "b", "away"], clock, options) as [Engine, Engine, Engine];
  handshake(a, b, clock);
  set(a, "gone", 1, clock);
  remove(a, "gone", clock);
  set(a, "x", 1, clock);
  settle([a, b], { clock });
  note(a, a.tick(clock.advance(1_000)));
  assertEquals(a.view.footprint.tombstones, 0);
  set(a, "x", 2, clock);
  const { after, reset, entries } = deltaOf(a, "b", "a")!;
  assertEquals([after, reset, entries.length], [2, false, 1]);
});

Deno.test("version: becomes the last number of the merged delta (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock), [entry("x", 2, 1), entry("y", 7, 1)]), clock);
  assertEquals(a.view.versionOf("b")?.number, 7);
  deliver(a, "b", memberDelta("b", incarnationAt(clock), [entry("x", 9, 1)], { after: 7 }), clock);
  assertEquals(a.view.versionOf("b")?.number, 9);
});

Deno.test("version: is always the number of an entry (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  assertEquals(
    deliver(a, "b", memberDelta("b", incarnationAt(clock), [], { after: 40 }), clock),
    new Map([["b", { incarnation: incarnationAt(clock), number: 0 }]]),
  );
  assertEquals(a.view.versionOf("b"), undefined);
  deliver(a, "b", memberDelta("b", incarnationAt(clock), [entry("x", 3, 1)]), clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock), [], { after: 3 }), clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock), [], { after: 2 }), clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock), [], { after: 90 }), clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock), [], { after: 90, reset: true }), clock);
  assertEquals(a.view.versionOf("b"), { incarnation: incarnationAt(clock), number: 3 });
});

Deno.test("gap: a receiver merges no entry of the member and answers with its version (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  deliver(a, "c", memberDelta("b", incarnation, [entry("x", 3, "held")]), clock);
  eventsOf(a).clear();
  const gap = memberDelta("b", incarnation, [entry("x", 6, "new"), heartbeat(7)], { after: 4 });
  assertEquals(deliver(a, "c", gap, clock), new Map([["b", { incarnation, number: 3 }]]));
  assertEquals([valueOf(a, "b", "x"), a.view.versionOf("b")?.number], ["held", 3]);
  assertEquals(eventsOf(a).of("GossipUpdate"), []);
});

Deno.test("gap: a version equal to `after` is no gap (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  deliver(a, "b", memberDelta("b", incarnationAt(clock), [entry("x", 3, 1)]), clock);
  assertEquals(
    deliver(a, "b", memberDelta("b", incarnationAt(clock), [entry("x", 4, 2)], { after: 3 }), clock),
    new Map(),
  );
  assertEquals(valueOf(a, "b", "x"), 2);
});

Deno.test("gap: a delta of an unknown incarnation that does not start at 0 is a gap (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  const later = makeIncarnation(clock.wallMs + 1, 0.5);
  const fromOne = (of: string) => memberDelta("b", of, [entry("x", 2, "new")], { after: 1 });
  assertEquals(deliver(a, "c", fromOne(incarnation), clock), new Map([["b", { incarnation, number: 0 }]]));
  assertEquals(a.view.versionOf("b"), undefined);
  deliver(a, "c", memberDelta("b", incarnation, [entry("x", 5, "held")]), clock);
  // A version of an earlier incarnation does not count.
  assertEquals(deliver(a, "c", fromOne(later), clock), new Map([["b", { incarnation: later, number: 0 }]]));
  assertEquals(a.view.versionOf("b"), { incarnation, number: 5 });
});

Deno.test("gap: a gap in one member's delta does not stop the merge of the other members in the message (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c", "d"], clock);
  const incarnation = incarnationAt(clock);
  const holds = deliver(a, "b", [
    memberDelta("b", incarnation, [entry("x", 1, "of b")]),
    memberDelta("c", incarnation, [entry("x", 9, "of c")], { after: 8 }),
    memberDelta("d", incarnation, [entry("x", 1, "of d")]),
  ], clock);
  assertEquals([...holds.keys()], ["c"]);
  assertEquals(["b", "c", "d"].map((id) => valueOf(a, id, "x")), ["of b", undefined, "of d"]);
});

Deno.test("gap: the next message repairs the gap, and starts from the receiver's version (E4)", () => {
  const clock = new TestClock();
  const ids = ["a", "b", "c"];
  const [a, b] = makeCluster(ids, clock);
  handshake(a, b!, clock);
  set(a, "own", 1, clock);
  deliver(a, "c", memberDelta("c", incarnationAt(clock), [entry("x", 4, 1), entry("y", 5, 1)]), clock);
  exchange(a, b!, { clock });
  // The peer lost everything without noticing: a process whose memory failed, in the same incarnation.
  const empty = makeEngine("b", clock, { incarnation: b!.view.incarnation });
  empty.setTopology({ members: ids, blocked: [] }, clock.now);
  set(a, "own", 2, clock);
  set(a, "more", 1, clock);
  deliver(a, "c", memberDelta("c", incarnationAt(clock), [entry("x", 6, 2)], { after: 5 }), clock);
  const { request, ack, reply } = exchange(a, empty, { clock });
  assertEquals(request.members.map(({ id, after }) => [id, after]), [["a", 0], ["c", 5]]);
  assertEquals(reply?.holds, new Map([["c", { incarnation: incarnationAt(clock), number: 0 }]]));
  assertEquals([ack, a.view.phase], [new Map(), "reconciling"]);
  const healing = exchange(a, empty, { clock });
  assertEquals(healing.request.members.map(({ id, after }) => [id, after]), [["c", 0]]);
  assertEquals(healing.reply?.holds, new Map());
  assertEquals([valueOf(empty, "c", "x"), valueOf(empty, "c", "y"), a.view.phase], [2, 1, "diffusing"]);
});

Deno.test("gap: the version that the receiver reports replaces the remembered version, even if nothing was pending (E4)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  for (const key of ["x", "y", "z"]) set(a, key, 1, clock);
  exchange(a, b, { clock });
  assertEquals([deltaOf(a, "b", "a"), a.view.acknowledgedBy(3)], [undefined, 1]);
  const { sent } = a.disseminate("b");
  note(a, a.handleAck(sent, new Map([["a", { incarnation: a.view.incarnation, number: 1 }]]), clock.now));
  const { after, entries } = deltaOf(a, "b", "a")!;
  assertEquals([after, entries.map(({ number }) => number)], [1, [2, 3]]);
  assertEquals([a.view.phase, a.view.acknowledgedBy(3), a.view.acknowledgedBy(1)], ["reconciling", 0, 1]);
});

Deno.test("incarnation: a receiver with an earlier incarnation is sent all entries of the present incarnation (E4)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "x", 1, clock);
  set(a, "x", 2, clock);
  const { sent } = a.disseminate("b");
  const earlier = makeIncarnation(clock.wallMs - 1, 0.5);
  note(a, a.handleAck(sent, new Map([["a", { incarnation: earlier, number: 900 }]]), clock.now));
  assertEquals([deltaOf(a, "b", "a")?.after, a.view.acknowledgedBy(1)], [0, 0]);
});

Deno.test("incarnation: a receiver with a later incarnation is sent no entry of the earlier incarnation (E4)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  deliver(a, "c", memberDelta("c", incarnationAt(clock), [entry("x", 1, 1)]), clock);
  const { sent } = a.disseminate("b");
  const later = makeIncarnation(clock.wallMs + 5, 0.5);
  note(a, a.handleAck(sent, new Map([["c", { incarnation: later, number: 3 }]]), clock.now));
  assertEquals(deltaOf(a, "b", "c"), undefined);
});

Deno.test("merge: takes only the newer entries of a delta that starts below the version (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  const incarnation = incarnationAt(clock);
  deliver(a, "b", memberDelta("b", incarnation, [entry("x", 2, "held"), entry("y", 4, "held")]), clock);
  eventsOf(a).clear();
  deliver(
    a,
    "b",
    memberDelta("b", incarnation, [entry("y", 4, "held"), entry("x", 5, "new")], { after: 1 }),
    clock,
  );
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "b", "y"), a.view.versionOf("b")?.number], [
    "new",
    "held",
    5,
  ]);
  assertEquals(eventsOf(a).of("GossipUpdate").map(({ key }) => key), ["x"]);
});

Deno.test("merge: ignores an entry at or below the version even if its key is gone, so that no deleted key returns (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { tombstoneRetention: 1_000 } });
  const incarnation = incarnationAt(clock);
  const old = memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 1)]);
  deliver(a, "c", old, clock);
  deliver(a, "b", memberDelta("b", incarnation, [tombstone("x", 3), entry("y", 4, 2)], { after: 2 }), clock);
  for (const forgotten of [false, true]) {
    if (forgotten) note(a, a.tick(clock.advance(1_000)));
    assertEquals(a.view.footprint.tombstones, forgotten ? 0 : 1);
    deliver(a, "c", old, clock);
    deliver(a, "c", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 4, 2)]), clock);
    assertEquals([valueOf(a, "b", "x"), valueOf(a, "b", "y")], [undefined, 2]);
  }
});

Deno.test("merge: the state of a member is a prefix of its sets and deletes, whatever message is lost (E4)", () => {
  for (let seed = 1; seed <= 40; seed++) runWithLoss(seed);
});

/** Two members set and delete at random while messages are lost; then none is lost, and both must agree. */
function runWithLoss(seed: number): void {
  const draw = drawFrom(seed);
  const clock = new TestClock();
  const [owner, left, right] = makeCluster(["owner", "left", "right"], clock, {
    settings: { tombstoneRetention: 2_000, gossipMaxSend: 1 + draw(4) },
  });
  const history: [key: string, value: number | undefined][] = [];
  const engines = [owner, left!, right!];
  for (let step = 0; step < 120; step++) {
    const key = `k${draw(4)}`;
    if (draw(3) > 0) {
      set(owner, key, step, clock);
      history.push([key, step]);
    } else if (remove(owner, key, clock) !== undefined) history.push([key, undefined]);
    const [from, to] = [engines[draw(3)]!, engines[draw(3)]!];
    const lose = (["request", "reply", "ack", undefined] as const)[draw(4)];
    if (from !== to) exchange(from, to, { clock, ...(lose && { lose }) });
    clock.advance(draw(300));
    for (const engine of engines) note(engine, engine.tick(clock.now));
    for (const engine of [left!, right!]) assertPrefix(engine, history, `seed ${seed}, step ${step}`);
  }
  settle(engines, { clock });
  for (const engine of [left!, right!]) {
    assertEquals(engine.view.versionOf("owner")?.number, history.length, `seed ${seed}`);
    assertEquals(engine.view.digest, owner.view.digest, `seed ${seed}`);
  }
}

function assertPrefix(
  engine: Engine,
  history: readonly (readonly [string, number | undefined])[],
  when: string,
): void {
  const held = engine.view.versionOf("owner")?.number ?? 0;
  const expected = new Map<string, number | undefined>();
  for (const [key, value] of history.slice(0, held)) expected.set(key, value);
  for (const key of ["k0", "k1", "k2", "k3"]) {
    assertEquals(
      valueOf(engine, "owner", key),
      expected.get(key),
      `${engine.view.id} ${key} ${when}, held ${held}`,
    );
  }
  assert(held <= history.length);
}

Deno.test("merge: a member that sends less of itself than it once sent receives the known version (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const incarnation = incarnationAt(clock);
  deliver(a, "b", memberDelta("b", incarnation, [entry("x", 1, 1), entry("y", 2, 1)]), clock);
  const less = memberDelta("b", incarnation, [entry("x", 1, 1)]);
  assertEquals(deliver(a, "c", less, clock), new Map());
  assertEquals(deliver(a, "b", less, clock), new Map([["b", { incarnation, number: 2 }]]));
});

Deno.test("merge: a delta without entries of an unknown member changes nothing (E4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock);
  const empty = memberDelta("c", incarnationAt(clock), [], { count: 5, ackedByAll: 3 });
  assertEquals([deliver(a, "b", empty, clock), a.view.versionOf("c")], [new Map(), undefined]);
});
