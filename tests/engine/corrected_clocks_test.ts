/** Incarnations more than a year ahead: of a clock that was wrong and was corrected since (rule E2). */

import { assertEquals, assertGreater, assertLess } from "../../deps/std_assert.ts";
import type { Engine } from "../../engine/engine.ts";
import { GRACEFULLY_LEFT_KEY } from "../../engine/types.ts";
import {
  count,
  deliver,
  entry,
  eventsOf,
  exchange,
  fence,
  handshake,
  incarnationAt,
  makeCluster,
  makePair,
  memberDelta,
  note,
  set,
  settle,
  TestClock,
  valueOf,
} from "./harness.ts";

const DAY_MS = 24 * 3_600_000;
/** The error of the clocks here: more than a year. */
const ERROR_MS = 400 * DAY_MS;

function tick(engine: Engine, clock: TestClock): void {
  note(engine, engine.tick(clock.now));
}

Deno.test("incarnation: after its clock was corrected by more than a year, a member begins one from the present clock, and keeps its values (E2)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "k", 1, clock);
  set(a, "k", 2, clock);
  const { incarnation } = a.view;
  clock.wallMs -= 365 * DAY_MS;
  tick(a, clock);
  assertEquals(a.view.incarnation, incarnation);
  clock.wallMs -= 35 * DAY_MS;
  tick(a, clock);
  tick(a, clock);
  assertLess(a.view.incarnation, incarnationAt(clock, 1));
  assertGreater(a.view.incarnation, incarnationAt(clock, -1));
  assertEquals(eventsOf(a).of("IncarnationRenewed").map((event) => event.incarnation), [a.view.incarnation]);
  assertEquals([valueOf(a, "a", "k"), set(a, "l", 3, clock)], [2, 2]);
});

Deno.test("incarnation: a member that leaves, or is fenced, begins none after its clock was corrected (E1, E2)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  const [fenced] = makePair(clock, { signs: true });
  note(a, a.leave(clock.now));
  fence(fenced, clock);
  clock.wallMs -= ERROR_MS;
  for (const engine of [a, fenced]) {
    tick(engine, clock);
    assertEquals(eventsOf(engine).of("IncarnationRenewed"), []);
  }
});

Deno.test("incarnation: a clock that steps to and fro begins two in half of heartbeatExpiration at most (E1, E2)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  for (let times = 0; times < 5; times++) {
    clock.wallMs -= ERROR_MS;
    tick(a, clock);
  }
  assertEquals(eventsOf(a).of("IncarnationRenewed").length, 2);
  clock.advance(10_000);
  tick(a, clock);
  assertEquals(eventsOf(a).of("IncarnationRenewed").length, 3);
});

for (const signs of [false, true]) {
  Deno.test(`handshake: an incarnation more than a year ahead gives way to the peer's handshake, a later one less ahead does not (E1, E2, ${signs ? "" : "un"}signed)`, () => {
    const clock = new TestClock();
    const [a, b] = makePair(clock, { signs });
    set(b, "k", 1, clock);
    if (signs) note(b, b.attachSignature(b.view.unsignedSnapshot()!, "valid"));
    settle([a, b], { clock, rounds: 20 });
    const wrong = b.view.incarnation;
    assertEquals([valueOf(a, "b", "k"), a.view.incarnationOf("b")], [1, wrong]);
    const helloIn = (incarnation: string) =>
      note(a, a.applyHello({ id: "b", incarnation, digest: "", active: "" }, clock.now)).refusal;
    clock.wallMs -= 365 * DAY_MS;
    assertEquals(helloIn(incarnationAt(clock)), "id_conflict");
    clock.wallMs -= 35 * DAY_MS;
    assertEquals([helloIn(wrong), a.view.incarnationOf("b")], ["invalid", wrong]);
    assertEquals([helloIn(incarnationAt(clock)), a.view.incarnationOf("b")], [
      undefined,
      incarnationAt(clock),
    ]);
    // Without the later state there is no proof of it, and then a signed handshake counts.
    assertEquals(helloIn(incarnationAt(clock, -1)), signs ? undefined : "id_conflict");
  });
}

