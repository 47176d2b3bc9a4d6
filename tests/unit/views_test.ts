import { assertEquals } from "../../deps/std_assert.ts";
import { makeLife } from "../../engine/life.ts";
import { phaseOf } from "../../gossiper/views.ts";
import { makeEngine, note, TestClock } from "./engine/harness.ts";

Deno.test("phaseOf: a silenced member is diffusing also while its engine agrees with all (E1)", () => {
  const clock = new TestClock();
  const engine = makeEngine("a", clock);
  note(engine, engine.setTopology({ members: ["a"], blocked: [] }, clock.now));
  assertEquals(phaseOf(engine), "confirmed");
  const { id, digest, active } = engine;
  for (const hours of [1, 2, 3]) {
    const life = makeLife(clock.wallMs + hours * 3_600_000, 0.5);
    note(engine, engine.greeted({ id, life, digest, active }, clock.now));
  }
  assertEquals([engine.silenced, engine.phase, phaseOf(engine)], [true, "confirmed", "diffusing"]);
});
