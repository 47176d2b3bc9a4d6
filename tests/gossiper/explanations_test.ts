import {
  assert,
  assertEquals,
  assertGreater,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { seeds } from "../../discovery/seeds.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { connectedCluster, FEW_ROUNDS, suspectOf, withScriptedPeer } from "./crash_watch/clusters.ts";
import { incarnationOf } from "../requirements/harness.ts";

/** The kinds of the decisions of a member about another. */
function kindsOf(cluster: TestCluster, id: string, about: string): string[] {
  return cluster.of(id).gossiper.explain(about).decisions.map(({ kind }) => kind);
}

Deno.test("explain: names how a living member was heard: by itself or through a relay", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  const explained = cluster.of("a").gossiper.explain("b");
  assertEquals([explained.status, explained.isConnected, explained.lacks], ["alive", true, 0]);
  assert(["b", "c"].includes(explained.heartbeat!.peerId!));
  assertGreater(explained.heartbeat!.count, 0);
  assertStringIncludes(explained.summary, `Its last heartbeat, ${explained.heartbeat!.count}, came`);
  assertStringIncludes(explained.endsWhen, "without a newer heartbeat for 20 s");
});

Deno.test("explain: docs/guide.md has the summary of a newcomer, and that of its first heartbeat", async () => {
  const guide = await Deno.readTextFile(new URL("../../docs/guide.md", import.meta.url));
  const [newcomer, heard] = [...guide.matchAll(/It is alive\.[^`\n]*/g)].map(([summary]) => summary);
  await using cluster = new TestCluster(["a", "b"], { fixed: false });
  const { gossiper } = cluster.make("a", { cluster: { discovery: seeds([]) } });
  await gossiper.start();
  await cluster.make("b", { cluster: { discovery: seeds([memoryAddress("a", 1)]) } }).gossiper.start();
  const summary = () => gossiper.explain("b").summary;
  assertEquals(await cluster.finish(gossiper.whenMembers(2).then(summary)), newcomer);
  await cluster.runUntil(() => summary() !== newcomer, { withinMs: 600 });
  assertEquals(summary(), heard);
});

Deno.test("explain: before the start no member is connected", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const { status, isConnected } = cluster.make("a").gossiper.explain("b");
  assertEquals([status, isConnected], ["alive", false]);
});

Deno.test("explain: names the relay through which heartbeats arrive if there is no connection to the member", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  cluster.network.cut(memoryAddress("a", 1), memoryAddress("b", 1));
  await cluster.advance(12_000);
  const { heartbeat, summary, status } = cluster.of("a").gossiper.explain("b");
  assertEquals([status, heartbeat!.peerId], ["alive", "c"]);
  assertStringIncludes(summary, 'through "c"');
});

Deno.test("explain: a crashed member has the peers that suspected it, and the time of its block", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  cluster.crash("c");
  await cluster.advance(500);
  const suspected = cluster.of("a").gossiper.explain("c");
  assertEquals([suspected.status, suspected.lacks], ["suspected", 0]);
  assertStringIncludes(suspected.summary, 'Suspected too by "b".');
  assertStringIncludes(suspected.endsWhen, "blocked as `crashed` after 1.1 s");
  await cluster.advance(1_500);
  const failed = cluster.of("a").gossiper.explain("c");
  // Without exchanges it is not known what a failed member lacks.
  assertEquals([failed.status, failed.isConnected, failed.lacks], ["failed", false, null]);
  assertStringIncludes(failed.summary, "It crashed");
  assertStringIncludes(failed.endsWhen, "A newer heartbeat or a handshake ends the block");
  const block = failed.decisions.find(({ kind }) => kind === "blocked")!;
  assertEquals([block.reason, failed.sinceUnixMilliseconds], ["crashed", block.atUnixMilliseconds]);
  for (const kind of ["joined", "suspected", "suspectedByPeer", "blocked"]) {
    assert(kindsOf(cluster, "a", "c").includes(kind), kind);
  }
});

Deno.test("explain: a suspicion that a peer refutes is recorded with that peer as the source of the heartbeat", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  const incarnation = incarnationOf(cluster.of("b"));
  await peer.say("a", suspectOf("b", { incarnation, count: 900, isAlive: true }));
  assert(kindsOf(cluster, "a", "b").includes("heardByPeer"));
  // A peer may invent ids: they have no history.
  await peer.say("a", suspectOf("invented", { incarnation, count: 1 }));
  assertEquals(kindsOf(cluster, "a", "invented"), []);
});

Deno.test("explain: says that a departed member left, and that an unknown id is unknown", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  await cluster.finish(cluster.of("c").gossiper.stop());
  const left = cluster.of("a").gossiper.explain("c");
  assertEquals([left.status, left.summary, left.lacks], ["left", "It left in good order.", null]);
  const unknown = cluster.of("a").gossiper.explain("nemo");
  assertEquals([unknown.status, unknown.heartbeat, unknown.sinceUnixMilliseconds], ["unknown", null, null]);
  assertEquals([unknown.decisions, unknown.lacks], [[], null]);
});

Deno.test("explain: both members of a refused handshake know who refused it and with which code", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  cluster.make("a");
  cluster.make("b", { cluster: { name: "another" } });
  for (const { gossiper } of cluster.members) await gossiper.start();
  await cluster.advance(2_000);
  const refusals = ["a", "b"].flatMap((id) =>
    cluster.of(id).gossiper.explain(id === "a" ? "b" : "a").decisions
  );
  const kinds = new Set(refusals.map(({ kind }) => kind));
  assert(kinds.has("refused") && kinds.has("refusedByPeer"), [...kinds].join());
  const refused = refusals.find(({ kind }) => kind === "refusedByPeer")!;
  assertStringIncludes(refused.reason!, "wrong_cluster: The cluster must be");
});

Deno.test("explain: for an unknown member, says which of the two refused the handshake", async () => {
  await using cluster = new TestCluster(["a", "b"], { fixed: false });
  cluster.make("a", { cluster: { discovery: seeds([]) } });
  cluster.make("b", { cluster: { discovery: seeds([memoryAddress("a", 1)]), name: "another" } });
  for (const { gossiper } of cluster.members) await gossiper.start();
  await cluster.advance(1_000);
  const { summary } = cluster.of("a").gossiper.explain("b");
  assertStringIncludes(summary, "knows no member of this id. Its handshake was refused here (wrong_cluster");
});

Deno.test("explain: the end of a suspicion is listed as a decision", async () => {
  await using cluster = await connectedCluster(["a", "b"], FEW_ROUNDS);
  cluster.network.stopProxy(memoryAddress("b", 1));
  await cluster.runUntil(() => kindsOf(cluster, "a", "b").includes("suspected"));
  cluster.network.restoreProxy(memoryAddress("b", 1));
  await cluster.advance(2_000);
  assertEquals(kindsOf(cluster, "a", "b").slice(-2), ["suspected", "suspicionEnded"]);
});

Deno.test("explain: says of this member whether it is alone, connected or isolated", async () => {
  await using cluster = await connectedCluster(["a", "b"]);
  const own = () => cluster.of("a").gossiper.explain();
  assertEquals([own().summary, own().lacks], ["This member is alive, with 1 other.", 0]);
  cluster.network.cut(memoryAddress("a", 1), memoryAddress("b", 1));
  await cluster.runUntil(() => cluster.of("a").emitted("Isolated").length > 0);
  assertStringIncludes(own().summary, "This member is isolated");
  assertEquals(own().endsWhen, "A message of any other member ends it.");
  assertEquals(own().decisions.at(-1)?.kind, "isolated");
  cluster.network.heal();
  await cluster.runUntil(() => cluster.of("a").emitted("Rejoined").length > 0);
  assertEquals(own().decisions.at(-1)?.kind, "rejoined");
});

Deno.test("explain: counts the entries that a member has not acknowledged", async () => {
  await using cluster = await connectedCluster(["a", "b"], { spread: "interval" });
  const { gossiper } = cluster.of("a");
  gossiper.setState("x", 1);
  gossiper.setState("y", 1);
  assertEquals(gossiper.explain("b").lacks, 2);
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(gossiper.explain("b").lacks, 0);
});

Deno.test("explain: equal decisions in a row are listed as one decision, and at most 16 are kept", async () => {
  await using cluster = await connectedCluster(["a", "b"]);
  const a = cluster.of("a");
  cluster.network.cut(memoryAddress("a", 1), memoryAddress("b", 1));
  await cluster.advance(15_000);
  const failures = a.gossiper.explain("b").decisions.filter(({ kind }) => kind === "requestFailed");
  assertGreater(Math.max(...failures.map(({ times }) => times)), 1);
  for (const { times, atUnixMilliseconds, lastAtUnixMilliseconds } of failures) {
    assertEquals(times > 1, lastAtUnixMilliseconds > atUnixMilliseconds);
  }
  for (let n = 0; n < 40; n++) {
    a.gossiper.events.publish({ type: "Confirmed", digest: "" });
    cluster.network.heal();
    await cluster.advance(3_000);
    cluster.network.cut(memoryAddress("a", 1), memoryAddress("b", 1));
    await cluster.advance(3_000);
  }
  assert(a.gossiper.explain("b").decisions.length <= 16);
});

Deno.test("seenBy: names the members that acknowledged a value, and why others lack it", async () => {
  await using cluster = await connectedCluster(["a", "b", "c"]);
  const { gossiper } = cluster.of("a");
  assertEquals(gossiper.seenBy("none"), { key: "none", sequenceNumber: null, seenBy: [], lacking: [] });
  assertThrows(() => gossiper.seenBy(""), HearsayError, "key");
  cluster.network.cut(memoryAddress("c", 1), memoryAddress("a", 1));
  cluster.network.cut(memoryAddress("c", 1), memoryAddress("b", 1));
  gossiper.setState("x", 1);
  await cluster.runUntil(() => gossiper.seenBy("x").seenBy.length === 2);
  const { seenBy, lacking } = gossiper.seenBy("x");
  assertEquals([seenBy, lacking.map(({ memberId }) => memberId)], [["a", "b"], ["c"]]);
  assert(["unconnected", "unacknowledged"].includes(lacking[0]!.reason));
  await cluster.advance(8_000);
  assert(gossiper.seenBy("x").lacking[0]!.lastFailure !== null);
  cluster.network.heal();
  await cluster.runUntil(() => gossiper.seenBy("x").lacking.length === 0);
  assertEquals(gossiper.seenBy("x").seenBy, ["a", "b", "c"]);
});

Deno.test("SeenChanged: counts up to all members for each set, and only while a subscription names it", async () => {
  await using cluster = await connectedCluster(["a", "b", "c", "d"]);
  const a = cluster.of("a");
  a.gossiper.setState("w", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  // A subscription to all events is not enough.
  assertEquals(a.emitted("SeenChanged"), []);
  const named = a.gossiper.events.subscribe("SeenChanged");
  a.gossiper.setState("w", 2);
  await cluster.runUntil(() => cluster.isConfirmed());
  const from = a.emitted("SeenChanged").length;
  a.gossiper.setState("x", 1);
  a.gossiper.setState("y", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  const changes = a.emitted("SeenChanged").slice(from);
  for (const key of ["x", "y"]) {
    const counts = changes.filter((change) => change.key === key).map(({ seenBy }) => seenBy);
    assertEquals([counts.at(-1), new Set(counts).size], [4, counts.length]);
    assertEquals([...counts].sort(), counts);
  }
  assertEquals(new Set(changes.map(({ of }) => of)), new Set([4]));
  assertEquals(changes.find(({ key }) => key.startsWith("hearsay.")), undefined);
  await named.cancel();
  a.gossiper.setState("z", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(a.emitted("SeenChanged").find(({ key }) => key === "z"), undefined);
});

Deno.test("explain: escapes every text of a peer", async () => {
  const { cluster, peer } = await withScriptedPeer();
  await using _cluster = cluster, _peer = peer;
  await peer.say("a", { type: "error", code: "busy", message: "\u001b[2J\u202egone" });
  const { decisions } = cluster.of("a").gossiper.explain(peer.id);
  const { reason } = decisions.find(({ kind }) => kind === "refusedByPeer")!;
  assertStringIncludes(reason!, "gone");
  for (const hostile of ["\u001b", "\u202e"]) assert(!reason!.includes(hostile));
});
