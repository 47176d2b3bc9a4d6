import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import type { Message, Reconcile } from "../../protocol/message.ts";
import { partOf, replyTo } from "../requirements/scripted_peer.ts";
import { end, withScripted, withUnknownPeer } from "../requirements/scripted_pair.ts";

/** Answers gossip with another digest, though no state is left to send. */
function differing(message: Message): Message | undefined {
  if (message.type !== "gossip") return undefined;
  const { active } = message.delta;
  return replyTo(message, { delta: { active, digest: "f".repeat(16), partial: false } });
}

Deno.test("reconcile: digests that differ twice in a row are compared by member, and the missing state is sent (E12)", async () => {
  const { cluster, peer } = await withScripted();
  const { gossiper } = cluster.of("a");
  gossiper.setState("k", "v");
  peer.answer = (message) =>
    message.type === "reconcile"
      ? { ...message, part: { ...message.part, members: new Map() } }
      : differing(message);
  await cluster.runUntil(() => peer.last("reconcile") !== undefined);
  assertEquals(cluster.of("a").emitted("ReconcilingRequested").map(({ peerId }) => peerId), ["p"]);
  const asked = peer.last("reconcile")!.part;
  assertEquals([asked.from, asked.until, [...asked.members.keys()]], ["", undefined, ["a"]]);

  const before = peer.received.length;
  await cluster.runUntil(() => peer.received.slice(before).some(({ type }) => type === "gossip"));
  const gossip = peer.received.slice(before).find((message) => message.type === "gossip")!;
  const [sent] = gossip.type === "gossip" ? gossip.delta.members : [];
  assertEquals([sent?.id, sent?.after], ["a", 0]);
  assert(sent?.entries.some(({ key, value }) => key === "k" && value === "v"));
  await end(cluster, peer);
});

Deno.test("reconcile: with equal numbers and different sums the owner sends a reset, and emits one event if the reset does not help (E12)", async () => {
  const { cluster, peer } = await withScripted();
  cluster.of("a").gossiper.setState("k", "v");
  const resets: boolean[] = [];
  peer.answer = (message) => {
    if (message.type === "gossip") resets.push(...message.delta.members.map(({ reset }) => reset));
    if (message.type !== "reconcile") return differing(message);
    const members = [...message.part.members].map(([id, summary]) =>
      [id, { ...summary, sum: "0".repeat(16) }] as const
    );
    return { ...message, part: { ...message.part, members: new Map(members) } };
  };
  await cluster.runUntil(() => cluster.of("a").emitted("ConflictDetected").length > 0);
  assert(resets.includes(true));
  const [conflict] = cluster.of("a").emitted("ConflictDetected");
  assertEquals([conflict?.reason, conflict?.peerId], ["digest", "p"]);
  const comparisons = peer.received.filter(({ type }) => type === "reconcile").length;
  await cluster.advance(10_000);
  assertEquals(cluster.of("a").emitted("ConflictDetected").length, 1);
  assertEquals(peer.received.filter(({ type }) => type === "reconcile").length, comparisons);
  await end(cluster, peer);
});

Deno.test("reconcile: a comparison without an answer is ended and started again (E12)", async () => {
  const { cluster, peer } = await withScripted();
  peer.answer = differing;
  await cluster.runUntil(() => peer.received.filter(({ type }) => type === "reconcile").length >= 2);
  assertEquals(cluster.of("a").gossiper.phase !== "confirmed", true);
  await end(cluster, peer);
});

Deno.test("reconcile: a peer's comparison is answered for the members that it names, with incarnation, number and sum (E12)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  cluster.of("a").gossiper.setState("k", "v");
  const summary = { incarnation: peer.incarnation, number: 0, sum: "0".repeat(16) };
  const members = new Map(["a", "unknown"].map((id) => [id, summary]));
  const question: Reconcile = { type: "reconcile", id: "d2", part: { ...partOf({}), members } };
  await peer.say("a", question, { ...question, id: "d3", part: { ...partOf({}), until: "Z" } });
  const answers = peer.received.filter((message): message is Reconcile => message.type === "reconcile");
  assertEquals(answers.map(({ id, part }) => [id, [...part.members.keys()]]), [["d2", ["a"]], ["d3", []]]);
  const { incarnation, number, sum } = answers[0]!.part.members.get("a")!;
  assertEquals(incarnation, cluster.of("a").gossiper.members.find(({ isSelf }) => isSelf)?.incarnation);
  assert(number > 0);
  assertMatch(sum, /^[0-9a-f]{16}$/);
  await end(cluster, peer);
});
