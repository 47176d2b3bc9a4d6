import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { incarnationAbove, makeIncarnation, NO_INCARNATION } from "../../../engine/incarnation.ts";
import {
  deliver,
  entry,
  exchange,
  handshake,
  makeCluster,
  makePair,
  memberDelta,
  message,
  note,
  set,
  settle,
  TestClock,
  traveled,
  valueOf,
} from "../harness.ts";

/** Pushes the changes of some members as the gossiper does; returns the pushed numbers of each. */
function push(from: Engine, to: Engine, ids: readonly string[], { clock, lose = false, relay = false }: {
  readonly clock: TestClock;
  readonly lose?: boolean;
  readonly relay?: boolean;
}): string[] {
  const { delta } = note(from, from.push(to.view.id, ids));
  const { members } = traveled({ ...message(), members: delta.members });
  if (!lose) note(to, to.applyPush(from.view.id, { delta: { members }, relay }, clock.now));
  return delta.members.map((each) => `${each.id} ${each.entries.map(({ number }) => number)}`);
}

/** Two members that know that they have the same state; their changes so far were taken. */
function agreeing(clock: TestClock): [Engine, Engine] {
  const [a, b] = makePair(clock);
  set(a, "k", 1, clock);
  settle([a, b], { clock });
  a.takeChanges();
  b.takeChanges();
  return [a, b];
}

Deno.test("push: sends the state that the peer is not known to have, and no entry twice (S2)", () => {
  const clock = new TestClock();
  const [a, b] = agreeing(clock);
  assertEquals(push(a, b, ["a"], { clock }), []);
  set(a, "k", 2, clock);
  assertEquals(push(a, b, ["a", "unknown"], { clock }), ["a 2"]);
  assertEquals(valueOf(b, "a", "k"), 2);
  assertEquals(push(a, b, ["a"], { clock }), []);
  set(a, "k", 3, clock);
  assertEquals(push(a, b, ["a"], { clock }), ["a 3"]);
});

Deno.test("push: does not count as acknowledged, and the next round asks whether it arrived (S2, E5)", () => {
  const clock = new TestClock();
  const [a, b] = agreeing(clock);
  const number = set(a, "k", 2, clock);
  push(a, b, ["a"], { clock });
  assertEquals([a.view.phase, a.view.isAcknowledgedBy("b", number)], ["diffusing", false]);
  const { request } = exchange(a, b, { clock });
  assertEquals(request.members.map(({ after, entries }) => [after, entries]), [[number, []]]);
  assertEquals([a.view.phase, a.view.isAcknowledgedBy("b", number)], ["confirmed", true]);
});

Deno.test("push: after a lost push the next push shows a gap, and the round after it repairs the gap (S2, E4)", () => {
  const clock = new TestClock();
  const [a, b] = agreeing(clock);
  set(a, "k", 2, clock);
  push(a, b, ["a"], { clock, lose: true });
  exchange(a, b, { clock });
  assertEquals(valueOf(b, "a", "k"), 1);
  // A pending member is for the rounds.
  assertEquals(push(a, b, ["a"], { clock }), []);
  exchange(a, b, { clock });
  assertEquals([valueOf(b, "a", "k"), a.view.phase], [2, "confirmed"]);
});

Deno.test("push: a push that was lost with its connection is sent again after the next handshake (S2)", () => {
  const clock = new TestClock();
  const [a, b] = agreeing(clock);
  set(a, "k", 2, clock);
  push(a, b, ["a"], { clock, lose: true });
  handshake(a, b, clock);
  assertEquals(push(a, b, ["a"], { clock }), ["a 2"]);
});

Deno.test("push: a later incarnation of a member is pushed from its beginning (S2, E1)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock) as [Engine, Engine, Engine];
  handshake(a, b, clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  deliver(a, "c", memberDelta("c", incarnation, [entry("k", 5, 1)]), clock);
  assertEquals(push(a, b, [c.view.id], { clock }), ["c 5"]);
  deliver(
    a,
    "c",
    memberDelta("c", incarnationAbove(incarnation, clock.wallMs, 0.5), [entry("k", 1, 2)]),
    clock,
  );
  assertEquals(push(a, b, [c.view.id], { clock }), ["c 1"]);
});

