import { assert, assertEquals } from "../../deps/std_assert.ts";
import { recordOf, TestCluster } from "./harness.ts";

/** Three members without a topology. */
function unconnected(): Promise<TestCluster> {
  return TestCluster.started(["a", "b", "c"], { fixed: false });
}

/** The addresses of a member's gossip, heartbeats and pushes since this time. */
function gossipedTo(cluster: TestCluster, id: string, sinceMs: number): string[] {
  const sent = [...cluster.gossipedBy(id), ...cluster.sentBy(id, "push")];
  const to = sent.filter(({ atMs }) => atMs >= sinceMs).map((message) => message.to);
  return [...new Set(to)].sort();
}

Deno.test("topology: a member that joined by a ClusterTopology gets gossip, and no other process gets any (R7.1, R7.2)", async () => {
  await using cluster = await unconnected();
  await cluster.advance(1_000);
  assertEquals(cluster.sent, []);

  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 1);
  assertEquals(gossipedTo(cluster, "a", 0), ["memory://b:1"]);
  assertEquals(cluster.of("c").values("k"), {});

  const joinedMs = cluster.runtime.monotonicMs();
  await cluster.publish(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.of("c").value("a", "k") === 1);
  await cluster.advance(1_000);
  assertEquals(gossipedTo(cluster, "a", joinedMs), ["memory://b:1", "memory://c:1"]);
});

Deno.test("topology: a member that left the topology gets no more gossip, and its connection is closed (R7.3)", async () => {
  await using cluster = await unconnected();
  await cluster.publish(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());

  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  await cluster.advance(600);
  const leftMs = cluster.runtime.monotonicMs();
  const handshakes = cluster.sentBy("c", "hello").length;
  cluster.of("a").gossiper.setState("later", 1);
  await cluster.runUntil(() => cluster.of("b").value("a", "later") === 1);
  await cluster.advance(3_000);
  assertEquals(gossipedTo(cluster, "a", leftMs), ["memory://b:1"]);
  assertEquals(gossipedTo(cluster, "b", leftMs), ["memory://a:1"]);
  assertEquals(cluster.of("c").values("later"), {});
  const statuses = cluster.of("a").gossiper.members.map(({ id, status }) => [id, status]);
  assertEquals(statuses, [["a", "alive"], ["b", "alive"], ["c", "left"]]);
  assertEquals(cluster.of("a").emitted("RequestFailed"), []);
  // It did not learn of the end, and has to dial again.
  assert(cluster.sentBy("c", "hello").length > handshakes);
});

Deno.test("topology: gossip of a member that left the topology is refused and changes nothing (R7.3)", async () => {
  await using cluster = await unconnected();
  await cluster.publish(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  await cluster.advance(600);

  // It has not learned of the topology, and goes on.
  cluster.of("c").gossiper.setState("k", "unheard");
  await cluster.advance(3_000);
  assertEquals(cluster.of("a").values("k"), {});
  const refusals = cluster.of("c").emitted("RequestFailed").filter(({ error }) =>
    `${error}`.includes("no member")
  );
  assert(refusals.length > 0);
});

Deno.test("topology: is taken from the event stream alone, and the last published topology counts (R7.1, R7.4)", async () => {
  await using cluster = await unconnected();
  const { stream } = cluster.of("a");
  stream.publish({ type: "ClusterTopology", members: ["a", "b", "c"].map(recordOf), blocked: [] });
  stream.publish({ type: "ClusterTopology", members: ["a", "c"].map(recordOf), blocked: [] });
  stream.publish({ type: "ClusterTopology", members: ["a", "b"].map(recordOf), blocked: [] });
  await cluster.runtime.settle();
  const active = cluster.of("a").gossiper.members.filter(({ status }) => status === "alive");
  assertEquals(active.map(({ id }) => id), ["a", "b"]);
});

Deno.test("topology: an invalid topology is refused with an event, and the topology before it stays (R7.1)", async () => {
  await using cluster = await unconnected();
  await cluster.publish(["a", "b"], { to: ["a"] });
  const members = [recordOf("a")];
  const broken = [
    ...[undefined, [{ id: "" }], [{ id: 7 }], [{ id: "\ud800" }], [undefined]].map((each) => ({
      members: each,
    })),
    ...[undefined, [""], [7], ["\ud800"]].map((blocked) => ({ members, blocked })),
  ];
  for (const topology of broken) {
    cluster.of("a").stream.publish({ type: "ClusterTopology", blocked: [], ...topology } as never);
    await cluster.runtime.settle();
  }
  const emitted = cluster.of("a").emitted("CallbackFailed");
  assertEquals(emitted.map(({ where }) => where), broken.map(() => "ClusterTopology"));
  assertEquals(cluster.of("a").gossiper.members.map(({ id }) => id), ["a", "b"]);
});

Deno.test("topology: members that a topology lists as blocked are blocked, and are freed when it no longer lists them (E10, R7.1)", async () => {
  await using cluster = await unconnected();
  await cluster.publish(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.publish(["a", "b", "c"], { blocked: ["c"], to: ["a", "b"] });
  assertEquals(cluster.of("a").blocked, { c: "topology" });
  await cluster.publish(["a", "b", "c"], { to: ["a", "b"] });
  assertEquals(cluster.of("a").blocked, {});
  cluster.of("a").gossiper.setState("k", 2);
  await cluster.runUntil(() => cluster.of("c").value("a", "k") === 2);
});
