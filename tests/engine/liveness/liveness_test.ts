import { assert, assertEquals, assertLessOrEqual } from "../../../deps/std_assert.ts";
import { digitAt } from "../../../engine/liveness/base64_digits.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { MemberState } from "../../../engine/state/member_state.ts";
import type { LivenessVector } from "../../../engine/types.ts";
import {
  count,
  deliver,
  deliverLiveness,
  drawFrom,
  entry,
  eventsOf,
  exchange,
  handshake,
  handshakeAll,
  makeCluster,
  memberDelta,
  note,
  sendLiveness,
  set,
  settle,
  TestClock,
} from "../harness.ts";
import { EARLIER } from "../incarnations.ts";

/** 60 intervals, of which a digit stands for 5. */
const SETTINGS = { gossipInterval: 100, gossipRequestTimeout: 100, heartbeatExpiration: 6_000 };
const STRIDE = 5;
/** Long enough for the next vector to be due. */
const VECTOR_MS = 100;

function countOf(engine: Engine, id: string): number | undefined {
  return engine.view.heartbeatOf(id)?.number;
}

/** Delivers a member's count of another, as beside a delta without state. */
function sendCount(engine: Engine, by: string, claim: { id: string; count: number }, clock: TestClock): void {
  const { incarnation, number } = engine.view.versionOf(claim.id)!;
  deliver(engine, by, memberDelta(claim.id, incarnation, [], { after: number, count: claim.count }), clock);
}

/** Members with one count each that agree and know each other's state. */
function makeAgreeing(ids: readonly string[], clock: TestClock, signs = false): Engine[] {
  const engines = makeCluster(ids, clock, { settings: SETTINGS, signs });
  handshakeAll(engines, clock);
  for (const engine of engines) count(engine, 1, clock);
  if (!signs) settle(engines, { clock });
  return engines;
}

/** Advances time until a member's next message has a vector. */
function awaitVector(engine: Engine, clock: TestClock): void {
  // A call whose only effect is the time.
  note(engine, engine.unblock("no such member", clock.advance(VECTOR_MS)));
}

/** The vector of a message to a peer, once one is due. */
function vectorFor(engine: Engine, peerId: string, clock: TestClock): LivenessVector {
  awaitVector(engine, clock);
  return engine.takeLiveness(peerId).vector!;
}

/** Sends liveness with a vector, once one is due. */
function sendVector(from: Engine, to: Engine, clock: TestClock): LivenessVector {
  awaitVector(from, clock);
  return sendLiveness(from, to, clock).vector!;
}

/** The digit of a member in a vector, by index or by tag; -1 without one. */
function digitOf(vector: LivenessVector, holder: Engine, id: string): number {
  if (vector.incarnationsHash !== undefined) {
    return digitAt(vector.counts, [...holder.view.activeIds()].sort().indexOf(id));
  }
  const { tag } = new MemberState(id, holder.view.incarnationOf(id)!);
  for (let at = 0; at < vector.counts.length; at += 5) {
    if (vector.counts.startsWith(tag, at)) return digitAt(vector.counts, at + 4);
  }
  return -1;
}

Deno.test("countHeartbeat: raises the member's own count by one at each interval, and no other member raises it (L1)", () => {
  const clock = new TestClock();
  const [a, b] = makeAgreeing(["a", "b", "c"], clock);
  for (let interval = 2; interval <= 5; interval++) {
    count(a!, 1, clock);
    assertEquals(countOf(a!, "a"), interval);
  }
  deliver(a!, "b", memberDelta("a", a!.view.incarnation, [], { after: 2, count: 900 }), clock);
  note(a!, a!.applyCount("a", 900, clock.now));
  const { incarnationsHash, counts } = vectorFor(b!, "a", clock);
  for (
    const vector of [{ incarnationsHash: incarnationsHash!, counts: `P${counts.slice(1)}` }, {
      counts: `${tagOf(a!)}P`,
    }]
  ) {
    deliverLiveness(a!, "b", { count: 1, vector: { stride: STRIDE, ...vector } }, clock);
  }
  assertEquals(countOf(a!, "a"), 5);
});

function tagOf(engine: Engine): string {
  return new MemberState(engine.view.id, engine.view.incarnation).tag;
}

