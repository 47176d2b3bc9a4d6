import { assert, assertEquals } from "../../deps/std_assert.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";

const HOUR = 3_600_000;
const NEVER = { gossipInterval: 1_000, heartbeatExpiration: Infinity };

/** Three confirmed members that block no other for silence. */
async function confirmed(config: object = {}): Promise<TestCluster> {
  const cluster = await TestCluster.started(["a", "b", "c"], { config: { ...NEVER, ...config } });
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

Deno.test("heartbeatExpiration Infinity: no member is blocked for silence, and members agree again after a long partition (R6.4)", async () => {
  await using cluster = await confirmed();
  for (const id of ["a", "b"]) cluster.network.cut(memoryAddress(id, 1), memoryAddress("c", 1));
  cluster.of("c").gossiper.setState("k", 1);
  await cluster.advance(HOUR / 2);
  for (const member of cluster.members) {
    assertEquals([member.blocked, member.emitted("MemberFailed")], [{}, []], member.id);
  }
  assertEquals(cluster.of("c").emitted("Isolated").length, 1);
  cluster.network.heal();
  await cluster.runUntil(() => cluster.isConfirmed() && cluster.of("a").value("c", "k") === 1);
});

Deno.test("heartbeatExpiration Infinity: members that leave or crash are still blocked", async () => {
  await using cluster = await confirmed();
  await cluster.stop("b");
  cluster.crash("c");
  await cluster.runUntil(() => cluster.of("a").blocked["c"] === "crashed");
  assertEquals(cluster.of("a").blocked, { b: "left", c: "crashed" });
});

Deno.test("heartbeatExpiration Infinity: counts are relayed at the pace of the default (L2)", async () => {
  await using cluster = await confirmed();
  cluster.network.cut(memoryAddress("a", 1), memoryAddress("c", 1));
  await cluster.advance(120_000);
  const { heartbeat } = cluster.of("a").gossiper.explain("c");
  assertEquals(heartbeat?.peerId, "b");
  assert(heartbeat!.ageMilliseconds < 20_000, `${heartbeat!.ageMilliseconds}`);
  const { endsWhen } = cluster.of("a").gossiper.explain("b");
  assertEquals(endsWhen, "It fails 1.1 s after its connection broke and its address refuses.");
});

Deno.test("heartbeatExpiration Infinity: fits any `gossipInterval` of a peer, and is sent as the greatest safe integer", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await cluster.make("a", { config: NEVER }).gossiper.start();
  await cluster.make("b", {
    config: { gossipInterval: HOUR, heartbeatExpiration: 3 * HOUR, departedRetention: 3 * HOUR },
  }).gossiper
    .start();
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 1);
  const [hello] = cluster.sentBy("a", "hello");
  assertEquals(JSON.parse(hello!.text).settings.heartbeatExpiration, Number.MAX_SAFE_INTEGER);
  assertEquals(cluster.members.flatMap((member) => member.emitted("SettingsDiffer")), []);
});

Deno.test("heartbeatExpiration Infinity: members with an expiration still block silent members", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await cluster.make("a", { config: NEVER }).gossiper.start();
  await cluster.make("b", { config: { gossipInterval: 1_000 } }).gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.network.cut(memoryAddress("a", 1), memoryAddress("b", 1));
  await cluster.runUntil(() => cluster.of("b").blocked["a"] === "expired");
  await cluster.advance(60_000);
  assertEquals(cluster.of("a").blocked, {});
  cluster.network.heal();
  await cluster.runUntil(() => cluster.isConfirmed() && cluster.of("b").gossiper.blockedMembers.length === 0);
});
