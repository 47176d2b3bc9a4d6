import { assert, assertEquals, assertLess, assertLessOrEqual } from "../../deps/std_assert.ts";
import { NO_INCARNATION } from "../../engine/incarnation.ts";
import type { PartialConfig } from "../../options/configuration.ts";
import { HearsayError } from "../../common/errors.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { Rounds, type RoundsOptions } from "../../gossiper/rounds.ts";
import { NOWHERE } from "../../contracts/mod.ts";
import type { RequestFailed } from "../../contracts/events.ts";
import { TestCluster, type TimedMessage } from "../requirements/harness.ts";
import { replyTo, ScriptedPeer } from "../requirements/scripted_peer.ts";

const INTERVAL_MS = 100;
const CONFIG: PartialConfig = {
  gossipInterval: INTERVAL_MS,
  gossipRequestTimeout: 200,
  heartbeatExpiration: 4_000,
};

/** Members that know of each other that they have the same state, with nothing to exchange. */
async function idleCluster(count: number, config: PartialConfig = {}): Promise<TestCluster> {
  const ids = Array.from({ length: count }, (_, index) => `m${index}`);
  const cluster = await TestCluster.started(ids, { config: { ...CONFIG, ...config } });
  await cluster.runUntil(() => cluster.isConfirmed());
  await untilIdle(cluster);
  // Half an interval away from every round.
  await cluster.advance(INTERVAL_MS - cluster.runtime.monotonicMs() % INTERVAL_MS + INTERVAL_MS / 2);
  cluster.sent.length = 0;
  return cluster;
}

/** Advances time until some rounds had heartbeats alone. */
async function untilIdle(cluster: TestCluster): Promise<void> {
  await cluster.runUntil(() => {
    const fromMs = cluster.runtime.monotonicMs() - 10 * INTERVAL_MS;
    return fromMs > 0 && cluster.sent.filter(({ atMs }) => atMs > fromMs).every(isHeartbeat);
  });
}

function isHeartbeat({ type }: TimedMessage): boolean {
  return type === "heartbeat";
}

function typesOf(messages: readonly TimedMessage[]): string[] {
  return [...new Set(messages.map(({ type }) => type))].sort();
}

function bytesOf(messages: readonly TimedMessage[]): number {
  return messages.reduce((sum, { text }) => sum + new TextEncoder().encode(text).length, 0);
}

Deno.test("rounds: two idle members send each other one heartbeat in an interval, in at most 100 bytes together", async () => {
  await using cluster = await idleCluster(2, { heartbeatExpiration: 20_000 });
  for (let interval = 0; interval < 50; interval++) {
    const from = cluster.sent.length;
    await cluster.advance(INTERVAL_MS);
    const sent = cluster.sent.slice(from);
    assertEquals(sent.map(({ type, from }) => [type, from]), [
      ["heartbeat", memoryAddress("m0", 1)],
      ["heartbeat", memoryAddress("m1", 1)],
    ]);
    assertLessOrEqual(bytesOf(sent), 100);
  }
});

Deno.test("rounds: in an idle cluster each member sends one heartbeat in an interval, and no gossip", async () => {
  // Among eight, a peer may by chance be silent for many rounds.
  await using cluster = await idleCluster(8, { heartbeatExpiration: 60_000, departedRetention: 60_000 });
  await cluster.advance(50 * INTERVAL_MS);
  assertEquals(typesOf(cluster.sent), ["heartbeat"]);
  assertEquals(cluster.sent.length, 8 * 50);
  assertLessOrEqual(2 * bytesOf(cluster.sent) / cluster.sent.length, 100);
  for (const { id, blocked } of cluster.members) assertEquals(blocked, {}, id);
});

for (const count of [1, 2]) {
  Deno.test(`rounds: in an idle cluster a member that lost ${count} of its connections has them again within ten rounds`, async () => {
    await using cluster = await idleCluster(4, { heartbeatExpiration: 60_000, detectCrashes: false });
    const own = memoryAddress("m0", 1);
    const lost = ["m1", "m2"].slice(0, count).map((id) => memoryAddress(id, 1));
    for (const address of lost) cluster.network.cut(own, address);
    cluster.network.heal();
    await cluster.advance(10 * INTERVAL_MS);
    const handshakes = cluster.sent.filter(({ type }) => type === "hello");
    const greeted = new Set(handshakes.map(({ from, to }) => [from, to].sort().join()));
    assertEquals([...greeted].sort(), lost.map((address) => `${own},${address}`));
  });
}

Deno.test("rounds: an idle member dials peers without a connection in one round of ten", async () => {
  await using cluster = await idleCluster(3, {
    heartbeatExpiration: 60_000,
    detectCrashes: false,
    maxBackoff: INTERVAL_MS,
  });
  cluster.network.cut(memoryAddress("m0", 1), memoryAddress("m1", 1));
  await cluster.advance(100 * INTERVAL_MS);
  const { length } = cluster.of("m0").emitted("RequestFailed");
  assert(length >= 9 && length <= 11, `${length} dials failed`);
});

