import { assertEquals } from "../../../deps/std_assert.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes, storedBytes } from "../../../engine/state/size.ts";
import {
  deliver,
  entry,
  eventsOf,
  makeCluster,
  memberDelta,
  type SETTINGS,
  TestClock,
  valueOf,
} from "../harness.ts";
import type { SentEntry } from "../../../engine/types.ts";

/** Two entries that count for so many bytes together where they are held. */
function entriesOf(bytes: number) {
  const first = entry("a", 1, "x");
  const rest = bytes - storedBytes(first) - storedBytes(entry("b", 2, ""));
  return [first, entry("b", 2, "x".repeat(rest))];
}

Deno.test("merge: takes 1.5 times the bytes from a new member that its owner may set, to the last byte (E7)", () => {
  for (const [bytes, taken] of [[300, 2], [301, 1]] as const) {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "x"], clock, { settings: { maxStateBytes: 200 } });
    deliver(a, "b", memberDelta("x", makeIncarnation(clock.wallMs, 0.5), entriesOf(bytes)), clock);
    assertEquals(a.view.versionOf("x")?.number, taken);
  }
});

Deno.test("merge: takes 1.5 times the keys from a new member that its owner may set (E7)", () => {
  for (const [count, taken] of [[3, 3], [4, 3]] as const) {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "x"], clock, { settings: { maxKeysPerMember: 2 } });
    const entries = Array.from({ length: count }, (_, index) => entry(`k${index}`, index + 1, 1));
    deliver(a, "b", memberDelta("x", makeIncarnation(clock.wallMs, 0.5), entries), clock);
    assertEquals(a.view.versionOf("x")?.number, taken);
  }
});

Deno.test("merge: takes a signed state that fits into a message beside another state, to the last byte (E7)", () => {
  const added = entry("k", 1, "value");
  const fits = 2 * ENVELOPE_BYTES + memberBytes("x") + entryBytes(added);
  for (const [maxMessageBytes, taken] of [[fits, 1], [fits - 1, undefined]] as const) {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "x"], clock, { signs: true, settings: { maxMessageBytes } });
    deliver(
      a,
      "b",
      { ...memberDelta("x", makeIncarnation(clock.wallMs, 0.5), [added]), signature: "proof" },
      clock,
    );
    assertEquals(a.view.versionOf("x")?.number, taken);
  }
});

Deno.test("limits: the state of a member that exceeds the limit is merged as far as it fits, and an event is emitted (E7)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { maxStateBytes: 16_384 } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  deliver(a, "c", memberDelta("b", incarnation, [entry("k", 1, "held")]), clock);
  const large = entry("x", 2, "x".repeat(1.5 * 16_384));
  deliver(a, "c", memberDelta("b", incarnation, [large], { after: 1 }), clock);
  assertEquals([valueOf(a, "b", "k"), valueOf(a, "b", "x"), a.view.versionOf("b")?.number], [
    "held",
    undefined,
    1,
  ]);
  assertEquals(eventsOf(a).of("ConflictDetected"), [
    { type: "ConflictDetected", memberId: "b", reason: "limit", peerId: "c" },
  ]);
  deliver(a, "c", memberDelta("b", incarnation, [entry("k", 1, "held"), large], { reset: true }), clock);
  deliver(a, "c", memberDelta("c", incarnation, [entry("k", 1, 1), large]), clock);
  assertEquals([valueOf(a, "b", "x"), valueOf(a, "c", "x"), valueOf(a, "c", "k")], [undefined, undefined, 1]);
});

Deno.test("merge: takes as many keys and bytes of a new member as fit, to the last key and byte (E7)", () => {
  const incarnation = makeIncarnation(new TestClock().wallMs, 0.5);
  const heldOf = (settings: Partial<typeof SETTINGS>, entries: readonly SentEntry[]) => {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "c"], clock, { settings });
    deliver(a, "c", memberDelta("b", incarnation, entries), clock);
    return a.view.versionOf("b")?.number;
  };
  const keys = [1, 2, 3, 4].map((number) => entry(`k${number}`, number, 1));
  assertEquals(heldOf({ maxKeysPerMember: 2 }, keys), 3);
  const most = 1.5 * 16_384 - 2 * storedBytes(entry("k1", 1, "")) - 3;
  const large = (length: number) => [entry("k1", 1, "x".repeat(length)), entry("k2", 2, "xxx")];
  assertEquals(heldOf({ maxStateBytes: 16_384 }, large(most)), 2);
  assertEquals(heldOf({ maxStateBytes: 16_384 }, large(most + 1)), 1);
  // Not even the first entry fits.
  assertEquals(heldOf({ maxStateBytes: 16_384 }, large(2 * most)), undefined);
});

Deno.test("merge: measures a reset by the state after it, and refuses all of a reset that would be too large (E7)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { maxKeysPerMember: 2 } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const keys = (...numbers: number[]) => numbers.map((number) => entry(`k${number}`, number, 1));
  deliver(a, "c", memberDelta("b", incarnation, keys(1, 2, 3)), clock);
  // In place of k1 and k2, and then in place of one of them alone.
  assertEquals(
    deliver(a, "c", memberDelta("b", incarnation, keys(3, 4, 5), { reset: true }), clock),
    new Map(),
  );
  assertEquals(a.view.entriesOf("b").map(({ key }) => key), ["k3", "k4", "k5"]);
  const tooMany = memberDelta("b", incarnation, keys(4, 5, 6, 7), { reset: true });
  assertEquals(deliver(a, "c", tooMany, clock), new Map([["b", { incarnation, number: 5 }]]));
  assertEquals(a.view.entriesOf("b").map(({ key }) => key), ["k3", "k4", "k5"]);
});

Deno.test("merge: old entries of a delta take no room from the newer entries (E7)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { maxKeysPerMember: 2 } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const keys = [entry("k2", 2, 1), entry("k3", 3, 1), entry("k4", 4, 1)];
  deliver(a, "c", memberDelta("b", incarnation, keys), clock);
  deliver(a, "c", memberDelta("b", incarnation, [entry("k1", 1, 1), entry("k4", 5, 2)]), clock);
  assertEquals([valueOf(a, "b", "k4"), eventsOf(a).of("ConflictDetected")], [2, []]);
});

Deno.test("merge: cuts a delta that begins below the version where it exceeds a limit (E7)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { maxKeysPerMember: 2 } });
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  deliver(a, "c", memberDelta("b", incarnation, [entry("k1", 1, 1), entry("k2", 2, 1)]), clock);
  const more = [entry("k2", 2, 1), entry("k1", 3, 2), entry("k3", 4, 1), entry("k4", 5, 1)];
  deliver(a, "c", memberDelta("b", incarnation, more), clock);
  assertEquals([a.view.versionOf("b")?.number, valueOf(a, "b", "k1"), valueOf(a, "b", "k4")], [
    4,
    2,
    undefined,
  ]);
});
