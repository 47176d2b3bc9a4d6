import { assertEquals } from "../../../deps/std_assert.ts";
import { heartbeatEntry } from "../../../engine/liveness/heartbeat_entry.ts";
import { MemberState } from "../../../engine/state/member_state.ts";
import { HEARTBEAT_KEY, TYPE } from "../../../engine/types.ts";
import { heartbeat } from "../harness.ts";

Deno.test("heartbeatEntry: has the count, its time, and the statistics as value and as text (L1)", () => {
  const state = new MemberState("m", "018bcfe56800-80000000");
  Object.assign(state, { heartbeatCount: 7, heartbeatWallMs: 99 });
  const bare = {
    key: HEARTBEAT_KEY,
    number: 7,
    type: TYPE.heartbeat,
    value: {},
    json: "{}",
    timestampMs: 99,
  };
  assertEquals(heartbeatEntry(state), bare);
  const value = { actorStatistics: { actorCount: { a: 1 } } };
  const json = JSON.stringify(value);
  state.put({ ...heartbeat(1), value, json, timestampMs: 5 }, 1);
  assertEquals(heartbeatEntry(state), { ...bare, value, json });
});
