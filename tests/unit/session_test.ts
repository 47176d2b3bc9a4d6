import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { lifeAbove, makeLife } from "../../engine/life.ts";
import type { Life, Summary, SummaryPart } from "../../engine/types.ts";
import type { Hello, Message, Reconcile, RefusalCode, Reply } from "../../gossiper/message.ts";
import { MAX_UNACKNOWLEDGED } from "../../gossiper/session.ts";
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
  ["a question under a letter of neither side", { type: "reconcile", id: "z1", part: partOf({}) }],
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

Deno.test("P2 whoever speaks before it has greeted is refused, be it only to refuse", async () => {
  const { cluster, peer } = await withStranger();
  await peer.sayUngreeted("a", { type: "error", code: "busy", message: "" });
  await peer.sayUngreeted("a", { type: "reconcile", id: "d1", part: partOf({}) });
  assertEquals(peer.heard.map((message) => message.type === "error" && message.code), ["invalid", "invalid"]);
  await end(cluster, peer);
});

Deno.test("P2 R11.1 a member keeps its id for as long as a connection lasts", async () => {
  const { cluster, peer } = await withStranger();
  const other = { ...peer.hello("d2"), member: { ...peer.hello("d2").member, id: "q" } };
  await peer.say("a", other);
  assertEquals(peer.last("error")?.code, "invalid");
  assertEquals(cluster.of("a").gossiper.members.map(({ id }) => id).includes("q"), false);
  await end(cluster, peer);
});

/** What whoever is dialled says to the greeting, and the refusal that it gets. */
const GREETED_BACK: readonly (readonly [string, (hello: Hello) => Message, RefusalCode])[] = [
  ["greets first instead of answering", (hello) => ({ ...hello, id: "a1" }), "invalid"],
  ["answers for another cluster", (hello) => ({ ...hello, cluster: "other" }), "wrong_cluster"],
  ["answers with another version", (hello) => ({ ...hello, version: 2 }), "incompatible"],
  ["answers with another limit", (hello) => ({ ...hello, maxMessageBytes: 2 ** 16 }), "incompatible"],
];

for (const [what, answer, code] of GREETED_BACK) {
  Deno.test(`P2 a peer that ${what} is refused as ${code}, and told nothing`, async () => {
    const cluster = new TestCluster(["a", "p"], { config: CONFIG });
    const peer = new ScriptedPeer(cluster, "p");
    peer.greeting = ({ id }) => answer(peer.hello(id));
    const a = cluster.make("a");
    await a.gossiper.start();
    await cluster.runUntil(() => a.told("RequestFailed").length > 0);
    await cluster.advance(10);
    assertEquals(peer.last("error")?.code, code);
    assertEquals(peer.heard.filter(({ type }) => type === "gossip"), []);
    await end(cluster, peer);
  });
}

Deno.test("P6 an answer of another kind than what was asked is refused as invalid, and the request fails", async () => {
  const { cluster, peer } = await withScripted();
  peer.answer = (message) =>
    message.type === "gossip" ? { type: "reconcile", id: message.id, part: partOf({}) } : undefined;
  await cluster.runUntil(() => cluster.of("a").told("RequestFailed").length > 0);
  await cluster.advance(10);
  assertEquals(peer.last("error")?.code, "invalid");
  await end(cluster, peer);
});

Deno.test("E1 P6 a reply that tells of a life that cannot be is not taken, and refused as invalid", async () => {
  const { cluster, peer } = await withScripted();
  const life = makeLife(cluster.runtime.wallMs() + 2 * 366 * 86_400_000, 0);

  peer.answer = (message) =>
    message.type !== "gossip" ? undefined : replyTo(message, {
      delta: { members: [{ id: "p", life, after: 0, reset: false, entries: [] }] },
    });
  await cluster.runUntil(() => peer.last("error") !== undefined);
  assertEquals(peer.last("error")?.code, "invalid");
  assert(cluster.of("a").gossiper.members.every((member) => member.life !== life));
  await end(cluster, peer);
});

Deno.test("E5 of replies that were never acknowledged the latest eight are remembered, and those still count", async () => {
  const { cluster, peer } = await withStranger();
  const isHeld = async (firstAck: string) => {
    const request = cluster.of("a").gossiper.setStateRequest("k", firstAck, { acknowledgedBy: 1 });
    let isDone = false;
    request.then(() => isDone = true, () => {});
    const gossips = Array.from({ length: MAX_UNACKNOWLEDGED + 1 }, (_, index): Message => {
      return { type: "gossip", id: `d${index + 2}`, memberId: "p", delta: deltaOf([]) };
    });
    await peer.say("a", ...gossips, { type: "ack", id: firstAck, holds: new Map() });
    return isDone;
  };
  assertEquals([await isHeld("d2"), await isHeld("d3")], [false, true]);
  assertEquals(peer.last("error"), undefined);
  await end(cluster, peer);
});

Deno.test("R11.1 whoever is no member any more is hung up on, and not let in again", async () => {
  await using cluster = new TestCluster(["a", "p"], { config: CONFIG, fixed: false });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a").gossiper.start();
  await cluster.publish(["a", "p"]);
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  const reader = connection.readable.getReader();
  await writer.write(peer.hello("d1"));
  assertEquals((await reader.read()).value?.type, "hello");
  await cluster.publish(["a"]);
  await reader.read().catch(() => {});
  // The connection is over with the membership; a new one is not let in either.
  await writer.close().catch(() => {});
  await peer.say("a");
  assertEquals(peer.last("error")?.code, "unknown_member");
  await peer[Symbol.asyncDispose]();
});

Deno.test("P4 P7 a peer that asks and does not read what it is answered is heard no more, and the others are served", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: CONFIG });
  await using peer = new ScriptedPeer(cluster, "p");
  for (const id of ["a", "b"]) {
    await cluster.make(id, { cluster: { discovery: seeds([memoryAddress("a", 1)]) } }).gossiper.start();
  }
  await cluster.runUntil(() => cluster.isConfirmed());
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  const said = { count: 0 };
  const speaking = (async () => {
    await writer.write(peer.hello("d1"));
    for (let id = 2; id < 1_000; id++) {
      await writer.write({ type: "reconcile", id: `d${id}`, part: partOf({}) });
      said.count = id;
    }
  })().catch(() => {});
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 1, { withinMs: 1_000 });
  assert(said.count < 100, `${said.count} questions were taken`);
  await connection.readable.cancel();
  await writer.abort().catch(() => {});
  await speaking;
});

Deno.test("P4 a later life's connection takes the place of an earlier one's, and of two of one life the later", async () => {
  const { cluster, peer } = await withStranger();
  const reasons: string[] = [];
  const open = async (life: Life) => {
    const connection = await peer.dial("a");
    connection.closed.then(({ reason }) => reasons.push(reason));
    const writer = connection.writable.getWriter();
    await writer.write({ ...peer.hello("d1"), life });
    await cluster.runtime.settle();
    return { connection, writer };
  };
  const later = lifeAbove(peer.life, 0, 0.5);
  const all = [await open(peer.life), await open(peer.life), await open(later), await open(peer.life)];
  await cluster.runtime.settle();
  for (const { writer, connection } of all) {
    await writer.abort().catch(() => {});
    await connection.readable.cancel().catch(() => {});
  }
  await Promise.all(all.map(({ connection }) => connection.closed));
  assertEquals(reasons.slice(0, 3), [
    "Another connection took the place of this one.",
    "Another connection took the place of this one.",
    "Another connection between the two stays.",
  ]);
  await end(cluster, peer);
});
