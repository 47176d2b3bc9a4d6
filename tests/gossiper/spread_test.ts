/**
 * Changes are pushed to peers between the rounds: the delay, the peers, the number of messages, and the
 * repair of a lost push.
 */

import { assert, assertEquals, assertLessOrEqual } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import type { Message } from "../../protocol/message.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { WINDOW_MESSAGES } from "../../testing/memory_link.ts";
import { TestCluster } from "../requirements/harness.ts";
import { ScriptedPeer } from "../requirements/scripted_peer.ts";

/** Long enough for a push of one hop, also within the least time between two pushes to a peer, which is 4 ms. */
const ONE_HOP_MS = 5;

/** A cluster with a connection between every two members and one state. */
async function settledCluster(count: number, config = {}): Promise<TestCluster> {
  const ids = Array.from({ length: count }, (_, index) => `m${index}`);
  const cluster = await TestCluster.started(ids, { config: { gossipInterval: 1_000, ...config } });
  await cluster.runUntil(() => cluster.isConfirmed());
  const pairs = () => new Set(cluster.sent.map(({ from, to }) => [from, to].sort().join()));
  await cluster.runUntil(() => pairs().size === count * (count - 1) / 2);
  await cluster.runUntil(() => cluster.isConfirmed());
  // Half an interval away from every round.
  await cluster.advance(1_000 - cluster.runtime.monotonicMs() % 1_000 + 500);
  cluster.sent.length = 0;
  return cluster;
}

function countWithKey(cluster: TestCluster, owner: string, key: string): number {
  return cluster.members.filter((member) => member.value(owner, key) !== undefined).length;
}

Deno.test("spread: a set reaches every member within milliseconds, in one push per peer (S1)", async () => {
  await using cluster = await settledCluster(8);
  cluster.of("m3").gossiper.setState("k", 1);
  await cluster.advance(ONE_HOP_MS);
  assertEquals(countWithKey(cluster, "m3", "k"), 8);
  // Time enough for each to pass it on: none does, because all have it.
  await cluster.advance(10);
  assertEquals(
    cluster.sent.map(({ type, from }) => [type, from]),
    Array(7).fill(["push", memoryAddress("m3", 1)]),
  );
});

Deno.test("spread: a delete and a departure are pushed like a set (S1)", async () => {
  await using cluster = await settledCluster(4);
  const { gossiper } = cluster.of("m0");
  gossiper.setState("k", 1);
  await cluster.advance(ONE_HOP_MS);
  gossiper.deleteState("k");
  await cluster.advance(ONE_HOP_MS);
  assertEquals(countWithKey(cluster, "m0", "k"), 0);
  const stopping = gossiper.stop();
  await cluster.advance(ONE_HOP_MS);
  for (const id of ["m1", "m2", "m3"]) assertEquals(cluster.of(id).blocked, { m0: "left" });
  await cluster.finish(stopping);
});

Deno.test("spread: many sets in a row cause one immediate push per peer, which has the last values (S3)", async () => {
  await using cluster = await settledCluster(4);
  for (let value = 0; value < 1_000; value++) cluster.of("m0").gossiper.setState(`k${value % 3}`, value);
  // No timer passes.
  await cluster.runtime.settle();
  assertEquals(cluster.sent.length, 3);
  assertEquals(["k0", "k1", "k2"].map((key) => cluster.of("m3").value("m0", key)), [999, 997, 998]);
});

Deno.test("spread: sets that follow soon after a push are pushed together 4 ms after that push (S1)", async () => {
  await using cluster = await settledCluster(2);
  for (const value of [1, 2, 3]) {
    cluster.of("m0").gossiper.setState("k", value);
    await cluster.advance(1);
  }
  assertEquals([cluster.sent.length, cluster.of("m1").value("m0", "k")], [1, 1]);
  await cluster.advance(1);
  assertEquals([cluster.sent.length, cluster.of("m1").value("m0", "k")], [2, 3]);
});

Deno.test("spread: changes join the push that waits for a peer that does not read (S3)", async () => {
  await using cluster = await settledCluster(2);
  cluster.network.setFaults({ delayMs: 300 });
  for (let value = 0; value < 60; value++) {
    cluster.of("m0").gossiper.setState("k", value);
    await cluster.advance(5);
  }
  // As many as fit into the link; the last one waits and has the last value.
  assertLessOrEqual(cluster.sentBy("m0", "push").length, WINDOW_MESSAGES + 2);
  cluster.network.clearFaults();
  await cluster.advance(310);
  assertEquals(cluster.of("m1").value("m0", "k"), 59);
});

Deno.test("spread: the round after a push checks its arrival, and does not send the entry again (S2)", async () => {
  await using cluster = await settledCluster(2);
  const { gossiper } = cluster.of("m0");
  gossiper.setState("k", "the value");
  await cluster.advance(ONE_HOP_MS);
  assertEquals(gossiper.phase, "diffusing");
  await cluster.runUntil(() => gossiper.phase === "confirmed");
  assertEquals(cluster.sent.filter(({ text }) => text.includes("the value")).map(({ type }) => type), [
    "push",
  ]);
});

Deno.test("spread: a lost push is repaired by a round (E5, S2)", async () => {
  await using cluster = await settledCluster(3);
  const { gossiper } = cluster.of("m0");
  cluster.network.setFaults({ loss: 1 });
  gossiper.setState("k", "the value");
  await cluster.advance(ONE_HOP_MS);
  cluster.network.setFaults({ loss: 0 });
  assertEquals(countWithKey(cluster, "m0", "k"), 1);
  const request = gossiper.setStateRequest("other", 1, { acknowledgedBy: "all" });
  await cluster.finish(request);
  assertEquals(countWithKey(cluster, "m0", "k"), 3);
});