Deno.test("rounds: an idle member without any connection dials in the next round", async () => {
  await using cluster = await idleCluster(2, { heartbeatExpiration: 60_000, detectCrashes: false });
  cluster.network.cut(memoryAddress("m0", 1), memoryAddress("m1", 1));
  cluster.network.heal();
  await cluster.advance(INTERVAL_MS);
  assert(cluster.sentBy("m0", "hello").length > 0);
});

Deno.test("rounds: reach `gossipFanOut` peers again once a member is silent for a third of the expiration (R8.5)", async () => {
  await using cluster = await idleCluster(5, { heartbeatExpiration: 12_000, departedRetention: 60_000 });
  for (const direction of [{ from: memoryAddress("m4", 1) }, { to: memoryAddress("m4", 1) }]) {
    cluster.network.setFaults({ hang: true }, direction);
  }
  await cluster.advance(5_000);
  cluster.sent.length = 0;
  await cluster.advance(10 * INTERVAL_MS);
  // One a round would be 10.
  assert(cluster.sentBy("m0", "heartbeat").length > 15, `${cluster.sentBy("m0", "heartbeat").length}`);
  assertEquals(cluster.of("m0").gossiper.phase, "confirmed");
});

Deno.test("rounds: after a change gossip continues until all is confirmed, and then heartbeats", async () => {
  for (const spread of ["immediate", "interval"] as const) {
    const config = { heartbeatExpiration: 60_000, departedRetention: 60_000 };
    // More than a round reaches, so that some have confirmed while others have not.
    await using cluster = await idleCluster(12, { ...config, spread });
    const { gossiper } = cluster.of("m0");
    gossiper.setState("k", 1);
    assertEquals(gossiper.phase, "diffusing");
    while (gossiper.phase !== "confirmed") {
      cluster.sent.length = 0;
      await cluster.advance(INTERVAL_MS);
      assertEquals(cluster.sentBy("m0", "heartbeat"), [], spread);
      assertEquals(cluster.sentBy("m0", "gossip").length, 3, spread);
    }
    for (const member of cluster.members) assertEquals(member.values("k"), { m0: 1 }, spread);
    await untilIdle(cluster);
  }
});

Deno.test("rounds: after a departure and after a crash the others are idle again, long before they drop its state (E11)", async () => {
  const isDead = { left: false, crashed: true };
  for (const [reason, crashes] of Object.entries(isDead)) {
    await using cluster = await idleCluster(6, { heartbeatExpiration: 20_000, departedRetention: 600_000 });
    const gone = cluster.of("m5");
    if (crashes) cluster.crash("m5");
    else void gone.gossiper.stop();
    const others = cluster.members.filter((member) => member !== gone);
    await cluster.runUntil(() => others.every(({ blocked }) => blocked.m5 === reason));
    await cluster.advance(5_000);
    cluster.sent.length = 0;
    await cluster.advance(10 * INTERVAL_MS);
    assertEquals([typesOf(cluster.sent), cluster.sent.length], [["heartbeat"], 50], reason);
    // Its state is still there, and a newcomer gets it.
    assert(others.every(({ gossiper }) => gossiper.members.some(({ id }) => id === "m5")));
  }
});

Deno.test("rounds: a connection without messages gets a request after a quarter of the expiration, and is closed after two timeouts", async () => {
  await using cluster = await idleCluster(2);
  const a = cluster.of("m0");
  const silentMs = cluster.sent.length === 0 ? cluster.runtime.monotonicMs() : 0;
  // No message of m0 arrives, and none comes: the connection looks open.
  cluster.network.setFaults({ hang: true });
  const askedMs = silentMs + await cluster.runUntil(() => cluster.sentBy("m0", "gossip").length > 0);
  const quarterMs = 4_000 / 4;
  // It was heard half an interval before the silence, and gets a request in the first round after a quarter.
  assert(askedMs > silentMs + quarterMs - INTERVAL_MS && askedMs <= silentMs + quarterMs + INTERVAL_MS);
  assertEquals(cluster.sentBy("m0", "hello"), []);
  await cluster.runUntil(() => a.emitted("RequestFailed").length === 2);
  for (const { peerId, error } of a.emitted("RequestFailed")) {
    assertEquals([peerId, error instanceof HearsayError && error.code], ["m1", "timeout"]);
  }
  // The connection was given up: no more requests go over it, and the next round dials again.
  await cluster.advance(4 * INTERVAL_MS);
  assertEquals(cluster.sentBy("m0", "gossip").length, 2);
  cluster.network.heal();
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(cluster.members.map(({ blocked }) => blocked), [{}, {}]);
});

/** A member `a` whose peer `b` claims, in each answer, to have the same state. */
async function withAgreeing(incarnation?: string): Promise<{ cluster: TestCluster; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "b"], { config: { ...CONFIG, heartbeatExpiration: 60_000 } });
  const peer = new ScriptedPeer(cluster, "b");
  if (incarnation !== undefined) peer.greeting = ({ id }) => ({ ...peer.hello(id), incarnation });
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    const { digest, active } = message.delta;
    return replyTo(message, { delta: { digest, active, partial: false } });
  };
  await cluster.make("a").gossiper.start();
  await cluster.advance(2_050);
  cluster.sent.length = 0;
  await cluster.advance(10 * INTERVAL_MS);
  return { cluster, peer };
}

