import { assertEquals, assertRejects } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import type { MemberView } from "../../gossiper/contract.ts";
import { HearsayError } from "../../common/errors.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster, type TestMember } from "../requirements/harness.ts";

/** The ids that a reader of the three events takes to be alive, in the order of the ids. */
function aliveByEvents({ events }: TestMember): string[] {
  const alive = new Set<string>();
  for (const event of events) {
    if (event.type === "MemberJoined") alive.add(event.memberId);
    if (event.type === "MemberLeft" || event.type === "MemberFailed") alive.delete(event.memberId);
  }
  return [...alive].sort();
}

/** The other members that are alive, in the order of the ids. */
function aliveByMembers({ gossiper }: TestMember): string[] {
  return gossiper.members.filter(({ status, isSelf }) => status === "alive" && !isSelf).map(({ id }) => id);
}

/** Each status that a stream of views shows, as `id status`. */
async function statuses(stream: ReadableStream<MemberView>): Promise<string[]> {
  return (await Array.fromAsync(stream)).map(({ id, status }) => `${id} ${status}`);
}

Deno.test("events: MemberJoined is emitted once for each other member, and never for this one", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const joined = cluster.of("a").emitted("MemberJoined").map(({ memberId }) => memberId);
  assertEquals([joined.sort(), aliveByEvents(cluster.of("a"))], [["b", "c"], ["b", "c"]]);
});

Deno.test("events: MemberLeft is emitted after a departure, MemberFailed after a crash, with the reason", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.stop("b");
  cluster.crash("c");
  const a = cluster.of("a");
  await cluster.runUntil(() => a.emitted("MemberFailed").length > 0);
  assertEquals(a.emitted("MemberLeft").map(({ memberId }) => memberId), ["b"]);
  assertEquals(a.emitted("MemberFailed"), [{ type: "MemberFailed", memberId: "c", reason: "crashed" }]);
  const seen = a.gossiper.members.map(({ id, status }) => `${id} ${status}`);
  assertEquals(seen, ["a alive", "b left", "c failed"]);
});

Deno.test("events: MemberLeft is emitted for a member that the topology drops, MemberFailed for a member that it blocks", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"], { fixed: false });
  await cluster.publish(["a", "b", "c"]);
  await cluster.publish(["a", "c"], { blocked: ["c"], to: ["a"] });
  const a = cluster.of("a");
  assertEquals(a.emitted("MemberLeft").map(({ memberId }) => memberId), ["b"]);
  assertEquals(a.emitted("MemberFailed").map(({ memberId, reason }) => [memberId, reason]), [[
    "c",
    "topology",
  ]]);
});

Deno.test("events: MemberJoined is emitted again for a member that is back after a partition", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: { blockedProbeInterval: 1_000 } });
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.network.setFaults({ hang: true });
  const a = cluster.of("a");
  await cluster.runUntil(() => a.emitted("MemberFailed").length === 1);
  assertEquals([aliveByEvents(a), aliveByMembers(a)], [[], []]);
  cluster.network.setFaults({});
  await cluster.runUntil(() => a.emitted("MemberJoined").length === 2);
  assertEquals([aliveByEvents(a), aliveByMembers(a)], [["b"], ["b"]]);
});

Deno.test("events: SuspicionEnded is emitted when an answer ends a suspicion, and `members` shows the suspicion until then", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const a = cluster.of("a");
  const views = statuses(a.gossiper.watchMembers());
  cluster.network.stopProxy(memoryAddress("b", 1));
  cluster.breakConnections("b");
  await cluster.runUntil(() => a.emitted("MemberSuspected").length > 0);
  assertEquals(a.gossiper.members.find(({ id }) => id === "b")!.status, "suspected");
  cluster.network.restoreProxy(memoryAddress("b", 1));
  await cluster.runUntil(() => a.emitted("SuspicionEnded").length > 0);
  assertEquals(aliveByMembers(a), ["b", "c"]);
  await cluster.stop("a");
  const ofB = (await views).filter((each) => each.startsWith("b"));
  assertEquals(ofB, ["b alive", "b suspected", "b alive"]);
});

Deno.test("watchMembers: emits the present members, then each member that changes, and ends with this member", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const a = cluster.of("a");
  const reader = a.gossiper.watchMembers().getReader();
  const present = [await reader.read(), await reader.read(), await reader.read()];
  assertEquals(present.map(({ value }) => `${value!.id} ${value!.status}`), [
    "a alive",
    "b alive",
    "c alive",
  ]);
  await cluster.stop("b");
  const { value } = await reader.read();
  assertEquals([value!.id, value!.status], ["b", "left"]);
  await cluster.stop("a");
  assertEquals((await reader.read()).done, true);
});

/** The views of other members at `a`, without repetition of its own, until it stops. */
async function viewsAt(cluster: TestCluster, act: () => Promise<unknown>): Promise<string[]> {
  const views = Array.fromAsync(cluster.of("a").gossiper.watchMembers());
  await act();
  await cluster.stop("a");
  const incarnations: unknown[] = [undefined];
  return (await views).filter(({ isSelf }) => !isSelf).map(({ id, status, incarnation }) => {
    if (!incarnations.includes(incarnation)) incarnations.push(incarnation);
    return `${id} ${status} ${incarnations.indexOf(incarnation)}`;
  });
}

