import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { type Owners, owners, type OwnersOptions } from "../../roles/mod.ts";
import { TestCluster, type TestMember } from "../requirements/harness.ts";
import { ScriptedNode, SETTLE, startMember } from "./harness.ts";

const SHARDS = Array.from({ length: 12 }, (_, index) => `shard ${index + 1}`);

function own({ gossiper, runtime }: TestMember, options: Partial<OwnersOptions> = {}): Owners {
  return owners(gossiper, { atLeast: 2, settle: SETTLE, runtime, ...options });
}

async function withOwners(
  cluster: TestCluster,
  ids: readonly string[],
  options: Partial<OwnersOptions> = {},
): Promise<Map<string, Owners>> {
  const roles = new Map<string, Owners>();
  for (const id of ids) roles.set(id, own(await startMember(cluster, id), options));
  return roles;
}

/** The owners of all shards, by the answers of a member; `undefined` while one is unknown. */
function sharesOf(role: Owners): Record<string, readonly string[]> | undefined {
  const shares: Record<string, readonly string[]> = {};
  for (const shard of SHARDS) {
    const now = role.of(shard);
    if (now.state === "unknown") return undefined;
    shares[shard] = now.owners;
  }
  return shares;
}

/** True if all members know the same owners. */
function isAgreed(roles: ReadonlyMap<string, Owners>): boolean {
  const texts = [...roles.values()].map((role) => JSON.stringify(sharesOf(role)));
  return texts[0] !== undefined && new Set(texts).size === 1;
}

Deno.test("owners: three members share twelve keys, each with one owner that all know", async () => {
  await using cluster = new TestCluster([], { fixed: false });
  const roles = await withOwners(cluster, ["a", "b", "c"]);
  await cluster.runUntil(() => isAgreed(roles));
  for (const shard of SHARDS) {
    const answers = [...roles].map(([id, role]) => ({ id, now: role.of(shard) }));
    const owning = answers.filter(({ now }) => now.state === "known" && now.isOwner).map(({ id }) => id);
    assertEquals(owning, sharesOf(roles.get("a")!)![shard]);
    assertEquals(owning.length, 1);
  }
});

Deno.test("owners: a member that joins takes over some keys, and the owners of all other keys stay known", async () => {
  await using cluster = new TestCluster([], { fixed: false });
  const roles = await withOwners(cluster, ["a", "b", "c"]);
  await cluster.runUntil(() => isAgreed(roles));
  const before = sharesOf(roles.get("a")!)!;
  const unknown = new Set<string>();
  void (async () => {
    for await (const { key, state } of roles.get("a")!.watch(SHARDS)) {
      if (state === "unknown") unknown.add(key);
    }
  })();
  roles.set("d", own(await startMember(cluster, "d")));
  await cluster.runUntil(() => isAgreed(roles));
  const after = sharesOf(roles.get("a")!)!;
  const moved = SHARDS.filter((shard) => after[shard]!.join() !== before[shard]!.join());
  assert(moved.length > 0 && moved.length < SHARDS.length);
  assertEquals(moved.map((shard) => after[shard]), moved.map(() => ["d"]));
  assertEquals([...unknown].sort(), [...moved].sort());
});

Deno.test("owners: a change costs each candidate one set of its report", async () => {
  await using cluster = new TestCluster([], { fixed: false });
  const roles = await withOwners(cluster, ["a", "b", "c", "d", "e"]);
  await cluster.runUntil(() => isAgreed(roles));
  const sets: string[] = [];
  const watch = cluster.of("a").gossiper.watch("roles.owners");
  void (async () => {
    for await (const { memberId } of watch) sets.push(memberId);
  })();
  await cluster.advance(1);
  sets.length = 0;
  roles.set("f", own(await startMember(cluster, "f")));
  await cluster.runUntil(() => isAgreed(roles));
  await cluster.advance(5 * SETTLE);
  // The newcomer sets it at its beginning too.
  assertEquals(sets.sort(), ["a", "b", "c", "d", "e", "f", "f"]);
});

Deno.test("owners: with two replicas a key keeps one owner when the other owner leaves", async () => {
  await using cluster = new TestCluster([], { fixed: false });
  const roles = await withOwners(cluster, ["a", "b", "c"], { replicas: 2 });
  await cluster.runUntil(() => isAgreed(roles));
  const before = sharesOf(roles.get("a")!)!;
  const shard = SHARDS.find((each) => before[each]!.includes("c"))!;
  const other = before[shard]!.find((id) => id !== "c")!;
  const seen: string[] = [];
  void (async () => {
    for await (const now of roles.get(other)!.watch([shard])) {
      seen.push(now.state === "known" ? now.owners.join() : now.reason);
    }
  })();
  await cluster.stop("c");
  roles.delete("c");
  await cluster.runUntil(() => isAgreed(roles) && sharesOf(roles.get("a")!)![shard]!.length === 2);
  assertEquals([seen.length, seen[1]], [3, other]);
  assertEquals(seen.filter((each) => !each.includes(other)), []);
});

Deno.test("owners: the watch of an ended role emits each key once, as unknown", async () => {
  await using cluster = new TestCluster([], { fixed: false });
  const role = own(await startMember(cluster, "a"), { atLeast: 1 });
  const changes = Array.fromAsync(role.watch(["x", "y"]));
  await cluster.runUntil(() => role.of("x").state === "known");
  role[Symbol.dispose]();
  const last = (await changes).slice(-2);
  assertEquals(last, ["x", "y"].map((key) => ({ key, state: "unknown", reason: "ended" })));
  assertEquals(await Array.fromAsync(role.watch(["x"])), last.slice(0, 1));
});

Deno.test("owners: an error about replicas or keys names the rule and the value", async () => {
  await using cluster = new TestCluster([], { fixed: false });
  const member = await startMember(cluster, "a");
  const text = "`owners.replicas` must be an integer from 1 to 16; got 0.";
  assertThrows(() => own(member, { replicas: 0 }), ConfigurationError, text);
  const role = own(member);
  assertThrows(() => role.of(5 as never), ConfigurationError, "`key` must be a text; got 5.");
  assertThrows(() => role.watch("x" as never), ConfigurationError, "a list of at most 4,096 texts");
  assertThrows(
    () => role.watch(Array(4_097).fill("x")),
    ConfigurationError,
    "4,096 texts; got a list of 4097",
  );
  const signal = AbortSignal.abort();
  assertEquals(await Array.fromAsync(role.watch(Array(4_096).fill("x"), { signal })), []);
});

Deno.test("owners: a member uses at most 1,000 names, and may use each name again", () => {
  const node = new ScriptedNode();
  const use = (name: string) => owners(node, { atLeast: 1, name, runtime: node.runtime })[Symbol.dispose]();
  for (let index = 0; index < 1_000; index++) use(`r${index}`);
  assertEquals(assertThrows(() => use("another"), HearsayError).code, "too_large");
  use("r0");
});
