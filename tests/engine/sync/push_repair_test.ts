import { assert, assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeIncarnation, NO_INCARNATION } from "../../../engine/incarnation.ts";
import type { MemberDelta, MemberDeltas } from "../../../engine/types.ts";
import {
  deliver,
  drawFrom,
  entry,
  eventsOf,
  exchange,
  fence,
  handshake,
  handshakeAll,
  heartbeat,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  reconcile,
  remove,
  sendLiveness,
  set,
  settle,
  TestClock,
  valueOf,
} from "../harness.ts";
import { EARLIER } from "../incarnations.ts";

/** The next push of these members to a peer. */
function pushOf(from: Engine, to: string, ids: Iterable<string>): MemberDeltas {
  return note(from, from.push(to, ids)).delta;
}

/** Pushes members to another engine; returns the deltas. */
function push(
  from: Engine,
  to: Engine,
  how: { readonly ids?: Iterable<string>; readonly relay?: boolean; readonly clock: TestClock },
): MemberDeltas {
  const { ids = [from.view.id], relay = true, clock } = how;
  const delta = structuredClone(pushOf(from, to.view.id, ids));
  note(to, to.applyPush(from.view.id, { delta, relay }, clock.now));
  return delta;
}

/** Members, start and numbers: of a push, or of a round's next message. */
function show({ members }: { readonly members: readonly MemberDelta[] }): string {
  return members.map(({ id, after, reset, entries }) =>
    `${id}${reset ? "!" : ""}>${after}:${entries.map(({ number }) => number).join()}`
  ).join(" ");
}

function roundOf(from: Engine, to: string): string {
  return show(from.disseminate(to).delta);
}

function takeChanges(engine: Engine): { own: boolean; others: string[] } {
  const { own, others } = engine.takeChanges();
  return { own, others: [...others].sort() };
}

/** A pair with all state exchanged. */
function makeSettledPair(clock: TestClock): [Engine, Engine] {
  const [a, b] = makePair(clock);
  for (const engine of [a, b]) set(engine, "first", 0, clock);
  settle([a, b], { clock });
  for (const engine of [a, b]) engine.takeChanges();
  return [a, b];
}

Deno.test("push: has the changes since the last acknowledgement, and the peer merges them (S1)", () => {
  const clock = new TestClock();
  const [a, b] = makeSettledPair(clock);
  set(a, "k", 1, clock);
  set(a, "l", 2, clock);
  assertEquals(show(push(a, b, { clock })), "a>1:2,3");
  assertEquals([valueOf(b, "a", "k"), valueOf(b, "a", "l"), b.view.digest], [1, 2, a.view.digest]);
  assertEquals(eventsOf(a).of("Disseminated").at(-1), {
    type: "Disseminated",
    peerId: "b",
    members: 1,
    entries: 2,
  });
});

Deno.test("push: sends each change once: the next push starts at the end of the last push (S1)", () => {
  const clock = new TestClock();
  const [a] = makeSettledPair(clock);
  set(a, "k", 1, clock);
  assertEquals([show(pushOf(a, "b", ["a"])), show(pushOf(a, "b", ["a"]))], ["a>1:2", ""]);
  set(a, "l", 2, clock);
  assertEquals(show(pushOf(a, "b", ["a"])), "a>2:3");
});

Deno.test("push: stays within the members and bytes of a message, and leaves the rest to the rounds (E7)", () => {
  const clock = new TestClock();
  const ids = Array.from({ length: 9 }, (_, index) => `m${index}`);
  const [a, b] = makeCluster(["a", "b", ...ids], clock, {
    settings: { gossipMaxSend: 4, maxMessageBytes: 16_384 },
  });
  handshake(a, b!, clock);
  for (const id of ids) deliver(a, "relay", memberDelta(id, EARLIER, [entry("k", 1, 1)]), clock);
  assertEquals(pushOf(a, "b", ids).members.map(({ id }) => id), ids.slice(0, 4));
  const text = "x".repeat(6_000);
  for (const id of ids) {
    deliver(a, "relay", memberDelta(id, EARLIER, [entry("l", 2, text)], { after: 1 }), clock);
  }
  // One whole, and as many of three that were never pushed as there is room for.
  assertEquals(show(pushOf(a, "b", ids)), "m0>1:2 m4>0:1 m5>0:1 m6>0:1");
  settle([a, b!], { clock });
  assertEquals(ids.map((id) => b!.view.versionOf(id)?.number), ids.map(() => 2));
});