Deno.test("liveness: a vector raises exactly the members whose count is ahead (L2)", () => {
  const clock = new TestClock();
  const [a, b, c, d] = makeAgreeing(["a", "b", "c", "d"], clock);
  count(c!, 12, clock);
  count(d!, 2, clock);
  // It has a higher count of c than b, and the same of d.
  sendLiveness(c!, a!, clock);
  assertEquals(vectorFor(a!, "b", clock).incarnationsHash !== undefined, true);
  sendVector(a!, b!, clock);
  assertEquals(["a", "c", "d"].map((id) => countOf(b!, id)), [1, 10, 1]);
});

Deno.test("liveness: members with different active members name each other by tags (L2)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeAgreeing(["a", "b", "c", "d"], clock);
  note(b!, b!.setTopology({ members: ["a", "b", "c"], blocked: [] }, clock.now));
  exchange(b!, a!, { clock });
  count(c!, 12, clock);
  sendLiveness(c!, a!, clock);
  const vector = vectorFor(a!, "b", clock);
  assertEquals([vector.incarnationsHash, vector.counts.length], [undefined, 4 * 5]);
  sendVector(a!, b!, clock);
  assertEquals(countOf(b!, "c"), 10);
});

Deno.test("liveness: the count of a member is not sent if another member has the same tag (L2)", () => {
  const clock = new TestClock();
  const byTag = new Map<string, string>();
  let pair: string[] | undefined;
  for (let each = 0; !pair; each++) {
    const id = `m${each}`;
    const { tag } = new MemberState(id, EARLIER);
    const other = byTag.get(tag);
    if (other !== undefined) pair = [other, id];
    byTag.set(tag, id);
  }
  const [one, other] = pair as [string, string];
  const [a, b] = makeCluster(["a", "b", one, other], clock, { settings: SETTINGS });
  handshake(a, b!, clock);
  // b has heard of one of the two only: to it the tag means that one.
  for (const engine of [a, b!]) {
    deliver(engine, "c", memberDelta(one, EARLIER, [entry("k", 1, 1)], { count: 10 }), clock);
  }
  deliver(a, "c", memberDelta(other, EARLIER, [entry("k", 1, 1)], { count: 60 }), clock);
  count(a, 1, clock);
  assertEquals(vectorFor(a, "b", clock), { stride: STRIDE, counts: `${tagOf(a)}A` });
  sendVector(a, b!, clock);
  assertEquals(countOf(b!, one), 10);
});

Deno.test("liveness: no count rises above its owner's, through any relays and strides (L2)", () => {
  for (let seed = 1; seed <= 12; seed++) relayAtRandom(seed);
});

/** Members with different intervals, and so with strides of 10, 5 and 2, exchange their counts. */
function relayAtRandom(seed: number): void {
  const draw = drawFrom(seed);
  const clock = new TestClock();
  const ids = ["a", "b", "c", "d", "e", "f"];
  const intervals = [50, 100, 200];
  const engines = ids.map((id) => {
    const gossipInterval = intervals[draw(intervals.length)]!;
    return makeCluster([id], clock, { settings: { ...SETTINGS, gossipInterval } })[0];
  });
  for (const engine of engines) note(engine, engine.setTopology({ members: ids, blocked: [] }, clock.now));
  handshakeAll(engines, clock);
  for (const engine of engines) count(engine, 1 + draw(400), clock);
  settle(engines, { clock });
  // In every third cluster one takes another as inactive, so that counts go by tags.
  if (seed % 3 === 0) {
    const [odd] = engines;
    note(odd!, odd!.setTopology({ members: ids.slice(0, 5), blocked: [] }, clock.now));
    for (const other of engines.slice(1)) exchange(odd!, other, { clock });
  }
  let raised = 0;
  for (let step = 0; step < 600; step++) {
    count(engines[draw(6)]!, draw(4), clock);
    const [from, to] = [engines[draw(6)]!, engines[draw(6)]!];
    if (from === to) continue;
    const before = ids.map((id) => countOf(to, id));
    sendVector(from, to, clock);
    for (const [index, id] of ids.entries()) {
      const known = countOf(to, id)!;
      if (known > before[index]! && id !== from.view.id) raised++;
      assertLessOrEqual(
        known,
        countOf(engines[index]!, id)!,
        `seed ${seed}, step ${step}: ${to.view.id} of ${id}`,
      );
      assert(known >= before[index]!, `seed ${seed}, step ${step}: the count of ${id} fell`);
    }
  }
  assert(raised > 100, `seed ${seed}: ${raised} counts came by a relay`);
}

