/**
 * Crashed members are found by the evidence of their sockets, and living ones are not blocked by it (rules C1
 * to C4).
 */

import { assert, assertEquals, assertGreater, assertLessOrEqual } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import type { PartialConfig } from "../../options/configuration.ts";
import type { Message } from "../../protocol/message.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { NOWHERE } from "../../contracts/mod.ts";
import { TestCluster, type TestMember } from "../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { entry, memberDelta } from "../engine/harness.ts";

/** The bound for a crash at the default settings: 1.1 s, and the time of the dials. */
const FOUND_WITHIN_MS = 1_200;
/** Longer than a crash needs to be found, and shorter than the expiration. */
const LONG_MS = 5_000;
/** Rounds so rare that within a second every dial is for a suspicion. */
const FEW_ROUNDS = { gossipInterval: 5_000, heartbeatExpiration: 60_000 };

/** Connected members at the default settings with one state; `own` has settings of some alone. */
async function connectedCluster(
  ids: readonly string[],
  config: PartialConfig = {},
  own: { readonly [id: string]: PartialConfig } = {},
): Promise<TestCluster> {
  const cluster = new TestCluster(ids, { config });
  for (const id of ids) cluster.make(id, { config: own[id] ?? {} });
  for (const { gossiper } of cluster.members) await gossiper.start();
  for (const { gossiper } of cluster.members) gossiper.setState("k", 1);
  const pairs = () => new Set(cluster.sent.map(({ from, to }) => [from, to].sort().join()));
  await cluster.runUntil(() => pairs().size === ids.length * (ids.length - 1) / 2);
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

/** Three members; `c` dials none for seconds, so that its only connections are those to its address. */
function clusterWithPassiveMember(): Promise<TestCluster> {
  return connectedCluster(["a", "b", "c"], FEW_ROUNDS, { c: { detectCrashes: false } });
}

/** The events of a member about suspicions and blocks of another, in order. */
function eventsAbout(member: TestMember, about: string): string[] {
  return member.events.flatMap((event) => {
    if (event.type === "MemberSuspected" && event.memberId === about) return ["suspected"];
    if (event.type === "MemberBlocked" && event.memberId === about) return [event.reason];
    return event.type === "MemberUnblocked" && event.memberId === about ? ["unblocked"] : [];
  });
}

/** The members with other events about suspicions and blocks than these. */
function withOtherEvents(cluster: TestCluster, about: string, expected: readonly string[]): string[] {
  const others = cluster.members.filter(({ id }) => id !== about);
  return others.filter((member) => eventsAbout(member, about).join() !== expected.join()).map(({ id }) => id);
}

/** The times of a member's dials to an address, in virtual milliseconds, from now on. */
function dialsOf(cluster: TestCluster, id: string, to?: string): number[] {
  const { transport } = cluster.of(id);
  const dial = transport.dial.bind(transport);
  const dials: number[] = [];
  transport.dial = (address, options) => {
    if (to === undefined || address === memoryAddress(to, 1)) dials.push(cluster.runtime.monotonicMs());
    return dial(address, options);
  };
  return dials;
}

function countOf(member: TestMember, id: string): number {
  return member.gossiper.getState("heathbeat").get(id)?.sequenceNumber ?? 0;
}

Deno.test("CrashWatch: a crashed member is suspected at once and blocked by all within 1.2 s, once each (C1, C3)", async () => {
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

Deno.test("CrashWatch: a crashed member is not blocked before 1.1 s have passed (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  cluster.crash("c");
  await cluster.advance(1_099);
  for (const member of cluster.members) assertEquals(member.blocked, {});
});

Deno.test("CrashWatch: a member that is alone with a suspect confirms it by repeated refused dials (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b"], FEW_ROUNDS);
  const dials = dialsOf(cluster, "a", "b");
  const startMs = cluster.runtime.monotonicMs();
  cluster.crash("b");
  await cluster.runUntil(() => cluster.of("a").blocked.b === "crashed", { withinMs: FOUND_WITHIN_MS });
  assertEquals(dials.map((atMs) => atMs - startMs), [0, 367, 734, 1_101]);
  await cluster.advance(4_000);
  assertEquals([dials.length, eventsAbout(cluster.of("a"), "b")], [4, ["suspected", "crashed"]]);
});

Deno.test("CrashWatch: a heartbeat that was under way begins the wait again, and the last dial is at its end (C3)", async () => {
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
  assertEquals(cluster.runtime.monotonicMs() - heardAtMs, 1_100);
});