Deno.test("push: counts as acknowledged neither for the phase nor for a wait (S2, E5)", () => {
  const clock = new TestClock();
  const [a, b] = makeSettledPair(clock);
  const number = set(a, "k", 1, clock);
  push(a, b, { clock });
  assertEquals([a.view.phase, a.view.acknowledgedBy(number), a.view.isAcknowledgedBy("b", number)], [
    "diffusing",
    0,
    false,
  ]);
  exchange(a, b, { clock });
  assertEquals([a.view.phase, a.view.acknowledgedBy(number), b.view.phase], ["confirmed", 1, "confirmed"]);
});

Deno.test("disseminate: starts after the pushed version, without entries, until that is acknowledged (S2)", () => {
  const clock = new TestClock();
  const [a, b] = makeSettledPair(clock);
  set(a, "k", 1, clock);
  push(a, b, { clock });
  assertEquals([roundOf(a, "b"), roundOf(a, "b")], ["a>2:", "a>2:"]);
  set(a, "l", 2, clock);
  assertEquals(roundOf(a, "b"), "a>2:3");
  const { reply } = exchange(a, b, { clock });
  assertEquals([reply?.holds, roundOf(a, "b"), a.view.acknowledgedBy(3)], [new Map(), "", 1]);
});

Deno.test("disseminate: a lost push is reported as a gap, and then all entries are sent again (S2, E4)", () => {
  const clock = new TestClock();
  const [a, b] = makeSettledPair(clock);
  set(a, "k", 1, clock);
  set(a, "l", 2, clock);
  pushOf(a, "b", ["a"]);
  const { request, reply } = exchange(a, b, { clock });
  assertEquals([show(request), reply?.holds.get("a")?.number, a.view.phase], ["a>3:", 1, "reconciling"]);
  assertEquals([valueOf(b, "a", "k"), a.view.acknowledgedBy(2)], [undefined, 0]);
  assertEquals(roundOf(a, "b"), "a>1:2,3");
  // A gap is for a round, which gets an answer.
  assertEquals(show(pushOf(a, "b", ["a"])), "");
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "k"), valueOf(b, "a", "l"), a.view.phase], [1, 2, "confirmed"]);
});

Deno.test("disseminate: if the first push was lost, the second push has a gap, and a round repairs both (S2, E4)", () => {
  const clock = new TestClock();
  const [a, b] = makeSettledPair(clock);
  set(a, "k", 1, clock);
  pushOf(a, "b", ["a"]);
  set(a, "l", 2, clock);
  assertEquals(show(push(a, b, { clock })), "a>2:3");
  // It is a gap to b: nothing of it is merged, and a push has no answer.
  assertEquals([valueOf(b, "a", "l"), b.view.versionOf("a")?.number], [undefined, 1]);
  for (let round = 0; round < 2; round++) exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "k"), valueOf(b, "a", "l"), a.view.phase], [1, 2, "confirmed"]);
});

Deno.test("disseminate: a lost push of another member's entries is repaired too (S2, E4)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  deliver(a, "c", memberDelta("c", EARLIER, [entry("k", 1, 1), entry("l", 2, 1)]), clock);
  assertEquals(show(pushOf(a, "b", ["c"])), "c>0:1,2");
  assertEquals(roundOf(a, "b"), "c>2:");
  for (let round = 0; round < 2; round++) exchange(a, b!, { clock });
  assertEquals([valueOf(b!, "c", "k"), valueOf(b!, "c", "l")], [1, 1]);
});

Deno.test("applyIncoming: an equal digest acknowledges pushed state (S2, E12)", () => {
  const clock = new TestClock();
  const [a, b] = makeSettledPair(clock);
  const number = set(a, "k", 1, clock);
  push(a, b, { clock });
  exchange(b, a, { clock });
  assertEquals([roundOf(a, "b"), a.view.acknowledgedBy(number), a.view.phase], ["", 1, "confirmed"]);
});

