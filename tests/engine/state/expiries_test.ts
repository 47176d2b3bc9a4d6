import { assertEquals } from "../../../deps/std_assert.ts";
import { copyJson } from "../../../engine/json.ts";
import type { Engine } from "../../../engine/engine.ts";
import { Expiries } from "../../../engine/state/expiries.ts";
import { MemberState } from "../../../engine/state/member_state.ts";
import { ExpiringEntry } from "../../../engine/state/stored_entry.ts";
import { Random } from "../../../engine/random.ts";
import {
  deliver,
  entry,
  eventsOf,
  exchange,
  handshake,
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

const LIFETIME = 10_000;

function setFor(engine: Engine, key: string, value: number, clock: TestClock, expiresAfter = LIFETIME): void {
  note(engine, engine.set(key, { ...copyJson(value), expiresAfter }, clock.now));
}

function tick(clock: TestClock, ...engines: readonly Engine[]): void {
  for (const engine of engines) note(engine, engine.tick(clock.now));
}

/** An engine that these others have in their topology too. It has shaken hands with none of them. */
function newcomer(id: string, others: readonly Engine[], clock: TestClock): Engine {
  const engine = makeEngine(id, clock);
  const members = [...others[0]!.view.activeIds(), id];
  for (const each of [...others, engine]) {
    note(each, each.setTopology({ members, blocked: [] }, clock.now));
  }
  return engine;
}

/** The updates of a key, in short. */
function updates(engine: Engine, key: string): readonly string[] {
  return eventsOf(engine).of("GossipUpdate").filter((each) => each.key === key)
    .map(({ value, deleted, expired = false }) => deleted ? expired ? "expired" : "deleted" : `${value}`);
}

Deno.test("expiry: the owner deletes a value at the first interval after its end, and others drop it (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  setFor(a, "k", 1, clock);
  settle([a, b], { clock });
  clock.advance(LIFETIME - 1);
  tick(clock, a, b);
  assertEquals([valueOf(a, "a", "k"), valueOf(b, "a", "k")], [1, 1]);
  clock.advance(1);
  tick(clock, a);
  settle([a, b], { clock });
  assertEquals([valueOf(a, "a", "k"), valueOf(b, "a", "k")], [undefined, undefined]);
  assertEquals([updates(a, "k"), updates(b, "k")], [["1", "expired"], ["1", "expired"]]);
  assertEquals(a.view.digest, b.view.digest);
});

Deno.test("expiry: a member ends the value of an owner that is gone, and all copies still agree (E16, E12)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  setFor(a, "k", 1, clock);
  settle([a, b], { clock });
  const { digest } = b.view;
  clock.advance(LIFETIME - 1);
  tick(clock, b);
  assertEquals(valueOf(b, "a", "k"), 1);
  clock.advance(1);
  tick(clock, b);
  assertEquals([valueOf(b, "a", "k"), b.view.digest], [undefined, digest]);
  assertEquals([b.view.state("k").size, b.view.entriesOf("a").some(({ key }) => key === "k")], [0, false]);
  assertEquals(updates(b, "k"), ["1", "expired"]);
  tick(clock, b);
  tick(clock, a);
  settle([a, b], { clock });
  assertEquals([updates(b, "k"), a.view.digest], [["1", "expired"], b.view.digest]);
});

Deno.test("expiry: a renewal restarts the lifetime, and a set without a lifetime keeps the value for good (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  setFor(a, "k", 1, clock);
  setFor(a, "l", 1, clock);
  settle([a, b], { clock });
  clock.advance(LIFETIME - 1);
  setFor(a, "k", 1, clock);
  set(a, "l", 2, clock);
  settle([a, b], { clock });
  clock.advance(LIFETIME - 1);
  tick(clock, a, b);
  assertEquals([valueOf(b, "a", "k"), valueOf(b, "a", "l")], [1, 2]);
  clock.advance(1);
  tick(clock, b);
  assertEquals([valueOf(b, "a", "k"), valueOf(b, "a", "l")], [undefined, 2]);
});

