import { assertEquals } from "../../deps/std_assert.ts";
import { phaseOf } from "../../gossiper/views.ts";
import { makeEngine, note, silence, TestClock } from "../engine/harness.ts";

Deno.test("phaseOf: a silenced member is diffusing, even if its engine agrees with all (E1)", () => {
  const clock = new TestClock();
  const engine = makeEngine("a", clock, { signs: true });
  note(engine, engine.setTopology({ members: ["a"], blocked: [] }, clock.now));
  assertEquals(phaseOf(engine), "confirmed");
  silence(engine, clock);
  assertEquals([engine.isFenced, engine.phase, phaseOf(engine)], [true, "confirmed", "diffusing"]);
});
