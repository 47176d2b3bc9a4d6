/** A member answers a suspicion if it knows that the suspect lives (rule C2). */

import { assertEquals, assertLessOrEqual } from "../../deps/std_assert.ts";
import { incarnationOf, TestCluster } from "../requirements/harness.ts";
import { ScriptedPeer } from "../requirements/scripted_peer.ts";
import { countOf, eventsAbout, FEW_ROUNDS, suspectOf, withScriptedPeer } from "./crash_watch/clusters.ts";

Deno.test("SuspicionAnswers: with detectCrashes false a suspect answers its suspicion with a new count (C2)", async () => {
  await using cluster = new TestCluster(["a", "P"], { config: { ...FEW_ROUNDS, detectCrashes: false } });
  await using peer = new ScriptedPeer(cluster, "P");
  await cluster.make("a").gossiper.start();
  await cluster.advance(100);
  const before = countOf(cluster.of("a"), "a");
  await peer.say("a", suspectOf("a", { incarnation: incarnationOf(cluster.of("a")), count: 1_000 }));
  assertEquals(countOf(cluster.of("a"), "a"), before + 1);
  assertEquals(peer.last("heartbeat")?.liveness.count, before + 1);
});

Deno.test("SuspicionAnswers: with detectCrashes false a member that heard the suspect later answers with its count (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer({ detectCrashes: false });
  await using _cluster = cluster, _peer = peer;
  const incarnation = incarnationOf(cluster.of("b"));
  const count = countOf(cluster.of("a"), "b");
  await peer.say("a", suspectOf("b", { incarnation, count: count - 1 }));
  assertEquals(peer.last("suspect"), { type: "suspect", memberId: "b", incarnation, count, isAlive: true });
});

Deno.test("SuspicionAnswers: a member that heard the suspect later answers with its count (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const incarnation = incarnationOf(cluster.of("b"));
  const count = countOf(cluster.of("a"), "b");
  await peer.say("a", suspectOf("b", { incarnation, count: count - 1 }));
  assertEquals(peer.last("suspect"), { type: "suspect", memberId: "b", incarnation, count, isAlive: true });
  peer.received.length = 0;
  await peer.say("a", suspectOf("b", { incarnation, count }));
  assertEquals(peer.last("suspect"), undefined);
  assertEquals(eventsAbout(cluster.of("a"), "b"), []);
});

Deno.test("SuspicionAnswers: a suspect answers its suspicion with a new count (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const incarnation = incarnationOf(cluster.of("a"));
  const count = countOf(cluster.of("a"), "a");
  await peer.say("a", suspectOf("a", { incarnation, count }));
  assertEquals(peer.last("heartbeat")?.liveness.count, count + 1);
  // A count that the peer has not seen is an answer too.
  peer.received.length = 0;
  await peer.say("a", suspectOf("a", { incarnation, count }));
  assertEquals(peer.last("heartbeat")?.liveness.count, count + 1);
});

Deno.test("SuspicionAnswers: a flood of suspicions raises the suspect's own count at most 32 times a second (C2)", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const before = countOf(cluster.of("a"), "a");
  const startMs = cluster.runtime.monotonicMs();
  const flood = Array.from(
    { length: 50 },
    () => suspectOf("a", { incarnation: incarnationOf(cluster.of("a")), count: 1e12 }),
  );
  for (let step = 0; step < 20; step++) {
    await peer.say("a", ...flood);
    await cluster.advance(100);
  }
  const elapsedMs = cluster.runtime.monotonicMs() - startMs;
  const rounds = Math.ceil(elapsedMs / 300);
  assertLessOrEqual(countOf(cluster.of("a"), "a") - before, rounds + 32 + 32 * elapsedMs / 1_000);
});
