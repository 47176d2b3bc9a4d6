/** Gossip that stays within a zone where it can: the pushes, the rounds, and who takes part (rule S4). */

import { assert, assertEquals, assertLess, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import type { Signing } from "../../contracts/signing.ts";
import { fixedMembers } from "../../discovery/fixed.ts";
import { describeMember, memberInfo } from "../../members/mod.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { recordOf, TestCluster, type TimedMessage } from "../requirements/harness.ts";

const INTERVAL_MS = 1_000;
/** Long enough for two hops of pushes, at each within the least time between two pushes to a peer, which is 4 ms. */
const TWO_HOPS_MS = 10;

interface ZoneOptions {
  /** The zone of each member is the first letter of its id; `x` is none. */
  readonly ids: readonly string[];
  readonly expiration?: number;
  readonly detectCrashes?: boolean;
  readonly nearFirst?: (id: string) => boolean;
  readonly signing?: (id: string) => Signing;
}

/** Members that all have connections with each other, and agree. The first letter of an id is its zone. */
async function settled(
  { ids, expiration = 120_000, detectCrashes = true, nearFirst = () => true, signing }: ZoneOptions,
): Promise<TestCluster> {
  const cluster = new TestCluster(ids, {
    config: {
      gossipInterval: INTERVAL_MS,
      heartbeatExpiration: expiration,
      departedRetention: expiration,
      detectCrashes,
    },
  });
  for (const id of ids) {
    const discovery = fixedMembers(ids.map(recordOf));
    cluster.make(id, signing ? { cluster: { discovery, signing: signing(id) } } : {});
    await cluster.of(id).gossiper.start();
  }
  const pairs = () => new Set(cluster.sent.map(({ from, to }) => [from, to].sort().join()));
  await cluster.runUntil(() => pairs().size === ids.length * (ids.length - 1) / 2);
  for (const id of ids) {
    if (!id.startsWith("x")) {
      describeMember(cluster.of(id).gossiper, { zone: id[0]!, nearFirst: nearFirst(id) });
    }
  }
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(20 * INTERVAL_MS);
  await untilBetweenRounds(cluster);
  return cluster;
}

/** Half an interval away from every round. */
async function untilBetweenRounds(cluster: TestCluster): Promise<void> {
  await cluster.advance(INTERVAL_MS - cluster.runtime.monotonicMs() % INTERVAL_MS + INTERVAL_MS / 2);
  cluster.sent.length = 0;
}

function idsOf(zones: string, size: number): string[] {
  return [...zones].flatMap((zone) => Array.from({ length: size }, (_, index) => `${zone}${index}`));
}

const zoneAt = (address: string) => /^memory:\/\/(.)/.exec(address)![1]!;
const isAcross = ({ from, to }: TimedMessage) => zoneAt(from) !== zoneAt(to);
const holders = (cluster: TestCluster, owner: string) =>
  cluster.members.filter((member) => member.value(owner, "k") !== undefined).length;

Deno.test("nearFirst: a change crosses to two members of each other zone, which pass it on to theirs (S4)", async () => {
  await using cluster = await settled({ ids: idsOf("abc", 5) });
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.advance(TWO_HOPS_MS);
  assertEquals(holders(cluster, "a0"), 15);
  const across = cluster.sent.filter(isAcross);
  assertEquals(across.map(({ type, from, to }) => [type, from, zoneAt(to)]).sort(), [
    ["push", memoryAddress("a0", 1), "b"],
    ["push", memoryAddress("a0", 1), "b"],
    ["push", memoryAddress("a0", 1), "c"],
    ["push", memoryAddress("a0", 1), "c"],
  ]);
  assertEquals(cluster.sentBy("a0", "push").length, 4 + 4);
  const toRelay = cluster.sentBy("a0", "push").filter(({ text }) => JSON.parse(text).relay === true);
  assertEquals(toRelay.map(({ to }) => zoneAt(to)).sort(), ["b", "b", "c", "c"]);
  // Each of the four bridges passes the change on to at most four others of its zone, and no other member does.
  assertLess(cluster.sent.filter(({ type }) => type === "push").length, 8 + 4 * 4 + 1);
});

Deno.test("nearFirst: bridges are chosen by lot for each change (S4)", async () => {
  await using cluster = await settled({ ids: idsOf("ab", 6) });
  const bridges = new Set<string>();
  for (let change = 0; change < 30; change++) {
    await untilBetweenRounds(cluster);
    cluster.of("a0").gossiper.setState("k", change);
    await cluster.advance(TWO_HOPS_MS);
    const across = cluster.sent.filter(isAcross);
    assertEquals(across.length, 2);
    for (const { to } of across) bridges.add(to);
  }
  assertEquals(bridges.size, 6);
});

Deno.test("nearFirst: a change whose pushes across zones are lost arrives with a round, and then reaches the whole zone at once (E5, S4)", async () => {
  await using cluster = await settled({ ids: idsOf("ab", 6) });
  for (const id of idsOf("b", 6)) cluster.network.setFaults({ loss: 1 }, { to: memoryAddress(id, 1) });
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.advance(TWO_HOPS_MS);
  assertEquals(holders(cluster, "a0"), 6);
  cluster.network.clearFaults();
  await cluster.advance(INTERVAL_MS);
  assertEquals(holders(cluster, "a0"), 12);
});

Deno.test("nearFirst: changes reach a zone whose bridges crash before they pass them on (S4)", async () => {
  await using cluster = await settled({ ids: idsOf("ab", 6) });
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.sent.filter(isAcross).length === 2);
  for (const { to } of cluster.sent.filter(isAcross)) cluster.crash(/^memory:\/\/(..)/.exec(to)![1]!);
  await cluster.runUntil(() => holders(cluster, "a0") === 10, { withinMs: 3 * INTERVAL_MS });
});

