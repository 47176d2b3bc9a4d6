import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { TestCluster, type TestClusterOptions } from "../requirements/harness.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 2_000 };

/** Three confirmed members; a has blocked c by hand. */
async function withBlock(options: TestClusterOptions = {}): Promise<TestCluster> {
  const cluster = await TestCluster.started(["a", "b", "c"], {
    ...options,
    config: { ...CONFIG, ...options.config },
  });
  if (options.fixed === false) await cluster.publish(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(cluster.of("a").gossiper.block("c"), true);
  return cluster;
}

Deno.test("block: blocks a member by hand at this member alone, and no sign of life frees it (E10)", async () => {
  await using cluster = await withBlock();
  const { gossiper: a } = cluster.of("a");
  assertEquals(cluster.of("a").blocked, { c: "topology" });
  assertEquals(a.members.find(({ id }) => id === "c")?.status, "failed");
  assertEquals(a.block("c"), false);
  await cluster.stop("c");
  await cluster.finish(cluster.of("c").dispose());
  await cluster.make("c").gossiper.start();
  await cluster.advance(10_000);
  assertEquals([cluster.of("a").blocked, cluster.of("b").blocked], [{ c: "topology" }, {}]);
  const { events } = cluster.of("a");
  const blocks = events.filter(({ type }) => type === "MemberBlocked" || type === "MemberUnblocked");
  assertEquals(blocks, [{ type: "MemberBlocked", memberId: "c", reason: "topology" }]);
  assertEquals(cluster.of("a").emitted("MemberFailed").map(({ reason }) => reason), ["topology"]);
  assertEquals(a.explain("c").endsWhen, "The discovery, or `unblock`, ends the block.");
});

Deno.test("block: the blocked member is refused, gets no gossip, and its state still arrives through other members (R10.2)", async () => {
  await using cluster = await withBlock();
  const sinceMs = cluster.runtime.monotonicMs();
  cluster.of("a").gossiper.setState("k", "of a");
  cluster.of("c").gossiper.setState("k", "of c");
  await cluster.advance(3_000);
  const toC = ["gossip", "push", "heartbeat", "suspect"].flatMap((type) =>
    cluster.sentBy("a", type, { to: "c" })
  );
  assertEquals(toC.filter(({ atMs }) => atMs > sinceMs), []);
  const refusals = cluster.sentBy("a", "error", { to: "c" }).map(({ text }) => JSON.parse(text));
  assertEquals(
    new Set(refusals.map(({ code, reason }) => `${code} ${reason}`)),
    new Set(["blocked topology"]),
  );
  assertEquals(cluster.of("c").emitted("SelfBlocked").map(({ peerId, reason }) => [peerId, reason]), [[
    "a",
    "topology",
  ]]);
  assertEquals(cluster.of("a").values("k"), { a: "of a", c: "of c" });
});

Deno.test("block: a probe is no heartbeat, so that a member whose own messages are lost notices that it is cut off (E10)", async () => {
  const config = { ...CONFIG, blockedProbeInterval: 500 };
  await using cluster = await TestCluster.started(["a", "b"], { config });
  await cluster.runUntil(() => cluster.isConfirmed());
  const [from, to] = [cluster.of("b").transport.address, cluster.of("a").transport.address];
  cluster.network.setFaults({ loss: 1 }, { from, to });
  await cluster.runUntil(() => cluster.of("a").blocked.b === "expired");
  const sinceMs = cluster.runtime.monotonicMs();
  await cluster.advance(4_000);
  const probes = cluster.sentBy("a", "hello", { to: "b" }).filter(({ atMs }) => atMs > sinceMs);
  assert(probes.length > 4, `${probes.length} probes were sent`);
  const { ageMilliseconds } = cluster.of("b").gossiper.explain("a").heartbeat!;
  assert(ageMilliseconds >= 4_000, `the last heartbeat came ${ageMilliseconds} ms ago`);
  cluster.network.clearFaults();
  await cluster.runUntil(() => cluster.isConfirmed(), { withinMs: 2_000 });
  assertEquals([cluster.of("a").blocked, cluster.of("b").blocked], [{}, {}]);
});

Deno.test("unblock: ends a block by hand, and the members agree again (R10.1)", async () => {
  await using cluster = await withBlock();
  const { gossiper: a } = cluster.of("a");
  await cluster.advance(3_000);
  assertEquals([a.unblock("c"), a.unblock("c"), cluster.of("a").blocked], [true, false, {}]);
  a.setState("k", 1);
  await cluster.runUntil(() => cluster.isConfirmed() && cluster.of("c").value("a", "k") === 1);
  assertEquals([a.block("c"), cluster.of("a").blocked], [true, { c: "topology" }]);
});

Deno.test("block: a block by hand stays after topologies without the member, and after the member is forgotten", async () => {
  const config = { departedRetention: 2_000, tombstoneRetention: 2_000 };
  await using cluster = await withBlock({ fixed: false, config });
  await cluster.stop("c");
  await cluster.finish(cluster.of("c").dispose());
  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  await cluster.runUntil(() => cluster.of("a").emitted("MemberForgotten").length > 0);
  assertEquals(cluster.of("a").blocked, { c: "topology" });
  await cluster.make("c").gossiper.start();
  await cluster.publish(["a", "b", "c"]);
  await cluster.runUntil(() =>
    cluster.of("b").gossiper.members.some(({ id, status }) => id === "c" && status === "alive")
  );
  await cluster.advance(5_000);
  assertEquals(cluster.of("a").blocked, { c: "topology" });
});

Deno.test("block: a block by hand that the topology shares ends only by `unblock`, and a later topology may block the member again", async () => {
  await using cluster = await withBlock({ fixed: false });
  const { gossiper: a } = cluster.of("a");
  await cluster.publish(["a", "b", "c"], { blocked: ["c"], to: ["a"] });
  await cluster.publish(["a", "b", "c"], { to: ["a"] });
  assertEquals(cluster.of("a").blocked, { c: "topology" });
  assertEquals([a.unblock("c"), cluster.of("a").blocked], [true, {}]);
  await cluster.publish(["a", "b", "c"], { blocked: ["c"], to: ["a"] });
  assertEquals(cluster.of("a").blocked, { c: "topology" });
  await cluster.publish(["a", "b", "c"], { to: ["a"] });
  assertEquals(cluster.of("a").blocked, {});
});

Deno.test("block: a block by hand replaces a block as expired, so that the member stays blocked when it returns", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.network.cut(cluster.of("a").transport.address, cluster.of("b").transport.address);
  await cluster.runUntil(() => cluster.of("a").blocked["b"] === "expired");
  assertEquals(cluster.of("a").gossiper.block("b"), true);
  cluster.network.heal();
  await cluster.advance(130_000);
  assertEquals(cluster.of("a").blocked, { b: "topology" });
});

