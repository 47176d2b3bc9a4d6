import { assert, assertEquals, assertNotEquals, assertThrows } from "../../deps/std_assert.ts";
import {
  describeMember,
  getActorCount,
  memberInfo,
  pickMember,
  type PickOptions,
} from "../../members/mod.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { TestCluster } from "../requirements/harness.ts";
import { confirmed } from "./harness.ts";

/** Members that have the kind `cart` and count their actors in `counts`. */
function carts(
  ids: readonly string[],
  { counts = {}, kinds = {} }: {
    readonly counts?: Record<string, number>;
    readonly kinds?: Record<string, readonly string[]>;
  } = {},
): Promise<TestCluster> {
  const reporting = Object.keys(counts).map((id) => [id, () => ({ cart: counts[id]! })] as const);
  return confirmed(ids, {
    kindsOf: (id) => kinds[id] ?? ["cart"],
    actorStatistics: Object.fromEntries(reporting),
  });
}

/** The ids of so many picks of one member. */
function picks(
  cluster: TestCluster,
  at: string,
  options: PickOptions,
  times: number,
): (string | undefined)[] {
  return Array.from({ length: times }, () => pickMember(cluster.of(at).gossiper, options)?.id);
}

function tally(ids: readonly (string | undefined)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const id of ids.toSorted()) counts[id!] = (counts[id!] ?? 0) + 1;
  return counts;
}

Deno.test("pickMember: by random, picks each living member of the kind about equally often", async () => {
  await using cluster = await carts(["a", "b", "c", "d"], { kinds: { d: ["order"] } });
  const counts = tally(picks(cluster, "a", { kind: "cart" }, 3_000));
  assertEquals(Object.keys(counts), ["a", "b", "c"]);
  for (const count of Object.values(counts)) assert(count > 900 && count < 1_100, `${count}`);
});

Deno.test("pickMember: in a round robin, picks the members in the order of their ids, one turn for each combination", async () => {
  await using cluster = await carts(["a", "b", "c"], {
    kinds: { a: ["cart", "order"], b: ["cart", "order"] },
  });
  const cart = { kind: "cart", by: "round robin" } as const;
  assertEquals(picks(cluster, "b", cart, 4), ["a", "b", "c", "a"]);
  assertEquals(picks(cluster, "b", { ...cart, kind: "order" }, 3), ["a", "b", "a"]);
  assertEquals(picks(cluster, "b", cart, 1), ["b"]);
  assertEquals(picks(cluster, "b", { ...cart, exclude: ["c"] }, 2), ["a", "b"]);
  assertEquals(picks(cluster, "a", cart, 1), ["a"]);
});

Deno.test("pickMember: a round robin continues after a member that failed", async () => {
  await using cluster = await carts(["a", "b", "c"]);
  const cart = { kind: "cart", by: "round robin" } as const;
  assertEquals(picks(cluster, "a", cart, 2), ["a", "b"]);
  cluster.crash("b");
  await cluster.runUntil(() => cluster.of("a").gossiper.blockedMembers.length === 1);
  assertEquals(picks(cluster, "a", cart, 3), ["c", "a", "c"]);
});

Deno.test("pickMember: keeps the turns of the last 1,000 round robins, in any order of their tags", async () => {
  await using cluster = await carts(["a", "b", "c"]);
  const tags = Array.from({ length: 10 }, (_, index) => `t${index}`);
  for (const { gossiper } of cluster.members) describeMember(gossiper, { tags });
  await cluster.runUntil(() => cluster.isConfirmed());
  const cart = { kind: "cart", by: "round robin" } as const;
  // Each set of the tags is a round robin of its own.
  const pickByOthers = (count: number) => {
    for (let set = 1; set <= count; set++) {
      picks(cluster, "a", { ...cart, tags: tags.filter((_, index) => set & (1 << index)) }, 1);
    }
  };
  const next = () => picks(cluster, "a", cart, 1)[0];
  assertEquals([next(), next()], ["a", "b"]);
  pickByOthers(999);
  assertEquals(next(), "c");
  assertEquals([next(), next()], ["a", "b"]);
  pickByOthers(1_000);
  assertEquals(next(), "a");
  const [one, other] = [tags.slice(0, 2), tags.slice(0, 2).reverse()];
  const before = picks(cluster, "a", { ...cart, tags: one }, 1);
  assertNotEquals(picks(cluster, "a", { ...cart, tags: other }, 1), before);
});

Deno.test("pickMember: by least load, picks the less loaded of two members, and never the most loaded of all", async () => {
  const counts = { a: 9, b: 1, c: 5 };
  await using cluster = await carts(["a", "b", "c"], { counts });
  const least = { kind: "cart", by: "least load" } as const;
  // There are three pairs: b has the lower load in two of them, c in one, a in none.
  const picked = tally(picks(cluster, "c", least, 3_000));
  assertEquals(Object.keys(picked), ["b", "c"]);
  assert(picked["b"]! > 1_900 && picked["b"]! < 2_100, JSON.stringify(picked));
  assertEquals(tally(picks(cluster, "c", { ...least, exclude: ["c"] }, 50)), { b: 50 });
  assertEquals(tally(picks(cluster, "c", { ...least, exclude: ["b", "c"] }, 5)), { a: 5 });
});