Deno.test("CrashWatch: waits half of a short expiration (C3)", async () => {
  await using cluster = await connectedCluster(["a", "b"], {
    gossipInterval: 100,
    heartbeatExpiration: 1_600,
  });
  cluster.crash("b");
  await cluster.advance(799);
  assertEquals(cluster.of("a").blocked, {});
  await cluster.advance(2);
  assertEquals(cluster.of("a").blocked, { b: "crashed" });
});

Deno.test("CrashWatch: blockedMembers, members and the snapshot show the reason (C3)", async () => {
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

Deno.test("CrashWatch: a proxy that refuses for a second blocks no member that has connections of its own (C1)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  // If two dial at once, the connection of the lower id stays: all of a's are its own.
  cluster.network.stopProxy(memoryAddress("a", 1));
  assertEquals(cluster.network.openAt(memoryAddress("a", 1)), 2);
  await cluster.advance(1_000);
  cluster.network.restoreProxy(memoryAddress("a", 1));
  await cluster.advance(LONG_MS);
  assertEquals(withOtherEvents(cluster, "a", []), []);
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

Deno.test("CrashWatch: a partition is no evidence (C1)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  for (const id of ["a", "b"]) cluster.network.cut(memoryAddress(id, 1), memoryAddress("c", 1));
  await cluster.advance(LONG_MS);
  for (const id of ["a", "b", "c"]) assertEquals(withOtherEvents(cluster, id, []), []);
  await cluster.runUntil(() => cluster.of("a").blocked.c === "expired");
});

Deno.test("CrashWatch: a connection that breaks while dials hang is no evidence (C1)", async () => {
  await using cluster = await connectedCluster(["a", "b"]);
  cluster.breakConnections("b");
  cluster.network.setFaults({ hang: true });
  await cluster.advance(LONG_MS);
  assertEquals([eventsAbout(cluster.of("a"), "b"), eventsAbout(cluster.of("b"), "a")], [[], []]);
  cluster.network.clearFaults();
});

Deno.test("CrashWatch: a connection that breaks while the address answers is no evidence (C1)", async () => {
  await using cluster = await connectedCluster(["a", "b"]);
  cluster.breakConnections("b");
  await cluster.advance(LONG_MS);
  assertEquals([eventsAbout(cluster.of("a"), "b"), eventsAbout(cluster.of("b"), "a")], [[], []]);
});

Deno.test("CrashWatch: a frozen process is not suspected, and suspects no member (C1)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  cluster.of("c").runtime.freeze();
  cluster.network.pause(memoryAddress("c", 1));
  await cluster.advance(LONG_MS);
  cluster.network.resume(memoryAddress("c", 1));
  cluster.of("c").runtime.thaw();
  await cluster.advance(LONG_MS);
  for (const id of ["a", "b", "c"]) assertEquals(withOtherEvents(cluster, id, []), []);
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

Deno.test("CrashWatch: a member that stops stays blocked as left (C1)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  const { transport } = cluster.of("c");
  await cluster.stop("c");
  await cluster.finish(transport.close());
  await cluster.advance(LONG_MS);
  for (const id of ["a", "b"]) {
    assertEquals([eventsAbout(cluster.of(id), "c"), cluster.of(id).blocked], [["left"], { c: "left" }]);
  }
});

Deno.test("CrashWatch: a member that closes its transport with a close code is not suspected (C1)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  cluster.of("c").runtime.freeze();
  await cluster.finish(cluster.of("c").transport.close());
  await cluster.advance(LONG_MS);
  assertEquals(withOtherEvents(cluster, "c", []), []);
  cluster.of("c").runtime.thaw();
});

Deno.test("CrashWatch: a member that only dials is blocked as expired, and never suspected (C1)", async () => {
  await using cluster = new TestCluster(["a", "b", "x"], {
    fixed: false,
    config: { gossipInterval: 100, heartbeatExpiration: 4_000 },
    cluster: { discovery: seeds([memoryAddress("a", 1)]) },
  });
  for (const id of ["a", "b"]) cluster.make(id);
  cluster.make("x", { cluster: { self: { id: "x", ...NOWHERE, kinds: [] } } });
  for (const { gossiper } of cluster.members) await gossiper.start();
  await cluster.runUntil(() =>
    cluster.members.every(({ gossiper }) =>
      gossiper.members.filter(({ status }) => status === "alive").length === 3
    )
  );
  await cluster.advance(1_000);
  cluster.crash("x");
  await cluster.advance(3_500);
  assertEquals(withOtherEvents(cluster, "x", []), []);
  await cluster.advance(1_500);
  assertEquals(withOtherEvents(cluster, "x", ["expired"]), []);
});

Deno.test("CrashWatch: with detectCrashes false no member is suspected, and a crashed member expires (C1, C2)", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"], { detectCrashes: false });
  const dials = dialsOf(cluster, "a", "c");
  cluster.crash("c");
  await cluster.runtime.settle();
  assertEquals(dials, []);
  await cluster.advance(18_000);
  assertEquals(withOtherEvents(cluster, "c", []), []);
  assertEquals(cluster.sent.filter(({ type }) => type === "suspect"), []);
  await cluster.advance(4_000);
  assertEquals(withOtherEvents(cluster, "c", ["expired"]), []);
});

