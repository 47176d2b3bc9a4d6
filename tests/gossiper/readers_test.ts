import { assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { incarnationAbove } from "../../engine/incarnation.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { incarnationOf, TestCluster } from "../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { end, EXPIRING_CONFIG } from "../requirements/scripted_pair.ts";
import { memberDelta } from "../engine/harness.ts";

Deno.test("readers: a reader dials again after its member began a later incarnation, and agrees with it (E1, L1)", async () => {
  const cluster = new TestCluster(["a", "p", "r"], { config: EXPIRING_CONFIG, fixed: false });
  const peer = new ScriptedPeer(cluster, "p");
  const a = cluster.make("a", { cluster: { discovery: seeds([]) } });
  const incoming = a.transport.incoming.pipeThrough(
    new TransformStream({
      transform(connection, controller) {
        controller.enqueue({ ...connection, isReader: String(connection.remote).startsWith("memory://r:") });
      },
    }),
  );
  Object.defineProperty(a.transport, "incoming", { value: incoming });
  await a.gossiper.start();
  const reader = cluster.make("r", { cluster: { discovery: seeds([memoryAddress("a", 1)]) } });
  await reader.gossiper.start();
  await cluster.runUntil(() => reader.gossiper.phase === "confirmed");
  const claimed = incarnationAbove(incarnationOf(a), 0, 0.5);
  const gossip = { type: "gossip", id: "d2", memberId: "p", liveness: { count: 1 } } as const;
  await peer.say("a", { ...gossip, delta: deltaOf([memberDelta("a", claimed, [])]) });
  assertGreater(incarnationOf(a), claimed);
  a.gossiper.setState("k", 1);
  await cluster.runUntil(() => reader.value("a", "k") === 1 && reader.gossiper.phase === "confirmed");
  await cluster.advance(2 * EXPIRING_CONFIG.heartbeatExpiration);
  assertEquals([reader.blocked.a, reader.gossiper.phase], [undefined, "confirmed"]);
  await end(cluster, peer);
});
