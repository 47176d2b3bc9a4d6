import { assert, assertEquals, assertStringIncludes } from "../../deps/std_assert.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TYPE } from "../../engine/types.ts";
import { entry, memberDelta } from "../engine/harness.ts";
import { TestCluster, type TestMember } from "./harness.ts";
import { replyTo, ScriptedPeer } from "./scripted_peer.ts";

/** The actor counts in the heartbeat of a member, as another has them. */
function countsOf(holder: TestMember, id: string): unknown {
  const heartbeat = holder.value(id, HEARTBEAT_KEY) as {
    readonly actorStatistics?: { readonly actorCount?: unknown };
  };
  return heartbeat.actorStatistics?.actorCount;
}

/** Isolates a member from all others. */
async function cutOff(cluster: TestCluster, id: string): Promise<void> {
  for (const other of cluster.members) {
    if (other.id !== id) cluster.network.cut(cluster.of(id).transport.address, other.transport.address);
  }
  await cluster.runtime.settle();
}

Deno.test("heartbeat: a MemberHeartbeat is set under the heartbeat key at every interval (R6.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const [a, b] = [cluster.of("a"), cluster.of("b")];
  const numbers: number[] = [];
  for (let interval = 0; interval < 10; interval++) {
    await cluster.advance(300);
    const held = a.gossiper.getState(HEARTBEAT_KEY).get("a")!;
    assertEquals(held.value, {});
    assertEquals(held.localTimestampUnixMilliseconds, a.runtime.wallMs());
    numbers.push(held.sequenceNumber);
  }
  assertEquals(numbers, [...new Set(numbers)].toSorted((one, other) => one - other));
  assertEquals(b.values(HEARTBEAT_KEY), { a: {}, b: {} });
  assertEquals(HEARTBEAT_KEY, "heathbeat");
  // On the wire it is a number, beside statistics with the type name of protoactor-go.
  const counts = cluster.gossipedBy("a").map(({ text }) => JSON.parse(text).count);
  assertEquals(counts.slice(-10), numbers);
  const texts = cluster.sent.map(({ text }) => text);
  assert(texts.some((text) => text.includes(`type.googleapis.com/${TYPE.heartbeat}`)));
});

Deno.test("heartbeat: has the current number of actors of every kind (R6.2)", async () => {
  const counts: Record<string, number> = { user: 3, order: 0 };
  await using cluster = new TestCluster(["a", "b"]);
  await cluster.make("a", { actorStatistics: () => counts }).gossiper.start();
  await cluster.make("b").gossiper.start();
  await cluster.advance(450);
  assertEquals(countsOf(cluster.of("b"), "a"), { user: 3, order: 0 });
  counts.user = 2 ** 52;
  counts['a kind of "its" own'] = 1;
  delete counts.order;
  assertEquals(countsOf(cluster.of("a"), "a"), { user: 3, order: 0 });
  await cluster.advance(300);
  for (const holder of cluster.members) {
    assertEquals(countsOf(holder, "a"), { user: 2 ** 52, 'a kind of "its" own': 1 });
  }
  assertEquals(countsOf(cluster.of("a"), "b"), undefined);
});

Deno.test("actor counts: are read once an interval, and a kind may have the name of an inherited property (R6.2)", async () => {
  let asked = 0;
  const counts = JSON.parse('{"__proto__": 1, "constructor": 2}');
  await using cluster = await TestCluster.started(["a"], {
    actorStatistics: () => {
      asked++;
      return counts;
    },
  });
  await cluster.advance(3_000);
  assertEquals(asked, 11);
  assertEquals(JSON.stringify(countsOf(cluster.of("a"), "a")), JSON.stringify(counts));
});

Deno.test("actor counts: a function that throws emits an event, and the heartbeat continues without counts (R6.2)", async () => {
  const error = new Error("no statistics today");
  let broken = false;
  await using cluster = new TestCluster(["a", "b"]);
  const actorStatistics = () => {
    if (broken) throw error;
    return { user: 1 };
  };
  const a = cluster.make("a", { actorStatistics });
  await a.gossiper.start();
  await cluster.make("b").gossiper.start();
  await cluster.advance(450);
  assertEquals(countsOf(cluster.of("b"), "a"), { user: 1 });
  broken = true;
  await cluster.advance(900);
  assertEquals(cluster.of("b").value("a", HEARTBEAT_KEY), {});
  assertEquals(
    a.emitted("CallbackFailed"),
    Array(3).fill({ type: "CallbackFailed", where: "actorStatistics", error }),
  );
  broken = false;
  await cluster.advance(300);
  assertEquals(countsOf(cluster.of("b"), "a"), { user: 1 });
  await cluster.stop("a");
});

