import { assertEquals } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { TestCluster, type TestMember } from "../requirements/harness.ts";
import { PAIR_CONFIG } from "../requirements/scripted_pair.ts";
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

Deno.test("handshake: a stranger that is refused is no member, nor with the next topology (E2)", async () => {
  await using cluster = new TestCluster(["a", "p"], { config: PAIR_CONFIG, fixed: false });
  await using peer = new ScriptedPeer(cluster, "p");
  const a = await openMember(cluster);
  const incarnation = makeIncarnation(cluster.runtime.wallMs() + 2 * 366 * 86_400_000, 0);
  await peer.sayUngreeted("a", { ...peer.hello("d1"), incarnation });
  assertEquals([peer.last("error")?.code, idsAt(a)], ["invalid", ["a"]]);
  await cluster.publish(["a"]);
  assertEquals(idsAt(a), ["a"]);
});

Deno.test("handshake: a stranger that was let in stays a member though an older topology does not name it (R7.4)", async () => {
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