Deno.test("spread: a push does not count as acknowledged (E5, S2)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await using peer = new ScriptedPeer(cluster, "b");
  const { gossiper } = cluster.make("a");
  await gossiper.start();
  await cluster.advance(300);
  peer.answer = () => undefined;
  let isDone = false;
  const request = gossiper.setStateRequest("k", 1, { acknowledgedBy: 1 }).then(() => isDone = true);
  await cluster.advance(100);
  assert(peer.last("push")!.delta.members[0]!.entries.some(({ key }) => key === "k"));
  assertEquals(isDone, false);
  peer.answer = (message: Message) =>
    message.type === "gossip"
      ? { type: "reply", liveness: { count: 0 }, id: message.id, delta: NOTHING, holds: new Map() }
      : undefined;
  await cluster.finish(request);
});

const NOTHING = { members: [], digest: "0".repeat(16), active: "0".repeat(16), partial: true };

Deno.test("spread: a new member receives all state at once, and all members know the new member at once", async () => {
  const ids = ["s", "a", "b", "c"];
  await using cluster = new TestCluster(ids, { config: { gossipInterval: 2_000 } });
  const make = (id: string) =>
    cluster.make(id, { cluster: { discovery: seeds(id === "s" ? [] : [memoryAddress("s", 1)]) } });
  for (const id of ids.slice(0, 3)) await make(id).gossiper.start();
  cluster.of("s").gossiper.setState("k", 1);
  cluster.of("b").gossiper.setState("k", 1);
  await cluster.advance(10_500);
  const newcomer = make("c");
  newcomer.gossiper.setState("k", 1);
  await newcomer.gossiper.start();
  await cluster.advance(20);
  assertEquals(newcomer.values("k"), { b: 1, c: 1, s: 1 });
  for (const id of ids) assertEquals(cluster.of(id).value("c", "k"), 1, id);
});

Deno.test("spread: members that start together know each other before the second round, even if they are connected with the seed alone", async () => {
  const ids = Array.from({ length: 12 }, (_, index) => `m${index}`);
  await using cluster = new TestCluster(ids, {
    fixed: false,
    config: { gossipInterval: 5_000, heartbeatExpiration: 60_000 },
    cluster: { discovery: seeds([memoryAddress("m0", 1)]) },
  });
  for (const id of ids) await cluster.make(id).gossiper.start();
  await cluster.advance(100);
  const seen = cluster.members.map(({ gossiper }) =>
    gossiper.members.filter(({ status }) => status === "alive").length
  );
  assertEquals(seen, ids.map(() => ids.length));
});

Deno.test('spread: with spread "interval" nothing is pushed', async () => {
  await using cluster = await settledCluster(3, { spread: "interval" });
  cluster.of("m0").gossiper.setState("k", 1);
  await cluster.advance(400);
  assertEquals(cluster.sent, []);
});

Deno.test("spread: a blocked member is sent no push (R10.2)", async () => {
  await using cluster = await settledCluster(3);
  await cluster.publish(["m0", "m1", "m2"], { blocked: ["m1"], to: ["m0"] });
  cluster.of("m0").gossiper.setState("k", 1);
  await cluster.advance(ONE_HOP_MS);
  assertEquals(cluster.sentBy("m0", "push").map(({ to }) => to), [memoryAddress("m2", 1)]);
});

Deno.test("spread: in a large cluster a set is passed on, and each member receives it at most twice on average (S1)", async () => {
  const ids = Array.from({ length: 66 }, (_, index) => `m${index}`);
  await using cluster = await TestCluster.started(ids, {
    config: { gossipInterval: 1_000, gossipMaxSend: 100 },
  });
  await cluster.advance(10_500);
  let copies = 0;
  for (let round = 0; round < 5; round++) {
    cluster.sent.length = 0;
    cluster.of(`m${round}`).gossiper.setState("k", "the value");
    await cluster.advance(30);
    copies += cluster.sent.filter(({ text }) => text.includes("the value")).length;
    // The rest is for the rounds.
    assert(countWithKey(cluster, `m${round}`, "k") > 33, `${countWithKey(cluster, `m${round}`, "k")}`);
    await cluster.advance(970);
  }
  assertLessOrEqual(copies / 5, 2 * 66);
});

Deno.test("spread: pushes take at most half of the messages that a peer accepts in a second", async () => {
  await using cluster = await settledCluster(2, { maxMessagesPerSecond: 100 });
  const { gossiper } = cluster.of("m0");
  for (let value = 0; value < 2_000; value++) {
    gossiper.setState("k", value);
    await cluster.advance(1);
  }
  assertLessOrEqual(cluster.sentBy("m0", "push").length, 100);
  // It is not slower than necessary, and loses nothing.
  assert(cluster.sentBy("m0", "push").length > 45, `${cluster.sentBy("m0", "push").length}`);
  await cluster.advance(2 * 1_000 / 25);
  assertEquals(cluster.of("m1").value("m0", "k"), 1_999);
});

Deno.test("spread: a change long after the last change is not delayed by the limit", async () => {
  await using cluster = await settledCluster(2, { maxMessagesPerSecond: 10 });
  const { gossiper } = cluster.of("m0");
  for (let value = 0; value < 3; value++) {
    await cluster.advance(1_000);
    gossiper.setState("k", value);
    await cluster.advance(ONE_HOP_MS);
    assertEquals(cluster.of("m1").value("m0", "k"), value);
  }
});
