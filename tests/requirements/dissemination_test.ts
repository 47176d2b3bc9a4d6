import { assert, assertEquals } from "../../deps/std_assert.ts";
import { NO_INCARNATION } from "../../engine/incarnation.ts";
import { entry, memberDelta } from "../engine/harness.ts";
import { TestCluster } from "./harness.ts";
import { deltaOf, replyTo, ScriptedPeer } from "./scripted_peer.ts";

Deno.test("disseminate: a round sends two new entries in one gossip, and emits Disseminated (R3.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: { spread: "interval" } });
  await cluster.advance(1_000);
  const a = cluster.of("a");
  const before = a.emitted("Disseminated").length;
  a.gossiper.setState("one", "the first");
  a.gossiper.setState("two", "the second");
  assertEquals(a.emitted("Disseminated").length, before);
  await cluster.advance(300);
  assertEquals(a.emitted("Disseminated")[before], {
    type: "Disseminated",
    peerId: "b",
    members: 1,
    entries: 2,
  });
  const [request] = cluster.sentBy("a", "gossip", { to: "b" }).slice(-1);
  assert(request!.text.includes("the first") && request!.text.includes("the second"));
  assertEquals([cluster.of("b").values("one"), cluster.of("b").values("two")], [
    { a: "the first" },
    { a: "the second" },
  ]);
});

Deno.test("disseminate: sends an entry again unless the peer acknowledged it (R3.2)", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: { spread: "interval" } });
  await using peer = new ScriptedPeer(cluster, "b");
  const a = cluster.make("a");
  a.gossiper.setState("k", "once");
  await a.gossiper.start();
  const includesOnce = () => cluster.sentBy("a", "gossip").map(({ text }) => text.includes('"once"'));
  let asked = 0;
  peer.answer = (message) => message.type === "gossip" && ++asked > 1 ? replyTo(message) : undefined;
  await cluster.advance(2_000);
  assertEquals(includesOnce().slice(0, 4), [true, true, false, false]);
});

Deno.test("disseminate: the reply to gossip has the entries that the peer lacks (R3.2)", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: { gossipInterval: 9_000 } });
  await cluster.make("a").gossiper.start();
  await cluster.make("b", { config: { gossipInterval: 300 } }).gossiper.start();
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.advance(300);
  assertEquals(cluster.sentBy("a", "gossip"), []);
  assertEquals(cluster.of("b").values("k"), { a: 1 });
  assertEquals(cluster.of("a").emitted("Disseminated").map(({ peerId }) => peerId), ["b"]);
});

Deno.test("disseminate: in a cluster larger than a message, asks for members without state here (R3.2)", async () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  await using cluster = new TestCluster(ids, { config: { gossipMaxSend: 4 } });
  await using peer = new ScriptedPeer(cluster, "b");
  await cluster.make("a").gossiper.start();
  const asked = () =>
    peer.received.flatMap((message) => message.type === "gossip" ? [...message.holds ?? []] : [])
      .map(([id, { incarnation, number }]) => `${id} ${incarnation} ${number}`);
  await cluster.advance(3_000);
  const nothing = ["c", "d", "e", "f"].map((id) => `${id} ${NO_INCARNATION} 0`);
  assertEquals([...new Set(asked())].sort(), nothing);
  peer.answer = (message) =>
    message.type === "gossip"
      ? replyTo(message, {
        delta: { members: ids.slice(2).map((id) => memberDelta(id, peer.incarnation, [entry("k", 7, 1)])) },
      })
      : undefined;
  await cluster.advance(1_000);
  assertEquals(cluster.of("a").values("k"), { c: 1, d: 1, e: 1, f: 1 });
  peer.received.length = 0;
  await cluster.advance(3_000);
  assert(peer.last("gossip"));
  assertEquals(asked(), []);
});

Deno.test("disseminate: sends a member that the peer asks for from the version that the peer reports (R3.2)", async () => {
  const ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
  await using cluster = new TestCluster(ids, { config: { gossipMaxSend: 4, gossipInterval: 9_000 } });
  await cluster.make("a").gossiper.start();
  await using other = new ScriptedPeer(cluster, "c");
  const deltas = ids.slice(3).map((id) =>
    memberDelta(id, other.incarnation, [entry("k", 1, 1), entry("l", 2, 1)])
  );
  await other.say("a", {
    type: "gossip",
    liveness: { count: 0 },
    id: "d2",
    memberId: "c",
    delta: deltaOf(deltas),
  });
  await using peer = new ScriptedPeer(cluster, "b");
  const holds = new Map([["e", { incarnation: other.incarnation, number: 1 }], ["f", {
    incarnation: other.incarnation,
    number: 1,
  }]]);
  await peer.say("a", {
    type: "gossip",
    liveness: { count: 0 },
    id: "d2",
    memberId: "b",
    delta: deltaOf([]),
    holds,
  });
  const members = peer.last("reply")!.delta.members.map(({ id, after }) => `${id} after ${after}`);
  assertEquals(members.slice(0, 4).filter((each) => each.endsWith("1")), ["e after 1", "f after 1"]);
});

Deno.test("applyIncoming: merges gossip and answers it (R3.3)", async () => {
  await using cluster = new TestCluster(["a", "b", "c"]);
  const a = cluster.make("a");
  await a.gossiper.start();
  a.gossiper.setState("mine", 1);
  await cluster.runtime.settle();
  // No peer existed when a dialed; of two connections only one would stay.
  await using peer = new ScriptedPeer(cluster, "b");
  const deltaOfB = memberDelta("b", peer.incarnation, [entry("k", 1, "of b"), entry("other", 2, [1, 2])]);
  const delta = deltaOf([deltaOfB, memberDelta("c", peer.incarnation, [entry("k", 7, "of c")])]);
  await peer.say("a", { type: "gossip", liveness: { count: 0 }, id: "d2", memberId: "b", delta });
  assertEquals([a.values("k"), a.values("other")], [{ b: "of b", c: "of c" }, { b: [1, 2] }]);
  const updates = a.emitted("GossipUpdate").filter(({ memberId }) => memberId !== "a");
  assertEquals(updates.map(({ memberId, key, sequenceNumber }) => [memberId, key, sequenceNumber]), [
    ["b", "k", 1],
    ["b", "other", 2],
    ["c", "k", 7],
  ]);
  const reply = peer.last("reply");
  assertEquals([reply?.id, [...reply!.holds]], ["d2", []]);
  assert(reply!.delta.members.some(({ id }) => id === "a"));
});

Deno.test("applyIncoming: merges a reply too; after a gap in it the acknowledgement names the last number before the gap (R3.3)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await using peer = new ScriptedPeer(cluster, "b");
  let deltaOfB = memberDelta("b", peer.incarnation, [entry("k", 1, "first")]);
  peer.answer = (message) =>
    message.type === "gossip" ? replyTo(message, { delta: { members: [deltaOfB] } }) : undefined;
  const a = cluster.make("a");
  await a.gossiper.start();
  await cluster.advance(300);
  assertEquals(a.values("k"), { b: "first" });
  assertEquals([...peer.last("ack")!.holds], []);
  // Without the first five entries this is a gap.
  deltaOfB = memberDelta("b", peer.incarnation, [entry("k", 6, "sixth")], { after: 5 });
  await cluster.advance(300);
  assertEquals(a.values("k"), { b: "first" });
  assertEquals([...peer.last("ack")!.holds], [["b", { incarnation: peer.incarnation, number: 1 }]]);
});
