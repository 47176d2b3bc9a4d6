import { assertEquals, assertLess, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { KEPT_ITEMS } from "../../common/conflating_queue.ts";
import type { GossipUpdate } from "../../engine/events.ts";
import { HEARTBEAT_KEY, TOPOLOGY_KEY } from "../../engine/types.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { TestCluster } from "../requirements/harness.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 2_000 };

/** Two members that know each other. */
async function pair(): Promise<TestCluster> {
  const cluster = await TestCluster.started(["a", "b"], {
    config: CONFIG,
    actorStatistics: () => ({ cart: 1 }),
  });
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

/** Member, key and value of an update; `undefined` as value of a deletion. */
function shortOf({ memberId, key, value }: GossipUpdate) {
  return [memberId, key, value];
}

Deno.test("keys: lists the keys of all members once, sorted, without deleted keys and the gossiper's keys", async () => {
  await using cluster = await pair();
  const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
  assertEquals(a.keys(), []);
  for (const key of ["load", "job/2", "gone"]) a.setState(key, 1);
  for (const key of ["load", "job/1"]) b.setState(key, 1);
  a.deleteState("gone");
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const gossiper of [a, b]) assertEquals(gossiper.keys(), ["job/1", "job/2", "load"]);
  // The gossiper's own keys are there, but are not listed.
  assertEquals([a.getState(HEARTBEAT_KEY).size, a.getState(TOPOLOGY_KEY).size], [2, 2]);
});

Deno.test("getAll: has the values of one member by key, without the gossiper's keys, and no values of an unknown member", async () => {
  await using cluster = await pair();
  const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
  b.setState("load", { cpu: 0.5 });
  b.setState("job/1", "done");
  a.setState("load", { cpu: 0.1 });
  await cluster.runUntil(() => cluster.isConfirmed());
  const all = a.getAll("b");
  assertEquals([...all.keys()].sort(), ["job/1", "load"]);
  assertEquals(all.get("load"), a.getState("load").get("b"));
  b.deleteState("load");
  await cluster.runUntil(() => a.getState("load").size === 1);
  assertEquals([[...all.keys()].length, [...a.getAll("b").keys()]], [2, ["job/1"]]);
  assertEquals(a.getAll("nowhere").size, 0);
});

Deno.test("watch: with a prefix emits the present values of all keys that begin with it, then changes and deletions", async () => {
  await using cluster = await pair();
  const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
  b.setState("job/1", "waits");
  b.setState("jobs", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  const over = new AbortController();
  const updates: unknown[] = [];
  const watching = (async () => {
    for await (const update of a.watch({ prefix: "job/", signal: over.signal })) {
      updates.push(shortOf(update));
    }
  })();
  b.setState("job/2", "runs");
  a.setState("job/1", "waits too");
  await cluster.runUntil(() => updates.length === 3);
  b.deleteState("job/1");
  b.setState("load", 1);
  await cluster.runUntil(() => a.getState("load").size === 1);
  over.abort();
  await watching;
  assertEquals(updates, [
    ["b", "job/1", "waits"],
    ["a", "job/1", "waits too"],
    ["b", "job/2", "runs"],
    ["b", "job/1", undefined],
  ]);
});

Deno.test("watch: with the empty prefix emits all keys except the gossiper's keys, and no heartbeats", async () => {
  await using cluster = await pair();
  const { gossiper } = cluster.of("a");
  const over = new AbortController();
  const watching = Array.fromAsync(gossiper.watch({ prefix: "" }, over));
  // Heartbeats are published, because another watch asks for them.
  const heartbeats = gossiper.watch(HEARTBEAT_KEY).getReader();
  const reading = (async () => {
    for (let read = await heartbeats.read(); !read.done; read = await heartbeats.read());
  })();
  gossiper.setState("k", 1);
  await cluster.advance(1_000);
  gossiper.deleteState("k");
  await cluster.runtime.settle();
  await heartbeats.cancel();
  await reading;
  over.abort();
  // The unread updates are dropped by the abort: none but those of "k" had been read.
  assertEquals((await watching).map(shortOf), [["a", "k", 1], ["a", "k", undefined]]);
});

Deno.test("watch: with a prefix that is a key of the gossiper emits nothing", async () => {
  await using cluster = await pair();
  const { gossiper } = cluster.of("a");
  const reader = gossiper.watch({ prefix: HEARTBEAT_KEY }).getReader();
  const heartbeats = gossiper.watch(HEARTBEAT_KEY).getReader();
  let update: unknown;
  const reading = reader.read().then((read) => update = read);
  await cluster.advance(1_000);
  assertEquals(update, undefined);
  await Promise.all([reader.cancel(), heartbeats.cancel(), reading]);
});

Deno.test("watch: a slow reader of a prefix gets the latest value of every key, and few updates of keys that came and went", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  const reader = gossiper.watch({ prefix: "job/" }).getReader();
  gossiper.setState("job/kept", "first");
  gossiper.setState("job/set once", "early");
  for (let job = 0; job < 4 * KEPT_ITEMS; job++) {
    gossiper.setState(`job/${job}`, job);
    gossiper.deleteState(`job/${job}`);
  }
  gossiper.setState("job/kept", "last");
  await gossiper[Symbol.asyncDispose]();
  const latest = new Map<string, unknown>();
  let count = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read(), count++) {
    latest.set(read.value.key, read.value.value);
  }
  assertEquals([latest.get("job/kept"), latest.get("job/set once")], ["last", "early"]);
  assertLess(count, 2 * KEPT_ITEMS);
});

Deno.test("watch: with a prefix ends when the member leaves, and its stream drops the unread updates", async () => {
  await using cluster = await pair();
  const { gossiper } = cluster.of("a");
  const reader = gossiper.watch({ prefix: "" }).getReader();
  gossiper.setState("k", 1);
  gossiper.setState("l", 1);
  assertEquals((await reader.read()).value?.key, "k");
  await cluster.stop("a");
  assertEquals((await reader.read()).done, true);
});

Deno.test("keys: a key has at most 1,024 bytes of UTF-8 (R4.2)", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  const longest = "é".repeat(512);
  gossiper.setState(longest, 1);
  assertEquals(gossiper.getState(longest).size, 1);
  assertEquals(assertThrows(() => gossiper.setState(`${longest}x`, 1), HearsayError).code, "invalid_key");
});

Deno.test("watch: refuses a prefix that no key can have, and an option that it does not know", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  for (const prefix of [undefined, null, 5, "\ud800", "x".repeat(1_025)]) {
    const given = { prefix } as { readonly prefix: string };
    assertEquals(assertThrows(() => gossiper.watch(given), HearsayError).code, "invalid_key", `${prefix}`);
  }
  const { signal } = new AbortController();
  for (const given of [{ prefix: "a", signals: signal }, { prefix: "a", signal: 5 }]) {
    assertThrows(() => gossiper.watch(given as never), ConfigurationError);
  }
  assertThrows(() => gossiper.watch({ prefix: "a" }, signal as never), ConfigurationError, "{ signal }");
});

Deno.test("watch: with a prefix ends when the signal beside the prefix, or the signal of the options, is aborted", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  gossiper.setState("k", 1);
  const signal = AbortSignal.abort();
  assertEquals(await Array.fromAsync(gossiper.watch({ prefix: "k", signal })), []);
  assertEquals(await Array.fromAsync(gossiper.watch({ prefix: "k" }, { signal })), []);
});
