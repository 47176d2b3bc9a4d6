import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { incarnationAbove, makeIncarnation } from "../../engine/incarnation.ts";
import type { Incarnation, Liveness, MemberDelta, Summary, SummaryPart } from "../../engine/types.ts";
import { CLOSE } from "../../common/errors.ts";
import {
  type Hello,
  type Message,
  PROTOCOL_VERSION,
  type Reconcile,
  type RefusalCode,
  type Reply,
} from "../../protocol/message.ts";
import { OUTBOX_HIGH_WATER } from "../../protocol/outbox.ts";
import { MAX_UNACKNOWLEDGED } from "../../protocol/requests.ts";
import { Session } from "../../protocol/session.ts";
import type { SessionHost } from "../../protocol/session_host.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";
import { deltaOf, replyTo, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { entry, memberDelta } from "../engine/harness.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 60_000 };

/** A real member `a`, and a scripted peer as its only one. */
async function withScripted(): Promise<{ cluster: TestCluster; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "p"], { config: CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a").gossiper.start();
  return { cluster, peer };
}

/** A real member `a` that dials none, and a peer that will dial it. */
async function withUnknownPeer(): Promise<{ cluster: TestCluster; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "p"], { config: CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a", { cluster: { discovery: seeds([]) } }).gossiper.start();
  return { cluster, peer };
}

async function end(cluster: TestCluster, peer: ScriptedPeer): Promise<void> {
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
}

/** Answers gossip with another digest, though no state is left to send. */
function differing(message: Message): Message | undefined {
  if (message.type !== "gossip") return undefined;
  const { active } = message.delta;
  return replyTo(message, { delta: { active, digest: "f".repeat(16), partial: false } });
}

/** The part of a comparison with these members. */
function partOf(members: Record<string, Summary>): SummaryPart {
  return { from: "", until: undefined, members: new Map(Object.entries(members)) };
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

Deno.test("reconcile: with equal numbers and different sums the owner sends a reset; if that fails, it emits one event (E12)", async () => {
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

Deno.test("reconcile: a comparison without an answer is given up and started again (E12)", async () => {
  const { cluster, peer } = await withScripted();
  peer.answer = differing;
  await cluster.runUntil(() => peer.heard.filter(({ type }) => type === "reconcile").length >= 2);
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
  const answers = peer.heard.filter((message): message is Reconcile => message.type === "reconcile");
  assertEquals(answers.map(({ id, part }) => [id, [...part.members.keys()]]), [["d2", ["a"]], ["d3", []]]);
  const { incarnation, number, sum } = answers[0]!.part.members.get("a")!;
  assertEquals(incarnation, cluster.of("a").gossiper.members.find(({ isSelf }) => isSelf)?.incarnation);
  assert(number > 0);
  assertMatch(sum, /^[0-9a-f]{16}$/);
  await end(cluster, peer);
});

Deno.test("session: two requests in a row without an answer in time close the connection, and one does not (P4)", async () => {
  const { cluster, peer } = await withScripted();
  let unanswered = 0;
  peer.answer = (message) => message.type !== "gossip" || unanswered-- > 0 ? undefined : replyTo(message);
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  await cluster.runtime.settle();
  const handshakes = () => cluster.sentBy("a", "hello").length;
  const failures = () => cluster.of("a").told("RequestFailed").length;
  const before = handshakes();
  unanswered = 1;
  await cluster.advance(2_000);
  assertEquals([failures(), handshakes()], [1, before]);
  unanswered = 2;
  await cluster.advance(2_000);
  assertEquals([failures(), handshakes()], [3, before + 1]);
  await end(cluster, peer);
});

Deno.test("session: a reply after its timeout still counts (E5)", async () => {
  const { cluster, peer } = await withScripted();
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  await cluster.runtime.settle();
  cluster.of("a").gossiper.setState("k", 1);
  cluster.network.setFaults({ delayMs: 150 });
  await cluster.runUntil(() => cluster.of("a").told("RequestFailed").length > 0);
  const pending = cluster.of("a").gossiper.setStateRequest("late", 1, { acknowledgedBy: 1 });
  await cluster.finish(pending);
  cluster.network.heal();
  await end(cluster, peer);
});

/** Invalid messages of a dialer, and the codes of the expected errors. */
const REFUSED: readonly (readonly [string, Message])[] = [
  [
    "a reply under an id that was never asked",
    { type: "reply", liveness: { count: 0 }, id: "a99", delta: deltaOf([]), holds: new Map() } as Reply,
  ],
  ["an answer of another kind", { type: "error", id: "a77", code: "busy", message: "" }],
  ["a question under the answerer's own letter", { type: "reconcile", id: "a1", part: partOf({}) }],
  ["an acknowledgement of its own request", { type: "ack", id: "a1", holds: new Map() }],
  ["a question under a letter of neither side", { type: "reconcile", id: "z1", part: partOf({}) }],
];

for (const [what, message] of REFUSED) {
  Deno.test(`session: ${what} is refused as invalid (P6, P7)`, async () => {
    const { cluster, peer } = await withUnknownPeer();
    await peer.say("a", message);
    assertEquals(peer.last("error")?.code, "invalid");
    await end(cluster, peer);
  });
}

Deno.test("session: of two connections dialed at once, both ends keep the one of the smaller id (P4)", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: CONFIG });
  cluster.network.setFaults({ delayMs: 5 });
  for (const id of ["b", "a"]) await cluster.make(id).gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(1_000);
  const fromMs = cluster.runtime.monotonicMs();
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("k", id);
  await cluster.advance(1_000);
  const ids = (from: string) =>
    cluster.sentBy(from, "gossip").filter(({ atMs }) => atMs > fromMs).map(({ text }) =>
      JSON.parse(text).id[0]
    );
  // Both send requests on the connection that a dialed.
  assertEquals([new Set(ids("a")), new Set(ids("b"))], [new Set(["d"]), new Set(["a"])]);
  assertEquals(cluster.sentBy("a", "hello").length, 2);
  cluster.network.heal();
});

Deno.test("session: at most maxConnections are kept: the longest unused is closed first, and all members still get state (P4)", async () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  const config = { ...CONFIG, gossipFanOut: 2, maxConnections: 2 };
  await using cluster = await TestCluster.started(ids, { config });
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => ids.every((id) => cluster.of(id).value("a", "k") === 1));
  await cluster.advance(10_000);
  assertEquals(ids.map((id) => cluster.of(id).blocked), ids.map(() => ({})));
});

