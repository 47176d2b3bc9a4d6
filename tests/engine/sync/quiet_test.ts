import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { NO_INCARNATION } from "../../../engine/incarnation.ts";
import {
  deliver,
  deliverLiveness,
  entry,
  eventsOf,
  exchange,
  handshake,
  handshakeAll,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  sendLiveness,
  set,
  settle,
  TestClock,
} from "../harness.ts";

const SETTINGS = {
  gossipInterval: 300,
  gossipRequestTimeout: 500,
  heartbeatExpiration: 12_000,
  departedRetention: 60_000,
};

/** Two members that know of each other that they have the same state. */
function agreeing(clock: TestClock): [Engine, Engine] {
  const [a, b] = makePair(clock, { settings: SETTINGS });
  // Each publishes its topology, so that later intervals change no state.
  for (const engine of [a, b]) note(engine, engine.countHeartbeat(undefined, clock.now));
  set(a, "k", 1, clock);
  settle([a, b], { clock });
  exchange(a, b, { clock });
  return [a, b];
}

/** Advances by intervals in which no member is heard. */
function live(engine: Engine, clock: TestClock, ms: number): void {
  for (let left = ms; left > 0; left -= 300) {
    note(engine, engine.countHeartbeat(undefined, clock.advance(Math.min(300, left))));
    note(engine, engine.tick(clock.now));
  }
}

Deno.test("isQuiet: is true only if both sides know that they have one state (L1)", () => {
  const clock = new TestClock();
  const [a, b] = agreeing(clock);
  assertEquals([a.view.isQuiet("b"), b.view.isQuiet("a"), a.view.isQuiet("unknown")], [true, true, false]);
  set(a, "k", 2, clock);
  assertEquals(a.view.isQuiet("b"), false);
  exchange(a, b, { clock });
  // a's acknowledged state was another than the present one.
  assertEquals([a.view.phase, b.view.phase], ["confirmed", "confirmed"]);
  exchange(a, b, { clock });
  assertEquals([a.view.isQuiet("b"), b.view.isQuiet("a")], [true, true]);
});

Deno.test("isQuiet: is false while the peer lacks state of an inactive member (E11)", () => {
  const clock = new TestClock();
  const [a] = agreeing(clock);
  assertEquals(a.view.isQuiet("b"), true);
  deliver(a, "someone", memberDelta("stranger", a.view.incarnation, [entry("k", 1, 1)]), clock);
  assertEquals([a.view.phase, a.view.isQuiet("b")], ["confirmed", false]);
});

Deno.test("isSilent: is true for a peer that was not heard for a quarter of the expiration, in a small cluster (L3)", () => {
  const clock = new TestClock();
  const [a, b] = agreeing(clock);
  live(a, clock, 3_000);
  assertEquals(a.view.isSilent("b"), false);
  live(a, clock, 1);
  assertEquals([a.view.isSilent("b"), a.view.isQuiet("b")], [true, true]);
  sendLiveness(b, a, clock);
  assertEquals(a.view.isSilent("b"), false);
});

Deno.test("isSilent: while a member is idle, a peer has time for two turns, at most half of the expiration (L3)", () => {
  // Two turns among 8 members take 4.2 s, among 24 members 13.8 s. Half of the expiration is 6 s.
  for (const { members, afterMs } of [{ members: 8, afterMs: 4_200 }, { members: 24, afterMs: 6_000 }]) {
    const clock = new TestClock();
    const ids = Array.from({ length: members }, (_, index) => `m${index}`);
    const cluster = makeCluster(ids, clock, { settings: SETTINGS });
    handshakeAll(cluster, clock);
    for (const engine of cluster) note(engine, engine.countHeartbeat(undefined, clock.now));
    settle(cluster, { clock });
    const [a, , relay] = cluster;
    const passIdly = (ms: number) => {
      live(a, clock, ms);
      for (const engine of cluster.slice(1)) {
        note(engine, engine.countHeartbeat(undefined, clock.now));
        note(engine, engine.tick(clock.now));
        if (engine !== relay) sendLiveness(engine, relay!, clock);
      }
      sendLiveness(relay!, a, clock);
    };
    for (let passed = 0; passed < afterMs; passed += 600) passIdly(600);
    assertEquals([a.view.isIdle, a.view.isSilent("m1")], [true, false]);
    passIdly(1);
    assertEquals([a.view.isIdle, a.view.isSilent("m1")], [true, true]);
  }
});

