import { assert, assertEquals, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { ConvergenceTracker } from "../../../engine/convergence.ts";
import { ChangeList, ChangeLog } from "../../../engine/state/change_log.ts";
import { SetHash } from "../../../engine/state/digest.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { MemberState } from "../../../engine/state/member_state.ts";
import { Random } from "../../../engine/random.ts";
import { SortedMembers } from "../../../engine/state/sorted_members.ts";
import { Store } from "../../../engine/state/store.ts";
import { HEARTBEAT_KEY } from "../../../engine/types.ts";
import {
  deliver,
  deliverLiveness,
  entry,
  exchange,
  handshake,
  heartbeat,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  remove,
  set,
  SETTINGS,
  settle,
  TestClock,
} from "../harness.ts";

/** Work in operations; the benchmark measures its time. */
interface Work {
  /** Members read as changed. */
  changed: number;
  /** Planned deltas and versions. */
  deltas: number;
  /** Hashes added to or subtracted from a sum. */
  hashes: number;
  /** Members named one by one: agreeing peers, digits of counts, bits of sets. */
  named: number;
}

/** Counts the engine's operations during an action. */
function workOf(action: () => void): Work {
  const work: Work = { changed: 0, deltas: 0, hashes: 0, named: 0 };
  const order = ChangeLog.prototype;
  const member = MemberState.prototype;
  const sum = SetHash.prototype;
  const recency = ChangeList.prototype;
  const { members, atSlot: inTurn } = order;
  const { newestFirst } = recency;
  const { deltaAfter, ackedVersion: heldBy } = member;
  const { add, remove } = sum;
  const agreement = ConvergenceTracker.prototype;
  const sorted = SortedMembers.prototype;
  const { agrees } = agreement;
  const { decode } = sorted;
  const vectors = Object.getOwnPropertyDescriptor(Store.prototype, "sorted")!;
  const counted = function* (found: Iterable<MemberState>) {
    for (const each of found) {
      work.changed++;
      yield each;
    }
  };
  recency.newestFirst = function (after) {
    return counted(newestFirst.call(this, after));
  };
  order.atSlot = function (turn) {
    work.changed++;
    return inTurn.call(this, turn);
  };
  order.members = function () {
    work.changed += this.size;
    return members.call(this);
  };
  member.deltaAfter = function (...args) {
    work.deltas++;
    return deltaAfter.apply(this, args);
  };
  member.ackedVersion = function (known) {
    work.deltas++;
    return heldBy.call(this, known);
  };
  sum.add = function (...fields) {
    work.hashes++;
    return add.call(this, ...fields);
  };
  sum.remove = function (...fields) {
    work.hashes++;
    return remove.call(this, ...fields);
  };
  agreement.agrees = function (...args) {
    work.named++;
    return agrees.apply(this, args);
  };
  sorted.decode = function (set) {
    work.named += set.length;
    return decode.call(this, set);
  };
  Object.defineProperty(Store.prototype, "sorted", {
    ...vectors,
    get(this: Store) {
      work.named += this.active.size;
      return vectors.get!.call(this);
    },
  });
  try {
    action();
  } finally {
    Object.assign(agreement, { agrees });
    Object.assign(sorted, { decode });
    Object.defineProperty(Store.prototype, "sorted", vectors);
    Object.assign(recency, { newestFirst });
    Object.assign(order, { members, atSlot: inTurn });
    Object.assign(member, { deltaAfter, ackedVersion: heldBy });
    Object.assign(sum, { add, remove });
  }
  return work;
}

const MANY = 10_000;

/** A member of a large cluster with two keys of each, and its peer b with the same state. */
function largeCluster(clock: TestClock): Engine {
  const ids = ["a", "b", ...Array.from({ length: MANY - 2 }, (_, index) => `m${index}`)];
  const a = makeEngine("a", clock, { settings: { gossipMaxSend: MANY } });
  const b = makeEngine("b", clock);
  a.setTopology({ members: ids, blocked: [] }, clock.now);
  handshake(a, b, clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const deltas = ids.slice(2).map((id) => memberDelta(id, incarnation, [entry("x", 1, 1), entry("y", 2, 2)]));
  deliver(a, "b", deltas, clock);
  return a;
}

/** Makes b report the same state, at itself and at all others. */
function agreeWithAll(a: Engine, clock: TestClock): void {
  note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
  const agreeing = "_".repeat(Math.ceil(a.view.activeIds().size / 6));
  const delta = { members: [], digest: a.view.digest, active: a.view.activeHash, partial: false, agreeing };
  note(a, a.applyIncoming("b", delta, clock.now));
  // The acknowledgement is for the sent state: it has to be sent once more.
  note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
}

Deno.test("cost: without changes no member is read, at 10,000 members (E6)", () => {
  const clock = new TestClock();
  const a = largeCluster(clock);
  const work = workOf(() => {
    const { delta, sent } = a.disseminate("b");
    assertEquals(delta.members, []);
    note(a, a.handleAck(sent, new Map(), clock.now));
    note(
      a,
      a.applyIncoming(
        "b",
        { members: [], digest: a.view.digest, active: a.view.activeHash, partial: false },
        clock.now,
      ),
    );
    note(a, a.tick(clock.advance(300)));
  });
  // Only the member itself is checked for changes.
  assertEquals(work, { changed: 0, deltas: 1, hashes: 0, named: 0 });
});

Deno.test("cost: after convergence a round is one heartbeat, which reads no member, at 10,000 members (E6)", () => {
  const clock = new TestClock();
  const a = largeCluster(clock);
  note(a, a.countHeartbeat({}, clock.now));
  agreeWithAll(a, clock);
  assert(a.view.isQuiet("b"));
  // This one has a vector.
  assertEquals(a.takeLiveness("b").vector?.counts.length, MANY);
  const work = workOf(() => {
    note(a, a.countHeartbeat({}, clock.advance(100)));
    note(a, a.tick(clock.now));
    deliverLiveness(a, "b", { count: 1 }, clock);
    assert(a.view.isQuiet("b"));
    assertEquals(a.takeLiveness("b"), { count: 2 });
  });
  assertEquals(work, { changed: 0, deltas: 0, hashes: 0, named: 0 });
});

Deno.test("cost: vectors are rare enough that naming all members takes a bounded share of the time (E6)", () => {
  const clock = new TestClock();
  const a = largeCluster(clock);
  const intervals = 2 * SETTINGS.heartbeatExpiration / SETTINGS.gossipInterval;
  const work = workOf(() => {
    for (let interval = 0; interval < intervals; interval++) {
      note(a, a.countHeartbeat({}, clock.advance(SETTINGS.gossipInterval)));
      for (const peer of ["b", "m0", "m1"]) for (let times = 0; times < 5; times++) a.takeLiveness(peer);
    }
  });
  // At most one an interval, with these settings.
  assertLessOrEqual(work.named, 2 * 70 * MANY);
  assert(work.named > 60 * MANY, `${work.named}`);
});

Deno.test("cost: after one change one member is read, for any member and any peer, at 10,000 members (E6)", () => {
  const clock = new TestClock();
  const a = largeCluster(clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const work = workOf(() => {
    deliver(a, "m7", memberDelta("m7", incarnation, [entry("x", 3, 3)], { after: 2 }), clock);
    const { delta, sent } = a.disseminate("b");
    assertEquals(delta.members.map(({ id, after }) => [id, after]), [["m7", 2]]);
    note(a, a.handleAck(sent, new Map(), clock.now));
    assertEquals(a.disseminate("b").delta.members, []);
  });
  // Its sender is new here, and everything else is pending for it: that is read once.
  assertLessOrEqual(work.changed, MANY + 2);
  const again = workOf(() => {
    deliver(a, "m7", memberDelta("m7", incarnation, [entry("x", 4, 4)], { after: 3 }), clock);
    note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
    assertEquals(a.disseminate("b").delta.members, []);
  });
  assertLessOrEqual(again.changed, 4);
  assertLessOrEqual(again.deltas, 4);
  assertLessOrEqual(again.hashes, 6);
  assertEquals(again.named, 0);
});

Deno.test("cost: the cost of a delta grows with the changes (E6)", () => {
  const clock = new TestClock();
  const a = largeCluster(clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  for (const changes of [1, 10, 100]) {
    const number = 2 + changes;
    const deltas = Array.from(
      { length: changes },
      (_, index) => memberDelta(`m${index}`, incarnation, [entry("x", number, number)], { after: 2 }),
    );
    deliver(a, "b", memberDelta("b", makeIncarnation(clock.wallMs, 0.5), [heartbeat(number)]), clock);
    note(
      a,
      a.applyIncoming("someone", { members: deltas, digest: "", active: "", partial: true }, clock.now),
    );
    const work = workOf(() => assertEquals(a.disseminate("b").delta.members.length, changes));
    assertLessOrEqual(work.changed, changes + 2);
    assertLessOrEqual(work.deltas, 2 * changes + 3);
    assertEquals([work.hashes, work.named], [0, 0]);
    note(a, a.handleAck(a.disseminate("b").sent, new Map(), clock.now));
  }
});

Deno.test("cost: the cost of a delta depends on the changed keys, not on all keys (E6)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  for (let key = 0; key < 2_000; key++) set(a, `k${key}`, key, clock);
  settle([a, b], { clock });
  set(a, "k5", "new", clock);
  let reads = 0;
  for (const { key } of a.view.entriesOf("a")) {
    const kept = a.view.get("a", key)!;
    const { number } = kept;
    Object.defineProperty(kept, "number", { get: () => (reads++, number) });
  }
  assertEquals(a.disseminate("b").delta.members[0]?.entries.map(({ key }) => key), ["k5"]);
  assert(reads > 0 && reads < 12, `${reads} entries were read`);
});

Deno.test("cost: a block or its end reads no other member, at 10,000 members (E6)", () => {
  const clock = new TestClock();
  const a = largeCluster(clock);
  const ids = [...a.view.activeIds()];
  const { digest } = a.view;
  const work = workOf(() => {
    note(a, a.setTopology({ members: ids, blocked: ["m3"] }, clock.now));
    note(a, a.setTopology({ members: ids, blocked: [] }, clock.now));
  });
  assertEquals([work.changed, work.deltas], [0, 0]);
  assertLessOrEqual(work.hashes, 4);
  assertEquals(a.view.digest, digest);
});

Deno.test("cost: heartbeats need no delta, also after a forgotten tombstone or a reset (E6)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock, { settings: { tombstoneRetention: 1_000 } });
  for (const [left, right] of [[a, b!], [b!, c!]] as const) handshake(left, right, clock);
  set(a, "lasts", 1, clock);
  set(a, "gone", 1, clock);
  remove(a, "gone", clock);
  note(a, a.countHeartbeat({}, clock.now));
  clock.advance(1_000);
  for (let round = 0; round < 4; round++) {
    note(a, a.countHeartbeat({}, clock.advance(300)));
    note(a, a.tick(clock.now));
  }
  assertEquals(a.view.footprint.tombstones, 0);
  // b knows nothing of a yet, and gets its whole state as a reset; and c after it.
  const ofA = (from: Engine, to: Engine) =>
    exchange(from, to, { clock }).request.members.find(({ id }) => id === "a");
  assertEquals([ofA(a, b!)?.reset, ofA(b!, c!)?.reset], [true, true]);
  for (let round = 0; round < 5; round++) {
    note(a, a.countHeartbeat({}, clock.advance(300)));
    assertEquals([ofA(a, b!), ofA(b!, c!)], [undefined, undefined]);
  }
  // Other statistics are a change of one entry.
  note(a, a.countHeartbeat({ worker: 1 }, clock.advance(300)));
  for (const delta of [ofA(a, b!), ofA(b!, c!)]) {
    assertEquals([delta?.reset, delta?.entries.map(({ key }) => key)], [false, [HEARTBEAT_KEY]]);
  }
});

/** Makes a peer lack everything that it had acknowledged. */
function loseAll(a: Engine, peer: string, clock: TestClock): void {
  for (let next = a.disseminate(peer); next.delta.members.length > 0; next = a.disseminate(peer)) {
    note(a, a.handleAck(next.sent, new Map(), clock.now));
  }
  const delta = { members: [], digest: "0".repeat(16), active: a.view.activeHash, partial: false };
  note(a, a.applyIncoming(peer, delta, clock.now));
  note(a, a.answerReconcile(peer, { from: "", until: undefined, members: new Map() }));
}

Deno.test("cost: the memory of peers is bounded, below a table of all peers and members (E6)", () => {
  const clock = new TestClock();
  const a = largeCluster(clock);
  for (let peer = 0; peer < 20; peer++) note(a, a.disseminate(`m${peer}`));
  assertEquals(a.view.footprint.pending, 0);
  for (let peer = 0; peer < 20; peer++) loseAll(a, `m${peer}`, clock);
  const limit = 6 * SETTINGS.maxMembers;
  assertLessOrEqual(a.view.footprint.pending, limit);
  assert(a.view.footprint.pending > limit / 2);
});

Deno.test("cost: a peer whose pending entries were dropped is not sent them, and does not count as confirmed (E6)", () => {
  const clock = new TestClock();
  const a = largeCluster(clock);
  for (let peer = 0; peer < 8; peer++) loseAll(a, `m${peer}`, clock);
  // b has received all; m0 was sent to longest ago, and acknowledged nothing since.
  assertEquals(a.view.acknowledgedBy(1), 1);
  const { delta, sent } = a.disseminate("m0");
  assertEquals(delta.members, []);
  note(a, a.handleAck(sent, new Map(), clock.now));
  assertEquals([a.view.acknowledgedBy(1), a.view.phase], [1, "reconciling"]);
});

Deno.test("cost: entries that were dropped as pending are sent after the peer's own answer (E6)", () => {
  const clock = new TestClock();
  const a = largeCluster(clock);
  for (let peer = 0; peer < 8; peer++) loseAll(a, `m${peer}`, clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const empty = makeEngine("m0", clock, { incarnation });
  empty.setTopology({ members: [...a.view.activeIds()], blocked: [] }, clock.now);
  deliver(a, "b", memberDelta("m5000", incarnation, [entry("x", 3, 3)], { after: 2 }), clock);
  const { request, reply } = exchange(a, empty, { clock });
  assertEquals(request.members.map(({ id, after }) => [id, after]), [["m5000", 2]]);
  assertEquals(reply?.holds.get("m5000")?.number, 0);
  exchange(a, empty, { clock });
  assertEquals(["x", "y"].map((key) => empty.view.get("m5000", key)?.number), [3, 2]);
});

Deno.test("cost: peers are drawn from the other active members, whatever members come and go (E6)", () => {
  const clock = new TestClock();
  const engine = makeEngine("self", clock);
  const random = new Random(0.5);
  const members = new Set<string>();
  for (let step = 0; step < 2_000; step++) {
    const id = `m${Math.floor(random.next() * 20)}`;
    if (!members.delete(id)) members.add(id);
    note(engine, engine.setTopology({ members: ["self", ...members], blocked: [] }, clock.now));
    assertEquals(engine.view.activePeers().toSorted(), [...members].sort());
    assertEquals([...engine.view.activeIds()].sort(), [...members, "self"].sort());
  }
});