Deno.test("session: an unreachable peer is dialed ever less often, and at once as usual when it returns (P4)", async () => {
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

Deno.test("session: any message before the handshake is refused, also a refusal (P2)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  await peer.sayUngreeted("a", { type: "error", code: "busy", message: "" });
  await peer.sayUngreeted("a", { type: "reconcile", id: "d1", part: partOf({}) });
  assertEquals(peer.heard.map((message) => message.type === "error" && message.code), ["invalid", "invalid"]);
  await end(cluster, peer);
});

Deno.test("session: a member keeps its id for as long as a connection lasts (P2, R11.1)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  const other = { ...peer.hello("d2"), member: { ...peer.hello("d2").member, id: "q" } };
  await peer.say("a", other);
  assertEquals(peer.last("error")?.code, "invalid");
  assertEquals(cluster.of("a").gossiper.members.map(({ id }) => id).includes("q"), false);
  await end(cluster, peer);
});

/** Invalid answers of a dialed peer to the handshake, and the expected refusals. */
const GREETED_BACK: readonly (readonly [string, (hello: Hello) => Message, RefusalCode])[] = [
  ["sends a handshake of its own instead of an answer", (hello) => ({ ...hello, id: "a1" }), "invalid"],
  ["answers for another cluster", (hello) => ({ ...hello, cluster: "other" }), "wrong_cluster"],
  [
    "answers with an earlier version",
    (hello) => ({ ...hello, version: PROTOCOL_VERSION - 1, oldestVersion: 1 }),
    "incompatible",
  ],
  [
    "answers with later versions only",
    (hello) => ({ ...hello, version: PROTOCOL_VERSION + 2, oldestVersion: PROTOCOL_VERSION + 1 }),
    "incompatible",
  ],
  ["answers with an interval above the expiration", (hello) => ({
    ...hello,
    settings: {
      gossipInterval: 3_600_000,
      heartbeatExpiration: 7_200_000,
      maxKeysPerMember: 4_096,
      maxStateBytes: 2 ** 23,
      maxMessageBytes: 2 ** 20,
    },
  }), "incompatible"],
];