Deno.test("rounds: a peer with the same state gets heartbeats, and a peer without incarnations gets a request in each round", async () => {
  const expected = [[undefined, "heartbeat"], [NO_INCARNATION, "gossip"]] as const;
  for (const [incarnation, type] of expected) {
    const { cluster, peer } = await withAgreeing(incarnation);
    assertEquals(cluster.sentBy("a", type).length, 10);
    assertEquals(typesOf(cluster.sent.filter(({ from }) => from === memoryAddress("a", 1))), [type]);
    await peer[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  }
});

Deno.test("rounds: a peer that acknowledges and reports another state does not get heartbeats alone", async () => {
  const cluster = new TestCluster(["a", "b"], { config: CONFIG });
  const peer = new ScriptedPeer(cluster, "b");
  const { gossiper } = cluster.make("a");
  await gossiper.start();
  await cluster.advance(1_050);
  assertEquals(gossiper.phase, "confirmed");
  cluster.sent.length = 0;
  await cluster.advance(10 * INTERVAL_MS);
  assertEquals(typesOf(cluster.sent.filter(({ from }) => from === memoryAddress("a", 1))), ["gossip"]);
  await peer[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

Deno.test("rounds: a peer with the same state that has not acknowledged this member's state does not get heartbeats alone", async () => {
  const cluster = new TestCluster(["a", "b"], { config: CONFIG });
  const peer = new ScriptedPeer(cluster, "b");
  peer.greeting = ({ id, digest, active }) => ({ ...peer.hello(id), digest, active });
  peer.answer = () => undefined;
  const { gossiper } = cluster.make("a");
  await gossiper.start();
  // The first request is not answered, and the connection stays.
  await cluster.advance(350);
  assertEquals(gossiper.phase, "confirmed");
  assertEquals(peer.received.map(({ type }) => type), ["hello", "gossip", "gossip"]);
  await peer[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

Deno.test("backoff: grows for a peer that does not answer, so that the peer delays ever fewer rounds (R2.5, R8.3)", async () => {
  const config = {
    gossipInterval: 100,
    gossipRequestTimeout: 200,
    heartbeatExpiration: 60_000,
    maxBackoff: 5_000,
  };
  const cluster = new TestCluster(["a", "p"], { config });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a").gossiper.start();
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  peer.answer = () => undefined;
  const asked = () => peer.received.filter(({ type }) => type === "gossip").length;
  const before = asked();
  await cluster.advance(30_000);
  // Without backoff it would get 150 requests, and every one of these rounds would take twice its time.
  assertLess(asked() - before, 40);
  peer.answer = (message) => message.type === "gossip" ? replyTo(message) : undefined;
  const silent = asked();
  await cluster.runUntil(() => asked() > silent + 50, { withinMs: 15_000 });
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
});

Deno.test("backoff: the request after two lost requests is sent in the next round (E5)", async () => {
  const config = {
    gossipInterval: 100,
    gossipRequestTimeout: 100,
    heartbeatExpiration: 60_000,
    maxBackoff: 5_000,
  };
  const cluster = new TestCluster(["a", "p"], { config });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a").gossiper.start();
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  const asked = () => peer.received.filter(({ type }) => type === "gossip").length;
  let elapsedMs = 0;
  for (let times = 0; times < 20; times++) {
    let lost = 0;
    peer.answer = (message) => {
      if (message.type !== "gossip") return undefined;
      return lost < 2 ? void lost++ : replyTo(message);
    };
    const before = asked();
    elapsedMs += await cluster.runUntil(() => asked() === before + 3, { withinMs: 5_000 });
  }
  // Each time two requests are lost and one is answered. Each request takes one round, and no round is skipped.
  assertEquals(elapsedMs, 20 * 3 * config.gossipInterval);
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
});

Deno.test("rounds: a handshake with a member that lost its connection and has no address fails without a dial", async () => {
  const failed = Promise.withResolvers<RequestFailed>();
  const rounds = new Rounds({
    engineHost: {
      runtime: new VirtualRuntime(),
      view: { activePeers: () => ["x"] },
      publish: failed.resolve,
    },
    peers: { session: () => undefined, reach: () => Promise.reject(new Error("dialed")) },
    topology: { get: () => ({ id: "x", ...NOWHERE, kinds: [] }) },
    settings: { gossipFanOut: 3, gossipRequestTimeout: 200, maxMessageBytes: 16_384 },
    onFailure: () => {},
  } as unknown as RoundsOptions);
  rounds.startHandshake("x");
  const { peerId, error } = await failed.promise;
  assertEquals([peerId, (error as Error).message], [
    "x",
    "x has no address and no connection; nothing was sent.",
  ]);
  await rounds.end();
});
