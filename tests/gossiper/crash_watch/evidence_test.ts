/** Sockets give evidence of a crash, and causes that living members have give none (rule C1). */

import { assertEquals } from "../../../deps/std_assert.ts";
import { seeds } from "../../../discovery/seeds.ts";
import { memoryAddress } from "../../../testing/memory.ts";
import { NOWHERE } from "../../../contracts/mod.ts";
import { TestCluster } from "../../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../../requirements/scripted_peer.ts";
import { entry, memberDelta } from "../../engine/harness.ts";
import {
  connectedCluster,
  countOf,
  dialsOf,
  eventsAbout,
  FEW_ROUNDS,
  LONG_MS,
  suspectOf,
  withOtherEvents,
  withScriptedPeer,
} from "./clusters.ts";

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

Deno.test("CrashWatch: a member that hung and is then killed is suspected, even if no connection is left to break (C1)", async () => {
  for (const heartbeatExpiration of [Infinity, 60_000]) {
    await using cluster = await connectedCluster(["a", "b", "c"], { heartbeatExpiration });
    const { runtime } = cluster.of("c");
    runtime.freeze();
    cluster.network.pause(memoryAddress("c", 1));
    // Silence is noticed after a third of 60 s, and of 20 s without an expiration.
    await cluster.advance(30_000);
    assertEquals(withOtherEvents(cluster, "c", []), []);
    cluster.crash("c");
    cluster.network.resume(memoryAddress("c", 1));
    await cluster.runUntil(() => withOtherEvents(cluster, "c", ["suspected", "crashed"]).length === 0, {
      withinMs: 10_000,
    });
  }
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

Deno.test("CrashWatch: a peer that closes with a close code is not suspected, though its address refuses (C1)", async () => {
  const { cluster, peer } = await withScriptedPeer(FEW_ROUNDS);
  await using _cluster = cluster, _peer = peer;
  cluster.network.stopProxy(memoryAddress("P", 1));
  await peer.say("a");
  await cluster.advance(4_000);
  assertEquals(eventsAbout(cluster.of("a"), "P"), []);
});

Deno.test("CrashWatch: a heartbeat that was under way does not void the evidence, and a later one does (C1)", async () => {
  for (const [afterMs, events] of [[1_000, ["suspected"]], [1_100, []]] as const) {
    const cluster = new TestCluster(["a", "P", "b"], { config: FEW_ROUNDS });
    await using _cluster = cluster;
    await using peer = new ScriptedPeer(cluster, "P");
    await cluster.make("a").gossiper.start();
    const dials = dialsOf(cluster, "a", "b");
    await cluster.runUntil(() => dials.length === 1);
    const { incarnation } = peer;
    const delta = deltaOf([memberDelta("b", incarnation, [entry("k", 1, 1)])]);
    await peer.say("a", { type: "push", delta, relay: false }, suspectOf("b", { incarnation, count: 0 }));
    await cluster.advance(afterMs);
    await peer.say("a", suspectOf("b", { incarnation, count: 7, isAlive: true }));
    assertEquals([dials.length, countOf(cluster.of("a"), "b"), eventsAbout(cluster.of("a"), "b")], [
      1,
      7,
      [],
    ]);
    await cluster.runUntil(() => dials.length > 1);
    await cluster.runtime.settle();
    assertEquals(eventsAbout(cluster.of("a"), "b"), [...events]);
  }
});
