import { assert, assertEquals, assertLessOrEqual } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { MAX_NUMBER } from "../../engine/types.ts";
import type { Connection } from "../../contracts/cluster.ts";
import { TIMEOUTS_PER_DIAL } from "../../gossiper/dials.ts";
import type { Message } from "../../protocol/message.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { entry, memberDelta } from "../engine/harness.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 200,
  heartbeatExpiration: 5_000,
  maxConnections: 64,
};

/** Two honest members and a peer that breaks the protocol. */
async function withHostile(): Promise<{ readonly cluster: TestCluster; readonly peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "b"], { config: CONFIG });
  for (const id of ["a", "b"]) {
    await cluster.make(id, { cluster: { discovery: seeds([memoryAddress("a", 1)]) } }).gossiper.start();
  }
  await cluster.runUntil(() => cluster.isConfirmed());
  const peer = new ScriptedPeer(cluster, "p");
  peer.greeting = peer.answer = () => undefined;
  return { cluster, peer };
}

async function assertServed(cluster: TestCluster, value: number): Promise<void> {
  for (const [from, to] of [["a", "b"], ["b", "a"]] as const) {
    cluster.of(from).gossiper.setState("honest", value);
    await cluster.runUntil(() => cluster.of(to).value(from, "honest") === value, { withinMs: 5_000 });
  }
}

async function end(
  { cluster, peer }: { readonly cluster: TestCluster; readonly peer: ScriptedPeer },
): Promise<void> {
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
}

Deno.test("limits: 10,000 silent connections evict only each other, and at most maxConnections are open", async () => {
  const both = await withHostile();
  const { cluster, peer } = both;
  const open = new Set<Connection>();
  let most = 0;
  for (let count = 1; count <= 10_000; count++) {
    const connection = await peer.dial("a");
    open.add(connection);
    connection.closed.then(() => open.delete(connection));
    if (count % 50 !== 0) continue;
    await cluster.runtime.settle();
    most = Math.max(most, open.size);
    if (count % 2_500 === 0) await assertServed(cluster, count);
  }
  assertLessOrEqual(most, CONFIG.maxConnections);
  // The member closes a silent connection after the time limit of a handshake.
  await cluster.advance((TIMEOUTS_PER_DIAL + 1) * CONFIG.gossipRequestTimeout);
  await cluster.runtime.settle();
  assertEquals(open.size, 0);
  await end(both);
});

Deno.test("limits: a message within maxMessageBytes is merged, and a larger message closes the connection (E7, P2)", async () => {
  const both = await withHostile();
  const { cluster, peer } = both;
  const keys = (count: number): Message => ({
    type: "gossip",
    liveness: { count: 0 },
    id: "d2",
    memberId: "p",
    delta: deltaOf([
      memberDelta(
        "p",
        peer.incarnation,
        Array.from({ length: count }, (_, each) => entry(`k${each}`, each + 1, 0)),
      ),
    ]),
  });
  await peer.say("a", keys(4_000));
  assertEquals(
    cluster.of("a").gossiper.snapshot().members.find(({ id }) => id === "p")?.entries.length,
    4_000,
  );
  await assertServed(cluster, 1);
  // The transport of the sender would refuse a message of this size, so the network enlarges it.
  const many = "x".repeat(30 * 1_000_000);
  const rewrite = (text: string) => text.startsWith('{"type":"gossip"') ? text + many : text;
  cluster.network.setFaults({ rewrite }, { from: memoryAddress("p", 1) });
  const before = cluster.of("a").gossiper.snapshot().digest;
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  for (const message of [peer.hello("d1"), keys(1)]) await writer.write(message).catch(() => {});
  assertEquals((await connection.closed).code, 4413);
  assertEquals(cluster.of("a").gossiper.snapshot().digest, before);
  cluster.network.setFaults({}, { from: memoryAddress("p", 1) });
  await assertServed(cluster, 2);
  await end(both);
});

Deno.test("merge: a peer that sends the highest number for every key cannot stop the owners, which start a higher incarnation (E1, E2)", async () => {
  const both = await withHostile();
  const { cluster, peer } = both;
  cluster.of("b").gossiper.setState("k", "true");
  await cluster.runUntil(() => cluster.of("a").value("b", "k") === "true");
  const known = cluster.of("a").gossiper.members.map(({ id, incarnation }) => [id, incarnation!] as const);
  const lies = known.filter(([id]) => id !== "p").map(([id, incarnation]) =>
    memberDelta(id, incarnation, [entry("k", MAX_NUMBER, "a lie")])
  );
  await peer.say("a", {
    type: "gossip",
    liveness: { count: 0 },
    id: "d2",
    memberId: "p",
    delta: deltaOf(lies),
  });
  await cluster.runUntil(() => cluster.of("a").value("b", "k") === "true", { withinMs: 2_000 });
  await assertServed(cluster, 1);
  assert(["a", "b"].every((id) => cluster.of(id).emitted("IncarnationRenewed").length <= 1));
  assertEquals(cluster.of("a").value("a", "k"), undefined);
  await end(both);
});