Deno.test("actor counts: invalid counts emit an event, and no heartbeat is lost (R6.2)", async () => {
  const wrong: readonly unknown[] = [
    ...[undefined, null, 5, "many"],
    ...[{ user: -1 }, { user: 0.5 }, { user: NaN }, { user: "3" }, { user: 2 ** 53 }, { user: 1n }],
    ...[{ "\ud800": 1 }, { user: undefined }, { user: {} }],
  ];
  let given: unknown;
  await using cluster = new TestCluster(["a"]);
  const a = cluster.make("a", { actorStatistics: () => given as Record<string, number> });
  given = wrong[0];
  await a.gossiper.start();
  await cluster.runtime.settle();
  for (const [index, value] of wrong.entries()) {
    given = value;
    const before = a.gossiper.getState(HEARTBEAT_KEY).get("a")!.sequenceNumber;
    const failed = a.emitted("CallbackFailed").length;
    await cluster.advance(300);
    const heartbeat = a.gossiper.getState(HEARTBEAT_KEY).get("a")!;
    assert(heartbeat.sequenceNumber > before);
    assertEquals(a.emitted("CallbackFailed").length, failed + 1, `${index}: ${String(value)}`);
    assertEquals(heartbeat.value, {});
  }
});

Deno.test("actor counts: counts that a peer would refuse emit an event and do not isolate the member (R6.2)", async () => {
  const many = Array.from({ length: 100 }, (_, index) => [`kind ${index} ${"x".repeat(200)}`, index]);
  const wrong: readonly Record<string, number>[] = [
    { user: 2 ** 52 + 1 },
    { "": 1 },
    { ["x".repeat(1_025)]: 1 },
    { ["é".repeat(513)]: 1 },
    // More than fits a message.
    Object.fromEntries(many),
  ];
  for (const [index, counts] of wrong.entries()) {
    await using cluster = new TestCluster(["a", "b"], { config: { maxMessageBytes: 16 * 1024 } });
    const a = cluster.make("a", { actorStatistics: () => counts });
    a.gossiper.setState("k", 1);
    await a.gossiper.start();
    await cluster.make("b").gossiper.start();
    await cluster.advance(900);
    const [failed] = a.emitted("CallbackFailed");
    assertEquals(failed?.where, "actorStatistics", `case ${index}`);
    assertEquals(cluster.of("b").value("a", HEARTBEAT_KEY), {}, `case ${index}`);
    assertEquals(cluster.of("b").values("k"), { a: 1 }, `case ${index}`);
  }
});

Deno.test("actor counts: a function that calls the gossiper does no harm (R6.2)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  let count = 0;
  const a: TestMember = cluster.make("a", {
    actorStatistics: () => {
      a.gossiper.setState("count", ++count);
      return { asked: count };
    },
  });
  await a.gossiper.start();
  await cluster.make("b").gossiper.start();
  await cluster.advance(300);
  assertEquals(cluster.of("b").value("a", "count"), 2);
  assertEquals(countsOf(cluster.of("b"), "a"), { asked: 2 });
  assertEquals(a.emitted("CallbackFailed"), []);
});

Deno.test("expiration: a member without a heartbeat for longer than the limit is blocked, and no sooner (R6.3)", async () => {
  await using cluster = await TestCluster.started(["a", "c"], { config: { heartbeatExpiration: 3_000 } });
  await cluster.advance(1_500);
  await cutOff(cluster, "c");
  // Its last heartbeat came at 1,500: at 4,500 it is exactly as old as the limit.
  await cluster.advance(3_000);
  assertEquals(cluster.of("a").blocked, {});
  await cluster.advance(300);
  assertEquals(cluster.of("a").blocked, { c: "expired" });
  assertEquals(cluster.of("a").emitted("MemberBlocked"), [
    { type: "MemberBlocked", memberId: "c", reason: "expired" },
  ]);
  const [block] = cluster.of("a").gossiper.blockedMembers;
  assertEquals(block!.sinceMs, cluster.of("a").runtime.wallMs());
  // The other side is isolated as well, and blocks the first.
  assertEquals(cluster.of("c").blocked, { a: "expired" });
});

