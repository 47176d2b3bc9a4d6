import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { NO_INCARNATION } from "../../../engine/incarnation.ts";
import {
  deliver,
  entry,
  exchange,
  handshake,
  handshakeAll,
  makeCluster,
  memberDelta,
  note,
  remove,
  set,
  settle,
  TestClock,
} from "../harness.ts";

const SETTINGS = { heartbeatExpiration: 20_000, departedRetention: 10_000 };

/** Members with each other's state that agree and know it. */
function makeQuiet(ids: readonly string[], clock: TestClock): Engine[] {
  const engines = makeCluster(ids, clock, { settings: SETTINGS });
  handshakeAll(engines, clock);
  for (const engine of engines) note(engine, engine.countHeartbeat({}, clock.now));
  settle(engines, { clock });
  for (const a of engines) for (const b of engines) if (a !== b) exchange(a, b, { clock });
  return engines;
}

Deno.test("isQuiet: is true once both sides know that they have one state, and all are confirmed (L1)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeQuiet(["a", "b", "c"], clock);
  for (const [one, other] of [[a, "b"], [b, "a"], [c, "a"], [a, "c"]] as const) {
    assertEquals(one!.view.isQuiet(other), true, `${one!.view.id} to ${other}`);
  }
  for (let interval = 0; interval < 5; interval++) {
    note(a!, a!.countHeartbeat({}, clock.advance(300)));
    assertEquals(a!.view.isQuiet("b"), true);
  }
});

Deno.test("isQuiet: is false for a peer that was never met (L1)", () => {
  const clock = new TestClock();
  const [a] = makeQuiet(["a", "b", "c"], clock);
  assertEquals(a!.view.isQuiet("unknown"), false);
});

Deno.test("isQuiet: is false after any change, until both sides know of it and all are confirmed again (L1)", () => {
  const changes: readonly ((engine: Engine, clock: TestClock) => void)[] = [
    (engine, clock) => void set(engine, "k", 1, clock),
    (engine, clock) => void remove(engine, "k", clock),
    (engine, clock) => void note(engine, engine.countHeartbeat({ worker: 1 }, clock.now)),
  ];
  const clock = new TestClock();
  const [a, b, c] = makeQuiet(["a", "b", "c"], clock);
  for (const [index, change] of changes.entries()) {
    change(a!, clock);
    assertEquals([a!.view.isQuiet("b"), a!.view.isQuiet("c")], [false, false], `change ${index}`);
    // b still has its earlier state: it cannot know.
    assertEquals(b!.view.isQuiet("c"), true, `change ${index}`);
    exchange(a!, b!, { clock });
    // a knows that b has it, and that c does not.
    assertEquals(
      [a!.view.isQuiet("b"), b!.view.isQuiet("a"), b!.view.isQuiet("c")],
      [false, false, false],
      `change ${index}`,
    );
    exchange(a!, c!, { clock });
    exchange(b!, c!, { clock });
    for (const [one, other] of [[a!, b!], [b!, a!], [a!, c!], [c!, b!]] as const) {
      exchange(one, other, { clock });
    }
    assertEquals(
      [a!.view.isQuiet("b"), b!.view.isQuiet("c"), c!.view.isQuiet("b")],
      [true, true, true],
      `change ${index}`,
    );
  }
});

Deno.test("isQuiet: is false if the peer has not acknowledged this state, though it reports to have it (L1)", () => {
  const clock = new TestClock();
  const [a, b] = makeQuiet(["a", "b"], clock);
  set(b!, "k", 1, clock);
  exchange(b!, a!, { clock, lose: "reply" });
  // a has the digest of b, and b has none of a since.
  const { digest, activeHash: active } = a!.view;
  note(b!, b!.applyIncoming("a", { members: [], digest, active, partial: false }, clock.now));
  assertEquals([b!.view.phase, b!.view.isQuiet("a")], ["confirmed", false]);
  exchange(b!, a!, { clock });
  assertEquals(b!.view.isQuiet("a"), true);
});

Deno.test("isQuiet: is false if the peer's own state did not arrive since the change (L1)", () => {
  const clock = new TestClock();
  const [a] = makeQuiet(["a", "b"], clock);
  set(a!, "k", 1, clock);
  // The acknowledgement alone confirms.
  note(a!, a!.handleAck(a!.disseminate("b").sent, new Map(), clock.now));
  assertEquals([a!.view.phase, a!.view.isQuiet("b")], ["confirmed", false]);
});

Deno.test("isQuiet: is false while a third member is not known to agree (L1)", () => {
  const clock = new TestClock();
  const [a, b] = makeQuiet(["a", "b", "c"], clock);
  set(a!, "k", 1, clock);
  for (let round = 0; round < 3; round++) exchange(a!, b!, { clock });
  assertEquals([a!.view.digest === b!.view.digest, a!.view.phase, a!.view.isQuiet("b")], [
    true,
    "diffusing",
    false,
  ]);
});

