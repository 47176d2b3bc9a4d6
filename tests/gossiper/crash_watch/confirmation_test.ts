/** A suspect that stays silent is blocked in time, and one that lives is not (rules C3 and C4). */

import { assert, assertEquals } from "../../../deps/std_assert.ts";
import { seeds } from "../../../discovery/seeds.ts";
import { ConnectionRefused } from "../../../common/errors.ts";
import { memoryAddress } from "../../../testing/memory.ts";
import { incarnationOf, TestCluster } from "../../requirements/harness.ts";
import {
  clusterWithPassiveMember,
  connectedCluster,
  countOf,
  dialsOf,
  eventsAbout,
  FEW_ROUNDS,
  FOUND_WITHIN_MS,
  LONG_MS,
  suspectOf,
  withOtherEvents,
  withScriptedPeer,
} from "./clusters.ts";

Deno.test("CrashWatch: a crashed member is suspected at once, and each other member blocks it once within 1.15 s (C1, C3)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c", "d", "e"]);
  cluster.crash("c");
  await cluster.runtime.settle();
  assertEquals(withOtherEvents(cluster, "c", ["suspected"]), []);
  await cluster.runUntil(() => cluster.members.every(({ blocked }) => blocked.c === "crashed"), {
    withinMs: FOUND_WITHIN_MS,
  });
  await cluster.advance(LONG_MS);
  assertEquals(withOtherEvents(cluster, "c", ["suspected", "crashed"]), []);
  for (const member of cluster.members) assertEquals(member.blocked, { c: "crashed" });
  assert(cluster.isConfirmed(["a", "b", "d", "e"]));
});

Deno.test("CrashWatch: a crashed member is not blocked before 1.05 s have passed (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  cluster.crash("c");
  await cluster.advance(1_049);
  for (const member of cluster.members) assertEquals(member.blocked, {});
});

Deno.test("CrashWatch: a member that is alone with a suspect confirms it by repeated refused dials (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b"], FEW_ROUNDS);
  const dials = dialsOf(cluster, "a", "b");
  const startMs = cluster.runtime.monotonicMs();
  cluster.crash("b");
  await cluster.runUntil(() => cluster.of("a").blocked.b === "crashed", { withinMs: FOUND_WITHIN_MS });
  assertEquals(dials.map((atMs) => atMs - startMs), [0, 50, 384, 718, 1_052]);
  await cluster.advance(4_000);
  assertEquals([dials.length, eventsAbout(cluster.of("a"), "b")], [5, ["suspected", "crashed"]]);
});

Deno.test("CrashWatch: a heartbeat that was under way restarts the wait, and the last dial is at its end (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  cluster.network.setFaults({ delayMs: 200 }, { from: memoryAddress("b", 1), to: memoryAddress("a", 1) });
  const a = cluster.of("a");
  await cluster.runUntil(() => countOf(cluster.of("b"), "c") > countOf(a, "c"));
  const before = countOf(a, "c");
  const crashedAtMs = cluster.runtime.monotonicMs();
  cluster.crash("c");
  await cluster.runUntil(() => countOf(a, "c") > before);
  const heardAtMs = cluster.runtime.monotonicMs();
  assert(heardAtMs > crashedAtMs && heardAtMs < crashedAtMs + 300);
  await cluster.runUntil(() => a.blocked.c === "crashed");
  const blockedAtMs = cluster.runtime.monotonicMs();
  assertEquals(blockedAtMs - heardAtMs, 1_050);
  // The last dial confirms the crash, and informs no peer of a suspicion.
  await cluster.runtime.settle();
  assertEquals(cluster.sentBy("a", "suspect").filter(({ atMs }) => atMs === blockedAtMs), []);
});

Deno.test("CrashWatch: 32 members block a crashed member within 1.25 s, even if few have its last count (C3)", async () => {
  const ids = Array.from({ length: 32 }, (_, index) => `m${index}`);
  await using cluster = await connectedCluster(ids);
  // The wait of a member restarts when it first hears the last count, so the members exchange their counts early.
  cluster.network.setFaults({ delayMs: 20 });
  cluster.crash("m7");
  const others = cluster.members.filter(({ id }) => id !== "m7");
  await cluster.runUntil(() => others.every(({ blocked }) => blocked.m7 === "crashed"), { withinMs: 1_250 });
});

/** Breaks all connections of a member, and refuses all dials from and to it, as its sidecar's end does. */
function breakNetworkOf(cluster: TestCluster, id: string): { restore(): void } {
  const { transport } = cluster.of(id);
  const dial = transport.dial.bind(transport);
  transport.dial = () => Promise.reject(new ConnectionRefused("refused"));
  cluster.network.stopProxy(memoryAddress(id, 1));
  cluster.breakConnections(id);
  return {
    restore() {
      transport.dial = dial;
      cluster.network.restoreProxy(memoryAddress(id, 1));
    },
  };
}