Deno.test("push: a peer without incarnations reports no gap, so that the next round sends all entries again (S2)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  const { id, digest, active } = { id: "b", digest: "0".repeat(16), active: "0".repeat(16) };
  note(a, a.applyHello({ id, incarnation: NO_INCARNATION, digest, active }, clock.now));
  const number = set(a, "k", 1, clock);
  note(a, a.push("b", ["a"]));
  const own = note(a, a.disseminate("b")).delta.members.find((each) => each.id === "a");
  assertEquals(own?.entries.map((each) => each.number), [number]);
});

Deno.test("applyPush: passes new entries on only if the push has `relay` (S1)", () => {
  const clock = new TestClock();
  for (const relay of [true, false]) {
    const [a, b] = agreeing(clock);
    set(a, "k", 2, clock);
    push(a, b, ["a"], { clock, relay });
    assertEquals(b.view.hasChanges, relay);
    assertEquals([...b.takeChanges().others], relay ? ["a"] : []);
    // Known entries are not passed on.
    set(a, "k", 3, clock);
    exchange(a, b, { clock });
    b.takeChanges();
    push(a, b, ["a"], { clock, relay });
    assertEquals(b.view.hasChanges, false);
  }
});

Deno.test("applyPush: merges no entry after a gap, and no entry of an incarnation far ahead (E2, E4)", () => {
  const clock = new TestClock();
  const [a] = agreeing(clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const apply = (delta: ReturnType<typeof memberDelta>) =>
    note(a, a.applyPush("b", { delta: { members: [delta] }, relay: true }, clock.now));
  apply(memberDelta("c", incarnation, [entry("k", 7, 1)], { after: 6 }));
  assertEquals(valueOf(a, "c", "k"), undefined);
  const ahead = makeIncarnation(clock.wallMs + 400 * 86_400_000, 0.5);
  apply(memberDelta("c", ahead, [entry("k", 1, 1)]));
  assertEquals([a.view.versionOf("c"), a.view.hasChanges], [undefined, false]);
});

Deno.test("takeChanges: returns each changed member once, and nothing at the next call (S1)", () => {
  const clock = new TestClock();
  const [a] = agreeing(clock);
  set(a, "k", 2, clock);
  set(a, "k", 3, clock);
  deliver(a, "b", memberDelta("c", makeIncarnation(clock.wallMs, 0.5), [entry("k", 1, 1)]), clock);
  const { own, others } = a.takeChanges();
  assertEquals([own, [...others], a.view.hasChanges], [true, ["c"], false]);
  const empty = a.takeChanges();
  assertEquals([empty.own, empty.others.size], [false, 0]);
});

Deno.test("takeChanges: leaves the changes of an interval to the rounds (S1)", () => {
  const clock = new TestClock();
  const [a] = agreeing(clock);
  note(a, a.countHeartbeat({ cart: 1 }, clock.advance(300)));
  assertEquals(a.view.hasChanges, false);
});

Deno.test("takeChanges: returns at most 1,024 changed members, and leaves the others to the rounds (S1)", () => {
  const clock = new TestClock();
  const [a] = agreeing(clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  deliver(
    a,
    "b",
    Array.from({ length: 1_030 }, (_, index) => memberDelta(`m${index}`, incarnation, [entry("k", 1, 1)])),
    clock,
  );
  assertEquals(a.takeChanges().others.size, 1_024);
});

Deno.test("applyPush: entries that the peer itself pushed are not sent to it (S2)", () => {
  const clock = new TestClock();
  const [a, b] = agreeing(clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  deliver(a, "someone", memberDelta("c", incarnation, [entry("k", 1, 1)]), clock);
  push(a, b, ["c"], { clock, relay: true });
  assertEquals(push(b, a, ["c"], { clock }), []);
});
