import { assertEquals, assertLess, assertRejects } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { gossipNow } from "../../messages/gossip_now.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";

const CONFIG = { gossipInterval: 10_000, heartbeatExpiration: 60_000, spread: "interval" } as const;

async function quiet() {
  const cluster = await TestCluster.started(["a", "b"], { config: CONFIG });
  await cluster.advance(12_000);
  return { cluster, a: cluster.of("a").gossiper, startMs: cluster.runtime.monotonicMs() };
}

Deno.test("gossipNow: a round begins at once, ends with its acknowledgement, and does not move other rounds (M7)", async () => {
  const { cluster, a, startMs } = await quiet();
  await using _ = cluster;
  cluster.network.setFaults({ delayMs: 20 });
  a.setState("k", 1);
  await cluster.finish(gossipNow(a));
  assertEquals(cluster.of("b").value("a", "k"), 1);
  assertEquals(a.phase, "confirmed");
  assertLess(cluster.runtime.monotonicMs() - startMs, 100);
  await cluster.advance(30_000);
  const rounds = cluster.gossipedBy("a").map(({ atMs }) => atMs).filter((atMs) => atMs >= startMs);
  assertEquals(rounds, [12_000, 20_000, 30_000, 40_000]);
  assertEquals(a.skippedRounds, 0);
});

Deno.test("gossipNow: calls during a round share the next round, and at most ten more rounds begin in an interval (M7)", async () => {
  const { cluster, a, startMs } = await quiet();
  await using _ = cluster;
  await cluster.finish(Promise.all([gossipNow(a), gossipNow(a), gossipNow(a)]));
  assertEquals(cluster.gossipedBy("a").filter(({ atMs }) => atMs >= startMs).length, 1);
  let isOver = false;
  const hasty = (async () => {
    while (!isOver) await gossipNow(a);
  })();
  await cluster.advance(10_000);
  isOver = true;
  await cluster.finish(hasty);
  // The count of heartbeats is that of intervals.
  assertEquals(a.getState("heathbeat").get("a")!.sequenceNumber, Math.floor(startMs / 10_000) + 2);
  const rounds = cluster.gossipedBy("a").filter(({ atMs }) => atMs > startMs + 500).length;
  assertLess(rounds, 12);
  assertLess(8, rounds);
});

Deno.test("gossipNow: ends with the member, or with its signal; refuses a member that does not run (M7)", async () => {
  const { cluster, a } = await quiet();
  await using _ = cluster;
  cluster.network.pause(memoryAddress("b", 1));
  a.setState("k", 1);
  const first = gossipNow(a);
  await cluster.advance(1);
  const second = gossipNow(a);
  const controller = new AbortController();
  const aborted = assertRejects(() => gossipNow(a, { signal: controller.signal }), RangeError);
  controller.abort(new RangeError());
  await cluster.finish(aborted);
  await cluster.stop("a");
  await Promise.all([first, second]);
  assertEquals((await assertRejects(() => gossipNow(a), HearsayError)).code, "stopped");
  const { gossiper } = cluster.make("c");
  const early = AbortSignal.abort(new TypeError());
  await assertRejects(() => gossipNow(gossiper, { signal: early }), TypeError);
  await assertRejects(() => gossipNow(gossiper, { sginal: early } as never), ConfigurationError, "signal");
  assertEquals((await assertRejects(() => gossipNow(gossiper), HearsayError)).code, "not_started");
  cluster.network.resume(memoryAddress("b", 1));
});
