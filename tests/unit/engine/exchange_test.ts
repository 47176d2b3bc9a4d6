import { assertEquals } from "../../../deps/std_assert.ts";
import { makeLife } from "../../../engine/life.ts";
import { entry, makePair, memberDelta, note, tell, TestClock } from "./harness.ts";

Deno.test("Exchange.noteReceived: what a peer told does not go back to it, though only a part found room (E4, E7)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { settings: { maxKeysPerMember: 2 } });
  note(a, a.setTopology({ members: ["a", "b", "c"], blocked: [] }, clock.now));
  const entries = [1, 2, 3, 4, 5, 6].map((number) => entry(`k${number}`, number, 1));
  const holds = tell(a, "b", memberDelta("c", makeLife(clock.wallMs, 0.5), entries), clock);
  assertEquals(holds.get("c")?.number, a.holdOf("c")?.number);
  assertEquals(a.disseminate("b").delta.members.map(({ id }) => id), []);
});
