import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import {
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  MEMBER_KEY,
  SIGNING_KEY,
  TOPOLOGY_KEY,
} from "../../engine/types.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes, storedBytes } from "../../engine/state/size.ts";
import { entry, eventsOf, makeEngine, makePair, set, settle, TestClock } from "./harness.ts";

Deno.test("Engine.set: sets a reserved key although the state is at its limit (E7)", () => {
  for (const key of [HEARTBEAT_KEY, TOPOLOGY_KEY, GRACEFULLY_LEFT_KEY, MEMBER_KEY, SIGNING_KEY]) {
    const clock = new TestClock();
    const engine = makeEngine("a", clock, { settings: { maxKeysPerMember: 2 } });
    assertThrows(() => ["k", "l", "m"].forEach((each) => set(engine, each, 1, clock)));
    set(engine, key, {}, clock);
    assertThrows(() => set(engine, "n", 1, clock));
  }
});

Deno.test("Engine.set: accepts a value up to the last byte and the last key of each limit, and refuses a larger value (E7)", () => {
  const added = entry("k", 1, "value");
  const share = 2 * (ENVELOPE_BYTES + memberBytes("a") + entryBytes(added));
  const cases = [
    [{ maxStateBytes: storedBytes(added) }, { maxStateBytes: storedBytes(added) - 1 }, "maxStateBytes"],
    [{ maxKeysPerMember: 1 }, { maxKeysPerMember: 0 }, "maxKeysPerMember"],
    [{ maxMessageBytes: share }, { maxMessageBytes: share - 2 }, "half of maxMessageBytes"],
  ] as const;
  for (const [within, beyond, text] of cases) {
    const clock = new TestClock();
    set(makeEngine("a", clock, { settings: within }), "k", "value", clock);
    const engine = makeEngine("a", clock, { settings: beyond });
    assertThrows(() => set(engine, "k", "value", clock), RangeError, text);
    assertEquals(engine.view.get("a", "k"), undefined);
  }
});

Deno.test("Engine: each phase event names the phase before it, and the last confirmation has the digest (R3.5)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "k", 1, clock);
  settle([a, b], { clock });
  const phases = eventsOf(a).of("PhaseChanged");
  assertEquals(phases.at(-1)?.to, "confirmed");
  assertEquals(phases.slice(1).map(({ from }) => from), phases.slice(0, -1).map(({ to }) => to));
  assertEquals(eventsOf(a).of("Confirmed").at(-1)?.digest, a.view.digest);
});
