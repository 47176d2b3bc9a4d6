import { assertEquals, assertRejects, assertStrictEquals } from "../../deps/std_assert.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import type { Liveness } from "../../engine/types.ts";
import { CLOSE, HearsayError } from "../../common/errors.ts";
import {
  type Hello,
  type Message,
  PROTOCOL_VERSION,
  type RefusalCode,
  type Reply,
} from "../../protocol/message.ts";
import { OUTBOX_HIGH_WATER } from "../../protocol/outbox.ts";
import { Session } from "../../protocol/session.ts";
import type { SessionHost } from "../../protocol/session_host.ts";
import { TestCluster } from "../requirements/harness.ts";
import { deltaOf, partOf, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { end, PAIR_CONFIG, withScripted, withUnknownPeer } from "../requirements/scripted_pair.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";

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
  Deno.test(`session: ${what} is refused as invalid (P2)`, async () => {
    const { cluster, peer } = await withUnknownPeer();
    await peer.say("a", message);
    assertEquals(peer.last("error")?.code, "invalid");
    await end(cluster, peer);
  });
}

Deno.test("session: any message before the handshake is refused, even a refusal (P1)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  await peer.sayUngreeted("a", { type: "error", code: "busy", message: "" });
  await peer.sayUngreeted("a", { type: "reconcile", id: "d1", part: partOf({}) });
  assertEquals(peer.received.map((message) => message.type === "error" && message.code), [
    "invalid",
    "invalid",
  ]);
  await end(cluster, peer);
});

Deno.test("session: a refusal with the code `blocked` that answers no request is ignored (E10)", async () => {
  const { cluster, peer } = await withUnknownPeer();
  await peer.say("a", { type: "error", code: "blocked", message: "", reason: "expired" });
  assertEquals(cluster.of("a").emitted("SelfBlocked"), []);
  await end(cluster, peer);
});

Deno.test("session: a second handshake with another id on a connection is refused (P2)", async () => {
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
  Deno.test(`session: a peer that ${what} is refused as ${code}, and gets no state (P1)`, async () => {
    const cluster = new TestCluster(["a", "p"], { config: PAIR_CONFIG });
    const peer = new ScriptedPeer(cluster, "p");
    peer.greeting = ({ id }) => answer(peer.hello(id));
    const a = cluster.make("a");
    await a.gossiper.start();
    await cluster.runUntil(() => a.emitted("RequestFailed").length > 0);
    await cluster.advance(10);
    assertEquals(peer.last("error")?.code, code);
    assertEquals(peer.received.filter(({ type }) => type === "gossip"), []);
    await end(cluster, peer);
  });
}

Deno.test("session: an answer of the wrong kind is refused as invalid, and the request fails (P2)", async () => {
  const { cluster, peer } = await withScripted();
  peer.answer = (message) =>
    message.type === "gossip" ? { type: "reconcile", id: message.id, part: partOf({}) } : undefined;
  await cluster.runUntil(() => cluster.of("a").emitted("RequestFailed").length > 0);
  await cluster.advance(10);
  assertEquals(peer.last("error")?.code, "invalid");
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
  const { type: _type, id: _id, capabilities: _capabilities, ...greeting } = peer;
  const host: SessionHost = {
    id: "a",
    hello: () => ({ ...greeting, member: { ...peer.member, id: "a" } }),
    onHello: () => undefined,
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
    failed: (error) => {
      throw error;
    },
  };
  const runtime = new VirtualRuntime();
  const session = new Session({
    role: "dialer",
    host,
    owner: { opened: () => {}, ended: () => {} },
    runtime,
    requestTimeout: 200,
    handshakeTimeout: 800,
  });
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

Deno.test("session: a request that expires before the peer takes it is never sent (E5)", async () => {
  const { session, reader } = await openSession();
  const content = { delta: deltaOf([]), sent: [], holds: new Map(), liveness: { count: 1 } };
  const controller = new AbortController();
  const asked = session.gossip(content as never, controller);
  controller.abort(new HearsayError("timeout", "No answer came in time."));
  await assertRejects(() => asked, HearsayError, "No answer");
  session.heartbeat({ count: 2 });
  assertEquals((await reader.read()).value?.type, "heartbeat");
  session.over(undefined);
});

Deno.test("session: an unsent request is still sent when the session ends, because it may have the departure (R9.2)", async () => {
  const { session, reader } = await openSession();
  const content = { delta: deltaOf([]), sent: [], holds: new Map(), liveness: { count: 1 } };
  const asked = session.gossip(content as never, new AbortController());
  session.end(CLOSE.done, "over");
  await assertRejects(() => asked);
  assertEquals((await reader.read()).value?.type, "gossip");
  session.over(undefined);
});

Deno.test("session: heartbeats that a peer does not read are dropped above the bound of the outbox", async () => {
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

Deno.test("session: after the end, messages that an extension offers are refused at once", async () => {
  const { session } = await openSession();
  session.end(CLOSE.done, "over");
  const over: boolean[] = [];
  session.sendLater((isOver) => void over.push(isOver));
  assertEquals(over, [true]);
  session.over(undefined);
});

Deno.test("session: a handshake that expires before the peer takes it does not count as reported (E1)", async () => {
  const { session, reader } = await openSession();
  const { reported } = session;
  const controller = new AbortController();
  const asked = session.handshake(controller);
  controller.abort(new HearsayError("timeout", "No answer came in time."));
  await assertRejects(() => asked, HearsayError, "No answer");
  session.heartbeat({ count: 2 });
  assertEquals((await reader.read()).value?.type, "heartbeat");
  assertStrictEquals(session.reported, reported);
  session.over(undefined);
});