/** The share of heartbeats and requests that cross zones. */
function shareAcross(cluster: TestCluster): number {
  const asked = cluster.sent.filter(({ type }) => type === "heartbeat" || type === "gossip");
  return asked.filter(isAcross).length / asked.length;
}

Deno.test("nearFirst: rounds draw one far peer for eight near peers, and at least one far peer in a turn (S4)", async () => {
  // In a turn: eight near peers and one far one; nine near ones and two far ones; two near ones and one far one.
  const shares = [[idsOf("ab", 9), 1 / 9], [idsOf("ab", 10), 2 / 11], [idsOf("abc", 3), 1 / 3]] as const;
  for (const [ids, share] of shares) {
    await using cluster = await settled({ ids });
    await cluster.advance(90 * INTERVAL_MS);
    assertEquals(cluster.sent.filter(({ type }) => type === "push"), []);
    assert(Math.abs(shareAcross(cluster) - share) < 0.02, `${shareAcross(cluster)}`);
    // Each member by itself, so that no zone depends on a few.
    for (const id of ids) {
      const own = cluster.gossipedBy(id);
      const far = own.filter(isAcross).length;
      assert(Math.abs(far - own.length * share) <= 2, `${id}: ${far} of ${own.length}`);
    }
  }
});

Deno.test("nearFirst: once all members agree, far peers get heartbeats if they exchanged nothing since (S4)", async () => {
  // No connection is silent for a quarter of the expiration.
  await using cluster = await settled({ ids: idsOf("ab", 6), expiration: 3_600_000 });
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  const near = () => cluster.sent.filter((sent) => sent.type === "reply" && !isAcross(sent));
  await cluster.advance(6 * INTERVAL_MS);
  assert(near().length > 0);
  await untilBetweenRounds(cluster);
  await cluster.advance(20 * INTERVAL_MS);
  assertEquals(cluster.sent.filter(({ type }) => type !== "heartbeat"), []);
  assert(cluster.sent.some(isAcross));
});

Deno.test("nearFirst: one in eight heartbeats to far peers with a silent connection is a request instead (S4)", async () => {
  await using cluster = await settled({ ids: idsOf("ab", 9), expiration: 60_000 });
  await cluster.advance(200 * INTERVAL_MS);
  const across = cluster.sent.filter(isAcross);
  const asked = across.filter(({ type }) => type === "gossip").length;
  const beats = across.filter(({ type }) => type === "heartbeat").length;
  assert(asked / (asked + beats) > 0.06 && asked / (asked + beats) < 0.19, `${asked} of ${asked + beats}`);
});

Deno.test("nearFirst: a far member whose count no member has heard for a quarter of the expiration is asked directly (L3)", async () => {
  await using cluster = await settled({ ids: [...idsOf("a", 4), "b0"], expiration: 120_000 });
  cluster.network.setFaults({ loss: 1 }, { from: memoryAddress("b0", 1) });
  // Up to a third of the expiration: then each round asks `gossipFanOut` peers.
  await cluster.advance(31 * INTERVAL_MS);
  cluster.sent.length = 0;
  await cluster.advance(8 * INTERVAL_MS);
  const types = cluster.sent.filter(({ to }) => to === memoryAddress("b0", 1)).map(({ type }) => type);
  assert(types.length > 2 && !types.includes("heartbeat"), `${types}`);
});