Deno.test("merge: an incarnation more than a year ahead gives way to one that a relay sends, with the block of the process that left (E2, E10)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c", "d"], clock);
  const before = incarnationAt(clock);
  deliver(a, "c", memberDelta("b", before, [entry("k", 1, "before"), entry("l", 2, 1)]), clock);
  deliver(a, "c", memberDelta("d", before, [entry(GRACEFULLY_LEFT_KEY, 1, {})]), clock);
  clock.wallMs -= ERROR_MS;
  const now = incarnationAt(clock);
  // A gap: the entries before it are asked for.
  assertEquals([...deliver(a, "c", memberDelta("b", now, [entry("k", 2, 1)], { after: 1 }), clock)], [
    ["b", { incarnation: now, number: 0 }],
  ]);
  assertEquals(valueOf(a, "b", "k"), "before");
  assertEquals([...deliver(a, "c", memberDelta("b", now, [entry("k", 1, "now")]), clock)], []);
  deliver(a, "c", memberDelta("d", now, [entry("k", 1, 1)]), clock);
  assertEquals([valueOf(a, "b", "k"), valueOf(a, "b", "l")], ["now", undefined]);
  assertEquals([a.view.incarnationOf("d"), a.view.blockedMembers()], [now, []]);
  assertEquals(eventsOf(a).of("ConflictDetected"), []);
});

Deno.test("merge: the remembered incarnation of a forgotten member gives way too if it is more than a year ahead (E2, E11)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { settings: { departedRetention: 1_000 } });
  const before = incarnationAt(clock);
  deliver(a, "b", memberDelta("x", before, [entry("k", 9, 1)]), clock);
  clock.advance(1_000);
  tick(a, clock);
  assertEquals([a.view.versionOf("x"), a.view.latestIncarnation("x")], [undefined, before]);
  clock.wallMs -= ERROR_MS;
  deliver(a, "b", memberDelta("x", incarnationAt(clock), [entry("k", 1, 2)]), clock);
  assertEquals(valueOf(a, "x", "k"), 2);
});

Deno.test("merge: where members sign, no relay ends an incarnation that is more than a year ahead (E2, L4)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { signs: true });
  const before = incarnationAt(clock);
  deliver(a, "c", { ...memberDelta("b", before, [entry("k", 1, 1)]), signature: "valid" }, clock);
  clock.wallMs -= ERROR_MS;
  const now = incarnationAt(clock);
  deliver(a, "c", { ...memberDelta("b", now, [entry("k", 1, "replayed")]), signature: "old" }, clock);
  assertEquals([valueOf(a, "b", "k"), a.view.incarnationOf("b")], [1, before]);
});

Deno.test("incarnation: members whose clocks were all wrong, and are corrected one after another, have each other's values again (E2)", () => {
  const [late, early] = [new TestClock(), new TestClock()];
  const [a, b, c] = makeCluster(["a", "b", "c"], late) as [Engine, Engine, Engine];
  for (const engine of [a, b, c]) {
    set(engine, "k", "before", late);
    count(engine, 1, late);
  }
  handshake(a, b, late);
  handshake(a, c, late);
  settle([a, b, c], { clock: late });
  early.wallMs -= ERROR_MS;
  const { incarnation } = a.view;
  tick(a, early);
  // A peer whose clock is still wrong reports the incarnation from before, and this member begins none above it.
  assertEquals(note(b, b.applyHello(helloOf(a), late.now)).refusal, "id_conflict");
  note(a, a.onNewerIncarnation(incarnation, early.now));
  assertLess(a.view.incarnation, incarnation);
  for (const engine of [b, c]) tick(engine, early);
  assertEquals(handshake(a, b, early), { byA: undefined, byB: undefined });
  assertEquals(handshake(a, c, early), { byA: undefined, byB: undefined });
  set(a, "k", "after", early);
  // b learns of the incarnation of c from a alone.
  for (let round = 0; round < 4; round++) {
    exchange(a, b, { clock: early });
    exchange(a, c, { clock: early });
  }
  for (const [id, value] of [["a", "after"], ["b", "before"], ["c", "before"]] as const) {
    assertEquals([a, b, c].map((engine) => valueOf(engine, id, "k")), [value, value, value]);
  }
  assertEquals(new Set([a, b, c].map((engine) => engine.view.digest)).size, 1);
});

function helloOf({ view }: Engine) {
  return { id: view.id, incarnation: view.incarnation, digest: view.digest, active: view.activeHash };
}
