import { assertEquals } from "../../../deps/std_assert.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes, storedBytes } from "../../../engine/state/size.ts";
import { entry, makeCluster, memberDelta, tell, TestClock } from "../harness.ts";

/** Two entries that count for so many bytes together where they are held. */
function entriesOf(bytes: number) {
  const first = entry("a", 1, "x");
  const rest = bytes - storedBytes(first) - storedBytes(entry("b", 2, ""));
  return [first, entry("b", 2, "x".repeat(rest))];
}

Deno.test("merge: takes half as much again of a new member as its owner may set, to the last byte (E7)", () => {
  for (const [bytes, taken] of [[300, 2], [301, 1]] as const) {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "x"], clock, { settings: { maxStateBytes: 200 } });
    tell(a, "b", memberDelta("x", makeIncarnation(clock.wallMs, 0.5), entriesOf(bytes)), clock);
    assertEquals(a.view.versionOf("x")?.number, taken);
  }
});

Deno.test("merge: takes half as many keys again of a new member as its owner may set (E7)", () => {
  for (const [count, taken] of [[3, 3], [4, 3]] as const) {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "x"], clock, { settings: { maxKeysPerMember: 2 } });
    const entries = Array.from({ length: count }, (_, index) => entry(`k${index}`, index + 1, 1));
    tell(a, "b", memberDelta("x", makeIncarnation(clock.wallMs, 0.5), entries), clock);
    assertEquals(a.view.versionOf("x")?.number, taken);
  }
});

Deno.test("merge: takes a signed state that fits beside another one into a message, to the last byte (E7)", () => {
  const told = entry("k", 1, "value");
  const fits = 2 * ENVELOPE_BYTES + memberBytes("x") + entryBytes(told);
  for (const [maxMessageBytes, taken] of [[fits, 1], [fits - 1, undefined]] as const) {
    const clock = new TestClock();
    const [a] = makeCluster(["a", "b", "x"], clock, { signs: true, settings: { maxMessageBytes } });
    tell(
      a,
      "b",
      { ...memberDelta("x", makeIncarnation(clock.wallMs, 0.5), [told]), signature: "proof" },
      clock,
    );
    assertEquals(a.view.versionOf("x")?.number, taken);
  }
});
