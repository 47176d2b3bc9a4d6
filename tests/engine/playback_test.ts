/**
 * Where members sign: replayed old states neither fence a living member nor revive a dead one. Only a
 * handshake is fresh.
 */

import { assertEquals } from "../../deps/std_assert.ts";
import type { Engine } from "../../engine/engine.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { GRACEFULLY_LEFT_KEY, type Incarnation, type SentEntry, TYPE } from "../../engine/types.ts";
import {
  deliverLiveness,
  entry,
  eventsOf,
  handshake,
  makeCluster,
  makeEngine,
  memberDelta,
  message,
  note,
  SETTINGS,
  TestClock,
} from "./harness.ts";

const LEFT: SentEntry = { key: GRACEFULLY_LEFT_KEY, number: 2, type: TYPE.empty, value: {}, json: "{}" };

/** b delivers state signed by x, or by another id. */
function play(
  engine: Engine,
  id: string,
  incarnation: Incarnation,
  clock: TestClock,
  ...more: SentEntry[]
): void {
  const entries = [entry("k", 1, 1), ...more];
  const delta = {
    ...memberDelta(id, incarnation, entries, { reset: true, end: entries.length }),
    signature: `signed by ${id}`,
  };
  note(engine, engine.applyIncoming("b", message(delta), clock.now, { verified: new Set([id]) }));
}

/** Advances time while b is heard and x is not. */
function pass(engine: Engine, forMs: number, clock: TestClock): void {
  for (const endMs = clock.now.monotonicMs + forMs; clock.now.monotonicMs < endMs;) {
    clock.advance(SETTINGS.gossipInterval);
    deliverLiveness(engine, "b", { count: clock.now.monotonicMs }, clock);
    note(engine, engine.tick(clock.now));
  }
}

/** A signing member after a handshake with b. */
function makeNewcomer(clock: TestClock): Engine {
  const [n, b] = makeCluster(["n", "b", "x"], clock, { signs: true }) as [Engine, Engine, Engine];
  handshake(n, b, clock);
  return n;
}

function blockOf(engine: Engine, id: string): string | undefined {
  return engine.view.blockedMember(id)?.reason;
}

Deno.test("replay: old states of this member's id cause new incarnations with any clock, and never fence the member (E1)", () => {
  for (const aheadMs of [3_600_000, 0]) {
    const clock = new TestClock();
    const n = makeNewcomer(clock);
    for (let times = 1; times <= 9; times++) {
      // No faster: of more than two in half of an expiration the others wait.
      clock.advance(SETTINGS.heartbeatExpiration / 4);
      const kept = makeIncarnation(
        Math.max(clock.wallMs, Number.parseInt(n.view.incarnation, 16)) + aheadMs,
        0.9,
      );
      play(n, "n", kept, clock);
      assertEquals(n.view.incarnation > kept, true);
    }
    for (let times = 1; times <= 9; times++) {
      play(n, "n", makeIncarnation(clock.wallMs + 9e8 + times, 0.9), clock);
    }
    assertEquals([n.view.isFenced, eventsOf(n).of("SelfBlocked")], [false, []]);
  }
});

Deno.test("replay: replayed states of later and later incarnations keep no dead member active (E10)", () => {
  const clock = new TestClock();
  const n = makeNewcomer(clock);
  const incarnationOf = (age: number) => makeIncarnation(clock.wallMs - age, 0.5);
  const incarnations = [50_000, 40_000, 30_000].map(incarnationOf);
  play(n, "x", incarnations[0]!, clock);
  pass(n, SETTINGS.heartbeatExpiration + 1_000, clock);
  assertEquals(blockOf(n, "x"), "expired");
  for (const incarnation of incarnations.slice(1)) {
    play(n, "x", incarnation, clock);
    assertEquals([blockOf(n, "x"), n.view.incarnationOf("x")], ["expired", incarnation]);
  }
  assertEquals(eventsOf(n).of("MemberUnblocked"), []);
  const x = makeEngine("x", clock, { incarnation: makeIncarnation(clock.wallMs, 0.5), signs: true });
  handshake(n, x, clock);
  assertEquals([blockOf(n, "x"), n.view.activeIds().has("x")], [undefined, true]);
});

Deno.test("replay: a replayed state does not free a member that left; its handshake does, also after its state (E10)", () => {
  const clock = new TestClock();
  const n = makeNewcomer(clock);
  play(n, "x", makeIncarnation(clock.wallMs - 9_000, 0.5), clock, LEFT);
  assertEquals(blockOf(n, "x"), "left");
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  play(n, "x", incarnation, clock);
  assertEquals([blockOf(n, "x"), n.view.incarnationOf("x")], ["left", incarnation]);
  note(n, n.tick(clock.advance(SETTINGS.gossipInterval)));
  assertEquals(blockOf(n, "x"), "left");
  const x = makeEngine("x", clock, { incarnation, signs: true });
  handshake(n, x, clock);
  assertEquals([blockOf(n, "x"), n.view.activeIds().has("x")], [undefined, true]);
  note(n, n.tick(clock.advance(SETTINGS.gossipInterval)));
  assertEquals(blockOf(n, "x"), undefined);
});