Deno.test("CrashWatch: with detectCrashes false a suspicion of a peer is ignored (C2)", async () => {
  await using cluster = new TestCluster(["a", "P"], { config: { ...FEW_ROUNDS, detectCrashes: false } });
  await using peer = new ScriptedPeer(cluster, "P");
  await cluster.make("a").gossiper.start();
  await cluster.advance(100);
  const before = countOf(cluster.of("a"), "a");
  peer.heard.length = 0;
  await peer.say("a", suspectOf("a", { incarnation: incarnationOf(cluster, "a"), count: 1_000 }));
  assertEquals(countOf(cluster.of("a"), "a"), before);
  assertEquals(peer.heard.filter(({ type }) => type !== "hello"), []);
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
  assertEquals(cluster.of("c").told("SelfBlocked"), []);
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
  assertEquals([cluster.of("c").told("SelfBlocked"), cluster.of("c").told("RequestFailed")], [[], []]);
  assertEquals(cluster.sentBy("a", "refused"), []);
  assertEquals(gossiper.members.find(({ isSelf }) => isSelf)?.incarnation, incarnation);
  await cluster.runUntil(() => cluster.isConfirmed());
});

/** A message with a suspicion of a member, or its refutation. */
function suspectOf(
  memberId: string,
  { incarnation, count, isAlive = false }: {
    readonly incarnation: string;
    readonly count: number;
    readonly isAlive?: boolean;
  },
): Message {
  return { type: "suspect", memberId, incarnation, count, isAlive };
}

function incarnationOf(cluster: TestCluster, id: string): string {
  return cluster.of(id).gossiper.members.find(({ isSelf }) => isSelf)!.incarnation!;
}

/**
 * A member `a` connected with a real peer `b` and a scripted peer `P`. The name sorts before `a`, so that of
 * two connections the one that `P` dialed stays.
 */
async function withScriptedPeer(
  config: PartialConfig = {},
): Promise<{ cluster: TestCluster; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "b", "P"], { config });
  const peer = new ScriptedPeer(cluster, "P");
  for (const id of ["a", "b"]) await cluster.make(id).gossiper.start();
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("a").value("b", "k") === 1 && peer.last("gossip") !== undefined);
  await cluster.advance(1_000);
  return { cluster, peer };
}

Deno.test("CrashWatch: a suspicion is sent to connected peers, with the known count (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const count = countOf(cluster.of("a"), "b");
  const incarnation = incarnationOf(cluster, "b");
  cluster.crash("b");
  await cluster.advance(50);
  assertEquals(peer.last("suspect"), { type: "suspect", memberId: "b", incarnation, count, isAlive: false });
});

Deno.test("CrashWatch: a suspicion of a peer about a suspect causes no more dials (C3)", async () => {
  const { cluster, peer } = await withScriptedPeer(FEW_ROUNDS);
  await using _cluster = cluster, _peer = peer;
  const dials = dialsOf(cluster, "a", "b");
  const suspicion = suspectOf("b", {
    incarnation: incarnationOf(cluster, "b"),
    count: countOf(cluster.of("a"), "b"),
  });
  cluster.crash("b");
  for (let step = 0; step < 5; step++) {
    await cluster.advance(100);
    await peer.say("a", suspicion);
  }
  await cluster.advance(700);
  assertEquals([cluster.of("a").blocked, dials.length], [{ b: "crashed" }, 4]);
});