Deno.test("nearFirst: each near member asks a far member that was not heard for a quarter of the expiration in its next turn (L3)", async () => {
  await using cluster = await settled({ ids: idsOf("ab", 4), expiration: 120_000 });
  cluster.network.setFaults({ loss: 1 }, { from: memoryAddress("b0", 1) });
  await cluster.advance(31 * INTERVAL_MS);
  cluster.sent.length = 0;
  await cluster.advance(8 * INTERVAL_MS);
  const asked = idsOf("a", 4).filter((id) => cluster.sentBy(id, "gossip", { to: "b0" }).length > 0);
  assertEquals(asked, idsOf("a", 4));
});

Deno.test("nearFirst: connections between zones that died are found and replaced before any member expires (L3)", async () => {
  const ids = idsOf("ab", 6);
  await using cluster = await settled({ ids, expiration: 20_000 });
  // Nothing arrives and nothing breaks, as behind a firewall that forgot its connections: new ones would work.
  for (const [one, other] of [["a", "b"], ["b", "a"]] as const) {
    for (const from of idsOf(one, 6)) {
      for (const to of idsOf(other, 6)) {
        cluster.network.setFaults({ hang: true }, { from: memoryAddress(from, 1), to: memoryAddress(to, 1) });
      }
    }
  }
  // A quarter of the expiration until they are asked, and some rounds until two requests in a row timed out.
  await cluster.advance(11 * INTERVAL_MS);
  cluster.network.heal();
  await cluster.advance(40 * INTERVAL_MS);
  for (
    const { id, blocked, emitted } of cluster.members.map((member) => ({
      id: member.id,
      blocked: member.blocked,
      emitted: member.emitted("MemberBlocked"),
    }))
  ) assertEquals([id, blocked, emitted], [id, {}, []]);
  assertEquals(cluster.isConfirmed(), true);
});

Deno.test("nearFirst: lost connections between zones are opened again within ten rounds, as without near first (S4)", async () => {
  await using cluster = await settled({ ids: idsOf("ab", 6), expiration: 600_000, detectCrashes: false });
  const own = memoryAddress("a0", 1);
  for (const id of idsOf("b", 6)) cluster.network.cut(own, memoryAddress(id, 1));
  cluster.network.heal();
  await cluster.advance(10 * INTERVAL_MS);
  const greeted = cluster.sent.filter(({ type, from }) => type === "hello" && from === own).map(({ to }) =>
    to
  );
  assertEquals([...new Set(greeted)].sort(), idsOf("b", 6).map((id) => memoryAddress(id, 1)));
});

Deno.test("nearFirst: near peers pass a change on to a near peer without a connection to its owner (S4)", async () => {
  await using cluster = await settled({ ids: idsOf("ab", 4), detectCrashes: false });
  cluster.network.cut(memoryAddress("a0", 1), memoryAddress("a1", 1));
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.advance(TWO_HOPS_MS);
  assertEquals(cluster.of("a1").value("a0", "k"), 1);
});

Deno.test("nearFirst: with fewer connections than peers, far peers without a connection get rounds too (S4)", async () => {
  const ids = idsOf("ab", 5);
  await using cluster = await TestCluster.started(ids, {
    config: { gossipInterval: INTERVAL_MS, heartbeatExpiration: 120_000, maxConnections: 4 },
  });
  for (const { id, gossiper } of cluster.members) describeMember(gossiper, { zone: id[0]!, nearFirst: true });
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.sent.length = 0;
  for (let change = 0; change < 60; change++) {
    cluster.of("a0").gossiper.setState("k", change);
    await cluster.advance(INTERVAL_MS);
  }
  const far = cluster.sentBy("a0", "gossip").filter(isAcross).map(({ to }) => to);
  assertEquals(new Set(far).size, 5);
});

Deno.test("nearFirst: a member that is alone in its zone gossips with all members", async () => {
  await using cluster = await settled({ ids: ["a0", ...idsOf("b", 6)] });
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  await untilBetweenRounds(cluster);
  await cluster.advance(12 * INTERVAL_MS);
  assertEquals(new Set(cluster.gossipedBy("a0").map(({ to }) => to)).size, 6);
});

