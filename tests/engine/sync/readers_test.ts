import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import type { MemberDelta } from "../../../engine/types.ts";
import { deliver, entry, fence, handshake, makeCluster, memberDelta, set, TestClock } from "../harness.ts";

/** Begins the record of a reader `r`. */
function begin(engine: Engine, clock: TestClock): void {
  engine.beginReader("r", { incarnation: makeIncarnation(clock.wallMs, 0.1), maxMessageBytes: 1_048_576 });
}

/** The id of a delta and its values. */
function valuesOf({ id, entries }: MemberDelta) {
  return [id, ...entries.map(({ value }) => value)];
}

Deno.test("readers: receive all state once, and changes by pushes", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a"], clock);
  begin(a, clock);
  set(a, "k", 1, clock);
  const read = () => a.disseminateToReader("r", { hasVector: false }).delta;
  assertEquals(read().members.map(valuesOf), [["a", 1]]);
  assertEquals(read().members, []);
  set(a, "k", 2, clock);
  assertEquals(a.pushToReader("r", ["a"]).members.map(valuesOf), [["a", 2]]);
  assertEquals(a.pushToReader("r", ["a"]).members, []);
});

Deno.test("readers: receive nothing from a fenced member (E1)", () => {
  const clock = new TestClock();
  const [n, b] = makeCluster(["n", "b", "x"], clock, { signs: true });
  handshake(n, b!, clock);
  begin(n, clock);
  const incarnation = makeIncarnation(clock.wallMs, 0.5);
  const change = (number: number) => {
    const delta = memberDelta("x", incarnation, [entry("k", number, number)], { after: number - 1 });
    deliver(n, "b", { ...delta, signature: `over ${number}` }, clock);
  };
  change(1);
  assertEquals(n.pushToReader("r", ["x"]).members.map(valuesOf), [["x", 1]]);
  change(2);
  fence(n, clock);
  assertEquals(n.pushToReader("r", ["x"]).members, []);
  assertEquals(n.disseminateToReader("r", { hasVector: false }).delta.members, []);
});