Deno.test("expiry: a renewal is sent without the value to a peer that has it, also through a relay (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  const c = newcomer("c", [a, b], clock);
  handshake(b, c, clock);
  const long = "x".repeat(1_000);
  const renew = () => note(a, a.set("k", { ...copyJson(long), expiresAfter: LIFETIME }, clock.now));
  renew();
  settle([a, b], { clock });
  settle([b, c], { clock });
  for (let times = 0; times < 3; times++) {
    clock.advance(LIFETIME - 1);
    renew();
    for (const [from, to] of [[a, b], [b, c]] as const) {
      const { request } = exchange(from, to, { clock });
      const [sent] = request.members.find(({ id }) => id === "a")!.entries;
      assertEquals([sent!.json.length, sent!.renews], [0, sent!.number - 1]);
    }
    settle([a, b], { clock });
    assertEquals([valueOf(b, "a", "k"), valueOf(c, "a", "k")], [long, long]);
  }
  assertEquals(updates(c, "k").length, 4);
  // A newcomer gets the value.
  const d = newcomer("d", [c], clock);
  handshake(c, d, clock);
  settle([c, d], { clock });
  assertEquals([valueOf(d, "a", "k"), d.view.digest], [long, c.view.digest]);
  // Another value is no renewal.
  setFor(a, "k", 7, clock);
  settle([a, b], { clock });
  assertEquals(valueOf(b, "a", "k"), 7);
});

Deno.test("expiry: a renewal of an unknown value is not merged, and the member requests all entries (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "other", 1, clock);
  settle([a, b], { clock });
  const { incarnation, number } = b.view.versionOf("a") as { incarnation: string; number: number };
  const renewal = {
    ...entry("k", number + 1, 1),
    ...{ type: "", value: undefined, json: "", renews: number, expiresAfter: 9 },
  };
  const delta = {
    digest: a.view.digest,
    active: a.view.activeHash,
    partial: false,
    members: [{ id: "a", incarnation, after: number, reset: false, entries: [renewal] }],
  };
  const { holds } = note(b, b.applyIncoming("a", delta, clock.now));
  assertEquals([holds.get("a"), b.view.versionOf("a")], [{ incarnation, number: 0 }, {
    incarnation,
    number,
  }]);
});

Deno.test("expiry: a renewal of a value that a partial state omitted does not renew an older value (E16, E7)", () => {
  const clock = new TestClock();
  const [a, b] = makeCluster(["a", "b", "o"], clock);
  handshake(a, b!, clock);
  const incarnation = incarnationAt(clock);
  const brief = (number: number, value: string) => ({ ...entry("k", number, value), expiresAfter: LIFETIME });
  // a has each set of o. b has the first, and the part up to 3 of a state in which `k` came later than that.
  const sets = [brief(1, "first"), brief(2, "second"), entry("other", 3, 1)];
  deliver(a, "o", memberDelta("o", incarnation, sets), clock);
  deliver(b!, "o", memberDelta("o", incarnation, [sets[0]!]), clock);
  deliver(b!, "o", memberDelta("o", incarnation, [sets[2]!], { after: 1 }), clock);
  exchange(a, b!, { clock });
  assertEquals([valueOf(a, "o", "k"), valueOf(b!, "o", "k")], ["second", "first"]);
  deliver(a, "o", memberDelta("o", incarnation, [brief(4, "second")], { after: 3 }), clock);
  assertEquals(exchange(a, b!, { clock }).request.members[0]!.entries.map(({ renews }) => renews), [2]);
  assertEquals(valueOf(b!, "o", "k"), "first");
  exchange(a, b!, { clock });
  assertEquals([valueOf(b!, "o", "k"), b!.view.digest], ["second", a.view.digest]);
  assertEquals(updates(b!, "k"), ["first", "second"]);
});

Deno.test("expiry: a value that arrives after its end is never shown, also for fractions of a millisecond (E16)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "p"], clock);
  const incarnation = incarnationAt(clock);
  for (let each = 0; each < 200; each++) {
    clock.monotonicMs += 10 / 3;
    const late = { ...entry("k", 1, 1), expiresAfter: 1_725, ageMs: 1_725 + each % 2 };
    deliver(a, "p", memberDelta(`o${each}`, incarnation, [late]), clock);
    assertEquals(valueOf(a, `o${each}`, "k"), undefined);
  }
  tick(clock, a);
  assertEquals(updates(a, "k"), []);
});

Deno.test("expiry: a value that has ended is not set in the next incarnation of its owner (E16, E1)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  setFor(a, "k", 1, clock);
  setFor(a, "l", 2, clock, 2 * LIFETIME);
  settle([a, b], { clock });
  clock.advance(LIFETIME);
  const before = a.view.incarnation;
  deliver(a, "b", memberDelta("a", incarnationAt(clock, 5), [entry("k", 1, 1)]), clock);
  assertEquals(a.view.incarnation === before, false);
  assertEquals([valueOf(a, "a", "k"), valueOf(a, "a", "l")], [undefined, 2]);
  assertEquals(updates(a, "k"), ["1", "expired"]);
  handshake(a, b, clock);
  settle([a, b], { clock });
  assertEquals([valueOf(b, "a", "k"), valueOf(b, "a", "l")], [undefined, 2]);
  // Its state has no entry of the key that nothing would delete.
  assertEquals(a.view.digest, b.view.digest);
  assertEquals(a.disseminate("c").delta.members.flatMap(({ entries }) => entries.map(({ key }) => key)), [
    "l",
  ]);
});

