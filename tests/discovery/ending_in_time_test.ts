import { assertEquals } from "../../deps/std_assert.ts";
import type { Discovery, DiscoveryContext } from "../../contracts/cluster.ts";
import type { EventOf } from "../../contracts/event_stream.ts";
import { endingInTime, ENDS_WITHIN_MS } from "../../discovery/ending_in_time.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { join } from "../../mod.ts";

/** Runs a source until its signal is aborted; returns what happened by then, and the events. */
async function ended(run: Discovery["run"]) {
  const runtime = new VirtualRuntime();
  const events: EventOf<"DiscoveryFailed">[] = [];
  const eventStream = { publish: (event: EventOf<"DiscoveryFailed">) => void events.push(event) };
  const context = { runtime, eventStream } as unknown as DiscoveryContext;
  const ending = new AbortController();
  let outcome = "runs";
  const running = endingInTime({ openMembership: true, run }).run(context, ending).then(
    () => outcome = "ended",
    (error) => outcome = `rejected: ${error.message}`,
  );
  await runtime.advance(60_000);
  const before = outcome;
  ending.abort();
  await runtime.advance(ENDS_WITHIN_MS - 1);
  const soon = outcome;
  await runtime.advance(1);
  await running;
  return { before, soon, outcome, events, timers: runtime.timers };
}

Deno.test("endingInTime: a source that does not end is abandoned after two seconds, with an event", async () => {
  const { events, ...rest } = await ended(() => new Promise(() => {}));
  assertEquals(rest, { before: "runs", soon: "runs", outcome: "ended", timers: 0 });
  assertEquals(events.map(({ error }) => (error as Error).message), [
    "The discovery must end when its signal is aborted; it did not within 2000 ms. This member leaves without it.",
  ]);
});

Deno.test("endingInTime: a source that ends, or fails, is not changed", async () => {
  const end = (_: DiscoveryContext, { signal }: { signal: AbortSignal }) =>
    new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  assertEquals(await ended(end), { before: "runs", soon: "ended", outcome: "ended", events: [], timers: 0 });
  const failed = "rejected: no";
  assertEquals(await ended(() => Promise.reject(new Error("no"))), {
    before: failed,
    soon: failed,
    outcome: failed,
    events: [],
    timers: 0,
  });
});

Deno.test("endingInTime: a member of join leaves although its discovery hangs", async () => {
  const discovery: Discovery = { openMembership: true, run: () => new Promise(() => {}) };
  const node = await join({ cluster: "orders", listen: { port: 0 }, discovery });
  assertEquals((await node.stop()).flushed, true);
});
