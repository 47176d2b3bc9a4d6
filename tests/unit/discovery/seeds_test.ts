import { assert, assertEquals, assertThrows } from "../../../deps/std_assert.ts";
import { fixedMembers } from "../../../discovery/fixed.ts";
import { readMember } from "../../../discovery/member_record.ts";
import { seeds } from "../../../discovery/seeds.ts";
import { ConfigurationError } from "../../../gossiper/configuration_error.ts";
import type { Discovery } from "../../../gossiper/cluster.ts";
import { memoryAddress } from "../../../transport/memory.ts";
import { recordOf, TestCluster } from "../../requirements/harness.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 200,
  heartbeatExpiration: 2_000,
  blockedProbeInterval: 3_000,
  departedRetention: 10_000,
};

/** A member that greets these others. */
function make(cluster: TestCluster, id: string, ...others: readonly string[]) {
  const discovery = seeds(others.map((other) => memoryAddress(other, 1)));
  return cluster.make(id, { cluster: { discovery } });
}

function emptyCluster(ids: readonly string[]): TestCluster {
  return new TestCluster(ids, { fixed: false, config: CONFIG });
}

/** The ids that a member takes to be active. */
function activeAt(cluster: TestCluster, id: string): string[] {
  return cluster.of(id).gossiper.members.filter(({ status }) => status === "active").map((member) =>
    member.id
  );
}

Deno.test("a member that greets one seed learns of all others, and all derive the same topology", async () => {
  const ids = ["a", "b", "c", "d", "e"];
  await using cluster = emptyCluster(ids);
  await make(cluster, "a").gossiper.start();
  for (const id of ids.slice(1)) await make(cluster, id, "a").gossiper.start();
  await cluster.runUntil(() => ids.every((id) => activeAt(cluster, id).length === ids.length), {
    withinMs: 2_000,
  });
  await cluster.runUntil(() => cluster.isConfirmed());
  const last = ids.map((id) => cluster.of(id).told("ClusterTopology").at(-1));
  for (const topology of last) assertEquals(topology, last[0]);
  assertEquals(last[0]?.members, ids.map(recordOf));
});

Deno.test("E13 before the first contact there is neither consensus nor confirmed, and after it not with itself alone", async () => {
  await using cluster = emptyCluster(["a", "b"]);
  const { gossiper } = make(cluster, "a", "b");
  const told: unknown[] = [];
  gossiper.registerConsensusCheck("k", (value) => value, { onReached: (value) => told.push(value) });
  gossiper.setState("k", 1);
  await gossiper.start();
  await cluster.advance(5_000);
  assertEquals([gossiper.phase, told], ["diffusing", []]);

  const other = make(cluster, "b");
  other.gossiper.setState("k", 2);
  await other.gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(told, []);
  other.gossiper.setState("k", 1);
  await cluster.runUntil(() => told.length > 0);
  assertEquals(told, [1]);
});

Deno.test("a seed that comes later is found, and one that stays down does no harm", async () => {
  await using cluster = emptyCluster(["a", "late"]);
  await make(cluster, "a", "never", "late").gossiper.start();
  await cluster.advance(20_000);
  assertEquals(activeAt(cluster, "a"), ["a"]);
  await make(cluster, "late").gossiper.start();
  await cluster.runUntil(() => activeAt(cluster, "a").length === 2, { withinMs: 6_000 });
});

Deno.test("two islands that each started alone become one cluster as soon as one can greet the other", async () => {
  const ids = ["a", "b", "c", "d"];
  await using cluster = emptyCluster(ids);
  for (const [one, other] of [["a", "c"], ["a", "d"], ["b", "c"], ["b", "d"]] as const) {
    cluster.network.cut(memoryAddress(one, 1), memoryAddress(other, 1));
  }
  await make(cluster, "a", "b", "c").gossiper.start();
  await make(cluster, "b", "a").gossiper.start();
  await make(cluster, "c", "d").gossiper.start();
  await make(cluster, "d", "c").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(20_000);
  assertEquals([activeAt(cluster, "a"), activeAt(cluster, "d")], [["a", "b"], ["c", "d"]]);
  cluster.network.heal();
  await cluster.runUntil(
    () => ids.every((id) => activeAt(cluster, id).length === 4) && cluster.isConfirmed(),
    {
      withinMs: 10_000,
    },
  );
});

