import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { incarnationAbove } from "../../engine/incarnation.ts";
import type { Incarnation } from "../../engine/types.ts";
import type { ConnectionPool, Extension } from "../../gossiper/connection_pool.ts";
import { insightOf } from "../../gossiper/gossiper.ts";
import { TestCluster } from "../requirements/harness.ts";
import { deltaOf, replyTo, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { end, PAIR_CONFIG, withUnknownPeer } from "../requirements/scripted_pair.ts";
import { entry, memberDelta } from "../engine/harness.ts";

Deno.test("session: if two members dial each other at once, both keep the connection of the smaller id (P4)", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: PAIR_CONFIG });
  cluster.network.setFaults({ delayMs: 5 });
  for (const id of ["b", "a"]) await cluster.make(id).gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(1_000);
  const fromMs = cluster.runtime.monotonicMs();
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("k", id);
  await cluster.advance(1_000);
  const ids = (from: string) =>
    cluster.sentBy(from, "gossip").filter(({ atMs }) => atMs > fromMs).map(({ text }) =>
      JSON.parse(text).id[0]
    );
  // Both send requests on the connection that a dialed.
  assertEquals([new Set(ids("a")), new Set(ids("b"))], [new Set(["d"]), new Set(["a"])]);
  assertEquals(cluster.sentBy("a", "hello").length, 2);
  cluster.network.heal();
});

Deno.test("session: at most maxConnections connections are kept: the longest unused is closed first, and all members still get state", async () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  const config = { ...PAIR_CONFIG, gossipFanOut: 2, maxConnections: 2 };
  await using cluster = await TestCluster.started(ids, { config });
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => ids.every((id) => cluster.of(id).value("a", "k") === 1));
  await cluster.advance(10_000);
  assertEquals(ids.map((id) => cluster.of(id).blocked), ids.map(() => ({})));
});

Deno.test("session: the connection of a removed member is closed, and it is not admitted again (R7.3)", async () => {
  await using cluster = new TestCluster(["a", "p"], { config: PAIR_CONFIG, fixed: false });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a").gossiper.start();
  await cluster.publish(["a", "p"]);
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  const reader = connection.readable.getReader();
  await writer.write(peer.hello("d1"));
  assertEquals((await reader.read()).value?.type, "hello");
  await cluster.publish(["a"]);
  await reader.read().catch(() => {});
  // The connection ends with the membership; a new one is refused as well.
  await writer.close().catch(() => {});
  await peer.say("a");
  assertEquals(peer.last("error")?.code, "unknown_member");
  await peer[Symbol.asyncDispose]();
});

Deno.test("session: a connection of a later incarnation, or a later connection of the same incarnation, replaces an earlier connection (P4)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  const reasons: string[] = [];
  const open = async (incarnation: Incarnation) => {
    const connection = await peer.dial("a");
    connection.closed.then(({ reason }) => reasons.push(reason));
    const writer = connection.writable.getWriter();
    await writer.write({ ...peer.hello("d1"), incarnation });
    await cluster.runtime.settle();
    return { connection, writer };
  };
  const later = incarnationAbove(peer.incarnation, 0, 0.5);
  const all = [
    await open(peer.incarnation),
    await open(peer.incarnation),
    await open(later),
    await open(peer.incarnation),
  ];
  await cluster.runtime.settle();
  for (const { writer, connection } of all) {
    await writer.abort().catch(() => {});
    await connection.readable.cancel().catch(() => {});
  }
  await Promise.all(all.map(({ connection }) => connection.closed));
  assertEquals(reasons.slice(0, 3), [
    "A newer connection replaces this one.",
    "A newer connection replaces this one.",
    "The other connection of both members stays.",
  ]);
  await end(cluster, peer);
});

Deno.test("session: after a late handshake of an earlier process, the member still agrees with the later process, whose connection stays (P4, E1)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  const a = cluster.of("a");
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  const reading = connection.readable.pipeTo(
    new WritableStream({
      async write(message) {
        if (message.type === "gossip") await writer.write(replyTo(message));
      },
    }),
  ).catch(() => {});
  const incarnation = incarnationAbove(peer.incarnation, 0, 0.5);
  await writer.write({ ...peer.hello("d1"), incarnation });
  await cluster.runtime.settle();
  await peer.say("a");
  const delta = deltaOf([memberDelta("p", incarnation, [entry("k", 1, 1)])]);
  await writer.write({ type: "gossip", id: "d2", memberId: "p", liveness: { count: 1 }, delta });
  await cluster.runUntil(() => a.value("p", "k") === 1);
  a.gossiper.setState("own", 1);
  await cluster.runUntil(() => a.gossiper.seenBy("own").seenBy.includes("p"), { withinMs: 2_000 });
  await writer.close();
  await reading;
  await end(cluster, peer);
});

Deno.test("extensions: each extension announces its capability and receives the messages of unknown types", async () => {
  const { cluster, peer } = await withUnknownPeer();
  const [one, two] = [new Listener("one"), new Listener("two")];
  for (const extension of [one, two]) poolOf(cluster).extend(extension);
  await peer.say("a", { type: "unknown", name: "wave" });
  assertEquals(peer.last("hello")?.capabilities, ["one", "two"]);
  assertEquals([one.received, two.received], [["wave"], ["wave"]]);
  await end(cluster, peer);
});

Deno.test("extensions: a second extension with the same capability throws, and the first still receives", async () => {
  const { cluster, peer } = await withUnknownPeer();
  const [first, second] = [new Listener("one"), new Listener("one")];
  const pool = poolOf(cluster);
  pool.extend(first);
  assertThrows(() => pool.extend(second), Error, 'already has an extension "one"; nothing was changed');
  await peer.say("a", { type: "unknown", name: "wave" });
  assertEquals(peer.last("hello")?.capabilities, ["one"]);
  assertEquals([first.received, second.received], [["wave"], []]);
  await end(cluster, peer);
});

/** Records the types of the messages that it receives. */
class Listener implements Extension {
  readonly received: string[] = [];

  constructor(readonly capability: string) {}

  receive(_session: unknown, { name }: { readonly name: string }): void {
    this.received.push(name);
  }
}

function poolOf(cluster: TestCluster): ConnectionPool {
  return insightOf(cluster.of("a").gossiper).running!.peers;
}