for (const [what, answer, code] of GREETED_BACK) {
  Deno.test(`session: a peer that ${what} is refused as ${code}, and gets no state (P2)`, async () => {
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

Deno.test("session: an answer of another kind is refused as invalid, and the request fails (P6)", async () => {
  const { cluster, peer } = await withScripted();
  peer.answer = (message) =>
    message.type === "gossip" ? { type: "reconcile", id: message.id, part: partOf({}) } : undefined;
  await cluster.runUntil(() => cluster.of("a").told("RequestFailed").length > 0);
  await cluster.advance(10);
  assertEquals(peer.last("error")?.code, "invalid");
  await end(cluster, peer);
});

Deno.test("session: of a reply with an impossible incarnation nothing of that member is merged, and the rest is (E1, P6)", async () => {
  const { cluster, peer } = await withScripted();
  const farAhead = makeIncarnation(cluster.runtime.wallMs() + 2 * 366 * 86_400_000, 0);
  const members = [
    memberDelta("q", farAhead, [entry("k", 1, 1)]),
    memberDelta("p", peer.incarnation, [entry("k", 1, 1)]),
  ];

  peer.answer = (message) => message.type !== "gossip" ? undefined : replyTo(message, { delta: { members } });
  await cluster.runUntil(() => peer.last("ack") !== undefined);
  assertEquals([...peer.last("ack")!.holds], [["q", { incarnation: farAhead, number: 0 }]]);
  assertEquals(cluster.of("a").gossiper.getState("k").get("p")?.value, 1);
  assertEquals(peer.last("error"), undefined);
  await end(cluster, peer);
});

Deno.test("session: of unacknowledged replies the latest eight are remembered, and those still count (E5)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  const isHeld = async (firstAck: string) => {
    const request = cluster.of("a").gossiper.setStateRequest("k", firstAck, { acknowledgedBy: 1 });
    let isDone = false;
    request.then(() => isDone = true, () => {});
    const gossips = Array.from({ length: MAX_UNACKNOWLEDGED + 1 }, (_, index): Message => {
      return {
        type: "gossip",
        liveness: { count: 0 },
        id: `d${index + 2}`,
        memberId: "p",
        delta: deltaOf([]),
      };
    });
    await peer.say("a", ...gossips, { type: "ack", id: firstAck, holds: new Map() });
    return isDone;
  };
  assertEquals([await isHeld("d2"), await isHeld("d3")], [false, true]);
  assertEquals(peer.last("error"), undefined);
  await end(cluster, peer);
});

Deno.test("session: the connection of a removed member is closed, and it is not admitted again (R11.1)", async () => {
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
  // The connection ends with the membership; a new one is refused as well.
  await writer.close().catch(() => {});
  await peer.say("a");
  assertEquals(peer.last("error")?.code, "unknown_member");
  await peer[Symbol.asyncDispose]();
});

Deno.test("session: a peer that requests and does not read the answers is ignored, and the others are served (P4, P7)", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: CONFIG });
  await using peer = new ScriptedPeer(cluster, "p");
  for (const id of ["a", "b"]) {
    await cluster.make(id, { cluster: { discovery: seeds([memoryAddress("a", 1)]) } }).gossiper.start();
  }
  await cluster.runUntil(() => cluster.isConfirmed());
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  const sent = { count: 0 };
  const speaking = (async () => {
    await writer.write(peer.hello("d1"));
    for (let id = 2; id < 1_000; id++) {
      await writer.write({ type: "reconcile", id: `d${id}`, part: partOf({}) });
      sent.count = id;
    }
  })().catch(() => {});
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 1, { withinMs: 1_000 });
  assert(sent.count < 100, `${sent.count} requests were taken`);
  await connection.readable.cancel();
  await writer.abort().catch(() => {});
  await speaking;
});

Deno.test("session: a later incarnation's connection replaces an earlier one's, and of two of one incarnation the later (P4)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  const reasons: string[] = [];
  const open = async (incarnation: Incarnation) => {
    const connection = await peer.dial("a");
    connection.closed.then(({ reason }) => reasons.push(reason));
    const writer = connection.writable.getWriter();
    await writer.write({ ...peer.hello("d1"), incarnation });
    await cluster.runtime.settle();
    return { connection, writer };
  };
  const later = incarnationAbove(peer.incarnation, 0, 0.5);
  const all = [
    await open(peer.incarnation),
    await open(peer.incarnation),
    await open(later),
    await open(peer.incarnation),
  ];
  await cluster.runtime.settle();
  for (const { writer, connection } of all) {
    await writer.abort().catch(() => {});
    await connection.readable.cancel().catch(() => {});
  }
  await Promise.all(all.map(({ connection }) => connection.closed));
  assertEquals(reasons.slice(0, 3), [
    "A newer connection replaces this one.",
    "A newer connection replaces this one.",
    "The other connection between the two members stays.",
  ]);
  await end(cluster, peer);
});

