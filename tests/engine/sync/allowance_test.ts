import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { copyJson } from "../../../engine/json.ts";
import { Allowance } from "../../../engine/sync/allowance.ts";
import type { SentEntry } from "../../../engine/types.ts";
import {
  count,
  deliver,
  entry,
  eventsOf,
  exchange,
  handshakeAll,
  makeCluster,
  makePair,
  memberDelta,
  note,
  settle,
  TestClock,
  valueOf,
} from "../harness.ts";

const EXPIRES_AFTER = 60_000;

/** A renewal of the entry of a key, as a peer would send it. */
function renewal(key: string, number: number, renews: number): SentEntry {
  return { key, number, type: "", value: undefined, json: "", renews, expiresAfter: EXPIRES_AFTER };
}

Deno.test("allowance: is refilled over time, and permits any amount only when it is full", () => {
  const allowance = new Allowance(100);
  const takes = (...takes: readonly (readonly [number, number])[]) =>
    takes.map(([amount, nowMs]) => allowance.take(amount, nowMs));
  assertEquals(takes([60, 0], [41, 0], [40, 0], [1, 0]), [true, false, true, false]);
  assertEquals(takes([51, 500], [50, 500]), [false, true]);
  assertEquals(takes([300, 1_500], [1, 3_500], [1, 3_510]), [true, false, true]);
  const large = new Allowance(100, { most: 200 });
  assertEquals([large.take(150, 0), large.take(60, 0), large.take(60, 100)], [true, false, true]);
});

Deno.test("merge: a peer cannot make this member read megabytes by small renewals: the rest is merged later (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { maxStateBytes: 8_000 } });
  const { incarnation } = b.view;
  const value = "x".repeat(300);
  const set = ["k1", "k2", "k3", "k4"].map((key, index) => ({
    ...entry(key, index + 1, value),
    expiresAfter: EXPIRES_AFTER,
  }));
  deliver(a, "b", memberDelta("b", incarnation, set), clock);
  const renewals = set.map(({ key, number }) => renewal(key, number + 4, number));
  const delta = memberDelta("b", incarnation, renewals, { after: 4 });
  assertEquals([...deliver(a, "b", delta, clock)], [["b", { incarnation, number: 7 }]]);
  assertEquals([...deliver(a, "b", delta, clock)], [["b", { incarnation, number: 7 }]]);
  clock.advance(1_000);
  assertEquals([...deliver(a, "b", delta, clock)], []);
  assertEquals(a.view.versionOf("b"), { incarnation, number: 8 });
  assertEquals(valueOf(a, "b", "k4"), value);
});

Deno.test("merge: renewals of an honest peer above the allowance are merged in the end (E16)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { maxStateBytes: 8_000 } });
  const renew = () => {
    for (const key of ["k1", "k2"]) {
      note(b, b.set(key, { ...copyJson("x".repeat(400)), expiresAfter: EXPIRES_AFTER }, clock.now));
    }
  };
  renew();
  settle([a, b], { clock });
  for (let times = 0; times < 10; times++) {
    renew();
    exchange(b, a, { clock });
  }
  for (let second = 0; second < 3; second++) {
    clock.advance(1_000);
    count(a, 1, clock);
    count(b, 1, clock);
    exchange(b, a, { clock });
  }
  settle([a, b], { clock });
  assertEquals(a.view.digest, b.view.digest);
  assertEquals(a.view.versionOf("b"), b.view.versionOf("b"));
});

Deno.test("merge: a repeated renewal from another peer is no conflict (E16, E3)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  handshakeAll([a, b!, c!], clock);
  const renew = () => note(a, a.set("k", { ...copyJson(1), expiresAfter: EXPIRES_AFTER }, clock.now));
  renew();
  settle([a, b!, c!], { clock });
  renew();
  const { request } = exchange(a, c!, { clock });
  assertEquals(request.members[0]!.entries[0]!.renews, 1);
  deliver(c!, "b", request.members, clock);
  assertEquals(eventsOf(c!).of("ConflictDetected"), []);
  assertEquals(valueOf(c!, "a", "k"), 1);
});

Deno.test("merge: a peer cannot make this member rebuild a large state repeatedly by resets of one entry (E8)", () => {
  const clock = new TestClock();
  const maxStateBytes = 2 ** 19;
  const [a, b] = makePair(clock, { settings: { maxStateBytes, maxHeldBytes: 2 ** 20 } });
  const { incarnation } = b.view;
  const keys = 1_000;
  const set = Array.from({ length: keys }, (_, index) => entry(`k${index}`, index + 1, 0));
  deliver(a, "b", memberDelta("b", incarnation, set), clock);
  let value = 0;
  const reset = () =>
    deliver(
      a,
      "b",
      memberDelta("b", incarnation, [entry("k0", 1, value)], { reset: true, end: keys }),
      clock,
    );
  const repairs = (times: number) => {
    let done = 0;
    for (let count = 0; count < times; count++) {
      value++;
      const answer = [...reset()];
      const isDone = valueOf(a, "b", "k0") === value;
      // A refused one is answered like any state that finds no room.
      assertEquals(answer, isDone ? [] : [["b", { incarnation, number: keys }]]);
      if (isDone) done++;
    }
    return done;
  };
  const states = (bytes: number) => Math.floor(bytes / a.view.room.bytes);
  assertEquals(repairs(20), states(2 ** 20));
  clock.advance(1_000);
  const later = repairs(20);
  assert(later >= 1 && later <= states(maxStateBytes) + 1, `${later}`);
  assertEquals(valueOf(a, "b", "k999"), 0);
});

Deno.test("merge: resets of a small state are all merged at once (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { maxStateBytes: 1_000, maxHeldBytes: 2 ** 20 } });
  const { incarnation } = b.view;
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 1, 0), entry("l", 2, 0)]), clock);
  for (let value = 1; value < 100; value++) {
    deliver(a, "b", memberDelta("b", incarnation, [entry("k", 1, value)], { reset: true, end: 2 }), clock);
    assertEquals(valueOf(a, "b", "k"), value);
  }
});