Deno.test("isIdle: is false if a member was silent for a third of the expiration, or if members sign (L4)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock, { settings: SETTINGS }) as [Engine, Engine, Engine];
  handshakeAll([a, b, c], clock);
  for (const engine of [a, b, c]) note(engine, engine.countHeartbeat(undefined, clock.now));
  settle([a, b, c], { clock });
  live(a, clock, 3_900);
  sendLiveness(b, a, clock);
  assertEquals([a.view.phase, a.view.isIdle], ["confirmed", true]);
  live(a, clock, 600);
  // Only c was silent for that long.
  assertEquals([a.view.phase, a.view.isIdle], ["confirmed", false]);
  const alone = makeEngine("a", clock, { settings: SETTINGS, signs: true });
  note(alone, alone.setTopology({ members: ["a"], blocked: [] }, clock.now));
  assertEquals([alone.view.phase, alone.view.isIdle], ["confirmed", false]);
});

Deno.test("tick: a member that hears no other for a third of the expiration is isolated until it hears another (L5)", () => {
  const clock = new TestClock();
  const [a, b] = agreeing(clock);
  live(a, clock, 4_000);
  assertEquals([a.view.isIsolated, a.view.phase], [false, "confirmed"]);
  live(a, clock, 300);
  assertEquals([a.view.isIsolated, a.view.phase], [true, "diffusing"]);
  live(a, clock, 300);
  sendLiveness(b, a, clock);
  assertEquals([a.view.isIsolated, a.view.phase], [false, "confirmed"]);
  assertEquals([eventsOf(a).of("Isolated").length, eventsOf(a).of("Rejoined").length], [1, 1]);
});

Deno.test("tick: a member alone in its topology, or whose process stood still, is not isolated (L5)", () => {
  const clock = new TestClock();
  const alone = makeEngine("a", clock, { settings: SETTINGS });
  note(alone, alone.setTopology({ members: ["a"], blocked: [] }, clock.now));
  live(alone, clock, 9_000);
  assertEquals(alone.view.isIsolated, false);
  const [a] = agreeing(clock);
  clock.advance(3_600_000);
  live(a, clock, 300);
  assertEquals(a.view.isIsolated, false);
});

Deno.test("tick: a member that blocked all others as expired stays isolated (L5)", () => {
  const clock = new TestClock();
  const [a] = agreeing(clock);
  live(a, clock, 15_000);
  assertEquals([a.view.blockedMembers().map(({ reason }) => reason), a.view.isIsolated], [["expired"], true]);
});

Deno.test("disseminate: names the agreeing members to a peer with the same state, if there are more than two members (E12)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock) as [Engine, Engine, Engine];
  handshakeAll([a, b, c], clock);
  set(a, "k", 1, clock);
  assertEquals(a.disseminate("b").delta.agreeing, undefined);
  settle([a, b, c], { clock });
  exchange(a, b, { clock });
  // All three, as one digit: bits 32, 16 and 8.
  assertEquals(a.disseminate("b").delta.agreeing, "4");
  set(a, "k", 2, clock);
  assertEquals(a.disseminate("b").delta.agreeing, undefined);
  const [d, e] = agreeing(clock);
  assertEquals([d.disseminate(e.view.id).delta.agreeing, d.view.phase], [undefined, "confirmed"]);
});

Deno.test("applyIncoming: takes a set of agreeing members only from a peer with the same state (E12)", () => {
  for (const isSame of [true, false]) {
    const clock = new TestClock();
    const [a, b] = makeCluster(["a", "b", "c"], clock) as [Engine, Engine];
    handshake(a, b, clock);
    const { digest, activeHash: active } = a.view;
    const state = isSame ? { digest, active } : { digest: "f".repeat(16), active };
    const delta = { members: [], partial: true, ...state, agreeing: "4" };
    // b acknowledges all, so that only c is left to agree.
    settle([a, b], { clock });
    note(a, a.applyIncoming("b", { ...delta, digest: isSame ? a.view.digest : delta.digest }, clock.now));
    assertEquals(a.view.phase, isSame ? "confirmed" : "diffusing");
  }
});

