import { assert, assertEquals } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { type HearsayEvent, join, type JoinOptions, type Node } from "../../mod.ts";
import { NOWHERE } from "../../contracts/mod.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { Proxy } from "../discovery/etcd_server.ts";
import { freePort } from "../process/ports.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 200,
  heartbeatExpiration: 2_000,
  maxBackoff: 500,
};

/** Listening members, and hidden ones without an address; all dial the first. */
async function startedCluster(listening: readonly string[], hidden: readonly string[]): Promise<TestCluster> {
  const cluster = new TestCluster([...listening, ...hidden], {
    fixed: false,
    config: { ...CONFIG, blockedProbeInterval: 1_000 },
    cluster: { discovery: seeds([memoryAddress(listening[0]!, 1)]) },
  });
  for (const id of listening) cluster.make(id);
  for (const id of hidden) cluster.make(id, { cluster: { self: { id, ...NOWHERE, kinds: [] } } });
  for (const { gossiper } of cluster.members) await gossiper.start();
  return cluster;
}

function knowsAll(cluster: TestCluster, ids: readonly string[]): boolean {
  return ids.every((id) =>
    cluster.of(id).gossiper.members.filter(({ status }) => status === "alive").length === ids.length
  );
}

/** The peers of a member's failed requests. */
function failedTo(cluster: TestCluster, id: string): Set<string> {
  return new Set(cluster.of(id).emitted("RequestFailed").map(({ peerId }) => peerId));
}

Deno.test("dialOnly: all members know two members that only dial, and exchange state with both", async () => {
  const ids = ["a", "b", "c", "x", "y"];
  await using cluster = await startedCluster(["a", "b", "c"], ["x", "y"]);
  await cluster.runUntil(() => knowsAll(cluster, ids), { withinMs: 5_000 });
  for (const id of ids) cluster.of(id).gossiper.setState("k", id);
  await cluster.runUntil(() => ids.every((id) => ids.every((of) => cluster.of(id).value(of, "k") === of)));
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(cluster.sentBy("x", "gossip", { to: "y" }).length, 0);
  // No request failed.
  for (const id of ids) assertEquals(failedTo(cluster, id), new Set());
});

