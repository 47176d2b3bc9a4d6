import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { getActorCount, memberInfo, membersInZone } from "../../members/mod.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import type { TestCluster } from "../requirements/harness.ts";
import { confirmed } from "./harness.ts";

/** A cluster with counts that the test changes. */
function counting(counts: Record<string, Record<string, number>>): Promise<TestCluster> {
  const reporting = Object.keys(counts).map((id) => [id, () => counts[id]!] as const);
  return confirmed(["a", "b", "c"], {
    kindsOf: (id) => [`zone:${id === "c" ? "us" : "eu"}`],
    actorStatistics: Object.fromEntries(reporting),
  });
}

Deno.test("getActorCount: returns the count of each member that reports the kind, and follows it (R6.2)", async () => {
  const counts: Record<string, Record<string, number>> = { a: { cart: 3, order: 0 }, b: { cart: 5 } };
  await using cluster = await counting(counts);
  const { gossiper: c } = cluster.of("c");
  assertEquals(getActorCount(c, "cart"), new Map([["a", 3], ["b", 5]]));
  assertEquals(getActorCount(c, "order"), new Map([["a", 0]]));
  assertEquals(getActorCount(c, "toString"), new Map());
  counts["a"] = { cart: 4, toString: 1 };
  await cluster.advance(600);
  assertEquals(getActorCount(c, "cart").get("a"), 4);
  assertEquals(getActorCount(c, "toString"), new Map([["a", 1]]));
  assertEquals(getActorCount(cluster.of("a").gossiper, "cart"), new Map([["a", 4], ["b", 5]]));
  assertThrows(() => getActorCount(c, ""), ConfigurationError, "`kind` must be a text of 1 to 256 bytes");
});

Deno.test("getActorCount: leaves out members that failed or left", async () => {
  await using cluster = await counting({ a: { cart: 3 }, b: { cart: 5 } });
  const { gossiper: c } = cluster.of("c");
  cluster.crash("a");
  await cluster.runUntil(() => c.blockedMembers.length === 1);
  assertEquals(getActorCount(c, "cart"), new Map([["b", 5]]));
  assertEquals(memberInfo(c, "a")?.actorCounts, new Map([["cart", 3]]));
  await cluster.stop("b");
  assertEquals(getActorCount(c, "cart"), new Map());
});

Deno.test("memberInfo: has status, record, zone and counts; undefined for an unknown member", async () => {
  await using cluster = await counting({ a: { cart: 3 } });
  const { gossiper: b } = cluster.of("b");
  const info = memberInfo(b, "a")!;
  assertEquals([info.status, info.isSelf, info.zone], ["alive", false, "eu"]);
  assertEquals([info.member?.host, info.actorCounts], ["a", new Map([["cart", 3]])]);
  assert(Object.isFrozen(info));
  assertEquals(memberInfo(b, "b")!.isSelf, true);
  assertEquals(memberInfo(b, "d"), undefined);
  cluster.crash("a");
  await cluster.runUntil(() => b.blockedMembers.length === 1);
  assertEquals(memberInfo(b, "a")!.status, "failed");
});

Deno.test("membersInZone: returns the living members of a zone, sorted by id", async () => {
  await using cluster = await counting({});
  const { gossiper: b } = cluster.of("b");
  const idsIn = (zone: string) => membersInZone(b, zone).map(({ id }) => id);
  assertEquals([idsIn("eu"), idsIn("us"), idsIn("asia")], [["a", "b"], ["c"], []]);
  cluster.crash("a");
  await cluster.runUntil(() => memberInfo(b, "a")!.status === "suspected");
  assertEquals(idsIn("eu"), ["a", "b"]);
  await cluster.runUntil(() => b.blockedMembers.length === 1);
  assertEquals(idsIn("eu"), ["b"]);
  assertThrows(() => membersInZone(b, ""), ConfigurationError, "`zone` must be a text of 1 to 256 bytes");
});
