import { assertEquals, assertLess, assertRejects } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { seeds } from "../../discovery/seeds.ts";
import { DEFAULT_CONFIG } from "../../options/configuration.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { EXPIRING_CONFIG, withAnsweringPeer } from "../requirements/scripted_pair.ts";

Deno.test("stop: the first of two calls at once stops the member, and the second is refused (R9.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: EXPIRING_CONFIG });
  const { gossiper } = cluster.of("a");
  const first = gossiper.stop();
  const second = await assertRejects(() => gossiper.stop(), HearsayError);
  assertEquals(second.code, "stopped");
  assertEquals((await cluster.finish(first)).flushed, true);
});

Deno.test("stop: members that all stop at once end at once, and have each other's departure (R9.2)", async () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  for (let seed = 1; seed <= 10; seed++) {
    await using cluster = await TestCluster.started(ids, { config: EXPIRING_CONFIG, seed });
    await cluster.runUntil(() => cluster.isConfirmed());
    const stops = await cluster.finish(Promise.all(ids.map((id) => cluster.of(id).gossiper.stop())));
    assertEquals(stops.map(({ flushed }) => flushed), ids.map(() => true), `seed ${seed}`);
  }
});

Deno.test("stop: a peer that is gone, and does not answer a second dial, is not waited for (R9.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: EXPIRING_CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.of("b").transport.close();
  const fromMs = cluster.runtime.monotonicMs();
  assertEquals((await cluster.stop("a")).flushed, true);
  assertLess(cluster.runtime.monotonicMs() - fromMs, EXPIRING_CONFIG.gossipRequestTimeout);
});

Deno.test("stop: a peer whose answer to the first handshake is still under way gets the departure too (R9.1, R9.2)", async () => {
  await using cluster = new TestCluster(["a", "b"], {
    fixed: false,
    cluster: { discovery: seeds([memoryAddress("a", 1)]) },
  });
  await cluster.make("a").gossiper.start();
  await cluster.advance(1_000);
  cluster.network.setFaults({ delayMs: 50 });
  await cluster.make("b").gossiper.start();
  const idsAt = (id: string) => cluster.of(id).gossiper.members.map((member) => member.id).join();
  await cluster.runUntil(() => idsAt("a") === "a,b");
  assertEquals(idsAt("b"), "b");
  assertEquals(await cluster.stop("b"), { acknowledgedBy: 1, wanted: 1, flushed: true });
  assertEquals(cluster.of("a").blocked, { b: "left" });
});

Deno.test("stop: waits at most one request timeout for a dial that hangs (R9.1)", async () => {
  await using cluster = new TestCluster(["a", "b"], {
    fixed: false,
    cluster: { discovery: seeds([memoryAddress("a", 1)]) },
  });
  cluster.network.setFaults({ hang: true });
  const { gossiper } = cluster.make("b");
  await gossiper.start();
  await cluster.advance(100);
  const fromMs = cluster.runtime.monotonicMs();
  assertEquals((await cluster.stop("b")).wanted, 0);
  assertEquals(cluster.runtime.monotonicMs() - fromMs, DEFAULT_CONFIG.gossipRequestTimeout);
});

Deno.test("stop: an unreachable peer whose connection this member closed itself does not count (R9.2)", async () => {
  const { cluster, a, peer } = await withAnsweringPeer();
  // It answers nothing, so that its connection is given up, and is dead when it is dialed again.
  peer.greeting = peer.answer = () => undefined;
  const timeouts = () => a.emitted("RequestFailed").length;
  await cluster.runUntil(() => timeouts() === 2);
  await peer[Symbol.asyncDispose]();
  const { flushed, acknowledgedBy } = await cluster.stop("a");
  assertEquals([flushed, acknowledgedBy], [false, 0]);
  await cluster[Symbol.asyncDispose]();
});