Deno.test("liveness: a relay with lower counts changes nothing, also across the wrap of the digit (L2)", () => {
  for (const behind of [1, 20, 30]) {
    const clock = new TestClock();
    const [a, b, c] = makeAgreeing(["a", "b", "c"], clock);
    // The digit of b is about to wrap, or has wrapped since.
    for (const known of [63, 64, 70].map((digit) => digit * STRIDE)) {
      sendCount(a!, "c", { id: "b", count: known }, clock);
      sendCount(c!, "a", { id: "b", count: known - behind * STRIDE }, clock);
      const vector = sendVector(c!, a!, clock);
      assertEquals(digitOf(vector, c!, "b"), (known / STRIDE - behind) % 64);
      assertEquals(countOf(a!, "b"), known, `${behind} behind ${known}`);
    }
    assertEquals(countOf(b!, "b"), 1);
  }
});

Deno.test("liveness: after a suspension, a member sends another member's count only after it heard that member again (L3)", () => {
  for (const shownBy of ["both clocks", "the wall clock"] as const) {
    const clock = new TestClock();
    const [a, b, c] = makeAgreeing(["a", "b", "c"], clock);
    note(a!, a!.tick(clock.now));
    assertEquals(["a", "b", "c"].map((id) => digitOf(vectorFor(a!, "b", clock), a!, id)), [0, 0, 0]);
    const lostMs = SETTINGS.heartbeatExpiration + 1_000;
    if (shownBy === "both clocks") clock.advance(lostMs);
    else clock.wallMs += lostMs;
    note(a!, a!.tick(clock.now));
    assertEquals(
      ["a", "b", "c"].map((id) => digitOf(vectorFor(a!, "b", clock), a!, id)),
      [0, -1, -1],
      shownBy,
    );
    count(b!, 1, clock);
    sendLiveness(b!, a!, clock);
    assertEquals(
      ["a", "b", "c"].map((id) => digitOf(vectorFor(a!, "b", clock), a!, id)),
      [0, 0, -1],
      shownBy,
    );
    assertEquals(countOf(c!, "c"), 1);
  }
});

Deno.test("liveness: a message after a suspension and before the next tick is answered without old counts (L3)", () => {
  for (const shownBy of ["both clocks", "the wall clock"] as const) {
    const clock = new TestClock();
    const [a, b] = makeAgreeing(["a", "b", "c"], clock);
    note(a!, a!.tick(clock.now));
    const lostMs = SETTINGS.heartbeatExpiration + 1_000;
    if (shownBy === "both clocks") clock.advance(lostMs);
    else clock.wallMs += lostMs;
    // It lay in a buffer: the count may be as old as the suspension is long.
    clock.advance(VECTOR_MS);
    count(b!, 1, clock);
    sendLiveness(b!, a!, clock);
    const digits = () => ["a", "b", "c"].map((id) => digitOf(vectorFor(a!, "b", clock), a!, id));
    assertEquals(digits(), [0, -1, -1], shownBy);
    note(a!, a!.tick(clock.now));
    assertEquals(digits(), [0, -1, -1], shownBy);
    clock.advance(VECTOR_MS);
    count(b!, 1, clock);
    sendLiveness(b!, a!, clock);
    assertEquals(digits(), [0, 0, -1], shownBy);
  }
});

Deno.test("liveness: a member that is blocked as expired sends no old count (L3)", () => {
  for (
    const [reason, expected] of [["expired", -1], ["crashed", -1], ["topology", 0], ["left", 0]] as const
  ) {
    const clock = new TestClock();
    const [a] = makeAgreeing(["a", "b", "c"], clock);
    note(a!, a!.onBlockedBy("b", reason));
    assertEquals(digitOf(vectorFor(a!, "c", clock), a!, "b"), expected, reason);
  }
});

