import { assert, assertEquals, assertRejects } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "./harness.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 300, heartbeatExpiration: 2_000 };
const IDS = ["a", "b", "c", "d", "e"];

async function confirmed(ids = IDS, config = {}): Promise<TestCluster> {
  const cluster = await TestCluster.started(ids, { config: { ...CONFIG, ...config } });
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

Deno.test("stop: waits for the request under way, and its answer still counts (R9.1)", async () => {
  // Without pushes, so that the reply has something to acknowledge.
  await using cluster = await confirmed(["a", "b"], { spread: "interval" });
  cluster.network.setFaults({ delayMs: 60 });
  const before = cluster.sentBy("a", "gossip").length;
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("k", id);
  await cluster.runUntil(() => cluster.sentBy("a", "gossip").length > before);
  const underWay = cluster.sentBy("a", "gossip").at(-1)!;
  const stopping = cluster.of("a").gossiper.stop();
  await cluster.finish(stopping);
  const id = JSON.parse(underWay.text).id;
  const acknowledged = cluster.sentBy("a", "ack").filter(({ text }) => JSON.parse(text).id === id);
  assertEquals(acknowledged.length, 1);
});

Deno.test("stop: ends within its bound if a peer never answers (R9.1)", async () => {
  await using cluster = await confirmed(["a", "b"]);
  cluster.network.setFaults({ hang: true }, { to: memoryAddress("b", 1) });
  await cluster.advance(150);
  const fromMs = cluster.runtime.monotonicMs();
  const result = await cluster.stop("a");
  assertEquals(result, { acknowledgedBy: 0, wanted: 1, flushed: false });
  const tookMs = cluster.runtime.monotonicMs() - fromMs;
  assert(tookMs <= 3 * CONFIG.gossipRequestTimeout, `${tookMs} ms`);
  cluster.network.heal();
});

for (const gossipFanOut of [1, 3, 9]) {
  const wanted = Math.min(gossipFanOut, IDS.length - 1);
  Deno.test(`stop: resolves when ${wanted} of 4 peers have acknowledged the departure with a fan-out of ${gossipFanOut} (R9.2)`, async () => {
    await using cluster = await confirmed(IDS, { gossipFanOut });
    const result = await cluster.stop("e");
    const knowing = IDS.slice(0, 4).filter((id) => cluster.of(id).blocked.e === "left");
    assertEquals([result.wanted, result.flushed], [wanted, true]);
    assert(result.acknowledgedBy >= wanted);
    assert(knowing.length >= wanted, `${knowing}`);
    await cluster.runUntil(() => IDS.slice(0, 4).every((id) => cluster.of(id).blocked.e === "left"));
  });
}

Deno.test("stop: sends the departure to another peer if a peer cannot be reached (R9.2)", async () => {
  await using cluster = await confirmed(IDS, { gossipFanOut: 2 });
  for (const id of ["a", "b"]) cluster.network.cut(memoryAddress("e", 1), memoryAddress(id, 1));
  const result = await cluster.stop("e");
  assertEquals(result, { acknowledgedBy: 2, wanted: 2, flushed: true });
  assertEquals(["c", "d"].map((id) => cluster.of(id).blocked.e), ["left", "left"]);
  cluster.network.heal();
});

Deno.test("stop: members that all leave at once receive each other's departure, and no member waits for its bound (R9.2)", async () => {
  await using cluster = await confirmed();
  const fromMs = cluster.runtime.monotonicMs();
  const results = await cluster.finish(Promise.all(IDS.map((id) => cluster.of(id).gossiper.stop())));
  assertEquals(results.map(({ flushed }) => flushed), IDS.map(() => true));
  const tookMs = cluster.runtime.monotonicMs() - fromMs;
  assert(tookMs < CONFIG.gossipRequestTimeout, `${tookMs} ms`);
});

Deno.test("stop: a peer that received the departure from another member counts, and its own answer changes nothing (R9.2)", async () => {
  await using cluster = await confirmed(IDS, { gossipFanOut: 4 });
  // The link from e to b is so slow that b receives the departure from another member, and refuses e.
  cluster.network.setFaults({ delayMs: 180 }, { from: memoryAddress("e", 1), to: memoryAddress("b", 1) });
  await cluster.advance(450);
  const result = await cluster.stop("e");
  assertEquals(result, { acknowledgedBy: 4, wanted: 4, flushed: true });
  const refusals = cluster.sentBy("b", "error", { to: "e" }).map(({ text }) => JSON.parse(text).reason);
  assertEquals(new Set(refusals), new Set(["left"]));
  assertEquals(cluster.of("e").emitted("SelfBlocked"), []);
});

Deno.test("stop: a member without peers leaves at once (R9.2)", async () => {
  await using cluster = await TestCluster.started(["a"], { config: CONFIG });
  assertEquals(await cluster.stop("a"), { acknowledgedBy: 0, wanted: 0, flushed: true });
  assertEquals(cluster.runtime.monotonicMs(), 0);
});

Deno.test('stop: a member that leaves refuses gossip at once with the code "stopped" (R9.3)', async () => {
  await using cluster = await confirmed(["a", "b", "c"]);
  // Its own messages are lost, so that it waits for its whole bound; those of others arrive.
  cluster.network.setFaults({ loss: 1 }, { from: memoryAddress("a", 1) });
  await cluster.advance(50);
  const stopping = cluster.of("a").gossiper.stop();
  // Heartbeats have no answer: only a change causes a request.
  for (const id of ["b", "c"]) cluster.of(id).gossiper.setState("k", id);
  await cluster.advance(250);
  const refusals = cluster.sentBy("a", "error").map(({ text }) => JSON.parse(text).code);
  assert(refusals.length > 0);
  assertEquals(new Set(refusals), new Set(["stopped"]));
  await cluster.finish(stopping);
  cluster.network.heal();
});

Deno.test("stop: after the stop no entry of a peer is merged, and the gossiper refuses calls of its user (R9.3)", async () => {
  await using cluster = await confirmed(["a", "b"]);
  await cluster.stop("a");
  const { gossiper } = cluster.of("a");
  cluster.of("b").gossiper.setState("k", 1);
  await cluster.advance(2_000);
  assertEquals(cluster.of("a").values("k"), {});
  const error = await assertRejects(() => gossiper.start(), HearsayError);
  assertEquals(error.code, "stopped");
});

Deno.test("stop: no timer is set when `stop()` resolves, and all watches and waits have ended (R9.4)", async () => {
  const cluster = await confirmed(["a", "b"]);
  const { gossiper } = cluster.of("a");
  const watch = gossiper.watch("k").getReader();
  const waiting = assertRejects(
    () => gossiper.registerConsensusCheck("k", (value) => value).reached(),
    HearsayError,
  );
  await cluster.stop("a");
  assertEquals((await watch.read()).done, true);
  await waiting;
  assertEquals((await gossiper.closed).reason, "stopped");
  await cluster.stop("b");
  await cluster.finish(cluster.of("a").transport.close());
  await cluster.finish(cluster.of("b").transport.close());
  assertEquals(cluster.runtime.timers, 0);
  await cluster[Symbol.asyncDispose]();
});
