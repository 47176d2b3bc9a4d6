import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import type { Summary, SummaryPart } from "../../engine/types.ts";
import type { Message, Reconcile, Reply } from "../../gossiper/message.ts";
import { memoryAddress } from "../../transport/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { deltaOf, replyTo, ScriptedPeer } from "../requirements/scripted_peer.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 60_000 };

/** A real member `a` and, as its only peer, one that follows a script. */
async function withScripted(): Promise<{ cluster: TestCluster; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "p"], { config: CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a").gossiper.start();
  return { cluster, peer };
}

/** A real member `a` that dials nobody, and a peer that will dial it. */
async function withStranger(): Promise<{ cluster: TestCluster; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "p"], { config: CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a", { cluster: { discovery: seeds([]) } }).gossiper.start();
  return { cluster, peer };
}

async function end(cluster: TestCluster, peer: ScriptedPeer): Promise<void> {
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
}

/** Answers gossip as one whose state has another digest, though nothing is left to tell. */
function differing(message: Message): Message | undefined {
  if (message.type !== "gossip") return undefined;
  const { active } = message.delta;
  return replyTo(message, { delta: { active, digest: "f".repeat(16), partial: false } });
}

/** The part of a comparison in which these members are compared. */
function partOf(members: Record<string, Summary>): SummaryPart {
  return { from: "", until: undefined, members: new Map(Object.entries(members)) };
}

Deno.test("E12 digests that differ twice in a row are compared member by member, and what the peer lacks is sent", async () => {
  const { cluster, peer } = await withScripted();
  const { gossiper } = cluster.of("a");
  gossiper.setState("k", "v");
  peer.answer = (message) =>
    message.type === "reconcile"
      ? { ...message, part: { ...message.part, members: new Map() } }
      : differing(message);
  await cluster.runUntil(() => peer.last("reconcile") !== undefined);
  assertEquals(cluster.of("a").told("ReconcilingRequested").map(({ peerId }) => peerId), ["p"]);
  const asked = peer.last("reconcile")!.part;
  assertEquals([asked.from, asked.until, [...asked.members.keys()]], ["", undefined, ["a"]]);

  const before = peer.heard.length;
  await cluster.runUntil(() => peer.heard.slice(before).some(({ type }) => type === "gossip"));
  const gossip = peer.heard.slice(before).find((message) => message.type === "gossip")!;
  const [told] = gossip.type === "gossip" ? gossip.delta.members : [];
  assertEquals([told?.id, told?.after], ["a", 0]);
  assert(told?.entries.some(({ key, value }) => key === "k" && value === "v"));
  await end(cluster, peer);
});

Deno.test("E12 where numbers are equal and sums differ the owner sends its state as a reset; if that does not help, it says so once", async () => {
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
  await cluster.runUntil(() => cluster.of("a").told("ConflictDetected").length > 0);
  assert(resets.includes(true));
  const [conflict] = cluster.of("a").told("ConflictDetected");
  assertEquals([conflict?.reason, conflict?.peerId], ["digest", "p"]);
  const comparisons = peer.heard.filter(({ type }) => type === "reconcile").length;
  await cluster.advance(10_000);
  assertEquals(cluster.of("a").told("ConflictDetected").length, 1);
  assertEquals(peer.heard.filter(({ type }) => type === "reconcile").length, comparisons);
  await end(cluster, peer);
});

Deno.test("E12 a comparison that is not answered is given up and begun anew", async () => {
  const { cluster, peer } = await withScripted();
  peer.answer = differing;
  await cluster.runUntil(() => peer.heard.filter(({ type }) => type === "reconcile").length >= 2);
  assertEquals(cluster.of("a").gossiper.phase !== "confirmed", true);
  await end(cluster, peer);
});

Deno.test("E12 a peer's comparison is answered for the same range, with life, number and sum", async () => {
  const { cluster, peer } = await withStranger();
  cluster.of("a").gossiper.setState("k", "v");
  const question: Reconcile = { type: "reconcile", id: "d2", part: partOf({}) };
  await peer.say("a", question, { ...question, id: "d3", part: { ...question.part, until: "Z" } });
  const answers = peer.heard.filter((message): message is Reconcile => message.type === "reconcile");
  assertEquals(answers.map(({ id, part }) => [id, [...part.members.keys()]]), [["d2", ["a"]], ["d3", []]]);
  const { life, number, sum } = answers[0]!.part.members.get("a")!;
  assertEquals(life, cluster.of("a").gossiper.members.find(({ isSelf }) => isSelf)?.life);
  assert(number > 0);
  assertMatch(sum, /^[0-9a-f]{16}$/);
  await end(cluster, peer);
});