Deno.test("isQuiet: is false while a member is pending for the peer (L1)", () => {
  const clock = new TestClock();
  const [a, b] = makeQuiet(["a", "b"], clock);
  // b reports that it lost the acknowledged state.
  const { sent } = a!.disseminate("b");
  note(a!, a!.handleAck(sent, new Map([["a", { incarnation: a!.view.incarnation, number: 1 }]]), clock.now));
  assertEquals(a!.view.isQuiet("b"), false);
  exchange(a!, b!, { clock });
  exchange(a!, b!, { clock });
  assertEquals(a!.view.isQuiet("b"), true);
});

Deno.test("isQuiet: is false after a late answer that the peer has less (L1, E4)", () => {
  const clock = new TestClock();
  const [a] = makeQuiet(["a", "b"], clock);
  set(a!, "k", 1, clock);
  const { sent } = a!.disseminate("b");
  const { digest, activeHash: active } = a!.view;
  note(a!, a!.applyIncoming("b", { members: [], digest, active, partial: false }, clock.now));
  assertEquals(a!.view.phase, "confirmed");
  // An answer of b from before it had the state comes late.
  note(a!, a!.handleAck(sent, new Map([["a", { incarnation: a!.view.incarnation, number: 2 }]]), clock.now));
  assertEquals([a!.view.phase, a!.view.isQuiet("b")], ["diffusing", false]);
});

Deno.test("isQuiet: is false while a peer may lack a change of an inactive member, and true once it has every change (E11)", () => {
  const clock = new TestClock();
  const [a, b] = makeQuiet(["a", "b"], clock);
  const { incarnation } = a!.view;
  for (const number of [1, 2]) {
    const change = memberDelta("gone", incarnation, [entry("k", number, number)], { after: number - 1 });
    deliver(a!, "someone", change, clock);
    assertEquals([a!.view.phase, a!.view.isQuiet("b")], ["confirmed", false]);
    exchange(a!, b!, { clock });
    exchange(b!, a!, { clock });
    assertEquals([b!.view.versionOf("gone")?.number, a!.view.isQuiet("b"), b!.view.isQuiet("a")], [
      number,
      true,
      true,
    ]);
  }
});

Deno.test("isQuiet: is true although a peer lacks state of an inactive member that is not passed on any more (E11)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeQuiet(["a", "b", "c"], clock);
  deliver(a!, "b", memberDelta("gone", a!.view.incarnation, [entry("k", 1, 1)]), clock);
  exchange(a!, b!, { clock });
  for (const engine of [a!, b!, c!]) note(engine, engine.tick(clock.now));
  assertEquals([a!.view.isQuiet("b"), a!.view.isQuiet("c")], [true, false]);
  clock.advance(SETTINGS.departedRetention / 2 - 1);
  for (const engine of [a!, b!, c!]) note(engine, engine.tick(clock.now));
  assertEquals(a!.view.isQuiet("c"), false);
  clock.advance(1);
  for (const engine of [a!, b!, c!]) note(engine, engine.tick(clock.now));
  exchange(a!, c!, { clock });
  assertEquals([a!.view.isQuiet("c"), c!.view.versionOf("gone")], [true, undefined]);
});

Deno.test("isQuiet: is false for an unversioned peer, which reads heartbeats in entries alone (L1)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "g"], clock, { settings: SETTINGS });
  note(
    a,
    a.applyHello(
      { id: "g", incarnation: NO_INCARNATION, digest: a.view.digest, active: a.view.activeHash },
      clock.now,
    ),
  );
  set(a, "k", 1, clock);
  note(a, a.handleAck(a.disseminate("g").sent, new Map(), clock.now));
  note(
    a,
    a.applyIncoming(
      "g",
      { members: [], digest: a.view.digest, active: a.view.activeHash, partial: false },
      clock.now,
    ),
  );
  assertEquals([a.view.phase, a.view.isQuiet("g")], ["confirmed", false]);
});

Deno.test("isQuiet: is false for a peer in a later incarnation, until the peer has the state again (E1)", () => {
  const clock = new TestClock();
  const [a, b] = makeQuiet(["a", "b"], clock);
  clock.advance(5);
  const [again] = makeCluster(["b"], clock, { settings: SETTINGS });
  note(again, again.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  assertEquals(a!.view.isQuiet("b"), true);
  handshake(again, a!, clock);
  assertEquals([a!.view.isQuiet("b"), b!.view.isQuiet("a")], [false, true]);
  note(again, again.countHeartbeat({}, clock.now));
  settle([a!, again], { clock });
  exchange(a!, again, { clock });
  assertEquals([a!.view.isQuiet("b"), again.view.isQuiet("a")], [true, true]);
});
