import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { TestCluster, type TestMember } from "../requirements/harness.ts";
import { EXPIRING_CONFIG, PAIR_CONFIG } from "../requirements/scripted_pair.ts";
import { ScriptedPeer } from "../requirements/scripted_peer.ts";

function idsAt({ gossiper }: TestMember): string[] {
  return gossiper.members.map(({ id }) => id);
}

/** A member `a` with open membership that dials none. */
async function openMember(cluster: TestCluster): Promise<TestMember> {
  const made = cluster.make("a", { cluster: { discovery: seeds([]) } });
  await made.gossiper.start();
  return made;
}

Deno.test("handshake: a refused stranger is no member, not even after the next topology (E2)", async () => {
  await using cluster = new TestCluster(["a", "p"], { config: PAIR_CONFIG, fixed: false });
  await using peer = new ScriptedPeer(cluster, "p");
  const a = await openMember(cluster);
  const incarnation = makeIncarnation(cluster.runtime.wallMs() + 2 * 366 * 86_400_000, 0);
  await peer.sayUngreeted("a", { ...peer.hello("d1"), incarnation });
  assertEquals([peer.last("error")?.code, idsAt(a)], ["invalid", ["a"]]);
  await cluster.publish(["a"]);
  assertEquals(idsAt(a), ["a"]);
});

Deno.test("handshake: an admitted stranger stays a member, even if an older topology does not name it", async () => {
  await using cluster = new TestCluster(["a", "p"], { config: PAIR_CONFIG, fixed: false });
  await using peer = new ScriptedPeer(cluster, "p");
  const a = await openMember(cluster);
  await peer.say("a");
  await cluster.publish(["a"]);
  assertEquals(idsAt(a), ["a", "p"]);
  // By then each topology was made after the handshake.
  await cluster.advance(PAIR_CONFIG.gossipRequestTimeout + 1);
  await cluster.publish(["a"]);
  assertEquals(a.gossiper.members.find(({ id }) => id === "p")?.member, undefined);
});

Deno.test("gossiper: an error of the engine ends the member at once as failed, and peers receive no departure", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: EXPIRING_CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  const { runtime, gossiper } = cluster.of("a");
  const error = new Error("broken");
  const { monotonicMs } = runtime;
  runtime.monotonicMs = () => {
    runtime.monotonicMs = monotonicMs;
    throw error;
  };
  assertThrows(() => gossiper.setState("k", 1), Error, "broken");
  assertEquals(await gossiper.closed, { reason: "failed", error });
  await cluster.runUntil(() => cluster.of("b").blocked.a !== undefined);
  assertEquals(cluster.of("b").blocked, { a: "expired" });
});