Deno.test("CrashWatch: a member whose own network refuses everything blocks no member as crashed, is isolated, and rejoins (C3, L5)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c", "d", "e"]);
  const a = cluster.of("a");
  const network = breakNetworkOf(cluster, "a");
  await cluster.runUntil(() => a.events.some(({ type }) => type === "Isolated"), { withinMs: 8_000 });
  assertEquals(a.blocked, {});
  await cluster.advance(40_000);
  assertEquals(a.blocked, { b: "expired", c: "expired", d: "expired", e: "expired" });
  assertEquals([a.gossiper.snapshot().isolated, a.gossiper.phase === "confirmed"], [true, false]);
  for (const id of ["b", "c", "d", "e"]) assertEquals(cluster.of(id).blocked, { a: "crashed" });
  network.restore();
  await cluster.runUntil(() => cluster.members.every(({ blocked }) => Object.keys(blocked).length === 0), {
    withinMs: 70_000,
  });
  await cluster.runUntil(() => cluster.isConfirmed());
});

Deno.test("CrashWatch: a member that lost its peers at the same time asks them less and less often (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"], FEW_ROUNDS);
  const dials = dialsOf(cluster, "a", "b");
  const startMs = cluster.runtime.monotonicMs();
  cluster.crash("b");
  cluster.crash("c");
  await cluster.advance(10_000);
  assertEquals(dials.slice(0, 8).map((atMs) => atMs - startMs), [
    0,
    50,
    384,
    718,
    1_052,
    1_386,
    2_053,
    3_387,
  ]);
  assertEquals([dials.length, cluster.of("a").blocked], [10, {}]);
});

Deno.test("CrashWatch: two members that crash at the same time are found while a third member answers (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c", "d"], FEW_ROUNDS);
  cluster.crash("b");
  cluster.crash("c");
  await cluster.runUntil(
    () => ["a", "d"].every((id) => Object.values(cluster.of(id).blocked).join() === "crashed,crashed"),
    { withinMs: FOUND_WITHIN_MS },
  );
});

Deno.test("CrashWatch: a crashed member that restarts at once under a new id is not listed as alive under its old id (C1, C3)", async () => {
  await using cluster = new TestCluster(["a", "b", "c"], {
    fixed: false,
    cluster: { discovery: seeds([memoryAddress("a", 1)]) },
  });
  for (const started of ["a", "b", "c"]) await cluster.make(started).gossiper.start();
  const alive = (of: string) =>
    cluster.of(of).gossiper.members.filter(({ status }) => status === "alive").map((each) => each.id)
      .sort();
  await cluster.runUntil(() =>
    ["a", "b", "c"].every((of) => alive(of).length === 3) && cluster.isConfirmed()
  );
  cluster.crash("c");
  await cluster.advance(200);
  const self = { id: "d", host: "c", port: 1, kinds: [] };
  const transport = cluster.network.transport("c", 1);
  await cluster.make("d", { cluster: { self, transport } }).gossiper.start();
  await cluster.runUntil(() => [alive("a"), alive("b")].every((ids) => ids.join() === "a,b,d"), {
    withinMs: 2_500,
  });
  await cluster.runUntil(() => cluster.of("a").gossiper.phase === "confirmed", { withinMs: 1_000 });
});

Deno.test("CrashWatch: a crashed member is blocked even if the next process at its address answers slowly at first (C1, C3)", async () => {
  await using cluster = new TestCluster(["a", "b", "c"], {
    fixed: false,
    cluster: { discovery: seeds([memoryAddress("a", 1)]) },
  });
  for (const started of ["a", "b", "c"]) await cluster.make(started).gossiper.start();
  const status = (of: string) => cluster.of(of).gossiper.members.find(({ id }) => id === "c")?.status;
  await cluster.runUntil(() => cluster.isConfirmed() && ["a", "b"].every((of) => status(of) === "alive"));
  cluster.crash("c");
  const to = memoryAddress("c", 1);
  cluster.network.setFaults({ hang: true }, { to });
  // Longer than a dial may take.
  await cluster.advance(1_000);
  assertEquals(["a", "b"].map(status), ["alive", "alive"]);
  cluster.network.setFaults({}, { to });
  const self = { id: "d", host: "c", port: 1, kinds: [] };
  const transport = cluster.network.transport("c", 1);
  await cluster.make("d", { cluster: { self, transport } }).gossiper.start();
  await cluster.runUntil(() => ["a", "b"].every((of) => status(of) === "failed"), { withinMs: 6_000 });
});