Deno.test("push: a member that needs a reset is not pushed, and a round sends its whole state (E8, S2)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "c"], clock);
  handshake(a, b!, clock);
  for (const engine of [a, b!]) set(engine, "own", 1, clock);
  const entries = (key: string) => [entry(key, 1, key), entry("y", 2, 1)];
  deliver(a, "c", memberDelta("c", EARLIER, entries("one")), clock);
  pushOf(a, "b", ["c"]);
  deliver(b!, "c", memberDelta("c", EARLIER, entries("other")), clock);
  for (let round = 0; round < 3; round++) exchange(a, b!, { clock });
  assertEquals(reconcile(a, b!), true);
  assertEquals([show(pushOf(a, "b", ["c"])), roundOf(a, "b")], ["", "c!>0:1,2"]);
  exchange(a, b!, { clock });
  assertEquals([valueOf(b!, "c", "one"), valueOf(b!, "c", "other")], ["one", undefined]);
});

Deno.test("push: a lost pushed reset is sent again as a whole (E8, S2)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { tombstoneRetention: 1_000 } });
  for (const engine of [a, b]) set(engine, "k", 0, clock);
  set(a, "gone", 1, clock);
  settle([a, b], { clock });
  remove(a, "gone", clock);
  set(a, "k", 1, clock);
  note(a, a.tick(clock.advance(1_000)));
  assertEquals([a.view.footprint.tombstones, show(pushOf(a, "b", ["a"]))], [0, "a!>0:4"]);
  assertEquals(roundOf(a, "b"), "a>4:");
  for (let round = 0; round < 2; round++) exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "gone"), valueOf(b, "a", "k"), a.view.phase], [undefined, 1, "confirmed"]);
});

Deno.test("push: state of an unversioned member, or to an unversioned peer, does not count as arrived (S2)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "g"], clock);
  handshake(a, b!, clock);
  const hello = { id: "g", incarnation: NO_INCARNATION, digest: "0".repeat(16), active: "0".repeat(16) };
  note(a, a.applyHello(hello, clock.now));
  deliver(a, "g", memberDelta("g", NO_INCARNATION, [entry("x", 7, 1), heartbeat(8)]), clock);
  set(a, "k", 1, clock);
  assertEquals([show(pushOf(a, "b", ["g"])), roundOf(a, "b")], ["g>0:7,8", "a>0:1 g>0:7,8"]);
  assertEquals([show(pushOf(a, "g", ["a", "g"])), roundOf(a, "g")], ["a>0:1", "a>0:1"]);
});

Deno.test("push: remembers at most 1,024 members of a peer, and a round sends the forgotten members again (S2)", () => {
  const clock = new TestClock();
  const ids = Array.from({ length: 1_030 }, (_, index) => `m${index}`);
  const [a, b] = makeCluster(["a", "b"], clock, { settings: { gossipMaxSend: 2_000 } });
  note(a, a.setTopology({ members: ["a", "b", ...ids], blocked: [] }, clock.now));
  handshake(a, b!, clock);
  for (const id of ids) deliver(a, "relay", memberDelta(id, EARLIER, [entry("k", 1, 1)]), clock);
  assertEquals(pushOf(a, "b", ids).members.length, 1_030);
  const { members } = a.disseminate("b").delta;
  const sentAgain = members.filter(({ entries }) => entries.length > 0).map(({ id }) => id);
  assertEquals([members.length, sentAgain.sort()], [1_030, ids.slice(0, 6)]);
});

Deno.test("applyPush: known entries are not passed on, so that a push ends (S1)", () => {
  const clock = new TestClock();
  const [a, b] = makeSettledPair(clock);
  set(a, "k", 1, clock);
  const delta = pushOf(a, "b", ["a"]);
  for (const expected of [["a"], []]) {
    note(b, b.applyPush("a", { delta, relay: true }, clock.now));
    assertEquals(takeChanges(b).others, expected);
  }
});