Deno.test("the own address among the seeds does no harm, and is dialled once", async () => {
  await using cluster = emptyCluster(["a", "b"]);
  await make(cluster, "a", "a").gossiper.start();
  await make(cluster, "b", "b", "a").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(20_000);
  assertEquals([activeAt(cluster, "a"), activeAt(cluster, "b")], [["a", "b"], ["a", "b"]]);
  // The two ends of one dial.
  assertEquals(cluster.sentBy("a", "hello", { to: "a" }).length, 2);
});

Deno.test("E11 one that left is out of the topology at once, one that expired once it is forgotten", async () => {
  const ids = ["a", "b", "c"];
  await using cluster = emptyCluster(ids);
  await make(cluster, "a").gossiper.start();
  for (const id of ["b", "c"]) await make(cluster, id, "a").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  const namedAtA = () => cluster.of("a").told("ClusterTopology").at(-1)?.members.map(({ id }) => id);
  await cluster.stop("b");
  await cluster.runUntil(() => namedAtA()?.length === 2);
  assertEquals(namedAtA(), ["a", "c"]);
  assertEquals(cluster.of("a").blocked.b, "left");

  cluster.network.cut(memoryAddress("a", 1), memoryAddress("c", 1));
  await cluster.runUntil(() => cluster.of("a").blocked.c === "expired");
  assertEquals(namedAtA(), ["a", "c"]);
  await cluster.advance(CONFIG.departedRetention + 500);
  assertEquals(namedAtA(), ["a"]);
  assertEquals(cluster.of("a").blocked, {});
  cluster.network.heal();
});

Deno.test("E10 a partition longer than every retention heals by the seeds", async () => {
  await using cluster = emptyCluster(["a", "b"]);
  await make(cluster, "a", "b").gossiper.start();
  await make(cluster, "b", "a").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.network.cut(memoryAddress("a", 1), memoryAddress("b", 1));
  await cluster.advance(4 * CONFIG.departedRetention);
  assertEquals([activeAt(cluster, "a"), activeAt(cluster, "b")], [["a"], ["b"]]);
  cluster.network.heal();
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 1 && cluster.isConfirmed(), {
    withinMs: 10_000,
  });
});

Deno.test("a member of a fixed list refuses whoever is not on it", async () => {
  await using cluster = emptyCluster(["a", "b"]);
  const alone: Discovery = fixedMembers([recordOf("a")]);
  await cluster.make("a", { cluster: { discovery: alone } }).gossiper.start();
  await make(cluster, "b", "a").gossiper.start();
  await cluster.advance(3_000);
  assertEquals(activeAt(cluster, "a"), ["a"]);
  assertEquals(activeAt(cluster, "b"), ["b"]);
  const refusals = cluster.sentBy("a", "error").map(({ text }) => JSON.parse(text).code);
  assertEquals(new Set(refusals), new Set(["unknown_member"]));
});

Deno.test("a fixed list is known before the first round, this member in it or not", async () => {
  await using cluster = emptyCluster(["a", "b"]);
  for (const id of ["a", "b"]) {
    cluster.make(id, { cluster: { discovery: fixedMembers([recordOf("b"), recordOf("a")]) } });
  }
  assertEquals(activeAt(cluster, "a"), ["a", "b"]);
  for (const { gossiper } of cluster.members) await gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
});

Deno.test("a list with one id twice, and seeds that are no addresses, are refused", () => {
  assertThrows(() => fixedMembers([recordOf("a"), recordOf("a")]), ConfigurationError, '"a"');
  assertThrows(() => seeds([""]), ConfigurationError, "ws://127.0.0.1:7001");
  assertThrows(() => seeds([7 as unknown as string]), ConfigurationError, "7");
});

Deno.test("a member's record is believed only where it is one", () => {
  const record = { id: "a", host: "h", port: 1, kinds: ["k"] };
  assertEquals(readMember({ ...record, more: 1 }), record);
  assertEquals(readMember({ id: "a", host: "h", port: 1 }), { ...record, kinds: [] });
  for (
    const wrong of [
      null,
      1,
      "a",
      [],
      {},
      { ...record, id: "" },
      { ...record, port: 65_536 },
      { ...record, port: 1.5 },
      {
        ...record,
        host: "h".repeat(257),
      },
      { ...record, kinds: [1] },
      { ...record, kinds: "k" },
    ]
  ) assertEquals(readMember(wrong as never), undefined, JSON.stringify(wrong));
  assert(Object.isFrozen(readMember(record)));
});