Deno.test("nearFirst: a member without `nearFirst`, or without a zone, is near to all members", async () => {
  const ids = [...idsOf("ab", 4), "x0", "x1"];
  await using cluster = await settled({ ids, nearFirst: (id) => id !== "b0" });
  assertEquals(["a0", "b0"].map((id) => memberInfo(cluster.of("a1").gossiper, id)!.nearFirst), [true, false]);
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.advance(TWO_HOPS_MS);
  assertEquals(holders(cluster, "a0"), 10);
  const to = new Set(cluster.sentBy("a0", "push").map((sent) => sent.to));
  for (const id of ["a1", "a2", "a3", "b0", "x0", "x1"]) assert(to.has(memoryAddress(id, 1)), id);
  assertEquals(to.size, 6 + 2);
  // Its own changes go to all, too.
  await untilBetweenRounds(cluster);
  cluster.of("b0").gossiper.setState("k", 1);
  await cluster.advance(TWO_HOPS_MS);
  assertEquals(cluster.sentBy("b0", "push").length, 9);
});

Deno.test("nearFirst: ends with the next description without `nearFirst`", async () => {
  await using cluster = await settled({ ids: idsOf("ab", 4) });
  for (const { id, gossiper } of cluster.members) describeMember(gossiper, { zone: id[0]! });
  await cluster.runUntil(() => cluster.isConfirmed());
  await untilBetweenRounds(cluster);
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.advance(TWO_HOPS_MS);
  assertEquals(cluster.sentBy("a0", "push").length, 7);
});

Deno.test("nearFirst: follows a zone that changes", async () => {
  await using cluster = await settled({ ids: idsOf("ab", 4) });
  describeMember(cluster.of("a0").gossiper, { zone: "b", nearFirst: true });
  await cluster.runUntil(() => cluster.isConfirmed());
  await untilBetweenRounds(cluster);
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.advance(TWO_HOPS_MS);
  const to = cluster.sentBy("a0", "push").map((sent) => zoneAt(sent.to)).sort();
  assertEquals(to, ["a", "a", "b", "b", "b", "b"]);
});

Deno.test("nearFirst: where members sign, rounds draw all peers with the same chance (L4)", async () => {
  const signing = (publicKey: string): Signing => ({
    publicKey,
    sign: () => Promise.resolve("s"),
    verify: () => Promise.resolve(true),
  });
  await using cluster = await settled({ ids: idsOf("ab", 6), signing });
  await cluster.advance(60 * INTERVAL_MS);
  assert(Math.abs(shareAcross(cluster) - 6 / 11) < 0.05, `${shareAcross(cluster)}`);
  cluster.sent.length = 0;
  cluster.of("a0").gossiper.setState("k", 1);
  await cluster.advance(TWO_HOPS_MS);
  assertEquals(cluster.sentBy("a0", "push").filter(isAcross).length, 2);
});

Deno.test("nearFirst: refuses a member that was not started", async () => {
  await using cluster = new TestCluster(["a"], { fixed: false });
  const { gossiper } = cluster.make("a");
  assertThrows(() => describeMember(gossiper, { zone: "a", nearFirst: true }), HearsayError, "not started");
  assertEquals(gossiper.getState("members.description").size, 0);
});

Deno.test("nearFirst: in a large zone members pass changes on, and few pushes cross zones (S1, S4)", async () => {
  const ids = [...Array.from({ length: 66 }, (_, index) => `a${index}`), ...idsOf("b", 3)];
  await using cluster = await TestCluster.started(ids, {
    config: { gossipInterval: INTERVAL_MS, gossipMaxSend: 100 },
  });
  for (const { id, gossiper } of cluster.members) describeMember(gossiper, { zone: id[0]!, nearFirst: true });
  await cluster.advance(10_500);
  for (const [owner, most] of [["a0", 2 * 66 + 3 * 2], ["b0", 2 + 2 * 66]] as const) {
    cluster.sent.length = 0;
    cluster.of(owner).gossiper.setState("k", "the value");
    await cluster.advance(40);
    const pushes = cluster.sent.filter(({ text }) => text.includes("the value"));
    assertEquals(pushes.filter(isAcross).length, 2);
    // `gossipFanOut` near peers and two bridges.
    assertLess(pushes.filter(({ from }) => from === memoryAddress(owner, 1)).length, 3 + 2 + 1);
    assertLess(pushes.length, most);
    // The rest is for the rounds.
    assert(holders(cluster, owner) > 33, `${holders(cluster, owner)}`);
    await cluster.advance(960);
  }
});
