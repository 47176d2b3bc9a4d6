import { assertThrows } from "../../../deps/std_assert.ts";
import {
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  MEMBER_KEY,
  SIGNING_KEY,
  TOPOLOGY_KEY,
} from "../../../engine/types.ts";
import { makeEngine, set, TestClock } from "./harness.ts";

Deno.test("Engine.set: what a member tells of itself is set where the user's state is at its limit (E7)", () => {
  for (const key of [HEARTBEAT_KEY, TOPOLOGY_KEY, GRACEFULLY_LEFT_KEY, MEMBER_KEY, SIGNING_KEY]) {
    const clock = new TestClock();
    const engine = makeEngine("a", clock, { settings: { maxKeysPerMember: 2 } });
    assertThrows(() => ["k", "l", "m"].forEach((each) => set(engine, each, 1, clock)));
    set(engine, key, {}, clock);
    assertThrows(() => set(engine, "n", 1, clock));
  }
});
