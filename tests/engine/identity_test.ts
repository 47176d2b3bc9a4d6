import { assertEquals, assertGreater } from "../../deps/std_assert.ts";
import type { Engine } from "../../engine/engine.ts";
import { incarnationStartMs, makeIncarnation } from "../../engine/incarnation.ts";
import {
  deliver,
  entry,
  eventsOf,
  exchange,
  fence,
  handshake,
  incarnationAt,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  sendHigherIncarnation,
  set,
  TestClock,
  valueOf,
} from "./harness.ts";

/**
 * A handshake by another process with the engine's id and, where members sign, its key, in a higher
 * incarnation.
 */
function meetTwin(engine: Engine, clock: TestClock): void {
  const incarnation = makeIncarnation(incarnationStartMs(engine.view.incarnation) + 10, 0.5);
  note(engine, engine.applyHello({ id: engine.view.id, incarnation, digest: "", active: "" }, clock.now));
}

Deno.test("identity conflict: two false claims in half of heartbeatExpiration are believed, and a third claim only emits an event (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { heartbeatExpiration: 1_000 } });
  for (let times = 1; times <= 2; times++) {
    sendHigherIncarnation(a, clock);
    clock.advance(100);
    assertEquals(eventsOf(a).of("IncarnationRenewed").length, times);
  }
  const { incarnation } = a.view;
  eventsOf(a).clear();
  for (let times = 0; times < 5; times++) sendHigherIncarnation(a, clock);
  assertEquals([a.view.isFenced, a.view.incarnation], [false, incarnation]);
  assertEquals(eventsOf(a).all, [{ type: "ConflictDetected", memberId: "a", reason: "identity" }]);
  // It continues, and begins a later incarnation as soon as it may.
  handshake(a, b, clock);
  set(a, "k", 1, clock);
  exchange(a, b, { clock });
  assertEquals(valueOf(b, "a", "k"), 1);
  clock.advance(400);
  sendHigherIncarnation(a, clock);
  assertGreater(a.view.incarnation, incarnation);
});

Deno.test("identity conflict: claims in any form and number fence no member, and emit one event per heartbeatExpiration (E1)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { settings: { heartbeatExpiration: 1_000 } });
  const ways = [
    (incarnation: string) => void deliver(a, "b", memberDelta("a", incarnation, [entry("k", 1, 1)]), clock),
    (incarnation: string) => void note(a, a.onNewerIncarnation(incarnation, clock.now)),
    (incarnation: string) =>
      void note(a, a.applyHello({ id: "a", incarnation, digest: "", active: "" }, clock.now)),
    (incarnation: string) => {
      const { sent } = note(a, a.disseminate("b"));
      note(a, a.handleAck(sent, new Map([["a", { incarnation, number: 1 }]]), clock.now));
    },
  ];
  for (let round = 0; round < 30; round++) {
    for (const way of ways) way(makeIncarnation(incarnationStartMs(a.view.incarnation) + 10, 0.5));
    clock.advance(100);
  }
  assertEquals([a.view.isFenced, eventsOf(a).of("SelfBlocked")], [false, []]);
  // Two in each half of an expiration: three seconds have six of them.
  assertEquals(eventsOf(a).of("IncarnationRenewed").length, 12);
  assertEquals(eventsOf(a).of("ConflictDetected").length, 3);
});

Deno.test("identity conflict: where members sign, three handshakes by another process within heartbeatExpiration fence the member (E1)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { signs: true, settings: { heartbeatExpiration: 1_000 } });
  for (const advanceMs of [499, 499, 2]) {
    meetTwin(a, clock);
    clock.advance(advanceMs);
  }
  assertEquals([a.view.isFenced, eventsOf(a).of("IncarnationRenewed")], [true, []]);
  assertEquals(eventsOf(a).all.slice(-2), [
    { type: "ConflictDetected", memberId: "a", reason: "identity" },
    { type: "SelfBlocked", reason: "identity" },
  ]);
  const [later] = makePair(clock, { signs: true, settings: { heartbeatExpiration: 1_000 } });
  for (let times = 0; times < 9; times++) {
    meetTwin(later, clock);
    clock.advance(500);
  }
  assertEquals([later.view.isFenced, eventsOf(later).of("ConflictDetected")], [false, []]);
});

Deno.test("identity conflict: a fenced member begins no incarnation, emits no further event, and neither merges nor sends (E1)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { signs: true });
  fence(a, clock);
  // It merges nothing any more: a peer that compared digests would begin a repair without end.
  assertEquals(a.disseminate("b").delta.partial, true);
  const { incarnation } = a.view;
  eventsOf(a).clear();
  set(a, "k", 1, clock);
  eventsOf(a).clear();
  meetTwin(a, clock);
  clock.advance(3_600_000);
  note(a, a.onNewerIncarnation(incarnationAt(clock, 0), clock.now, { isSigned: true }));
  note(
    a,
    a.handleAck(
      a.disseminate("b").sent,
      new Map([["a", { incarnation: incarnationAt(clock, 0), number: 1 }]]),
      clock.now,
    ),
  );
  assertEquals(a.view.incarnation, incarnation);
  assertEquals(
    deliver(a, "b", memberDelta("b", incarnationAt(clock, 0), [entry("k", 1, 1)]), clock),
    new Map(),
  );
  assertEquals(valueOf(a, "b", "k"), undefined);
  assertEquals(a.disseminate("b").delta.members, []);
  assertEquals(eventsOf(a).all, []);
});