Deno.test("dialOnly: peers send requests over the connections of a member that only dials", async () => {
  await using cluster = await startedCluster(["a", "b"], ["x"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.sent.length = 0;
  for (let value = 0; value < 20; value++) {
    // Without changes a round sends a heartbeat, which is no request.
    for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("news", value);
    await cluster.advance(100);
  }
  // Its address is unused: messages to it used its own connections.
  for (const id of ["a", "b"]) {
    const asked = cluster.sentBy(id, "gossip", { to: "x" });
    assert(asked.length > 5, `${id} asked ${asked.length} times`);
  }
});

Deno.test("dialOnly: consensus needs the members that only dial too (E13)", async () => {
  const ids = ["a", "b", "x", "y"];
  await using cluster = await startedCluster(["a", "b"], ["x", "y"]);
  await cluster.runUntil(() => knowsAll(cluster, ids));
  const reached: string[] = [];
  for (const id of ids) {
    const { gossiper } = cluster.of(id);
    gossiper.registerConsensusCheck("k", (value) => value, { onReached: () => reached.push(id) });
  }
  for (const id of ["a", "b", "x"]) cluster.of(id).gossiper.setState("k", 1);
  await cluster.advance(3_000);
  assertEquals(reached, []);
  const acknowledged = cluster.of("y").gossiper.setStateRequest("k", 1, { acknowledgedBy: "all" });
  await cluster.runUntil(() => reached.length === 4);
  await cluster.finish(acknowledged);
});

Deno.test("dialOnly: an isolated member that only dials is blocked, never dialed, and freed when it returns (E10)", async () => {
  await using cluster = await startedCluster(["a", "b"], ["x"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const id of ["a", "b"]) cluster.network.cut(memoryAddress("x", 1), memoryAddress(id, 1));
  await cluster.runUntil(() => ["a", "b"].every((id) => cluster.of(id).blocked.x === "expired"));
  const before = ["a", "b"].map((id) => cluster.of(id).emitted("RequestFailed").length);
  await cluster.advance(5_000);
  assertEquals(["a", "b"].map((id) => cluster.of(id).emitted("RequestFailed").length), before);
  cluster.network.heal();
  cluster.of("x").gossiper.setState("back", true);
  await cluster.runUntil(() => ["a", "b"].every((id) => cluster.of(id).value("x", "back") === true));
  await cluster.runUntil(() => cluster.isConfirmed());
});

Deno.test("dialOnly: a member that only dials leaves in order, and a member that leaves does not wait for it in vain (R9.2)", async () => {
  await using cluster = await startedCluster(["a"], ["x", "y"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(await cluster.stop("x"), { acknowledgedBy: 1, wanted: 1, flushed: true });
  await cluster.runUntil(() => ["a", "y"].every((id) => cluster.of(id).blocked.x === "left"));
  assertEquals(await cluster.stop("a"), { acknowledgedBy: 1, wanted: 1, flushed: true });
  assertEquals(cluster.of("y").blocked.a, "left");
});

/** Joins, and records the events. */
async function joined(options: Partial<JoinOptions>): Promise<{ node: Node; events: HearsayEvent[] }> {
  const node = await join({ cluster: "orders", config: { gossipInterval: 50 }, ...options });
  const events: HearsayEvent[] = [];
  void (async () => {
    for await (const event of node.events.subscribe()) events.push(event);
  })();
  return { node, events };
}

Deno.test("dialOnly: a member that joins with `dialOnly` does not listen, and state passes both ways over WebSocket (R8.1)", async () => {
  const signal = AbortSignal.timeout(10_000);
  const one = await joined({ listen: { port: 0 } });
  await using _one = one.node;
  const seeds = [one.node.address];
  const two = await joined({ listen: { port: 0 }, seeds });
  await using _two = two.node;
  const hidden = await joined({ dialOnly: true, seeds });
  await using _hidden = hidden.node;
  assertEquals([hidden.node.address, hidden.node.member.port], ["", 0]);
  hidden.node.setState("from", "inside");
  two.node.setState("from", "outside");
  const waitFor = async (at: Node, of: Node) => {
    for await (const { memberId, value } of at.watch("from", { signal })) {
      if (memberId === of.member.id) return value;
    }
  };
  assertEquals(await waitFor(two.node, hidden.node), "inside");
  assertEquals(await waitFor(one.node, hidden.node), "inside");
  assertEquals(await waitFor(hidden.node, two.node), "outside");
  for (const { node } of [one, two, hidden]) await node.converged({ signal });
  const failed = [one, two, hidden].flatMap(({ events }) => events.filter(({ type }) => /Failed/.test(type)));
  assertEquals(failed, []);
});

Deno.test("advertise: a member is dialed at its advertised URL, and not where it listens", async () => {
  const signal = AbortSignal.timeout(10_000);
  const port = freePort();
  await using way = new Proxy(`http://127.0.0.1:${port}`);
  const advertise = { host: "127.0.0.1", port: Number(new URL(way.endpoint).port) };
  const first = await joined({ listen: { port: 0 } });
  await using _first = first.node;
  const seeds = [first.node.address];
  const behind = await joined({ listen: { port }, advertise, seeds });
  await using _behind = behind.node;
  assertEquals(behind.node.address, `ws://127.0.0.1:${advertise.port}`);
  const other = await joined({ listen: { port: 0 }, seeds: [behind.node.address] });
  await using _other = other.node;
  other.node.setState("k", 1);
  for await (const { memberId } of behind.node.watch("k", { signal })) {
    if (memberId === other.node.member.id) break;
  }
  const record = other.node.members.find(({ id }) => id === behind.node.member.id);
  assertEquals([record?.member?.host, record?.member?.port], [advertise.host, advertise.port]);
});

Deno.test("handshake: both sides wait for a handshake that takes longer than a request", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: { ...CONFIG, heartbeatExpiration: 4_000 } });
  // A connection takes 300 ms, and the handshake 300 more; a request may take 200.
  cluster.network.setFaults({ delayMs: 150 });
  for (const id of ["a", "b"]) await cluster.make(id).gossiper.start();
  await cluster.advance(610);
  cluster.network.clearFaults();
  await cluster.runUntil(() => cluster.isConfirmed(), { withinMs: 300 });
  // Both dialed, once.
  assertEquals(["a", "b"].map((id) => cluster.sentBy(id, "hello").length), [2, 2]);
  assert(cluster.sent.every(({ type, atMs }) => type !== "hello" || atMs < 610));
});

Deno.test("rounds: skip a peer whose dial is under way", async () => {
  await using cluster = new TestCluster(["a", "mute"], { config: CONFIG });
  cluster.network.setFaults({ hang: true });
  for (const id of ["mute", "a"]) await cluster.make(id).gossiper.start();
  // The first round waits for the length of a request timeout.
  await cluster.advance(250);
  assertEquals(failedTo(cluster, "a"), new Set(["mute"]));
  const { skippedRounds } = cluster.of("a").gossiper;
  await cluster.advance(500);
  const { gossiper } = cluster.of("a");
  assertEquals([cluster.of("a").emitted("RequestFailed").length, gossiper.skippedRounds], [1, skippedRounds]);
});