Deno.test("expiry: a repeated renewal is no conflict (E16, E3)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "o", "p"], clock);
  const incarnation = incarnationAt(clock);
  const brief = { ...entry("k", 1, 1), expiresAfter: LIFETIME };
  const renewal = { ...tombstone("k", 2), renews: 1, expiresAfter: LIFETIME };
  deliver(a, "p", memberDelta("o", incarnation, [brief]), clock);
  for (let times = 0; times < 2; times++) {
    const versions = deliver(a, "p", memberDelta("o", incarnation, [renewal], { after: 1 }), clock);
    assertEquals(versions.size, 0);
  }
  deliver(a, "p", memberDelta("o", incarnation, [{ ...brief, number: 3 }], { after: 2 }), clock);
  // Neither does one that an earlier renewal was taken for.
  deliver(a, "p", memberDelta("o", incarnation, [renewal], { after: 1 }), clock);
  assertEquals(eventsOf(a).of("ConflictDetected"), []);
  assertEquals([valueOf(a, "o", "k"), a.view.versionOf("o")?.number], [1, 3]);
});

Deno.test("expiry: a late renewal of a deleted key causes no request (E16)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "o", "p"], clock);
  const incarnation = incarnationAt(clock);
  const brief = { ...entry("k", 1, 1), expiresAfter: LIFETIME };
  const renewal = { ...tombstone("k", 2), renews: 1, expiresAfter: LIFETIME };
  deliver(a, "o", memberDelta("o", incarnation, [brief]), clock);
  deliver(a, "o", memberDelta("o", incarnation, [renewal], { after: 1 }), clock);
  deliver(a, "o", memberDelta("o", incarnation, [tombstone("k", 3)], { after: 2 }), clock);
  const versions = deliver(a, "p", memberDelta("o", incarnation, [renewal], { after: 1 }), clock);
  assertEquals([versions.get("o"), valueOf(a, "o", "k")], [undefined, undefined]);
});

Deno.test("expiry: a later set with a shorter lifetime shortens the lifetime (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  setFor(a, "k", 1, clock);
  setFor(a, "k", 2, clock, 100);
  settle([a, b], { clock });
  clock.advance(100);
  tick(clock, b);
  assertEquals(updates(b, "k"), ["2", "expired"]);
});

Deno.test("expiry: a relay sends the age of a value, so that a newcomer ends it when the others do (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  const c = newcomer("c", [b], clock);
  setFor(a, "k", 1, clock);
  settle([a, b], { clock });
  clock.advance(6_000);
  handshake(b, c, clock);
  settle([b, c], { clock });
  assertEquals(valueOf(c, "a", "k"), 1);
  clock.advance(LIFETIME - 6_000 - 1);
  tick(clock, c);
  assertEquals(valueOf(c, "a", "k"), 1);
  clock.advance(1);
  tick(clock, c);
  assertEquals(updates(c, "k"), ["1", "expired"]);
});

Deno.test("expiry: a newcomer never reads a value that ended before (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  const c = newcomer("c", [b], clock);
  setFor(a, "k", 1, clock);
  settle([a, b], { clock });
  clock.advance(LIFETIME + 1);
  tick(clock, b);
  handshake(b, c, clock);
  settle([b, c], { clock });
  assertEquals([valueOf(c, "a", "k"), updates(c, "k"), c.view.digest], [undefined, [], b.view.digest]);
  // An expired value over one that can be read ends that.
  const number = c.view.versionOf("a")!.number;
  const late = { ...entry("l", number + 1, 2), expiresAfter: 5, ageMs: 6 };
  const delta = {
    digest: b.view.digest,
    active: b.view.activeHash,
    partial: false,
    members: [{
      id: "a",
      incarnation: c.view.incarnationOf("a")!,
      after: number,
      reset: false,
      entries: [late, { ...entry("l", number + 2, 3), expiresAfter: 5 }, { ...late, number: number + 3 }],
    }],
  };
  note(c, c.applyIncoming("b", delta, clock.now));
  assertEquals(updates(c, "l"), ["3", "expired"]);
});

Deno.test("expiry: a deletion is reported as an expiry only in the last second of the value (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  for (const key of ["early", "late"]) setFor(a, key, 1, clock);
  settle([a, b], { clock });
  clock.advance(LIFETIME - 1_001);
  remove(a, "early", clock);
  settle([a, b], { clock });
  clock.advance(1);
  remove(a, "late", clock);
  settle([a, b], { clock });
  assertEquals([updates(b, "early"), updates(b, "late")], [["1", "deleted"], ["1", "expired"]]);
});