Deno.test("applyIncoming: a set of agreeing members counts again after a member reported that it lacks something (E12)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock) as [Engine, Engine, Engine];
  set(a, "k", 1, clock);
  handshake(a, b, clock);
  handshake(a, c, clock);
  deliver(a, "c", memberDelta("c", c.view.incarnation, [entry("k", 1, 1)]), clock);
  settle([a, b], { clock });
  const agreeing = () => note(a, a.disseminate("b")).delta.agreeing;
  const { digest, activeHash: active } = a.view;
  const delta = { members: [], partial: true, digest, active, agreeing: "4" };
  assertEquals(agreeing(), "w");
  note(a, a.applyIncoming("b", delta, clock.now));
  assertEquals(agreeing(), "4");
  const { sent } = note(a, a.disseminate("c"));
  note(a, a.handleAck(sent, new Map([["a", { incarnation: a.view.incarnation, number: 0 }]]), clock.now));
  assertEquals(agreeing(), "w");
  note(a, a.applyIncoming("b", delta, clock.now));
  assertEquals(agreeing(), "4");
});

/** Three members with the same state that know it of each other, and were heard. */
function three(clock: TestClock): [Engine, Engine, Engine] {
  const all = makeCluster(["a", "b", "c"], clock, { settings: SETTINGS }) as [Engine, Engine, Engine];
  const [a, b, c] = all;
  for (const engine of all) note(engine, engine.countHeartbeat(undefined, clock.now));
  handshakeAll([a, b, c], clock);
  settle(all, { clock });
  return all;
}

/** True if the next vector for a peer names members by their index. */
function isByIndex(engine: Engine, peerId: string, clock: TestClock): boolean {
  // After this time a vector is due.
  note(engine, engine.countHeartbeat(undefined, clock.advance(300)));
  return engine.takeLiveness(peerId).vector!.incarnationsHash !== undefined;
}

Deno.test("Engine.takeLiveness: sends no vector to an unversioned peer, so that the next peer gets it (L2)", () => {
  const clock = new TestClock();
  const [a] = three(clock);
  note(a, a.setTopology({ members: ["a", "b", "c", "go"], blocked: [] }, clock.now));
  const { digest, activeHash: active } = a.view;
  note(a, a.applyHello({ id: "go", incarnation: NO_INCARNATION, digest, active }, clock.now));
  clock.advance(300);
  note(a, a.countHeartbeat(undefined, clock.now));
  assertEquals([a.takeLiveness("go").vector, a.takeLiveness("b").vector !== undefined], [undefined, true]);
});

Deno.test("Engine.takeLiveness: names members by tags to a peer that names members by tags (L2)", () => {
  const clock = new TestClock();
  const [a] = three(clock);
  assertEquals(isByIndex(a, "b", clock), true);
  deliverLiveness(a, "b", { count: 2, vector: { stride: 1, counts: "" } }, clock);
  assertEquals(isByIndex(a, "b", clock), false);
});

Deno.test("Engine.takeLiveness: names members by tags to a peer with other active members (L2)", () => {
  const clock = new TestClock();
  const [a] = three(clock);
  assertEquals(isByIndex(a, "b", clock), true);
  const delta = { members: [], digest: a.view.digest, active: "0".repeat(16), partial: true };
  note(a, a.applyIncoming("b", delta, clock.now));
  assertEquals(isByIndex(a, "b", clock), false);
});

Deno.test("tick: a message after a gap and before the tick does not delay isolation (L5)", () => {
  const clock = new TestClock();
  const [a, b] = agreeing(clock);
  live(a, clock, 300);
  clock.advance(3_600_000);
  sendLiveness(b, a, clock);
  note(a, a.tick(clock.now));
  live(a, clock, 4_300);
  assertEquals(a.view.isIsolated, true);
});