Deno.test("liveness: a later incarnation begins at 0, and counts of the earlier one cannot raise it (L1, E1)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeAgreeing(["a", "b", "c"], clock);
  count(c!, 400, clock);
  sendLiveness(c!, a!, clock);
  sendLiveness(c!, b!, clock);
  assertEquals([countOf(a!, "c"), countOf(b!, "c")], [401, 401]);
  const later = makeIncarnation(clock.wallMs + 5, 0.5);
  deliver(a!, "b", memberDelta("c", later, [entry("k", 1, 1)]), clock);
  assertEquals(countOf(a!, "c"), undefined);
  deliver(a!, "b", memberDelta("c", c!.view.incarnation, [entry("k", 90, 1)], { count: 500 }), clock);
  sendVector(b!, a!, clock);
  assertEquals([a!.view.incarnationOf("c"), countOf(a!, "c")], [later, undefined]);
  // Nor where it has counted since: the vector of b is about the earlier incarnation.
  deliver(a!, "b", memberDelta("c", later, [entry("k", 2, 1)], { after: 1, count: 300 }), clock);
  sendVector(b!, a!, clock);
  assertEquals(countOf(a!, "c"), 300);
});

Deno.test("liveness: the owner's own message corrects a false count, and the false count is not passed on (L1)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeAgreeing(["a", "b", "c"], clock);
  count(c!, 100, clock);
  sendCount(a!, "b", { id: "c", count: 3_000 }, clock);
  assertEquals(countOf(a!, "c"), 3_000);
  sendLiveness(c!, a!, clock);
  assertEquals(countOf(a!, "c"), 101);
  sendLiveness(c!, b!, clock);
  sendVector(a!, b!, clock);
  assertEquals(countOf(b!, "c"), 101);
  // A message of the owner that was overtaken on the way lowers nothing.
  deliverLiveness(a!, "c", { count: 90 }, clock);
  assertEquals(countOf(a!, "c"), 101);
});

/** Advances time at one member, which ticks and hears all others, until it blocks another. */
function expire(engine: Engine, id: string, clock: TestClock): void {
  for (let interval = 0; interval < 70 && !engine.view.blockedMember(id); interval++) {
    clock.advance(100);
    for (const peer of engine.view.activePeers()) {
      if (peer !== id) deliverLiveness(engine, peer, { count: 2 + interval }, clock);
    }
    note(engine, engine.tick(clock.now));
  }
  assertEquals(engine.view.blockedMember(id)?.reason, "expired");
}

Deno.test("liveness: the count of a blocked member is not passed on (E10)", () => {
  const clock = new TestClock();
  const [a, b] = makeAgreeing(["a", "b", "c", "d"], clock);
  const ofC = () => a!.disseminate("b").delta.members.find(({ id }) => id === "c");
  deliver(
    a!,
    "d",
    memberDelta("c", a!.view.incarnationOf("c")!, [entry("k", 3, 1)], { after: 2, count: 7 }),
    clock,
  );
  assertEquals([ofC()?.count, digitOf(vectorFor(a!, "b", clock), a!, "c")], [7, 1]);
  expire(a!, "c", clock);
  const vector = vectorFor(a!, "b", clock);
  assertEquals([ofC()?.count, digitOf(vector, a!, "c"), digitOf(vector, a!, "b")], [undefined, -1, 12]);
  assertEquals(ofC()?.entries.map(({ key }) => key), ["k"]);
  assertEquals(b!.view.blockedMember("c"), undefined);
});

Deno.test("liveness: a newer count from any peer frees a member that is blocked as expired (E10)", () => {
  for (const way of ["a delta", "its own message", "a tag", "an answer to a suspicion"] as const) {
    const clock = new TestClock();
    const [a, b, c] = makeAgreeing(["a", "b", "c"], clock);
    expire(a!, "c", clock);
    count(c!, 10, clock);
    if (way === "a delta") sendCount(a!, "b", { id: "c", count: 11 }, clock);
    else if (way === "its own message") sendLiveness(c!, a!, clock);
    else if (way === "an answer to a suspicion") note(a!, a!.applyCount("c", 11, clock.now));
    else {
      const vector = { stride: STRIDE, counts: `${tagOf(c!)}C` };
      deliverLiveness(a!, "b", { count: 1, vector }, clock);
    }
    assertEquals(a!.view.blockedMember("c"), undefined, way);
    assertEquals(eventsOf(a!).of("MemberUnblocked").map(({ memberId }) => memberId), ["c"], way);
    assertEquals(countOf(b!, "c"), 1);
  }
});

