import { assertEquals } from "../../deps/std_assert.ts";
import { phaseOf } from "../../gossiper/views.ts";
import { fence, makeEngine, note, TestClock } from "../engine/harness.ts";

Deno.test("phaseOf: a fenced member is diffusing, even if its engine agrees with all (E1)", () => {
  const clock = new TestClock();
  const engine = makeEngine("a", clock, { signs: true });
  note(engine, engine.setTopology({ members: ["a"], blocked: [] }, clock.now));
  assertEquals(phaseOf(engine.view), "confirmed");
  fence(engine, clock);
  assertEquals([engine.view.isFenced, engine.view.phase, phaseOf(engine.view)], [
    true,
    "confirmed",
    "diffusing",
  ]);
});