Deno.test("expiration: a member that never sent a heartbeat expires, counted from its join (R6.3)", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: { heartbeatExpiration: 2_000 }, fixed: false });
  const a = cluster.make("a");
  await a.gossiper.start();
  await cluster.advance(3_000);
  await cluster.publish(["a", "b"]);
  assertEquals(await cluster.runUntil(() => a.blocked.b === "expired"), 2_100);
});

/** A peer b that answers all gossip, and passes on scripted state and heartbeats of c. */
async function passingOn(heartbeatOf: (answers: number) => number) {
  const cluster = new TestCluster(["a", "b", "c"], { config: { heartbeatExpiration: 2_000 } });
  const peer = new ScriptedPeer(cluster, "b");
  const a = cluster.make("a");
  let answers = 0;
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    answers++;
    const count = heartbeatOf(answers);
    const delta = { ...memberDelta("c", peer.incarnation, [entry("k", answers, answers)]), count };
    const reply = replyTo(message, { delta: { members: [delta] } });
    return { ...reply, liveness: { count: answers } };
  };
  await a.gossiper.start();
  await cluster.runUntil(() => a.value("c", "k") === 1);
  return { cluster, peer, a, answers: () => answers };
}

Deno.test("expiration: only a newer heartbeat is a sign of life, not other state or a repeated heartbeat (R6.3)", async () => {
  const { cluster, peer, a, answers } = await passingOn(() => 1);
  const waitedMs = await cluster.runUntil(() => a.blocked.c === "expired");
  assertEquals(waitedMs, 2_100);
  assertEquals(a.value("c", "k"), answers());
  assert(answers() > 5);
  // The peer itself has counted all the time.
  assertEquals(a.blocked, { c: "expired" });
  await peer[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

Deno.test("expiration: a newer heartbeat that a peer forwards is a sign of life (R6.3)", async () => {
  const { cluster, peer, a } = await passingOn((answers) => answers);
  await cluster.advance(10_000);
  assertEquals([a.blocked, a.emitted("MemberBlocked")], [{}, []]);
  await peer[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

Deno.test("expiration: heartbeats through a third member keep a member active as well (R6.3)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"], {
    config: { heartbeatExpiration: 2_500 },
  });
  await cluster.advance(600);
  cluster.network.cut("memory://a:1", "memory://c:1");
  await cluster.advance(15_000);
  assertEquals(cluster.members.map(({ blocked }) => blocked), [{}, {}, {}]);
});

Deno.test("expiration: a step of a wall clock blocks no member (R6.3)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: { heartbeatExpiration: 2_000 } });
  await cluster.advance(1_000);
  cluster.of("a").runtime.stepWall(7 * 86_400_000);
  cluster.of("b").runtime.stepWall(-7 * 86_400_000);
  await cluster.advance(5_000);
  assertEquals(cluster.members.map(({ blocked }) => blocked), [{}, {}]);
});

Deno.test("expiration: a refused set delays no heartbeat (R6.3)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: { heartbeatExpiration: 2_000 } });
  const cycle: unknown[] = [];
  cycle.push(cycle);
  for (let interval = 0; interval < 20; interval++) {
    for (const value of [cycle, () => 1, undefined, NaN]) {
      try {
        cluster.of("a").gossiper.setState("k", value);
        assert(false);
      } catch (error) {
        assertStringIncludes(String(error), "Nothing was changed");
      }
    }
    await cluster.advance(300);
  }
  assertEquals([cluster.of("b").blocked, cluster.of("b").values("k")], [{}, {}]);
  assertEquals(cluster.of("b").value("a", HEARTBEAT_KEY), {});
});

Deno.test("heartbeatExpiration: is read from the configuration (R6.4)", async () => {
  for (const [heartbeatExpiration, afterMs] of [[1_700, 1_800], [5_000, 5_100], [20_000, 20_100]] as const) {
    await using cluster = new TestCluster(["a", "b"], { config: { heartbeatExpiration } });
    const a = cluster.make("a");
    await a.gossiper.start();
    assertEquals(await cluster.runUntil(() => a.blocked.b === "expired"), afterMs);
  }
});

Deno.test("heartbeatExpiration: each member uses its own value, 20 s by default (R6.4)", async () => {
  await using cluster = new TestCluster(["a", "b", "c"]);
  await cluster.make("a").gossiper.start();
  await cluster.make("b", { config: { heartbeatExpiration: 4_000 } }).gossiper.start();
  await cluster.advance(4_500);
  assertEquals([cluster.of("a").blocked, cluster.of("b").blocked], [{}, { c: "expired" }]);
  await cluster.advance(15_500);
  assertEquals(cluster.of("a").blocked, {});
  await cluster.advance(300);
  assertEquals(cluster.of("a").blocked, { c: "expired" });
});

Deno.test("expiration: a member never blocks itself: alone, isolated, or after a suspension of its process (R6.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"], {
    config: { heartbeatExpiration: 2_000 },
  });
  await cluster.advance(1_000);
  await cutOff(cluster, "a");
  await cluster.advance(60_000);
  assertEquals(cluster.of("a").blocked, { b: "expired", c: "expired" });
  for (const { id, gossiper, blocked } of cluster.members) {
    assertEquals(blocked[id], undefined);
    const self = gossiper.members.find(({ isSelf }) => isSelf);
    assertEquals([self?.status, self?.block], ["alive", undefined]);
  }
  // It emits no SelfBlocked either.
  assertEquals(cluster.of("a").emitted("SelfBlocked"), []);
});