Deno.test("CrashWatch: a dial that fails otherwise ends the suspicion, and the next suspicion waits in full (C4)", async () => {
  const { cluster, peer } = await withScriptedPeer(FEW_ROUNDS);
  await using _cluster = cluster, _peer = peer;
  const [one, other] = [memoryAddress("a", 1), memoryAddress("b", 1)];
  const suspicion = suspectOf("b", {
    incarnation: incarnationOf(cluster, "b"),
    count: countOf(cluster.of("a"), "b"),
  });
  cluster.crash("b");
  await cluster.advance(300);
  cluster.network.cut(one, other);
  await cluster.advance(1_500);
  cluster.network.heal();
  assertEquals(eventsAbout(cluster.of("a"), "b"), ["suspected"]);
  await peer.say("a", suspicion);
  await cluster.advance(1_099);
  assertEquals(eventsAbout(cluster.of("a"), "b"), ["suspected", "suspected"]);
  await cluster.advance(10);
  assertEquals(cluster.of("a").blocked, { b: "crashed" });
});

Deno.test("CrashWatch: a peer that closes with a close code is not suspected, though its address refuses (C1)", async () => {
  const { cluster, peer } = await withScriptedPeer(FEW_ROUNDS);
  await using _cluster = cluster, _peer = peer;
  cluster.network.stopProxy(memoryAddress("P", 1));
  await peer.say("a");
  await cluster.advance(4_000);
  assertEquals(eventsAbout(cluster.of("a"), "P"), []);
});

Deno.test("CrashWatch: a member that leaves the topology while it is dialed is not blocked (C3)", async () => {
  await using cluster = new TestCluster(["a", "b"], { fixed: false, config: FEW_ROUNDS });
  for (const id of ["a", "b"]) await cluster.make(id).gossiper.start();
  await cluster.publish(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed() && cluster.sent.length > 0);
  // A dial takes 100 ms: the last one begins after 1,401 ms and is refused after 1,501 ms.
  cluster.network.setFaults({ delayMs: 100 }, { from: memoryAddress("a", 1) });
  cluster.crash("b");
  await cluster.advance(1_450);
  assertEquals(eventsAbout(cluster.of("a"), "b"), ["suspected"]);
  await cluster.publish(["a"], { to: ["a"] });
  await cluster.advance(1_000);
  assertEquals([eventsAbout(cluster.of("a"), "b"), cluster.of("a").blocked], [["suspected"], {}]);
});

Deno.test("CrashWatch: a newer count from a third member restarts the wait (C4)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const count = countOf(cluster.of("a"), "b");
  const incarnation = incarnationOf(cluster, "b");
  cluster.crash("b");
  await cluster.advance(1_000);
  await peer.say("a", suspectOf("b", { incarnation, count: count + 1, isAlive: true }));
  await cluster.advance(1_099);
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
  const incarnation = incarnationOf(cluster, "b");
  cluster.crash("b");
  await cluster.advance(1_000);
  await peer.say("a", suspectOf("b", { incarnation, count, isAlive: true }));
  await cluster.advance(200);
  assertEquals(cluster.of("a").blocked, { b: "crashed" });
});

Deno.test("CrashWatch: a member that heard the suspect later answers with its count (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const incarnation = incarnationOf(cluster, "b");
  const count = countOf(cluster.of("a"), "b");
  await peer.say("a", suspectOf("b", { incarnation, count: count - 1 }));
  assertEquals(peer.last("suspect"), { type: "suspect", memberId: "b", incarnation, count, isAlive: true });
  peer.heard.length = 0;
  await peer.say("a", suspectOf("b", { incarnation, count }));
  assertEquals(peer.last("suspect"), undefined);
  assertEquals(eventsAbout(cluster.of("a"), "b"), []);
});

Deno.test("CrashWatch: a suspect answers its suspicion with a new count (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const incarnation = incarnationOf(cluster, "a");
  const count = countOf(cluster.of("a"), "a");
  await peer.say("a", suspectOf("a", { incarnation, count }));
  assertEquals(peer.last("heartbeat")?.liveness.count, count + 1);
  // A count that the peer has not seen is an answer too.
  peer.heard.length = 0;
  await peer.say("a", suspectOf("a", { incarnation, count }));
  assertEquals(peer.last("heartbeat")?.liveness.count, count + 1);
});

Deno.test("CrashWatch: a suspicion of an earlier incarnation is ignored (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const dials = dialsOf(cluster, "a", "b");
  const count = countOf(cluster.of("a"), "b");
  cluster.breakConnections("b");
  cluster.network.stopProxy(memoryAddress("b", 1));
  peer.heard.length = 0;
  await peer.say("a", suspectOf("b", { incarnation: "010000000000-00000000", count: count + 50 }));
  assertEquals(countOf(cluster.of("a"), "b"), count);
  assertEquals(dials.length, 1);
});