Deno.test("CrashWatch: blocks a crashed member after half of a short expiration (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b"], {
    gossipInterval: 100,
    heartbeatExpiration: 1_600,
  });
  cluster.crash("b");
  await cluster.advance(799);
  assertEquals(cluster.of("a").blocked, {});
  // Each of the four waits is rounded up.
  await cluster.advance(4);
  assertEquals(cluster.of("a").blocked, { b: "crashed" });
});

Deno.test("CrashWatch: blockedMembers, members and the snapshot show the reason `crashed` (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b"]);
  cluster.crash("b");
  await cluster.advance(FOUND_WITHIN_MS);
  const { gossiper } = cluster.of("a");
  const sinceMs = gossiper.blockedMembers[0]!.sinceMs;
  const block = { id: "b", reason: "crashed", sinceMs } as const;
  assertEquals(gossiper.blockedMembers, [block]);
  const view = gossiper.members.find(({ id }) => id === "b");
  assertEquals([view?.status, view?.block], ["failed", block]);
  assertEquals(gossiper.snapshot().members.find(({ id }) => id === "b")?.block, block);
});

Deno.test("CrashWatch: a proxy that refuses for a second blocks no member that has no connections of its own (C3, C4)", async () => {
  await using cluster = await clusterWithPassiveMember();
  const address = memoryAddress("c", 1);
  assertEquals(cluster.network.openAt(address), 2);
  cluster.network.stopProxy(address);
  assertEquals(cluster.network.openAt(address), 0);
  await cluster.advance(1_000);
  cluster.network.restoreProxy(address);
  assertEquals(withOtherEvents(cluster, "c", ["suspected"]), []);
  await cluster.advance(LONG_MS);
  assertEquals(withOtherEvents(cluster, "c", ["suspected"]), []);
  assertEquals(cluster.network.openAt(address), 2);
});

Deno.test("CrashWatch: the time in which this process stood still does not count as a wait (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b"], FEW_ROUNDS, { b: { detectCrashes: false } });
  const { runtime } = cluster.of("a");
  const address = memoryAddress("b", 1);
  // Two restarts of the proxy before b; only the first refused dial of each is seen.
  cluster.network.stopProxy(address);
  await cluster.advance(100);
  assertEquals(eventsAbout(cluster.of("a"), "b"), ["suspected"]);
  runtime.freeze();
  cluster.network.pause(memoryAddress("a", 1));
  cluster.network.restoreProxy(address);
  await cluster.advance(2_000);
  cluster.network.stopProxy(address);
  cluster.network.resume(memoryAddress("a", 1));
  runtime.thaw();
  await cluster.advance(300);
  assertEquals(eventsAbout(cluster.of("a"), "b"), ["suspected"]);
  cluster.network.restoreProxy(address);
  await cluster.advance(LONG_MS);
  assertEquals(cluster.of("a").blocked, {});
});

Deno.test("CrashWatch: a restart under the same id within the wait ends the suspicion (C4)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  cluster.crash("c");
  await cluster.advance(700);
  await cluster.make("c").gossiper.start();
  await cluster.advance(LONG_MS);
  assertEquals(withOtherEvents(cluster, "c", ["suspected"]), []);
  await cluster.runUntil(() => cluster.isConfirmed());
});

Deno.test("CrashWatch: a crashed member that comes back is freed by its handshake (C4)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  cluster.crash("c");
  await cluster.runUntil(() => cluster.members.every(({ blocked }) => blocked.c === "crashed"));
  await cluster.make("c").gossiper.start();
  await cluster.advance(1_000);
  assertEquals(withOtherEvents(cluster, "c", ["suspected", "crashed", "unblocked"]), []);
  assertEquals(cluster.of("c").emitted("SelfBlocked"), []);
  await cluster.runUntil(() => cluster.isConfirmed());
});

Deno.test("CrashWatch: a living member that was blocked as crashed is freed by its handshake, and no request is refused (C4)", async () => {
  await using cluster = await clusterWithPassiveMember();
  const { incarnation } = cluster.of("c").gossiper.members.find(({ isSelf }) => isSelf)!;
  cluster.network.stopProxy(memoryAddress("c", 1));
  await cluster.runUntil(() => ["a", "b"].every((id) => cluster.of(id).blocked.c === "crashed"), {
    withinMs: FOUND_WITHIN_MS,
  });
  cluster.network.restoreProxy(memoryAddress("c", 1));
  await cluster.runUntil(() => ["a", "b"].every((id) => cluster.of(id).blocked.c === undefined), {
    withinMs: 3 * FEW_ROUNDS.gossipInterval,
  });
  const { gossiper } = cluster.of("c");
  assertEquals([cluster.of("c").emitted("SelfBlocked"), cluster.of("c").emitted("RequestFailed")], [[], []]);
  assertEquals(cluster.sentBy("a", "refused"), []);
  assertEquals(gossiper.members.find(({ isSelf }) => isSelf)?.incarnation, incarnation);
  await cluster.runUntil(() => cluster.isConfirmed());
});