/** A dialer's session after both handshakes; its output is read only by the test. */
async function openSession() {
  const peer: Hello = {
    type: "hello",
    id: "d1",
    cluster: "test",
    member: { id: "p", host: "p", port: 1, kinds: [] },
    incarnation: makeIncarnation(1, 0.5),
    count: 1,
    version: PROTOCOL_VERSION,
    oldestVersion: PROTOCOL_VERSION,
    capabilities: [],
    digest: "0".repeat(16),
    active: "0".repeat(16),
  };
  const received: Liveness[] = [];
  const unused = () => {
    throw new Error("Nothing asks for this.");
  };
  const { type: _type, id: _id, ...greeting } = peer;
  const host: SessionHost = {
    id: "a",
    hello: () => ({ ...greeting, member: { ...peer.member, id: "a" } }),
    onHello: () => undefined,
    opened: () => {},
    toPush: unused,
    suspected: unused,
    heartbeat: (_session, liveness) => void received.push(liveness),
    pushed: unused,
    gossiped: unused,
    replied: unused,
    acknowledged: unused,
    compare: unused,
    compared: unused,
    refused: unused,
    ended: () => {},
    failed: (error) => {
      throw error;
    },
  };
  const runtime = new VirtualRuntime();
  const session = new Session({ role: "dialler", host, runtime, requestTimeout: 200, handshakeTimeout: 800 });
  const reader = session.readable.getReader();
  const writer = session.writable.getWriter();
  const handshake = session.handshake(new AbortController());
  assertEquals((await reader.read()).value?.type, "hello");
  await writer.write(peer);
  await handshake;
  return { session, reader, writer, received, runtime };
}

Deno.test("session: a heartbeat is sent without an id, leaves the session free, and waits for no answer", async () => {
  const { session, reader } = await openSession();
  session.heartbeat({ count: 7 });
  assertEquals(session.isBusy, false);
  assertEquals((await reader.read()).value, { type: "heartbeat", liveness: { count: 7 } });
  session.over(undefined);
});

Deno.test("session: a received heartbeat is passed on and not answered", async () => {
  const { session, reader, writer, received, runtime } = await openSession();
  const used = session.usedMs;
  await runtime.advance(50);
  const liveness = { count: 7, vector: { stride: 1, counts: "abcdA" } };
  await writer.write({ type: "heartbeat", liveness });
  assertEquals(received, [liveness]);
  // A connection with heartbeats is in use.
  assertEquals(session.usedMs, used + 50);
  const next = reader.read();
  session.heartbeat({ count: 1 });
  assertEquals((await next).value?.type, "heartbeat");
  session.over(undefined);
});

Deno.test("session: heartbeats that a peer does not read are dropped, within the bound of the outbox", async () => {
  const { session, reader } = await openSession();
  for (let count = 1; count <= 100; count++) session.heartbeat({ count });
  assertEquals(session.isBusy, true);
  session.end(CLOSE.done, "over");
  const counts: number[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    if (next.value.type === "heartbeat") counts.push(next.value.liveness.count);
  }
  assertEquals(counts, Array.from({ length: OUTBOX_HIGH_WATER }, (_, index) => index + 1));
  session.over(undefined);
});

Deno.test("session: no heartbeat is sent before the handshake, or after the end", async () => {
  const { session, reader } = await openSession();
  session.end(CLOSE.done, "over");
  session.heartbeat({ count: 7 });
  assertEquals((await reader.read()).done, true);
  session.over(undefined);
});

Deno.test("session: a reply with new state is acknowledged, with the asker's version after a gap (E5)", async () => {
  const { cluster, peer } = await withScripted();
  const acks = () => peer.heard.filter(({ type }) => type === "ack").length;
  await cluster.advance(1_000);
  assert(peer.heard.filter(({ type }) => type === "gossip").length > 5);
  assertEquals(acks(), 0);
  const answerOnce = async (members: readonly MemberDelta[]) => {
    let isAnswered = false;
    peer.answer = (message) => {
      if (message.type !== "gossip" || isAnswered) return undefined;
      isAnswered = true;
      return replyTo(message, { delta: { members } });
    };
    await cluster.runUntil(() => isAnswered);
    await cluster.runtime.settle();
    peer.answer = (message) => message.type === "gossip" ? replyTo(message) : undefined;
  };
  await answerOnce([memberDelta("p", peer.incarnation, [entry("k", 1, 1)])]);
  assertEquals([acks(), [...peer.last("ack")!.holds]], [1, []]);
  // A gap: it answers with its version instead.
  await answerOnce([memberDelta("p", peer.incarnation, [entry("k", 9, 1)], { after: 8 })]);
  assertEquals([acks(), [...peer.last("ack")!.holds]], [2, [["p", {
    incarnation: peer.incarnation,
    number: 1,
  }]]]);
  await answerOnce([]);
  assertEquals(acks(), 2);
  await end(cluster, peer);
});