Deno.test("identity conflict: higher incarnations more than a quarter of heartbeatExpiration apart are all believed (E1)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { settings: { heartbeatExpiration: 1_000 } });
  for (let times = 0; times < 12; times++) {
    sendHigherIncarnation(a, clock);
    clock.advance(500);
  }
  assertEquals([eventsOf(a).of("ConflictDetected"), eventsOf(a).of("IncarnationRenewed").length], [[], 12]);
  for (let times = 0; times < 12; times++) {
    sendHigherIncarnation(a, clock);
    clock.advance(250);
  }
  assertEquals([eventsOf(a).of("ConflictDetected").length, eventsOf(a).of("IncarnationRenewed").length], [
    3,
    24,
  ]);
});

Deno.test("identity conflict: two processes with one id that share a peer both emit an event and take turns (E1)", () => {
  const clock = new TestClock();
  const ids = ["twin", "c"];
  const [first, peer] = makeCluster(ids, clock);
  const second = makeEngine("twin", clock, { incarnation: incarnationAt(clock, 7), random: 0.75 });
  second.setTopology({ members: ids, blocked: [] }, clock.now);
  set(first, "who", "first", clock);
  set(second, "who", "second", clock);
  const seen = new Set<unknown>();
  for (let round = 0; round < 200; round++) {
    for (const twin of [first, second]) {
      note(twin, twin.countHeartbeat({}, clock.now));
      // The connection of one replaces the other's, so that each needs a new handshake.
      if (handshake(twin, peer!, clock).byB === "id_conflict") {
        note(twin, twin.onNewerIncarnation(peer!.view.latestIncarnation("twin")!, clock.now));
      } else exchange(twin, peer!, { clock });
      if (round > 100) seen.add(valueOf(peer!, "twin", "who"));
    }
    clock.advance(300);
  }
  assertEquals([...seen].sort(), ["first", "second"]);
  for (const twin of [first, second]) {
    const conflicts = eventsOf(twin).of("ConflictDetected");
    assertEquals([twin.view.isFenced, conflicts[0]?.reason], [false, "identity"]);
    assertEquals(conflicts.length <= 3, true);
  }
});

Deno.test("identity conflict: two processes with one id that share no peer both emit an event (E1)", () => {
  const clock = new TestClock();
  const ids = ["twin", "p", "q"];
  const [first, p, q] = makeCluster(ids, clock);
  const second = makeEngine("twin", clock, { incarnation: incarnationAt(clock, 7), random: 0.75 });
  note(second, second.setTopology({ members: ids, blocked: [] }, clock.now));
  const sides = [[first, p!], [second, q!]] as const;
  const handshakeIncarnation = new Map<Engine, string>();
  handshake(p!, q!, clock);
  for (let round = 0; round < 100; round++) {
    for (const [twin, peer] of sides) {
      note(twin, twin.countHeartbeat({}, clock.now));
      // As in the gossiper: a connection is valid for the incarnation of its handshake.
      if (handshakeIncarnation.get(twin) === twin.view.incarnation) exchange(twin, peer, { clock });
      else if (handshake(twin, peer, clock).byB === "id_conflict") {
        note(twin, twin.onNewerIncarnation(peer.view.latestIncarnation("twin")!, clock.now));
      } else handshakeIncarnation.set(twin, twin.view.incarnation);
    }
    exchange(p!, q!, { clock });
    clock.advance(300);
  }
  for (const twin of [first, second]) {
    assertEquals([twin.view.isFenced, eventsOf(twin).of("ConflictDetected")[0]?.reason], [false, "identity"]);
  }
});

Deno.test("identity: a member that leaves begins no incarnation above that of its successor, whose state and life stay (E1, E10)", () => {
  const clock = new TestClock();
  const [former, c] = makeCluster(["a", "c"], clock) as [Engine, Engine];
  set(former, "k", "former", clock);
  handshake(former, c, clock);
  exchange(former, c, { clock });
  const { incarnation } = former.view;
  const successor = makeEngine("a", clock, { incarnation: incarnationAt(clock, 50) });
  note(successor, successor.setTopology({ members: ["a", "c"], blocked: [] }, clock.now));
  set(successor, "k", "successor", clock);
  handshake(successor, c, clock);
  exchange(successor, c, { clock });
  note(former, former.leave(clock.now));
  exchange(former, c, { clock });
  note(former, former.onNewerIncarnation(successor.view.incarnation, clock.now));
  assertEquals(former.view.incarnation, incarnation);
  handshake(former, c, clock);
  exchange(former, c, { clock });
  assertEquals([valueOf(c, "a", "k"), c.view.blockedMember("a")], ["successor", undefined]);
});