/** A member `a` that knows 100 members through `P` and is connected with none of them. */
async function withManyMembers(): Promise<
  { cluster: TestCluster; peer: ScriptedPeer; ids: readonly string[]; incarnation: string }
> {
  const ids = Array.from({ length: 100 }, (_, index) => `m${index}`);
  const cluster = new TestCluster(["a", "P", ...ids], { config: FEW_ROUNDS });
  const peer = new ScriptedPeer(cluster, "P");
  await cluster.make("a").gossiper.start();
  await cluster.advance(FEW_ROUNDS.gossipInterval / 2);
  const incarnation = peer.incarnation;
  const states = ids.map((id) => memberDelta(id, incarnation, [entry("k", 1, 1)]));
  await peer.say("a", { type: "push", delta: deltaOf(states), relay: false });
  assertEquals(cluster.of("a").value("m99", "k"), 1);
  return { cluster, peer, ids, incarnation };
}

Deno.test("CrashWatch: a member without a connection to a suspect dials it and collects its own evidence (C2)", async () => {
  const { cluster, peer, incarnation } = await withManyMembers();
  await using _cluster = cluster, _peer = peer;
  await peer.say("a", suspectOf("m7", { incarnation, count: 0 }));
  assertEquals(eventsAbout(cluster.of("a"), "m7"), ["suspected"]);
  await cluster.advance(FOUND_WITHIN_MS);
  assertEquals(cluster.of("a").blocked, { m7: "crashed" });
});

Deno.test("CrashWatch: a message that a member is alive causes no dial (C2)", async () => {
  const { cluster, peer, incarnation } = await withManyMembers();
  await using _cluster = cluster, _peer = peer;
  const dials = dialsOf(cluster, "a");
  await peer.say("a", suspectOf("m7", { incarnation, count: 0, isAlive: true }));
  await cluster.advance(1_000);
  assertEquals([dials, eventsAbout(cluster.of("a"), "m7")], [[], []]);
});

Deno.test("CrashWatch: a flood of suspicions causes at most 32 dials a second (C2)", async () => {
  const { cluster, peer, ids, incarnation } = await withManyMembers();
  await using _cluster = cluster, _peer = peer;
  for (const id of ids) cluster.network.setFaults({ hang: true }, { to: memoryAddress(id, 1) });
  const dials = dialsOf(cluster, "a");
  const flood = ids.map((id) => suspectOf(id, { incarnation, count: 0 }));
  const startMs = cluster.runtime.monotonicMs();
  // A dial that hangs is given up after 2 s: then the next suspicion would lead to another.
  for (let step = 0; step < 60; step++) {
    await peer.say("a", ...flood);
    await cluster.advance(100);
  }
  const elapsedMs = cluster.runtime.monotonicMs() - startMs;
  assertGreater(dials.length, 32);
  // 32 at once after a pause, and 32 a second.
  assertLessOrEqual(dials.length, 32 + 32 * elapsedMs / 1_000);
  assertEquals(cluster.of("a").blocked, {});
  cluster.network.clearFaults();
});

Deno.test("CrashWatch: a flood of suspicions raises the suspect's own count at most 32 times a second (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const before = countOf(cluster.of("a"), "a");
  const startMs = cluster.runtime.monotonicMs();
  const flood = Array.from(
    { length: 50 },
    () => suspectOf("a", { incarnation: incarnationOf(cluster, "a"), count: 1e12 }),
  );
  for (let step = 0; step < 20; step++) {
    await peer.say("a", ...flood);
    await cluster.advance(100);
  }
  const elapsedMs = cluster.runtime.monotonicMs() - startMs;
  const rounds = Math.ceil(elapsedMs / 300);
  assertLessOrEqual(countOf(cluster.of("a"), "a") - before, rounds + 32 + 32 * elapsedMs / 1_000);
});

Deno.test("CrashWatch: a false count of a hostile peer is corrected by the member itself (C2, C4)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const incarnation = incarnationOf(cluster, "b");
  await peer.say("a", suspectOf("b", { incarnation, count: 1e12 }));
  await cluster.advance(LONG_MS);
  assertLessOrEqual(countOf(cluster.of("a"), "b"), countOf(cluster.of("b"), "b"));
  assertEquals(eventsAbout(cluster.of("a"), "b"), []);
});