Deno.test("pickMember: by least load, a member without a count counts as empty", async () => {
  await using cluster = await carts(["a", "b"], { counts: { a: 1 } });
  assertEquals(tally(picks(cluster, "a", { kind: "cart", by: "least load" }, 20)), { b: 20 });
});

Deno.test("pickMember: keeps to the zone, the tags and the kinds as they are now", async () => {
  await using cluster = await carts(["a", "b", "c"]);
  const changed = async (id: string, isChanged: () => boolean) => {
    await cluster.runUntil(() => cluster.isConfirmed() && isChanged(), { withinMs: 5_000 });
    return id;
  };
  const at = cluster.of("a").gossiper;
  const pick = (options: Partial<PickOptions>) => picks(cluster, "a", { kind: "cart", ...options }, 1)[0];
  describeMember(cluster.of("b").gossiper, { zone: "us", tags: ["gpu", "ssd"] });
  describeMember(cluster.of("c").gossiper, { kinds: ["order"] });
  await changed("c", () => memberInfo(at, "c")!.kinds[0] === "order" && memberInfo(at, "b")!.zone === "us");
  assertEquals(pick({ zone: "us" }), "b");
  assertEquals(pick({ tags: ["ssd"] }), "b");
  assertEquals(pick({ tags: ["ssd", "slow"] }), undefined);
  assertEquals(pick({ exclude: ["a", "b"] }), undefined);
  assertEquals(pick({ kind: "order" }), "c");
  describeMember(cluster.of("c").gossiper, {});
  await changed("c", () => memberInfo(at, "c")!.kinds[0] === "cart");
  assertEquals(pick({ exclude: ["a", "b"] }), "c");
});

Deno.test("pickMember: leaves out suspected members, and this one once it leaves", async () => {
  await using cluster = await carts(["a", "b"]);
  const { gossiper: a } = cluster.of("a");
  cluster.crash("b");
  await cluster.runUntil(() => memberInfo(a, "b")!.status === "suspected");
  assertEquals(tally(picks(cluster, "a", { kind: "cart" }, 20)), { a: 20 });
  assertEquals(pickMember(a, { kind: "cart" }), memberInfo(a, "a"));
  await cluster.stop("a");
  assertEquals(pickMember(a, { kind: "cart", exclude: ["b"] }), undefined);
});

Deno.test("pickMember: refuses invalid options", async () => {
  await using cluster = new TestCluster(["a"], { fixed: false });
  const { gossiper } = cluster.make("a");
  const cases: [unknown, string][] = [
    [{}, "`pickMember.kind` must be a text of 1 to 256 bytes; got undefined"],
    [{ kind: "cart", by: "load" }, '`pickMember.by` must be "random", "least load" or "round robin"'],
    [{ kind: "cart", exclude: "a" }, "`pickMember.exclude` must be a list"],
    [{ kind: "cart", tags: [1] }, "`pickMember.tags[0]` must be a text of 1 to 256 bytes"],
    [{ kind: "cart", zones: "a" }, "`pickMember.zones` is not an option (did you mean zone?)"],
  ];
  for (const [given, text] of cases) {
    assertThrows(() => pickMember(gossiper, given as never), ConfigurationError, text);
  }
});

/** The most actors of a member, divided by the mean, after ten members chose for ten each in every round. */
async function imbalance(choose: (cluster: TestCluster, at: string) => string): Promise<number> {
  const ids = Array.from({ length: 10 }, (_, index) => `m${index}`);
  const counts = Object.fromEntries(ids.map((id) => [id, 0]));
  await using cluster = await carts(ids, { counts });
  for (let round = 0; round < 10; round++) {
    for (const at of ids) for (let times = 0; times < 10; times++) counts[choose(cluster, at)]!++;
    await cluster.advance(300);
  }
  return Math.max(...Object.values(counts)) / 100;
}

Deno.test("pickMember: by least load, spreads the load better than by the lowest count or by chance, because counts are old", async () => {
  const pick = (by: "least load" | "random") => (cluster: TestCluster, at: string) =>
    pickMember(cluster.of(at).gossiper, { kind: "cart", by })!.id;
  const lowest = (cluster: TestCluster, at: string) => {
    const counts = [...getActorCount(cluster.of(at).gossiper, "cart")];
    return counts.reduce((one, other) => other[1] < one[1] ? other : one)[0];
  };
  const [byLeastLoad, byChance, byLowest] = [
    await imbalance(pick("least load")),
    await imbalance(pick("random")),
    await imbalance(lowest),
  ];
  const text = JSON.stringify({ byLeastLoad, byChance, byLowest });
  assert(byLeastLoad < 1.2 && byLeastLoad < byChance && byLowest > 1.3, text);
});