Deno.test("block: an id that was blocked before the start is refused at its handshake", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const a = cluster.make("a");
  assertEquals(a.gossiper.block("b"), true);
  await a.gossiper.start();
  await cluster.make("b").gossiper.start();
  cluster.of("b").gossiper.setState("k", 1);
  await cluster.advance(5_000);
  assertEquals([a.values("k"), a.blocked, a.gossiper.phase], [{}, { b: "topology" }, "confirmed"]);
});

Deno.test("block: refuses an invalid id, this member's own id, ids above `maxMembers`, and any id after the end", async () => {
  await using cluster = new TestCluster(["a"], { fixed: false, config: { maxMembers: 2 } });
  const { gossiper } = cluster.make("a");
  assertThrows(() => gossiper.block(""), ConfigurationError, "`id` must be a text of 1 to 256 bytes");
  assertThrows(
    () => gossiper.block("a"),
    ConfigurationError,
    '`id` must be the id of another member; got "a"',
  );
  assertEquals([gossiper.block("x"), gossiper.block("y"), gossiper.block("y")], [true, true, false]);
  const error = assertThrows(() => gossiper.block("z"), HearsayError, "At most 2 ids (maxMembers)");
  assertEquals([error.code, gossiper.blockedMembers.map(({ id }) => id)], ["too_large", ["x", "y"]]);
  gossiper.unblock("x");
  assertEquals(gossiper.block("z"), true);
  await gossiper[Symbol.asyncDispose]();
  assertThrows(() => gossiper.block("x"), HearsayError, "has stopped");
});

Deno.test("block: a member that was forgotten while it was blocked shakes hands again after `unblock` (E10, E11)", async () => {
  await using cluster = await withBlock({ config: { departedRetention: 2_000, tombstoneRetention: 2_000 } });
  const { gossiper: a } = cluster.of("a");
  assertEquals(a.explain("c").isConnected, true);
  await cluster.runUntil(() => cluster.of("a").emitted("MemberForgotten").length > 0);
  await cluster.runtime.settle();
  assertEquals(a.explain("c").isConnected, false);
  a.unblock("c");
  a.setState("k", 1);
  await cluster.runUntil(() => cluster.isConfirmed() && a.explain("c").isConnected);
  assertEquals(cluster.of("c").value("a", "k"), 1);
});
