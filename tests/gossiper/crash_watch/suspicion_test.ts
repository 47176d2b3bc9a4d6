/** Members exchange suspicions, and no message of a peer blocks a living member (rule C2). */

import { assertEquals, assertGreater, assertLessOrEqual } from "../../../deps/std_assert.ts";
import type { PartialConfig } from "../../../options/configuration.ts";
import { memoryAddress } from "../../../testing/memory.ts";
import { incarnationOf, TestCluster } from "../../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../../requirements/scripted_peer.ts";
import { entry, memberDelta } from "../../engine/harness.ts";
import {
  countOf,
  dialsOf,
  eventsAbout,
  FEW_ROUNDS,
  FOUND_WITHIN_MS,
  LONG_MS,
  suspectOf,
  withScriptedPeer,
} from "./clusters.ts";

Deno.test("CrashWatch: with detectCrashes false a suspicion of a peer causes no dial (C2)", async () => {
  const { cluster, peer, incarnation } = await withManyMembers({ ...FEW_ROUNDS, detectCrashes: false });
  await using _cluster = cluster, _peer = peer;
  const dials = dialsOf(cluster, "a");
  await peer.say("a", suspectOf("m7", { incarnation, count: 0 }));
  await cluster.advance(1_000);
  assertEquals([dials, eventsAbout(cluster.of("a"), "m7")], [[], []]);
});

Deno.test("CrashWatch: a suspicion is sent to connected peers, with the known count (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const count = countOf(cluster.of("a"), "b");
  const incarnation = incarnationOf(cluster.of("b"));
  cluster.crash("b");
  await cluster.advance(50);
  assertEquals(peer.last("suspect"), { type: "suspect", memberId: "b", incarnation, count, isAlive: false });
});

Deno.test("CrashWatch: a suspicion of an earlier incarnation is ignored (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const dials = dialsOf(cluster, "a", "b");
  const count = countOf(cluster.of("a"), "b");
  cluster.breakConnections("b");
  cluster.network.stopProxy(memoryAddress("b", 1));
  peer.received.length = 0;
  await peer.say("a", suspectOf("b", { incarnation: "010000000000-00000000", count: count + 50 }));
  assertEquals(countOf(cluster.of("a"), "b"), count);
  assertEquals(dials.length, 1);
});

/** A member `a` that knows 100 members through `P` and is connected with none of them. */
async function withManyMembers(config: PartialConfig = FEW_ROUNDS): Promise<
  { cluster: TestCluster; peer: ScriptedPeer; ids: readonly string[]; incarnation: string }
> {
  const ids = Array.from({ length: 100 }, (_, index) => `m${index}`);
  const cluster = new TestCluster(["a", "P", ...ids], { config });
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
  await using _open = await peer.stay("a", suspectOf("m7", { incarnation, count: 0 }));
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

Deno.test("CrashWatch: a false count of a hostile peer is corrected by the member itself (C2, C4)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const incarnation = incarnationOf(cluster.of("b"));
  await peer.say("a", suspectOf("b", { incarnation, count: 1e12 }));
  await cluster.advance(LONG_MS);
  assertLessOrEqual(countOf(cluster.of("a"), "b"), countOf(cluster.of("b"), "b"));
  assertEquals(eventsAbout(cluster.of("a"), "b"), []);
});

Deno.test("CrashWatch: a suspicion during the backoff of an address starts dials after the next refused dial (C2)", async () => {
  const cluster = new TestCluster(["a", "P", "b"]);
  await using _cluster = cluster;
  await using peer = new ScriptedPeer(cluster, "P");
  await cluster.make("a").gossiper.start();
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  const { incarnation } = peer;
  const dials = dialsOf(cluster, "a", "b");
  await peer.say("a", {
    type: "push",
    delta: deltaOf([memberDelta("b", incarnation, [entry("k", 1, 1)])]),
    relay: false,
  });
  await cluster.runUntil(() => dials.length === 1);
  await peer.say("a", suspectOf("b", { incarnation, count: 0 }));
  assertEquals([dials.length, eventsAbout(cluster.of("a"), "b")], [1, []]);
  await cluster.advance(2 * FOUND_WITHIN_MS);
  assertEquals(cluster.of("a").blocked, { b: "crashed" });
});
