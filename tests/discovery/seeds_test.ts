import { assert, assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { fixedMembers } from "../../discovery/fixed.ts";
import { openMembership } from "../../discovery/open_membership.ts";
import { readMember } from "../../discovery/member_record.ts";
import { seeds } from "../../discovery/seeds.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import type { Discovery, SeedStatus } from "../../contracts/cluster.ts";
import type { EventOf } from "../../contracts/event_stream.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { HOSTILE_HOSTS, HOSTILE_URLS } from "../common/host_names.ts";
import { recordOf, TestCluster } from "../requirements/harness.ts";

const CONFIG = {
  gossipInterval: 100,
  gossipRequestTimeout: 200,
  heartbeatExpiration: 2_000,
  blockedProbeInterval: 3_000,
  departedRetention: 10_000,
};

/** A member with these others as seeds. */
function make(cluster: TestCluster, id: string, ...others: readonly string[]) {
  const discovery = seeds(others.map((other) => memoryAddress(other, 1)));
  return cluster.make(id, { cluster: { discovery } });
}

function emptyCluster(ids: readonly string[]): TestCluster {
  return new TestCluster(ids, { fixed: false, config: CONFIG });
}

/** The active members by this member's view. */
function activeAt(cluster: TestCluster, id: string): string[] {
  return cluster.of(id).gossiper.members.filter(({ status }) => status === "alive").map((member) =>
    member.id
  );
}

Deno.test("seeds: a member that shakes hands with one seed learns of all members, and all derive the same topology", async () => {
  const ids = ["a", "b", "c", "d", "e"];
  await using cluster = emptyCluster(ids);
  await make(cluster, "a").gossiper.start();
  for (const id of ids.slice(1)) await make(cluster, id, "a").gossiper.start();
  await cluster.runUntil(() => ids.every((id) => activeAt(cluster, id).length === ids.length), {
    withinMs: 2_000,
  });
  await cluster.runUntil(() => cluster.isConfirmed());
  const last = ids.map((id) => cluster.of(id).emitted("ClusterTopology").at(-1));
  for (const topology of last) {
    assertEquals([topology?.members, topology?.topologyHash], [last[0]?.members, last[0]?.topologyHash]);
  }
  assertEquals(last[0]?.members, ids.map(recordOf));
});

Deno.test("seeds: a member reports neither consensus nor confirmed before the first contact, and later no consensus with itself alone (E13)", async () => {
  await using cluster = emptyCluster(["a", "b"]);
  const { gossiper } = make(cluster, "a", "b");
  const emitted: unknown[] = [];
  gossiper.registerConsensusCheck("k", (value) => value, { onReached: (value) => emitted.push(value) });
  gossiper.setState("k", 1);
  await gossiper.start();
  await cluster.advance(5_000);
  assertEquals([gossiper.phase, emitted], ["diffusing", []]);

  const other = make(cluster, "b");
  other.gossiper.setState("k", 2);
  await other.gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(emitted, []);
  other.gossiper.setState("k", 1);
  await cluster.runUntil(() => emitted.length > 0);
  assertEquals(emitted, [1]);
});

Deno.test("seeds: a seed that starts later is found, and a seed that stays down does no harm", async () => {
  await using cluster = emptyCluster(["a", "late"]);
  await make(cluster, "a", "never", "late").gossiper.start();
  await cluster.advance(20_000);
  assertEquals(activeAt(cluster, "a"), ["a"]);
  await make(cluster, "late").gossiper.start();
  await cluster.runUntil(() => activeAt(cluster, "a").length === 2, { withinMs: 6_000 });
});

Deno.test("seeds: two islands that started apart merge when a member of one island can dial the other", async () => {
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

Deno.test("seeds: a member's own address among the seeds does no harm, and is seldom dialed", async () => {
  await using cluster = emptyCluster(["a", "b"]);
  await make(cluster, "a", "a").gossiper.start();
  await make(cluster, "b", "b", "a").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(20_000);
  assertEquals([activeAt(cluster, "a"), activeAt(cluster, "b")], [["a", "b"], ["a", "b"]]);
  // The two ends of each dial: one at first, and then at most one in half a `blockedProbeInterval`.
  const dials = cluster.sentBy("a", "hello", { to: "a" }).length / 2;
  assert(dials > 1 && dials <= 2 + 20_000 / (CONFIG.blockedProbeInterval / 2), `${dials} dials`);
});

Deno.test("seeds: a member that left is removed from the topology at once, an expired member when it is forgotten (E11)", async () => {
  const ids = ["a", "b", "c"];
  await using cluster = emptyCluster(ids);
  await make(cluster, "a").gossiper.start();
  for (const id of ["b", "c"]) await make(cluster, id, "a").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  const namedAtA = () => cluster.of("a").emitted("ClusterTopology").at(-1)?.members.map(({ id }) => id);
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

Deno.test("seeds: a partition longer than every retention heals (E10)", async () => {
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

/** Ends a process in order or by a crash; its address is free then. */
async function end(cluster: TestCluster, id: string, how: "killed" | "stopped"): Promise<void> {
  if (how === "killed") return cluster.crash(id);
  await cluster.stop(id);
  await cluster.finish(cluster.of(id).dispose());
}

for (const islands of [[["b"], ["c"]], [["b", "c"], ["d", "e"]]] as const) {
  Deno.test(`seeds: islands of ${islands[0].length} and ${islands[1].length} merge after an outage longer than every retention, although their only seed left for good (E11)`, async () => {
    const ids = islands.flat();
    await using cluster = emptyCluster(["a", ...ids]);
    for (const id of ["a", ...ids]) await make(cluster, id, "a").gossiper.start();
    await cluster.runUntil(() => cluster.isConfirmed());
    await end(cluster, "a", "stopped");
    for (const one of islands[0]) {
      for (const other of islands[1]) cluster.network.cut(memoryAddress(one, 1), memoryAddress(other, 1));
    }
    await cluster.advance(4 * CONFIG.departedRetention);
    for (const island of islands) {
      assertEquals(island.map((id) => activeAt(cluster, id)), island.map(() => [...island]));
    }
    cluster.network.heal();
    await cluster.runUntil(
      () => ids.every((id) => activeAt(cluster, id).length === ids.length) && cluster.isConfirmed(ids),
      { withinMs: 20_000 },
    );
  });
}

for (const how of ["stopped", "killed"] as const) {
  for (
    const [seedIds, downMs] of [[["s"], 300], [["s"], 20_000], [["s", "never"], 300], [
      ["s", "t"],
      3_000,
    ]] as const
  ) {
    Deno.test(`seeds: a seed of ${seedIds} that was ${how} is met within 2 s after its return from ${downMs} ms`, async () => {
      await using cluster = new TestCluster(["s", "t", "a", "b"], { fixed: false });
      const ids = ["s", "a", "b", ...(seedIds as readonly string[]).filter((id) => id === "t")];
      for (const id of ids) await make(cluster, id, ...seedIds).gossiper.start();
      await cluster.runUntil(() => cluster.isConfirmed(ids), { withinMs: 10_000 });
      await end(cluster, "s", how);
      await cluster.advance(downMs);
      const self = { ...recordOf("s"), id: "s.2" };
      const discovery = seeds([memoryAddress("s", 1)]);
      await cluster.make("s", { cluster: { discovery, self } }).gossiper.start();
      const isWhole = (id: string) =>
        ids.every((other) => activeAt(cluster, id).includes(other === "s" ? "s.2" : other));
      await cluster.runUntil(() => ids.every(isWhole), { withinMs: 2_000 });
    });
  }
}

Deno.test("seeds: a seed that was down for 20 s is met within 2 s with any random numbers", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    await using cluster = new TestCluster(["s", "a"], { fixed: false, seed });
    for (const id of ["s", "a"]) await make(cluster, id, "s").gossiper.start();
    await cluster.runUntil(() => cluster.isConfirmed());
    await end(cluster, "s", "stopped");
    await cluster.advance(20_000);
    await make(cluster, "s").gossiper.start();
    await cluster.runUntil(() => activeAt(cluster, "s").length === 2, { withinMs: 2_000 });
  }
});

Deno.test("seeds: a member that is no seed is met again at its address after its restart", async () => {
  await using cluster = new TestCluster(["s", "a", "b"], { fixed: false });
  await make(cluster, "s").gossiper.start();
  for (const id of ["a", "b"]) await make(cluster, id, "s").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  await end(cluster, "a", "stopped");
  const self = { ...recordOf("a"), id: "a.2" };
  await cluster.advance(1_000);
  await cluster.make("a", { cluster: { discovery: seeds([]), self } }).gossiper.start();
  await cluster.runUntil(() => activeAt(cluster, "a").length === 3, { withinMs: 2_000 });
});

Deno.test("seeds: a member that is alone for 10 s reports the reason once, and its snapshot shows each seed", async () => {
  await using cluster = new TestCluster(["a", "b", "c"], { fixed: false });
  await cluster.make("b", { cluster: { discovery: seeds([]), name: "other" } }).gossiper.start();
  const { gossiper } = make(cluster, "a", "a", "b", "c");
  assertEquals(gossiper.snapshot().seeds, []);
  await gossiper.start();
  await cluster.advance(9_000);
  assertEquals(cluster.of("a").emitted("Alone"), []);
  await cluster.advance(60_000);
  const [{ seeds: emitted }, ...more] = cluster.of("a").emitted("Alone") as [EventOf<"Alone">];
  assertEquals(more, []);
  const briefOf = (
    { address, outcome, memberId, reason }: SeedStatus,
  ) => [address, outcome, memberId, reason];
  assertEquals(emitted.map(briefOf), [
    ["memory://a:1", "self", "a", null],
    [
      "memory://b:1",
      "failed",
      null,
      'The peer refused (wrong_cluster): The cluster must be "other"; got another.',
    ],
    ["memory://c:1", "failed", null, "No connection to memory://c:1 was opened: no process listens there."],
  ]);
  const nowMs = cluster.of("a").runtime.wallMs();
  for (
    const { lastAttemptUnixMilliseconds: last, nextAttemptUnixMilliseconds: next } of gossiper.snapshot()
      .seeds
  ) {
    assert(last !== null && last <= nowMs && last > nowMs - 30_000, `${last}`);
    assert(next !== null && next >= nowMs && next <= nowMs + 30_000, `${next}`);
  }

  const failedNow = async () => {
    const addresses: string[] = [];
    const ending = new AbortController();
    const reading = (async () => {
      for await (const event of gossiper.events.subscribe("SeedFailed", ending)) {
        if (event.type === "SeedFailed") addresses.push(event.address);
      }
    })();
    await cluster.runtime.settle();
    ending.abort();
    await reading;
    return addresses;
  };
  // A late subscriber gets the present failures.
  assertEquals((await failedNow()).sort(), ["memory://b:1", "memory://c:1"]);
  await make(cluster, "c").gossiper.start();
  await cluster.runUntil(() => cluster.of("a").emitted("SeedRecovered").length > 0, { withinMs: 10_000 });
  assertEquals(cluster.of("a").emitted("SeedRecovered"), [
    { type: "SeedRecovered", address: "memory://c:1", memberId: "c" },
  ]);
  assertEquals(await failedNow(), ["memory://b:1"]);
  await cluster.advance(20_000);
  await end(cluster, "c", "stopped");
  await cluster.advance(12_000);
  assertEquals(cluster.of("a").emitted("Alone").length, 2);
});

Deno.test("seeds: a member whose seeds all lead to itself reports it once, and later a seed that fails", async () => {
  await using cluster = new TestCluster(["a", "b"], { fixed: false });
  let find!: (addresses: readonly string[]) => void;
  const discovery = openMembership((_, { found, signal }) => {
    find = found;
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  });
  await cluster.make("a", { cluster: { discovery } }).gossiper.start();
  await cluster.advance(60_000);
  const outcomes = () =>
    cluster.of("a").emitted("Alone").map(({ seeds }) => seeds.map(({ outcome }) => outcome));
  // A member without seeds is the first of its cluster.
  assertEquals(outcomes(), []);
  find([memoryAddress("a", 1)]);
  await cluster.advance(60_000);
  assertEquals(outcomes(), [["self"]]);
  find([memoryAddress("a", 1), memoryAddress("b", 1)]);
  await cluster.advance(60_000);
  assertEquals(outcomes(), [["self"], ["self", "failed"]]);
  await make(cluster, "b").gossiper.start();
  await cluster.runUntil(() => activeAt(cluster, "a").length === 2, { withinMs: 10_000 });
});

Deno.test("seeds: a seed whose member returned by a dial of its own has recovered", async () => {
  await using cluster = new TestCluster(["a", "b"], { fixed: false });
  await make(cluster, "a").gossiper.start();
  await make(cluster, "b", "a").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  await end(cluster, "a", "killed");
  await cluster.advance(60_000);
  const seedAtB = () => {
    const [{ outcome, memberId, reason }] = cluster.of("b").gossiper.snapshot().seeds as [SeedStatus];
    return [outcome, memberId, reason !== null];
  };
  assertEquals([seedAtB(), cluster.of("b").emitted("SeedFailed").length], [["failed", null, true], 1]);
  await make(cluster, "a", "b").gossiper.start();
  await cluster.runUntil(() => activeAt(cluster, "b").length === 2);
  await cluster.advance(60_000);
  assertEquals(seedAtB(), ["met", "a", false]);
  assertEquals(cluster.of("b").emitted("SeedRecovered"), [
    { type: "SeedRecovered", address: "memory://a:1", memberId: "a" },
  ]);
});

const BALANCER = "memory://balancer:1";

Deno.test("seeds: a balancer as the only seed connects two members, even if it first leads each member to itself", async () => {
  await using cluster = new TestCluster(["a", "b"], { fixed: false });
  for (const id of ["a", "b"]) {
    cluster.network.balance(BALANCER, [memoryAddress(id, 1)]);
    await cluster.make(id, { cluster: { discovery: seeds([BALANCER]) } }).gossiper.start();
    await cluster.advance(1_000);
  }
  cluster.network.balance(BALANCER, [memoryAddress("a", 1), memoryAddress("b", 1)]);
  await cluster.runUntil(() => cluster.isConfirmed() && activeAt(cluster, "a").length === 2, {
    withinMs: 30_000,
  });
});

for (const own of [true, false]) {
  const theirs = own ? "have addresses" : "name the balancer as theirs";
  Deno.test(`seeds: islands behind one balancer merge, where members ${theirs}`, async () => {
    const islands = [["a", "b"], ["c", "d"]] as const;
    const ids = islands.flat();
    await using cluster = new TestCluster(ids, { fixed: false });
    const isWhole = (island: readonly string[]) =>
      island.every((id) => activeAt(cluster, id).length === island.length);
    for (const island of islands) {
      for (const id of island) {
        // Each is led to the other of its island, and no further.
        const others = island.filter((other) => other !== id);
        cluster.network.balance(BALANCER, others.map((other) => memoryAddress(other, 1)));
        const self = own ? recordOf(id) : { ...recordOf(id), host: "balancer" };
        await cluster.make(id, { cluster: { discovery: seeds([BALANCER]), self } }).gossiper.start();
        await cluster.advance(100);
      }
      await cluster.runUntil(() => isWhole(island), { withinMs: 10_000 });
    }
    cluster.network.balance(BALANCER, ids.map((id) => memoryAddress(id, 1)));
    await cluster.runUntil(() => isWhole(ids), { withinMs: 5 * 60_000 });
  });
}

Deno.test("fixed list: a member refuses a peer that is not on its list", async () => {
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

Deno.test("fixed list: is known before the first round", async () => {
  await using cluster = emptyCluster(["a", "b"]);
  for (const id of ["a", "b"]) {
    cluster.make(id, { cluster: { discovery: fixedMembers([recordOf("b"), recordOf("a")]) } });
  }
  assertEquals(activeAt(cluster, "a"), ["a", "b"]);
  for (const { gossiper } of cluster.members) await gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
});

Deno.test("discovery: refuses a list with a duplicate id, and seeds that are not addresses", () => {
  assertThrows(() => fixedMembers([recordOf("a"), recordOf("a")]), ConfigurationError, '"a"');
  assertThrows(() => seeds([""]), ConfigurationError, "ws://127.0.0.1:7001");
  assertThrows(() => seeds([7 as unknown as string]), ConfigurationError, "7");
});

Deno.test("discovery: takes only valid records of members", () => {
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
      { ...record, kinds: Array(257).fill("k") },
      { ...record, kinds: ["☃".repeat(86)] },
      { ...record, kinds: Array(65).fill("k".repeat(256)) },
      ...HOSTILE_HOSTS.map((host) => ({ ...record, host })),
      ...HOSTILE_URLS.map((url) => ({ ...record, url })),
    ]
  ) assertEquals(readMember(wrong as never), undefined, JSON.stringify(wrong));
  assert(Object.isFrozen(readMember(record)));
});
