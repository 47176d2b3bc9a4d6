import { assertEquals } from "../../../deps/std_assert.ts";
import type { DiscoveryContext, Member } from "../../../contracts/cluster.ts";
import { EventStream } from "../../../contracts/event_stream.ts";
import { Writer } from "../../../discovery/memory/writer.ts";
import { VirtualRuntime } from "../../../testing/virtual_runtime.ts";
import { memberOf } from "../context.ts";

const SELF = memberOf("self");
const INTERVAL_MS = 5_000;
const LONGEST_MS = 100_000;

/** A writer on a virtual clock, and its writes. */
function running(options: { readonly write?: () => Promise<void> } = {}) {
  const runtime = new VirtualRuntime();
  const eventStream = new EventStream();
  const ending = new AbortController();
  const active = new Set<string>();
  const writes: (readonly [atMs: number, ids: string])[] = [];
  // A writer uses these parts alone.
  const context = {
    self: SELF,
    runtime,
    eventStream,
    activeIds: () => active,
  } as unknown as DiscoveryContext;
  const writer = new Writer(context, {
    source: "the memory",
    interval: INTERVAL_MS,
    longestInterval: LONGEST_MS,
    write: (members) => {
      writes.push([runtime.monotonicMs(), members.map(({ id }) => id).join()]);
      return options.write?.() ?? Promise.resolve();
    },
  });
  const failures: string[] = [];
  void (async () => {
    for await (const { error } of eventStream.subscribe("DiscoveryFailed")) failures.push(`${error}`);
  })();
  const following = writer.follow(ending.signal);
  return {
    runtime,
    active,
    writes,
    failures,
    publish: (...members: readonly Member[]) => {
      for (const { id } of members) active.add(id);
      eventStream.publish({ type: "ClusterTopology", members, blocked: [] });
    },
    join: (id: string) => {
      active.add(id);
      eventStream.publish({ type: "MemberJoined", memberId: id });
    },
    async stop() {
      ending.abort();
      await following;
      eventStream.close();
    },
  };
}

Deno.test("memory writer: gathers changes for a second, then writes at most once in each interval", async () => {
  const { runtime, writes, publish, stop } = running();
  publish(SELF);
  await runtime.advance(400);
  publish(SELF, memberOf("a"));
  await runtime.advance(599);
  assertEquals(writes, []);
  await runtime.advance(1);
  assertEquals(writes, [[1_000, "a"]]);
  for (const id of ["b", "c", "d"]) {
    publish(SELF, memberOf(id));
    await runtime.advance(1_500);
  }
  assertEquals(writes, [[1_000, "a"]]);
  await runtime.advance(500);
  assertEquals(writes, [[1_000, "a"], [1_000 + INTERVAL_MS, "d"]]);
  await stop();
});

Deno.test("memory writer: writes active members alone, and writes again when a member of the topology becomes active", async () => {
  const { runtime, active, writes, publish, join, stop } = running();
  publish(SELF, memberOf("a"), memberOf("b"));
  active.delete("b");
  await runtime.advance(1_000);
  join("b");
  await runtime.advance(INTERVAL_MS);
  assertEquals(writes.map(([, ids]) => ids), ["a", "a,b"]);
  await stop();
});

Deno.test("memory writer: writes without a change after the longest interval", async () => {
  const { runtime, writes, publish, stop } = running();
  publish(SELF);
  await runtime.advance(1_000 + 2 * LONGEST_MS);
  assertEquals(writes.map(([atMs]) => atMs), [1_000, 1_000 + LONGEST_MS, 1_000 + 2 * LONGEST_MS]);
  await stop();
});

Deno.test("memory writer: a failure emits one event, and the write is tried again after a minute, whatever changes meanwhile", async () => {
  let isFull = true;
  const { runtime, writes, failures, publish, stop } = running({
    write: () => isFull ? Promise.reject(new Error("The disk is full.")) : Promise.resolve(),
  });
  publish(SELF);
  await runtime.advance(1_000);
  publish(SELF, memberOf("a"));
  await runtime.advance(119_999);
  assertEquals(writes.map(([atMs]) => atMs), [1_000, 61_000]);
  isFull = false;
  await runtime.advance(1);
  assertEquals(writes.length, 3);
  assertEquals(failures, ["Error: The disk is full."]);
  isFull = true;
  publish(SELF, memberOf("b"));
  await runtime.advance(INTERVAL_MS);
  assertEquals(failures.length, 2);
  await stop();
});

Deno.test("memory writer: writes the last change at the end, and leaves no timer", async () => {
  const { runtime, writes, publish, stop } = running();
  publish(SELF, memberOf("a"));
  await runtime.advance(1_100);
  publish(SELF, memberOf("a"), memberOf("b"));
  await runtime.settle();
  await stop();
  assertEquals(writes.map(([, ids]) => ids), ["a", "a,b"]);
  assertEquals(runtime.timers, 0);
});

Deno.test("memory writer: a disk that hangs delays the end by at most a second", async () => {
  const disk = Promise.withResolvers<void>();
  const { runtime, publish, stop } = running({ write: () => disk.promise });
  publish(SELF);
  await runtime.advance(1_000);
  let hasEnded = false;
  const ending = stop().then(() => hasEnded = true);
  await runtime.advance(999);
  assertEquals(hasEnded, false);
  await runtime.advance(1);
  assertEquals(hasEnded, true);
  disk.resolve();
  await ending;
});
