import { assert, assertEquals } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import type { MemberDelta } from "../../engine/types.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { partOf, replyTo, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { end, PAIR_CONFIG, withScripted } from "../requirements/scripted_pair.ts";
import { entry, memberDelta } from "../engine/harness.ts";

Deno.test("session: a member with an impossible incarnation in a reply is not merged, and the rest of the reply is (E2)", async () => {
  const { cluster, peer } = await withScripted();
  const farAhead = makeIncarnation(cluster.runtime.wallMs() + 2 * 366 * 86_400_000, 0);
  const members = [
    memberDelta("q", farAhead, [entry("k", 1, 1)]),
    memberDelta("p", peer.incarnation, [entry("k", 1, 1)]),
  ];

  peer.answer = (message) => message.type !== "gossip" ? undefined : replyTo(message, { delta: { members } });
  await cluster.runUntil(() => peer.last("ack") !== undefined);
  assertEquals([...peer.last("ack")!.holds], [["q", { incarnation: farAhead, number: 0 }]]);
  assertEquals(cluster.of("a").gossiper.getState("k").get("p")?.value, 1);
  assertEquals(peer.last("error"), undefined);
  await end(cluster, peer);
});

Deno.test("session: a peer that requests and does not read the answers is ignored, and the others are served", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: PAIR_CONFIG });
  await using peer = new ScriptedPeer(cluster, "p");
  for (const id of ["a", "b"]) {
    await cluster.make(id, { cluster: { discovery: seeds([memoryAddress("a", 1)]) } }).gossiper.start();
  }
  await cluster.runUntil(() => cluster.isConfirmed());
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  const sent = { count: 0 };
  const speaking = (async () => {
    await writer.write(peer.hello("d1"));
    for (let id = 2; id < 1_000; id++) {
      await writer.write({ type: "reconcile", id: `d${id}`, part: partOf({}) });
      sent.count = id;
    }
  })().catch(() => {});
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 1, { withinMs: 1_000 });
  assert(sent.count < 100, `${sent.count} requests were taken`);
  await connection.readable.cancel();
  await writer.abort().catch(() => {});
  await speaking;
});

Deno.test("session: a reply with new state is acknowledged, after a gap with the version of the member that sent the request (E5)", async () => {
  const { cluster, peer } = await withScripted();
  const acks = () => peer.received.filter(({ type }) => type === "ack").length;
  await cluster.advance(1_000);
  assert(peer.received.filter(({ type }) => type === "gossip").length > 5);
  assertEquals(acks(), 0);
  const answerOnce = async (members: readonly MemberDelta[]) => {
    let isAnswered = false;
    peer.answer = (message) => {
      if (message.type !== "gossip" || isAnswered) return undefined;
      isAnswered = true;
      return replyTo(message, { delta: { members } });
    };
    await cluster.runUntil(() => isAnswered);
    await cluster.runtime.settle();
    peer.answer = (message) => message.type === "gossip" ? replyTo(message) : undefined;
  };
  await answerOnce([memberDelta("p", peer.incarnation, [entry("k", 1, 1)])]);
  assertEquals([acks(), [...peer.last("ack")!.holds]], [1, []]);
  // A gap: it answers with its version instead.
  await answerOnce([memberDelta("p", peer.incarnation, [entry("k", 9, 1)], { after: 8 })]);
  assertEquals([acks(), [...peer.last("ack")!.holds]], [2, [["p", {
    incarnation: peer.incarnation,
    number: 1,
  }]]]);
  await answerOnce([]);
  assertEquals(acks(), 2);
  await end(cluster, peer);
});
