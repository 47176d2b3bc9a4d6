import { assert, assertEquals, assertLess, assertRejects } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import type { Connection } from "../../contracts/cluster.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { HearsayError } from "../../common/errors.ts";
import { EventStream } from "../../contracts/event_stream.ts";
import { Gossiper } from "../../gossiper/gossiper.ts";
import { refuse } from "../../protocol/refusal.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { end, EXPIRING_CONFIG, withAnsweringPeer } from "../requirements/scripted_pair.ts";

Deno.test("gossiper: ends at once with the reason if its transport breaks, and accepts no further call", async () => {
  await using elsewhere = new TestCluster(["a"]);
  const { transport } = elsewhere.make("a");
  await using cluster = new TestCluster(["a"]);
  const { promise, reject } = Promise.withResolvers<never>();
  const incoming = new ReadableStream<Connection>({ pull: () => promise });
  const broken = {
    incoming,
    addressOf: transport.addressOf.bind(transport),
    dial: transport.dial.bind(transport),
    close: transport.close.bind(transport),
  };
  const { gossiper } = cluster.make("a", { cluster: { transport: broken } });
  await gossiper.start();
  reject(new Error("The network card is on fire."));
  const closed = await cluster.finish(gossiper.closed);
  assertEquals([closed.reason, (closed.error as Error).message], ["failed", "The network card is on fire."]);
  const error = await assertRejects(() => gossiper.converged(), HearsayError);
  assertEquals(error.code, "stopped");
  assertEquals(gossiper.members.find(({ isSelf }) => isSelf)?.status, "failed");
});

Deno.test("gossiper: dispose before the start ends it: its streams end, and it cannot be started (R9.4)", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  gossiper.setState("k", 1);
  const watched = Array.fromAsync(gossiper.watch("k"));
  await gossiper[Symbol.asyncDispose]();
  assertEquals((await watched).map(({ value }) => value), [1]);
  assertEquals((await gossiper.closed).reason, "stopped");
  assertEquals(gossiper.members.map(({ status }) => status), ["left"]);
  assertEquals((await assertRejects(() => gossiper.start(), HearsayError)).code, "stopped");
  await gossiper[Symbol.asyncDispose]();
});

Deno.test("gossiper: cannot be constructed without a cluster, and the error names the missing part (R12.2)", () => {
  for (const given of [undefined, null, "cluster"]) {
    let error: unknown;
    try {
      new Gossiper({}, given as never);
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof ConfigurationError, `${error}`);
    assertEquals(error.problems.map(({ field }) => field), ["cluster"]);
  }
});

Deno.test("gossiper: a member that learns that it is blocked as expired dials that peer at once, but not after every refusal (E10)", async () => {
  const { cluster, a, peer } = await withAnsweringPeer();
  const handshakes = () => peer.received.filter(({ type }) => type === "hello").length;
  const before = handshakes();
  const blocked = { ...refuse("blocked", "a is blocked here (expired).", { reason: "expired" }) };
  peer.answer = (message) => message.type === "gossip" ? { ...blocked, id: message.id } : undefined;
  await cluster.runUntil(() => a.emitted("SelfBlocked").length > 0);
  await cluster.runUntil(() => handshakes() > before, { withinMs: EXPIRING_CONFIG.gossipInterval / 2 });
  assertEquals(a.emitted("SelfBlocked").map(({ peerId, reason }) => [peerId, reason]), [["p", "expired"]]);

  const [fromMs, fromHandshakes] = [cluster.runtime.monotonicMs(), handshakes()];
  await cluster.advance(2_000);
  const most = (cluster.runtime.monotonicMs() - fromMs) / EXPIRING_CONFIG.gossipRequestTimeout;
  assertLess(handshakes() - fromHandshakes, most + 1);
  await end(cluster, peer);
});

Deno.test("ConsensusExtractor: may not call `stop()`, and the refused call does not stop the gossiper (R1.6)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: EXPIRING_CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  const [{ gossiper: a }, { gossiper: b }] = [cluster.of("a"), cluster.of("b")];
  const stopping: Promise<unknown>[] = [];
  const check = a.registerConsensusCheck("k", (value) => {
    stopping.push(a.stop());
    return value;
  });
  a.setState("k", 1);
  assertEquals((await assertRejects(() => stopping[0]!, HearsayError)).code, "busy");
  a.removeConsensusCheck(check.id);
  await cluster.advance(1_000);
  assertEquals(b.members.map(({ status }) => status), ["alive", "alive"]);
});

Deno.test("gossiper: refuses actor kinds that would leave no room for state in a message (R12.3)", async () => {
  await using cluster = new TestCluster(["a"]);
  const kinds = Array.from({ length: 36 }, (_, index) => `${index}`.padEnd(250, "k"));
  const { record: self } = cluster.make("a");
  const elsewhere = cluster.network.transport("elsewhere", 1);
  const parts = {
    self: { ...self, kinds },
    name: "test",
    eventStream: new EventStream(),
    transport: elsewhere,
  };
  let error: unknown;
  try {
    new Gossiper({ maxMessageBytes: 16_384 }, parts);
  } catch (thrown) {
    error = thrown;
  }
  assert(error instanceof ConfigurationError);
  assertEquals(error.problems.map(({ field }) => field), ["cluster.self.kinds"]);
});

Deno.test("maxMembers: a member above the limit is refused, and the earlier members stay (E15)", async () => {
  const config = { ...EXPIRING_CONFIG, heartbeatExpiration: 3_000, maxMembers: 3 };
  await using cluster = new TestCluster(["a", "b", "c", "d"], { config });
  const seed = memoryAddress("a", 1);
  for (const id of ["a", "b", "c"]) {
    await cluster.make(id, { cluster: { discovery: seeds([seed]) } }).gossiper.start();
  }
  await cluster.runUntil(() => cluster.isConfirmed(["a", "b", "c"]));
  const late = cluster.make("d", { cluster: { discovery: seeds([seed]) } });
  await late.gossiper.start();
  await cluster.runUntil(() => late.emitted("SeedFailed").length > 0);
  await cluster.advance(20_000);
  assertEquals((late.emitted("SeedFailed")[0]?.error as HearsayError).code, "busy");
  for (const id of ["a", "b", "c"]) {
    const { gossiper, blocked } = cluster.of(id);
    assertEquals([gossiper.members.length, blocked, gossiper.phase], [3, {}, "confirmed"]);
    assertEquals(cluster.of(id).emitted("ConflictDetected"), []);
  }
});