Deno.test("applyPush: merges the counts in a push, and renews this member's incarnation after a later incarnation (E1, L1)", () => {
  const clock = new TestClock();
  const [a] = makeSettledPair(clock);
  const apply = (...members: MemberDelta[]) =>
    note(a, a.applyPush("b", { delta: { members }, relay: true }, clock.now));
  apply(memberDelta("x", EARLIER, [entry("k", 1, 1)], { count: 9 }));
  assertEquals(a.view.heartbeatOf("x")?.number, 9);
  const { incarnation } = a.view;
  apply(memberDelta("a", makeIncarnation(clock.wallMs + 10, 0.5), [entry("k", 1, "of another process")]));
  assert(a.view.incarnation > incarnation);
  assertEquals([valueOf(a, "a", "first"), valueOf(a, "a", "k")], [0, undefined]);
});

Deno.test("push: a fenced member neither pushes nor merges (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { signs: true });
  fence(a, clock);
  set(a, "k", 1, clock);
  set(b, "k", 1, clock);
  for (const engine of [a, b]) {
    note(engine, engine.attachSignature(engine.view.unsignedSnapshot()!, "signed"));
  }
  assertEquals(pushOf(a, "b", ["a"]).members, []);
  push(b, a, { clock });
  assertEquals(valueOf(a, "b", "k"), undefined);
});

Deno.test("push: after lost, repeated and late pushes the rounds bring all members to one state (S2, E5)", () => {
  for (let seed = 1; seed <= 25; seed++) pushAtRandom(seed);
});

/** Four members push their changes to some of the others, with losses; then the rounds alone continue. */
function pushAtRandom(seed: number): void {
  const draw = drawFrom(seed);
  const clock = new TestClock();
  const engines = makeCluster(["a", "b", "c", "d"], clock, {
    settings: { tombstoneRetention: 2_000, gossipMaxSend: 1 + draw(4) },
  });
  handshakeAll(engines, clock);
  const late: (() => void)[] = [];
  for (let step = 0; step < 150; step++) {
    const from = engines[draw(4)]!;
    const key = `k${draw(4)}`;
    if (draw(4) > 0) set(from, key, step, clock);
    else remove(from, key, clock);
    const { own, others } = from.takeChanges();
    const ids = own ? [from.view.id, ...others] : [...others];
    for (const to of engines) {
      if (to === from || draw(3) === 0) continue;
      const delta = structuredClone(pushOf(from, to.view.id, ids));
      const arrive = () => void note(to, to.applyPush(from.view.id, { delta, relay: true }, clock.now));
      const fate = draw(4);
      if (fate > 0) late.push(arrive);
      if (fate > 1) arrive();
    }
    if (late.length > 0 && draw(2) === 0) late.splice(draw(late.length), 1)[0]!();
    if (draw(5) === 0) {
      exchange(engines[draw(4)]!, from === engines[0] ? engines[1]! : engines[0]!, { clock });
    }
    if (draw(20) === 0) handshake(engines[0]!, engines[1 + draw(3)]!, clock);
    clock.advance(draw(200));
    for (const engine of engines) note(engine, engine.tick(clock.now));
  }
  settle(engines, { clock });
  // With nothing left to send, they may not all know it yet.
  for (let round = 0; round < 2; round++) {
    for (const a of engines) {
      for (const b of engines) {
        if (a === b) continue;
        exchange(a, b, { clock });
        sendLiveness(a, b, clock);
      }
    }
  }
  for (const engine of engines) {
    assertEquals(
      [engine.view.digest, engine.view.phase],
      [engines[0]!.view.digest, "confirmed"],
      `seed ${seed}: ${engine.view.id}`,
    );
  }
}

Deno.test("push: a push to a restarted process has the whole state (S2)", () => {
  const clock = new TestClock();
  const [a, b] = makeSettledPair(clock);
  set(a, "k", 1, clock);
  push(a, b, { clock });
  const again = makeEngine("b", clock, { incarnation: makeIncarnation(clock.wallMs + 1, 0.5) });
  note(again, again.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  handshake(again, a, clock);
  assertEquals(show(push(a, again, { clock })), "a>0:1,2");
  assertEquals(valueOf(again, "a", "k"), 1);
});