Deno.test("liveness: an equal count from a peer frees no blocked member (E10)", () => {
  const clock = new TestClock();
  const [a, , c] = makeAgreeing(["a", "b", "c"], clock);
  expire(a!, "c", clock);
  sendCount(a!, "b", { id: "c", count: 1 }, clock);
  note(a!, a!.applyCount("c", 1, clock.now));
  const vector = { stride: STRIDE, counts: `${tagOf(c!)}A` };
  deliverLiveness(a!, "b", { count: 1, vector }, clock);
  assertEquals(a!.view.blockedMember("c")?.reason, "expired");
});

Deno.test("liveness: a late count from any peer does not free a member that left (E10)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeAgreeing(["a", "b", "c"], clock);
  note(c!, c!.leave(clock.now));
  exchange(c!, a!, { clock });
  assertEquals(a!.view.blockedMember("c")?.reason, "left");
  count(c!, 10, clock);
  sendCount(a!, "b", { id: "c", count: 5 }, clock);
  note(a!, a!.applyCount("c", 6, clock.now));
  const vector = { stride: STRIDE, counts: `${tagOf(c!)}C` };
  deliverLiveness(a!, "b", { count: 1, vector }, clock);
  sendLiveness(c!, a!, clock);
  assertEquals([a!.view.blockedMember("c")?.reason, countOf(a!, "c")], ["left", 11]);
  assertEquals(countOf(b!, "c"), 1);
});

Deno.test("liveness: where members sign, only a member's own message raises its count (L4)", () => {
  const clock = new TestClock();
  const [a, , c] = makeAgreeing(["a", "b", "c"], clock, true);
  deliver(a!, "b", memberDelta("c", c!.view.incarnation, [entry("k", 1, 1)], { count: 40 }), clock);
  assertEquals([a!.view.incarnationOf("c"), countOf(a!, "c")], [c!.view.incarnation, undefined]);
  sendLiveness(c!, a!, clock);
  assertEquals(countOf(a!, "c"), 1);
  sendCount(a!, "b", { id: "c", count: 40 }, clock);
  note(a!, a!.applyCount("c", 40, clock.now));
  const vector = { stride: STRIDE, counts: `${tagOf(c!)}C` };
  deliverLiveness(a!, "b", { count: 1, vector }, clock);
  assertEquals(countOf(a!, "c"), 1);
  clock.advance(VECTOR_MS);
  count(c!, 4, clock);
  assertEquals(Object.keys(sendLiveness(c!, a!, clock)), ["count"]);
  assertEquals(countOf(a!, "c"), 5);
});

Deno.test("observeHeartbeats: emits heartbeat updates for observers only, with the count as sequence number (R6.1)", () => {
  const clock = new TestClock();
  const [a, , c] = makeAgreeing(["a", "b", "c"], clock);
  const seen = () =>
    eventsOf(a!).of("GossipUpdate").map(({ memberId, key, value, sequenceNumber }) => {
      return [memberId, key, value, sequenceNumber];
    });
  eventsOf(a!).clear();
  note(c!, c!.countHeartbeat({ worker: 3 }, clock.now));
  exchange(c!, a!, { clock });
  sendLiveness(c!, a!, clock);
  assertEquals(seen(), []);
  note(a!, a!.observeHeartbeats(true) ?? { events: [] });
  count(a!, 1, clock);
  note(c!, c!.countHeartbeat({ worker: 3 }, clock.now));
  sendLiveness(c!, a!, clock);
  const statistics = { actorStatistics: { actorCount: { worker: 3 } } };
  assertEquals(seen(), [["a", "heathbeat", {}, 2], ["c", "heathbeat", statistics, 3]]);
  set(a!, "k", 1, clock);
  note(a!, a!.observeHeartbeats(false) ?? { events: [] });
  count(a!, 1, clock);
  assertEquals(seen().length, 3);
});
