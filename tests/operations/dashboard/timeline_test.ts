import { assertEquals } from "../../../deps/std_assert.ts";
import { EventStream } from "../../../contracts/event_stream.ts";
import { MAX_EVENTS, MAX_PHASES, Timeline } from "../../../operations/dashboard/timeline.ts";
import { VirtualRuntime } from "../../../testing/virtual_runtime.ts";

function made() {
  const runtime = new VirtualRuntime();
  const events = new EventStream();
  const ending = new AbortController();
  const timeline = new Timeline(events, { runtime, phase: "diffusing", signal: ending.signal });
  return { runtime, events, ending, timeline };
}

Deno.test("timeline: keeps the latest events and phases, up to a limit", async () => {
  const { runtime, events, ending, timeline } = made();
  for (let index = 0; index < MAX_EVENTS + 20; index++) {
    events.publish({ type: "MemberJoined", memberId: `m${index}` });
    if (index % 4 === 0) events.publish({ type: "PhaseChanged", from: "diffusing", to: "confirmed" });
    await runtime.settle();
  }
  assertEquals([timeline.events.length, timeline.phases.length], [MAX_EVENTS, MAX_PHASES]);
  assertEquals([timeline.events[0]!.id, timeline.events.at(-1)!.id], ["m20", "m519"]);
  ending.abort();
});

Deno.test("timeline: has the reason, the time and a printable id", async () => {
  const { runtime, events, ending, timeline } = made();
  await runtime.advance(500);
  events.publish({ type: "MemberFailed", memberId: "x\u202e", reason: "crashed" });
  events.publish({ type: "SelfBlocked", reason: "topology" });
  await runtime.settle();
  const atMs = timeline.sinceMs + 500;
  assertEquals(timeline.events, [
    { number: 1, atMs, type: "MemberFailed", id: "x\\u202e", reason: "crashed" },
    { number: 2, atMs, type: "SelfBlocked", reason: "topology" },
  ]);
  ending.abort();
});

Deno.test("timeline: ends with the signal", async () => {
  const { runtime, events, ending, timeline } = made();
  ending.abort();
  await runtime.settle();
  assertEquals(events.isSubscribed("MemberJoined"), false);
  assertEquals(timeline.events, []);
});
