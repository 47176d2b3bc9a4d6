import { assert, assertEquals } from "../../deps/std_assert.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "./harness.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 2_000 };

/** Three confirmed members; c is then isolated until it and the others have blocked each other. */
async function withCutOff(config: { readonly blockedProbeInterval?: number } = {}): Promise<TestCluster> {
  const cluster = await TestCluster.started(["a", "b", "c"], { config: { ...CONFIG, ...config } });
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const id of ["a", "b"]) {
    cluster.network.cut(memoryAddress(id, 1), memoryAddress("c", 1));
  }
  await cluster.runUntil(() =>
    cluster.of("a").blocked.c === "expired" && cluster.of("b").blocked.c === "expired" &&
    cluster.of("c").gossiper.blockedMembers.length === 2
  );
  return cluster;
}

Deno.test("blockedMembers: lists each blocked member with the reason and the time (R10.1)", async () => {
  await using cluster = await withCutOff();
  const [block] = cluster.of("a").gossiper.blockedMembers;
  assertEquals(block?.id, "c");
  assertEquals(block?.reason, "expired");
  const ageMs = cluster.of("a").runtime.wallMs() - block!.sinceMs;
  assert(ageMs >= 0 && ageMs <= 500, `${ageMs}`);
  assertEquals(cluster.of("b").gossiper.members.map(({ id, status }) => [id, status]), [
    ["a", "alive"],
    ["b", "alive"],
    ["c", "failed"],
  ]);
});

Deno.test("block: a blocked member gets handshakes and no gossip until it answers, and then all members get all state (R10.2, E10)", async () => {
  await using cluster = await withCutOff({ blockedProbeInterval: 3_000 });
  cluster.of("a").gossiper.setState("k", "of a");
  cluster.of("c").gossiper.setState("k", "of c");
  const blockedMs = cluster.runtime.monotonicMs();
  await cluster.advance(1_000);
  const since = cluster.sent.filter(({ atMs }) => atMs > blockedMs);
  const touching = since.filter(({ from, to }) =>
    from === memoryAddress("c", 1) || to === memoryAddress("c", 1)
  );
  assertEquals(touching.filter(({ type }) => type !== "hello").map(({ type }) => type), []);
  assertEquals(cluster.of("a").values("k"), { a: "of a" });

  cluster.network.heal();
  await cluster.runUntil(() => cluster.of("a").value("c", "k") === "of c" && cluster.isConfirmed(), {
    withinMs: 6_000,
  });
  assertEquals(["a", "b", "c"].map((id) => cluster.of(id).blocked), [{}, {}, {}]);
  assertEquals(cluster.of("c").values("k"), { a: "of a", c: "of c" });
  assertEquals(cluster.of("a").emitted("MemberUnblocked").map(({ memberId }) => memberId), ["c"]);
});

Deno.test("block: gossip of a blocked member is refused with the reason, and no entry of it is merged (R10.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: CONFIG, fixed: false });
  await cluster.publish(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.publish(["a", "b"], { blocked: ["b"], to: ["a"] });
  cluster.of("b").gossiper.setState("k", "unheard");
  await cluster.advance(2_000);
  assertEquals(cluster.of("a").values("k"), {});
  const refusals = cluster.sentBy("a", "error").map(({ text }) => JSON.parse(text));
  assert(refusals.length > 0);
  for (const { code, reason } of refusals) assertEquals([code, reason], ["blocked", "topology"]);
  assertEquals(cluster.of("b").emitted("SelfBlocked").map(({ peerId, reason }) => [peerId, reason]), [[
    "a",
    "topology",
  ]]);
});

Deno.test("departure: a member with the gracefully-left key is blocked as left by every member (R10.3, R2.4)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c", "d"], {
    config: { ...CONFIG, gossipFanOut: 1 },
  });
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.stop("d");
  await cluster.runUntil(() => ["a", "b", "c"].every((id) => cluster.of(id).blocked.d === "left"));
  for (const id of ["a", "b", "c"]) {
    assertEquals(cluster.of(id).gossiper.members.find((member) => member.id === "d")?.status, "left");
  }
});

Deno.test("block: a second block of a member emits no event, even with another reason (R10.4)", async () => {
  await using cluster = await withCutOff({ blockedProbeInterval: Infinity });
  await cluster.publish(["a", "b", "c"], { blocked: ["c"], to: ["a"] });
  await cluster.advance(5_000);
  assertEquals(cluster.of("a").blocked, { c: "topology" });
  assertEquals(cluster.of("a").emitted("MemberBlocked").map(({ memberId, reason }) => [memberId, reason]), [
    ["c", "expired"],
  ]);
});

Deno.test("unblock: a member that was freed by hand gets gossip again (R10.1)", async () => {
  await using cluster = await withCutOff({ blockedProbeInterval: Infinity });
  cluster.network.heal();
  await cluster.advance(3_000);
  assertEquals(cluster.of("a").blocked, { c: "expired" });
  for (const id of ["a", "b"]) assert(cluster.of(id).gossiper.unblock("c"));
  assertEquals(cluster.of("a").gossiper.unblock("c"), false);
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("c").value("a", "k") === 1);
});