Deno.test("expiry: a member with an expired value counts as a member without a value in consensus (E16, E13)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  note(b, b.addCheck("1", "k", (value) => JSON.stringify(value)));
  set(b, "k", 1, clock);
  setFor(a, "k", 1, clock);
  settle([a, b], { clock });
  assertEquals(b.view.consensus("1").reached, true);
  clock.advance(LIFETIME);
  tick(clock, b);
  assertEquals(b.view.consensus("1").reached, false);
});

Deno.test("expiry: a new incarnation keeps the rest of a value's lifetime (E16, E1)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  setFor(a, "k", 1, clock);
  clock.advance(6_000);
  const later = makeEngine("x", clock).view.incarnation;
  note(a, a.onNewerIncarnation(later, clock.now));
  assertEquals(valueOf(a, "a", "k"), 1);
  clock.advance(LIFETIME - 6_000);
  tick(clock, a);
  assertEquals(valueOf(a, "a", "k"), undefined);
});

/** Sends all entries of `a` but the key `wrong` to `b`, as a reset. */
function reset(a: Engine, b: Engine, clock: TestClock): void {
  const { incarnation, number } = { incarnation: a.view.incarnation, number: a.view.versionOf("a")!.number };
  const entries = a.view.entriesOf("a").filter(({ key }) => key !== "wrong").map((
    { key, number, type, value, json },
  ) => ({
    ...{ key, number, type, value, json },
    ...(key === "k" && { expiresAfter: LIFETIME }),
  }));
  const member = { id: "a", incarnation, after: 0, reset: true, end: number, entries };
  const delta = { digest: a.view.digest, active: a.view.activeHash, partial: false, members: [member] };
  note(b, b.applyIncoming("a", delta, clock.now));
}

Deno.test("expiry: a reset that repeats a value does not change its lifetime (E16, E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "wrong", 1, clock);
  setFor(a, "k", 1, clock);
  settle([a, b], { clock });
  clock.advance(6_000);
  reset(a, b, clock);
  assertEquals([valueOf(b, "a", "wrong"), valueOf(b, "a", "k")], [undefined, 1]);
  clock.advance(LIFETIME - 6_000);
  tick(clock, b);
  assertEquals(updates(b, "k"), ["1", "expired"]);
});

Deno.test("expiry: a reset that repeats a value after its end, before the next tick, emits the end once (E16, E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "wrong", 1, clock);
  setFor(a, "k", 1, clock);
  settle([a, b], { clock });
  clock.advance(LIFETIME);
  reset(a, b, clock);
  assertEquals(valueOf(b, "a", "k"), undefined);
  assertEquals(updates(b, "k"), ["1", "expired"]);
  reset(a, b, clock);
  tick(clock, b);
  assertEquals(updates(b, "k"), ["1", "expired"]);
});

Deno.test("expiry: dropped state leaves no entry that could expire (E16, E11)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { departedRetention: 1_000 } });
  setFor(a, "k", 1, clock);
  settle([a, b], { clock });
  note(b, b.setTopology({ members: ["b"], blocked: [] }, clock.now));
  tick(clock, b);
  clock.advance(2_000);
  tick(clock, b);
  assertEquals(updates(b, "k"), ["1", "deleted"]);
  clock.advance(LIFETIME);
  tick(clock, b);
  assertEquals(updates(b, "k"), ["1", "deleted"]);
  assertEquals(exchange(b, a, { clock }).request.members.some(({ id }) => id === "a"), false);
});

Deno.test("Expiries: takes the entries in the order of their ends, and no removed entry", () => {
  const random = new Random(0.4);
  for (let size = 1; size < 40; size++) {
    const step = size % 2 === 0 ? 10 : 500;
    const expiries = new Expiries();
    const member = new MemberState("m", "0190f3a1b2c3-0badcafe");
    const entries = Array.from({ length: size }, (_, index) => {
      const dueMs = step * Math.floor(random.next() * (2_000 / step));
      return new ExpiringEntry({ ...entry(`${index}`, index + 1, 1), timestampMs: 0, expiresAfter: 9 }, {
        serial: index + 1,
        dueMs,
      });
    });
    for (const each of entries) expiries.add(member, each, -1);
    const kept = entries.filter(() => random.next() < 0.6);
    for (const each of entries) if (!kept.includes(each)) expiries.remove(each);
    for (const each of entries) if (!kept.includes(each)) expiries.remove(each);
    const taken: number[] = [];
    for (let nowMs = 0; nowMs < 2_000; nowMs += step) {
      for (const [{ dueMs, number }] of expiries.takeDue(nowMs)) {
        assertEquals(dueMs, nowMs);
        taken.push(number);
      }
    }
    assertEquals(taken.toSorted(), kept.map(({ number }) => number).toSorted());
  }
});