Deno.test("watchMembers: emits one view for a departure, and one view for each step of a crash", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const views = await viewsAt(cluster, async () => {
    await cluster.stop("c");
    cluster.crash("b");
    await cluster.runUntil(() => cluster.of("a").emitted("MemberFailed").length > 0);
  });
  assertEquals(views, ["b alive 1", "c alive 2", "c left 2", "b suspected 1", "b failed 1"]);
});

Deno.test("watchMembers: a member that left and returned under its id is alive with its new incarnation", async () => {
  const discovery = () => ({ cluster: { discovery: seeds([memoryAddress("a", 1), memoryAddress("c", 1)]) } });
  await using cluster = new TestCluster(["a", "b", "c"]);
  for (const id of ["a", "b", "c"]) await cluster.make(id, discovery()).gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed() && aliveByMembers(cluster.of("a")).length === 2);
  const views = await viewsAt(cluster, async () => {
    await cluster.stop("b");
    await cluster.of("b").dispose();
    await cluster.advance(2_000);
    await cluster.make("b", discovery()).gossiper.start();
    await cluster.runUntil(() => aliveByMembers(cluster.of("a")).length === 2);
    await cluster.advance(2_000);
  });
  assertEquals(views, ["b alive 1", "c alive 2", "b left 1", "b alive 3"]);
});

Deno.test("watchMembers: emits one more view when a departed member is forgotten", async () => {
  const config = { departedRetention: 20_000 };
  await using cluster = await TestCluster.started(["a", "b", "c"], { fixed: false, config });
  await cluster.publish(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const views = await viewsAt(cluster, async () => {
    await cluster.stop("b");
    await cluster.publish(["a", "c"], { to: ["a", "c"] });
    await cluster.runUntil(() => cluster.of("a").emitted("MemberForgotten").length > 0);
  });
  assertEquals(views.filter((view) => view.startsWith("b")), ["b alive 1", "b left 1", "b left 0"]);
});

Deno.test("whenMembers: resolves with the members once there are as many as asked for, this member included", async () => {
  const cluster = new TestCluster(["a", "b", "c"], { fixed: false });
  await using _ = cluster;
  for (const id of ["a", "b", "c"]) await cluster.make(id).gossiper.start();
  const three = cluster.of("a").gossiper.whenMembers(3);
  assertEquals((await cluster.of("a").gossiper.whenMembers(1)).map(({ id }) => id), ["a"]);
  await cluster.publish(["a", "b", "c"]);
  assertEquals((await three).map(({ id, status }) => [id, status]), [
    ["a", "alive"],
    ["b", "alive"],
    ["c", "alive"],
  ]);
});

Deno.test("whenMembers: with stableFor, a member that comes or goes restarts the wait", async () => {
  const cluster = new TestCluster(["a", "b", "c"], { fixed: false });
  await using _ = cluster;
  for (const id of ["a", "b", "c"]) await cluster.make(id).gossiper.start();
  const { gossiper } = cluster.of("a");
  let resolvedAtMs: number | undefined;
  const stable = gossiper.whenMembers(2, { stableFor: 1_000 }).then((members) => {
    resolvedAtMs = cluster.runtime.monotonicMs();
    return members;
  });
  await cluster.publish(["a", "b"], { to: ["a"] });
  await cluster.advance(900);
  const changedAtMs = cluster.runtime.monotonicMs();
  await cluster.publish(["a", "b", "c"], { to: ["a"] });
  await cluster.advance(900);
  assertEquals(resolvedAtMs, undefined);
  assertEquals((await cluster.finish(stable)).length, 3);
  assertEquals(resolvedAtMs, changedAtMs + 1_000);
});

Deno.test("whenMembers: rejects with the signal's reason, with `stopped` at the end, and on wrong options", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const { gossiper } = cluster.of("a");
  const reason = new Error("enough");
  await assertRejects(() => gossiper.whenMembers(9, { signal: AbortSignal.abort(reason) }), Error, "enough");
  await assertRejects(() => gossiper.whenMembers(0), ConfigurationError, "count");
  await assertRejects(() => gossiper.whenMembers(1, { stableFor: -1 }), ConfigurationError, "stableFor");
  const ended = assertRejects(() => gossiper.whenMembers(9), HearsayError, "stopped");
  const endedStable = assertRejects(
    () => gossiper.whenMembers(1, { stableFor: 60_000 }),
    HearsayError,
    "stopped",
  );
  await cluster.stop("a");
  await Promise.all([ended, endedStable]);
});

Deno.test("registerConsensusCheck: the handle's disposal at the end of its scope removes the check", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  let id: string;
  {
    using check = gossiper.registerConsensusCheck("k");
    id = check.id;
  }
  assertEquals(gossiper.removeConsensusCheck(id), false);
});

Deno.test("whenMembers: a suspected member counts, and is among the members that it resolves with", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const a = cluster.of("a");
  cluster.crash("b");
  await cluster.runUntil(() => a.emitted("MemberSuspected").length > 0);
  const members = await a.gossiper.whenMembers(2);
  assertEquals(members.map(({ id, status }) => `${id} ${status}`), ["a alive", "b suspected"]);
});