Deno.test("CrashWatch: a suspicion of a peer about a suspect causes no more dials (C3)", async () => {
  const { cluster, peer } = await withScriptedPeer(FEW_ROUNDS);
  await using _cluster = cluster, _peer = peer;
  const dials = dialsOf(cluster, "a", "b");
  const suspicion = suspectOf("b", {
    incarnation: incarnationOf(cluster.of("b")),
    count: countOf(cluster.of("a"), "b"),
  });
  cluster.crash("b");
  for (let step = 0; step < 5; step++) {
    await cluster.advance(100);
    await peer.say("a", suspicion);
  }
  await cluster.advance(700);
  assertEquals([cluster.of("a").blocked, dials.length], [{ b: "crashed" }, 5]);
});

Deno.test("CrashWatch: a dial that fails without a refusal ends the suspicion, and the next suspicion waits in full (C4)", async () => {
  const { cluster, peer } = await withScriptedPeer(FEW_ROUNDS);
  await using _cluster = cluster, _peer = peer;
  const [one, other] = [memoryAddress("a", 1), memoryAddress("b", 1)];
  const suspicion = suspectOf("b", {
    incarnation: incarnationOf(cluster.of("b")),
    count: countOf(cluster.of("a"), "b"),
  });
  cluster.crash("b");
  await cluster.advance(300);
  cluster.network.cut(one, other);
  await cluster.advance(1_500);
  cluster.network.heal();
  assertEquals(eventsAbout(cluster.of("a"), "b"), ["suspected"]);
  // The address may have a backoff, which a suspicion of a peer respects.
  await peer.say("a", suspicion);
  while (eventsAbout(cluster.of("a"), "b").length < 2) {
    await cluster.advance(100);
    await peer.say("a", suspicion);
  }
  await cluster.advance(1_049);
  assertEquals(eventsAbout(cluster.of("a"), "b"), ["suspected", "suspected"]);
  await cluster.advance(10);
  assertEquals(cluster.of("a").blocked, { b: "crashed" });
});

Deno.test("CrashWatch: a member that leaves the topology while it is dialed is not blocked (C3)", async () => {
  await using cluster = new TestCluster(["a", "b"], { fixed: false, config: FEW_ROUNDS });
  for (const id of ["a", "b"]) await cluster.make(id).gossiper.start();
  await cluster.publish(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed() && cluster.sent.length > 0);
  // A dial takes 100 ms: the last one begins after 1,452 ms and is refused after 1,552 ms.
  cluster.network.setFaults({ delayMs: 100 }, { from: memoryAddress("a", 1) });
  cluster.crash("b");
  await cluster.advance(1_500);
  assertEquals(eventsAbout(cluster.of("a"), "b"), ["suspected"]);
  await cluster.publish(["a"], { to: ["a"] });
  await cluster.advance(1_000);
  assertEquals([eventsAbout(cluster.of("a"), "b"), cluster.of("a").blocked], [["suspected"], {}]);
});

Deno.test("CrashWatch: a newer count from a third member restarts the wait (C4)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const count = countOf(cluster.of("a"), "b");
  const incarnation = incarnationOf(cluster.of("b"));
  cluster.crash("b");
  await cluster.advance(1_000);
  await peer.say("a", suspectOf("b", { incarnation, count: count + 1, isAlive: true }));
  await cluster.advance(1_049);
  assertEquals(cluster.of("a").blocked, {});
  assertEquals(countOf(cluster.of("a"), "b"), count + 1);
  await cluster.advance(400);
  assertEquals(cluster.of("a").blocked, { b: "crashed" });
  assertEquals(eventsAbout(cluster.of("a"), "b"), ["suspected", "crashed"]);
});

Deno.test("CrashWatch: a count that is not newer does not restart the wait (C4)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const count = countOf(cluster.of("a"), "b");
  const incarnation = incarnationOf(cluster.of("b"));
  cluster.crash("b");
  await cluster.advance(1_000);
  await peer.say("a", suspectOf("b", { incarnation, count, isAlive: true }));
  await cluster.advance(200);
  assertEquals(cluster.of("a").blocked, { b: "crashed" });
});
