/**
 * Members that an engine met, or knows by hearsay.
 *
 * @module
 */

import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import type { JsonValue } from "../../../engine/types.ts";
import { deliver, entry, makeEngine, memberDelta, note, type SETTINGS, type TestClock } from "../harness.ts";
import { INCARNATION } from "../incarnations.ts";

/** An engine whose members find each other by greeting, as with seeds, and that knows itself alone. */
export function stranger(id: string, clock: TestClock, settings: Partial<typeof SETTINGS> = {}): Engine {
  const engine = makeEngine(id, clock, { settings, openMembership: true });
  note(engine, engine.setTopology({ members: [id], blocked: [] }, clock.now));
  return engine;
}

/** Open membership: every member with state is in the topology from now on. */
export function follow(engine: Engine, clock: TestClock): void {
  note(
    engine,
    engine.setTopology({ members: [engine.view.id, ...engine.view.memberIds()], blocked: [] }, clock.now),
  );
}

/** A member shakes hands with an engine, and sends its state. */
export function meet(engine: Engine, id: string, value: JsonValue, clock: TestClock): void {
  const { refusal } = note(
    engine,
    engine.applyHello(
      { id, incarnation: INCARNATION, digest: "0".repeat(16), active: "0".repeat(16) },
      clock.now,
    ),
  );
  assertEquals(refusal, undefined);
  deliver(engine, id, memberDelta(id, INCARNATION, [entry("k", 1, value)]), clock);
}

/** A peer sends state of a member that it alone met, or invented. */
export function hearsay(engine: Engine, id: string, value: JsonValue, clock: TestClock, number = 1) {
  return deliver(
    engine,
    "relay",
    { ...memberDelta(id, INCARNATION, [entry("k", number, value)]), count: 1 },
    clock,
  );
}

/** The ids of the other members with stored state, sorted. */
export function idsOf(engine: Engine): string[] {
  return [...engine.view.memberIds()].filter((id) => id !== engine.view.id).sort();
}