Deno.test("self-block: a member that a topology lists as blocked emits an event and does not block itself (R6.5)", async () => {
  await using cluster = await TestCluster.started(["a"], { fixed: false });
  const a = cluster.of("a");
  await cluster.publish(["a"], { blocked: ["a"] });
  await cluster.advance(1_000);
  assertEquals(a.emitted("SelfBlocked"), [{ type: "SelfBlocked", reason: "topology" }]);
  assertEquals([a.blocked, a.emitted("MemberBlocked")], [{}, []]);
  // Its own heartbeat continues.
  const { localTimestampUnixMilliseconds } = a.gossiper.getState(HEARTBEAT_KEY).get("a")!;
  assertEquals(localTimestampUnixMilliseconds, a.runtime.wallMs() - 100);
  a.gossiper.setState("k", 1);
  assertEquals(a.values("k"), { a: 1 });
});

for (
  const [when, metMs] of [["after they have met", 1_000], ["at its first handshake", 0]] as const
) {
  Deno.test(`self-block: a member that a peer lists as blocked emits one event and does not block itself: ${when} (R6.5)`, async () => {
    await using cluster = await TestCluster.started(["a", "b"], { fixed: false });
    const a = cluster.of("a");
    if (metMs > 0) await cluster.publish(["a", "b"]);
    await cluster.advance(metMs);
    await cluster.publish(["a", "b"], { to: ["a"] });
    await cluster.publish(["a", "b"], { to: ["b"], blocked: ["a"] });
    // A heartbeat has no answer: a member sends a request only after silence for a quarter of the expiration.
    await cluster.advance(20_000 / 4 + 600);
    assertEquals([a.blocked, cluster.of("b").blocked], [{}, { a: "topology" }]);
    assertEquals(a.emitted("SelfBlocked"), [{ type: "SelfBlocked", peerId: "b", reason: "topology" }]);
    assertEquals(a.emitted("MemberBlocked"), []);
  });
}

Deno.test("self-block: a member that leaves, or that a peer lists as left, does not block itself (R6.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await using peer = new ScriptedPeer(cluster, "b");
  const a = cluster.make("a");
  await a.gossiper.start();
  const { incarnation } = a.gossiper.members.find(({ isSelf }) => isSelf)!;
  const left = memberDelta("a", incarnation!, [entry(GRACEFULLY_LEFT_KEY, 1, {})]);
  peer.answer = (message) =>
    message.type === "gossip" ? replyTo(message, { delta: { members: [left] } }) : undefined;
  await cluster.advance(900);
  assert(peer.received.length > 2);
  assertEquals([a.blocked, a.emitted("MemberBlocked"), a.values(GRACEFULLY_LEFT_KEY)], [{}, [], {}]);
  await cluster.stop("a");
  assertEquals([a.blocked, Object.keys(a.values(GRACEFULLY_LEFT_KEY))], [{}, ["a"]]);
});