Deno.test("P4 two requests in a row that are not answered in time close the connection, and one does not", async () => {
  const { cluster, peer } = await withScripted();
  let unanswered = 0;
  peer.answer = (message) => message.type !== "gossip" || unanswered-- > 0 ? undefined : replyTo(message);
  await cluster.runUntil(() => peer.last("ack") !== undefined);
  const greetings = () => cluster.sentBy("a", "hello").length;
  const failures = () => cluster.of("a").told("RequestFailed").length;
  const before = greetings();
  unanswered = 1;
  await cluster.advance(2_000);
  assertEquals([failures(), greetings()], [1, before]);
  unanswered = 2;
  await cluster.advance(2_000);
  assertEquals([failures(), greetings()], [3, before + 1]);
  await end(cluster, peer);
});

Deno.test("E5 a reply that comes after its timeout still counts", async () => {
  const { cluster, peer } = await withScripted();
  await cluster.runUntil(() => peer.last("ack") !== undefined);
  cluster.of("a").gossiper.setState("k", 1);
  cluster.network.setFaults({ delayMs: 150 });
  await cluster.runUntil(() => cluster.of("a").told("RequestFailed").length > 0);
  const pending = cluster.of("a").gossiper.setStateRequest("late", 1, { acknowledgedBy: 1 });
  await cluster.finish(pending);
  cluster.network.heal();
  await end(cluster, peer);
});

/** What a dialler says, and the code of the error that it gets. */
const REFUSED: readonly (readonly [string, Message])[] = [
  [
    "a reply under an id that was never asked",
    { type: "reply", id: "a99", delta: deltaOf([]), holds: new Map() } as Reply,
  ],
  ["an answer of another kind", { type: "error", id: "a77", code: "busy", message: "" }],
  ["a question under the answerer's own letter", { type: "reconcile", id: "a1", part: partOf({}) }],
  ["an acknowledgement of its own request", { type: "ack", id: "a1", holds: new Map() }],
  ["a message of a type that nobody knows", { type: "unknown", name: "shout" }],
];

for (const [what, message] of REFUSED) {
  Deno.test(`P6 P7 ${what} is refused as invalid`, async () => {
    const { cluster, peer } = await withStranger();
    await peer.say("a", message);
    assertEquals(peer.last("error")?.code, "invalid");
    await end(cluster, peer);
  });
}

Deno.test("P4 of two connections dialled at once the one by the smaller id stays, at both ends", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: CONFIG });
  cluster.network.setFaults({ delayMs: 5 });
  for (const id of ["b", "a"]) await cluster.make(id).gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(1_000);
  const fromMs = cluster.runtime.monotonicMs();
  await cluster.advance(1_000);
  const ids = (from: string) =>
    cluster.sentBy(from, "gossip").filter(({ atMs }) => atMs > fromMs).map(({ text }) =>
      JSON.parse(text).id[0]
    );
  // Both ask on the connection that a dialled.
  assertEquals([new Set(ids("a")), new Set(ids("b"))], [new Set(["d"]), new Set(["a"])]);
  assertEquals(cluster.sentBy("a", "hello").length, 2);
  cluster.network.heal();
});

Deno.test("P4 at most maxConnections are kept: the longest unused goes first, and all are still told", async () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  const config = { ...CONFIG, gossipFanOut: 2, maxConnections: 2 };
  await using cluster = await TestCluster.started(ids, { config });
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => ids.every((id) => cluster.of(id).value("a", "k") === 1));
  await cluster.advance(10_000);
  assertEquals(ids.map((id) => cluster.of(id).blocked), ids.map(() => ({})));
});

Deno.test("P4 a peer that cannot be reached is dialled ever less often, and at once forgiven when it is back", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: { ...CONFIG, maxBackoff: 2_000 } });
  await cluster.make("a").gossiper.start();
  await cluster.advance(30_000);
  const failed = cluster.of("a").told("RequestFailed").length;
  // Full jitter up to 2 s: some 30 attempts and not one for each of 300 rounds.
  assert(failed > 15 && failed < 90, `${failed} attempts`);
  await cluster.make("b").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed(), { withinMs: 3_000 });
  assertEquals(memoryAddress("b", 1), cluster.of("b").transport.address);
});