Deno.test("replay: a replayed state of a forgotten member does not make it active; its handshake does (E10, E11)", () => {
  const clock = new TestClock();
  const n = makeNewcomer(clock);
  play(n, "x", makeIncarnation(clock.wallMs - 9_000, 0.5), clock);
  const topology = (...members: string[]) => note(n, n.setTopology({ members, blocked: [] }, clock.now));
  topology("n", "b");
  pass(n, SETTINGS.departedRetention + 1_000, clock);
  assertEquals(n.view.incarnationOf("x"), undefined);
  const incarnation = makeIncarnation(clock.wallMs - 5_000, 0.5);
  play(n, "x", incarnation, clock);
  topology("n", "b", "x");
  assertEquals([n.view.incarnationOf("x"), blockOf(n, "x"), n.view.activeIds().has("x")], [
    incarnation,
    "expired",
    false,
  ]);
  const x = makeEngine("x", clock, { incarnation: makeIncarnation(clock.wallMs, 0.5), signs: true });
  handshake(n, x, clock);
  assertEquals([blockOf(n, "x"), n.view.activeIds().has("x")], [undefined, true]);
});

Deno.test("replay: where members sign, an unverified later incarnation of this member's id causes no new incarnation (E1)", () => {
  const clock = new TestClock();
  const n = makeNewcomer(clock);
  const { incarnation } = n.view;
  const later = makeIncarnation(clock.wallMs + 1_000, 0.5);
  note(n, n.onNewerIncarnation(later, clock.now));
  note(
    n,
    n.handleAck(n.disseminate("b").sent, new Map([["n", { incarnation: later, number: 4 }]]), clock.now),
  );
  for (const entries of [[entry("k", 1, 1)], []]) {
    const delta = memberDelta("n", later, entries);
    note(n, n.applyIncoming("b", message(delta), clock.now));
    note(n, n.applyPush("b", { delta: message(delta), relay: false }, clock.now));
  }
  assertEquals([n.view.incarnation, eventsOf(n).of("IncarnationRenewed")], [incarnation, []]);
  note(n, n.onNewerIncarnation(later, clock.now, { isSigned: true }));
  assertEquals(n.view.incarnation > later, true);
});

Deno.test("handshake: a refusal of an earlier incarnation has the stored signed state as proof (E1)", () => {
  const clock = new TestClock();
  const n = makeNewcomer(clock);
  const later = makeIncarnation(clock.wallMs + 1_000, 0.5);
  play(n, "x", later, clock);
  const x = makeEngine("x", clock, { signs: true });
  assertEquals(handshake(x, n, clock).byB, "id_conflict");
  const proof = n.view.signedProof("x");
  assertEquals([proof?.incarnation, proof?.after, proof?.entries.map(({ key }) => key), proof?.signature], [
    later,
    0,
    ["k"],
    "signed by x",
  ]);
  // A message of this size has no room for it.
  assertEquals(n.view.signedProof("x", 4_000), undefined);
});

Deno.test("handshake: admits an earlier incarnation if the later incarnation cannot be proved, and stores nothing of the earlier (E1)", () => {
  for (const why of ["it was forgotten", "nothing of it was set", "its state is too large for the peer"]) {
    const clock = new TestClock();
    const n = makeNewcomer(clock);
    const later = makeIncarnation(clock.wallMs + 1_000, 0.5);
    const topology = (...members: string[]) => note(n, n.setTopology({ members, blocked: [] }, clock.now));
    if (why !== "nothing of it was set") play(n, "x", later, clock, LEFT);
    else note(n, n.applyHello({ id: "x", incarnation: later, digest: "", active: "" }, clock.now));
    if (why === "it was forgotten") {
      topology("n", "b");
      pass(n, SETTINGS.departedRetention + 1_000, clock);
      topology("n", "b", "x");
    }
    const maxMessageBytes = why === "its state is too large for the peer" ? 4_300 : SETTINGS.maxMessageBytes;
    const early = makeIncarnation(Math.min(clock.wallMs, Number.parseInt(later.slice(0, 12), 16) - 500), 0.5);
    const { refusal } = note(
      n,
      n.applyHello({ id: "x", incarnation: early, digest: "", active: "", maxMessageBytes }, clock.now),
    );
    assertEquals([refusal, blockOf(n, "x"), n.view.activeIds().has("x")], [undefined, undefined, true], why);
    play(n, "x", early, clock);
    assertEquals(n.view.versionOf("x"), { incarnation: early, number: 1 }, why);
  }
});
