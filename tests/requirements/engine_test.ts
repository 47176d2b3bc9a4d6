import { assert, assertEquals, assertNotEquals } from "../../deps/std_assert.ts";
import type { Engine } from "../../engine/engine.ts";
import type { EngineEvent } from "../../engine/events.ts";
import { NO_INCARNATION } from "../../engine/incarnation.ts";
import { HEARTBEAT_KEY, type Phase } from "../../engine/types.ts";
import { configure } from "../../options/configuration.ts";
import { EngineHost } from "../../gossiper/engine_host.ts";
import { EventStream } from "../../contracts/event_stream.ts";
import { seededRandom } from "../../testing/memory_random.ts";
import houseRules from "../../tools/house_rules.ts";
import { sourceFiles } from "../../tools/source_files.ts";
import {
  entry,
  eventsOf,
  exchange,
  greet,
  makeCluster,
  memberDelta,
  note,
  reconcile,
  remove,
  set,
  TestClock,
} from "../engine/harness.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { TestCluster, type TestMember } from "./harness.ts";
import { deltaOf, replyTo, ScriptedPeer } from "./scripted_peer.ts";

const ROOT = new URL("../../", import.meta.url);

/** The globals for clocks, random numbers, waits and I/O, by every name. */
const OUTSIDE = new Set([
  ...["Date", "Temporal", "performance", "crypto", "setTimeout", "setInterval", "setImmediate"],
  ...["queueMicrotask", "Promise", "fetch", "WebSocket", "EventTarget", "ReadableStream", "WritableStream"],
  ...["BroadcastChannel", "MessageChannel", "Worker", "Deno", "process", "navigator", "console"],
  ...["localStorage", "globalThis", "self", "window", "eval", "Function", "WeakRef", "FinalizationRegistry"],
]);

/** Finds in the syntax tree the constructs with no use in a pure and synchronous module. */
const purity: Deno.lint.Plugin = {
  name: "purity",
  rules: {
    pure: {
      create: (context) => ({
        Identifier(node) {
          if (OUTSIDE.has(node.name)) context.report({ node, message: node.name });
        },
        MemberExpression(node) {
          const { object, property } = node;
          if (object.type !== "Identifier" || object.name !== "Math") return;
          if (property.type === "Identifier" && property.name === "random") {
            context.report({ node, message: "random" });
          }
        },
        AwaitExpression: (node) => context.report({ node, message: "await" }),
        ImportExpression: (node) => context.report({ node, message: "import()" }),
        FunctionDeclaration: (node) => node.async && context.report({ node, message: "async" }),
        FunctionExpression: (node) => node.async && context.report({ node, message: "async" }),
        ArrowFunctionExpression: (node) => node.async && context.report({ node, message: "async" }),
      }),
    },
  },
};

/** The impure names in a text. */
function impurities(file: string, text: string): string[] {
  return Deno.lint.runPlugin(purity, file, text).map(({ message }) => message);
}

Deno.test("engine: does no I/O, reads no clock, draws no random number and awaits nothing (R3.1)", async () => {
  const files = await Array.fromAsync(sourceFiles(ROOT, "engine"));
  assert(
    files.includes("engine/engine.ts") && files.includes("engine/liveness/heartbeats.ts") &&
      files.length > 10,
  );
  for (const file of files) {
    const text = await Deno.readTextFile(new URL(file, ROOT));
    assertEquals(impurities(file, text), [], file);
    assertEquals(Deno.lint.runPlugin(houseRules, file, text).map(({ id }) => id), [], file);
  }
  // The check itself finds each of these.
  const impure = [
    "export const a = Date.now();",
    "export const a = Math.random();",
    "export async function a() {}",
    "export const a = async () => {};",
    "export const a = await import('x');",
    "export const a = Deno.cwd();",
    "globalThis.fetch('x');",
  ];
  for (const text of impure) assertNotEquals(impurities("a.ts", text), [], text);
});

/** Text with every difference between two results, also maps and missing values. */
function written(outcome: unknown): string {
  return JSON.stringify(outcome, (_key, value) => {
    if (value instanceof Map) return { map: [...value] };
    if (value instanceof Set) return { set: [...value] };
    return value === undefined ? { nothing: true } : value;
  });
}

/** All output of a few members in a random script by this seed. */
function runScript(seed: number, { random = 0.25 }: { readonly random?: number } = {}): string[] {
  const clock = new TestClock();
  const draw = seededRandom(seed);
  const pick = <T>(items: readonly T[]) => items[Math.floor(draw() * items.length)]!;
  const ids = ["a", "b", "c", "d"];
  const settings = { heartbeatExpiration: 3_000, departedRetention: 8_000, tombstoneRetention: 4_000 };
  const engines = makeCluster(ids, clock, { settings, random });
  for (const engine of engines) {
    note(engine, engine.addCheck("check", "k1", (value) => JSON.stringify(value)));
  }
  const output: string[] = [];
  const acts: readonly ((engine: Engine, other: Engine) => unknown)[] = [
    (engine) => set(engine, pick(["k1", "k2", "k3"]), pick([1, "one", [1], { one: 1 }, null]), clock),
    (engine) => remove(engine, pick(["k1", "k2", "k3"]), clock),
    (engine) => note(engine, engine.countHeartbeat({ kind: Math.floor(draw() * 9) }, clock.now)),
    (engine) => note(engine, engine.tick(clock.now)),
    (engine, other) => greet(engine, other, clock),
    (engine, other) => exchange(engine, other, { clock }),
    (engine, other) => exchange(engine, other, { clock }),
    (engine, other) => exchange(engine, other, { clock, lose: pick(["request", "reply", "ack"] as const) }),
    (engine, other) => reconcile(engine, other),
    (engine) => {
      const members = ids.filter(() => draw() < 0.9);
      return note(engine, engine.setTopology({ members, blocked: draw() < 0.1 ? ["d"] : [] }, clock.now));
    },
    (engine, other) => note(engine, engine.unblock(other.view.id, clock.now)),
    (engine, other) => note(engine, engine.onBlockedBy(other.view.id, "expired")),
    (engine) => draw() < 0.05 ? note(engine, engine.leave(clock.now)) : engine.takeDueProbes(clock.now),
    (engine) => {
      // Another process under its id draws a new incarnation.
      if (draw() > 0.1) return undefined;
      const incarnation = `${engine.view.incarnation.slice(0, 12)}-ffffffff`;
      const delta = deltaOf([memberDelta(engine.view.id, incarnation, [entry("k1", 1, "other")])]);
      return note(engine, engine.applyIncoming("b", delta, clock.now));
    },
  ];
  for (let step = 0; step < 400; step++) {
    const engine = pick(engines);
    const other = pick(engines.filter((each) => each !== engine));
    output.push(written(pick(acts)(engine, other)));
    if (draw() < 0.4) clock.advance(Math.floor(draw() * 500));
  }
  for (const engine of engines) {
    output.push(
      written([
        engine.view.digest,
        engine.view.active,
        engine.view.phase,
        engine.view.blockedMembers(),
        engine.view.footprint,
      ]),
    );
    output.push(
      written(
        ids.map((
          id,
        ) => [engine.view.incarnationOf(id), engine.view.versionOf(id), engine.view.entriesOf(id)]),
      ),
    );
    output.push(written(eventsOf(engine).all));
  }
  return output;
}

/** Runs a function without clock and random source. */
function withoutClockAndChance<T>(run: () => T): T {
  const { now } = Date;
  const { random } = Math;
  const { now: monotonic } = performance;
  const forbidden = () => {
    throw new Error("The engine looked at a clock, or drew lots.");
  };
  Object.assign(Date, { now: forbidden });
  Object.assign(Math, { random: forbidden });
  performance.now = forbidden;
  try {
    return run();
  } finally {
    Object.assign(Date, { now });
    Object.assign(Math, { random });
    performance.now = monotonic;
  }
}

Deno.test("engine: equal inputs give equal outputs, bit for bit (R3.1)", () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= 5; seed++) {
    const first = runScript(seed);
    const second = withoutClockAndChance(() => runScript(seed));
    for (const [index, text] of first.entries()) assertEquals(second[index], text, `seed ${seed}, ${index}`);
    assertEquals(second.length, first.length);
    for (const [, kind] of first.join("\n").matchAll(/"type":"([A-Z]\w+)"/g)) kinds.add(kind!);
  }
  // Otherwise the script no longer covers these events.
  for (
    const kind of ["IncarnationRenewed", "MemberBlocked", "MemberUnblocked", "Confirmed", "ConsensusReached"]
  ) {
    assert(kinds.has(kind), `${kind} is not among ${[...kinds]}`);
  }
});

Deno.test("engine: random numbers are passed in: another one gives another renewed incarnation (R3.1)", () => {
  const incarnations = [0.25, 0.25, 0.75].map((random) =>
    runScript(3, { random }).join("\n").match(/"type":"IncarnationRenewed","incarnation":"[^"]+"/g)
  );
  assert(incarnations[0] !== null);
  assertEquals(incarnations[0], incarnations[1]);
  assertNotEquals(incarnations[0], incarnations[2]);
});

Deno.test("disseminate: the engine decides what is sent, and emits an event (R3.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: { spread: "interval" } });
  await cluster.advance(1_000);
  const a = cluster.of("a");
  const before = a.told("Disseminated").length;
  a.gossiper.setState("one", "the first");
  a.gossiper.setState("two", "the second");
  assertEquals(a.told("Disseminated").length, before);
  await cluster.advance(300);
  assertEquals(a.told("Disseminated")[before], {
    type: "Disseminated",
    peerId: "b",
    members: 1,
    entries: 2,
  });
  const [request] = cluster.sentBy("a", "gossip", { to: "b" }).slice(-1);
  assert(request!.text.includes("the first") && request!.text.includes("the second"));
  assertEquals([cluster.of("b").values("one"), cluster.of("b").values("two")], [
    { a: "the first" },
    { a: "the second" },
  ]);
});

Deno.test("disseminate: sends an entry again unless the peer acknowledged it (R3.2)", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: { spread: "interval" } });
  await using peer = new ScriptedPeer(cluster, "b");
  const a = cluster.make("a");
  a.gossiper.setState("k", "once");
  await a.gossiper.start();
  const includesOnce = () => cluster.sentBy("a", "gossip").map(({ text }) => text.includes('"once"'));
  let asked = 0;
  peer.answer = (message) => message.type === "gossip" && ++asked > 1 ? replyTo(message) : undefined;
  await cluster.advance(2_000);
  assertEquals(includesOnce().slice(0, 4), [true, true, false, false]);
});

Deno.test("disseminate: the reply to gossip has what the peer lacks (R3.2)", async () => {
  await using cluster = new TestCluster(["a", "b"], { config: { gossipInterval: 9_000 } });
  await cluster.make("a").gossiper.start();
  await cluster.make("b", { config: { gossipInterval: 300 } }).gossiper.start();
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.advance(300);
  assertEquals(cluster.sentBy("a", "gossip"), []);
  assertEquals(cluster.of("b").values("k"), { a: 1 });
  assertEquals(cluster.of("a").told("Disseminated").map(({ peerId }) => peerId), ["b"]);
});

Deno.test("disseminate: in a cluster larger than a message, asks for members without state here (R3.2)", async () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  await using cluster = new TestCluster(ids, { config: { gossipMaxSend: 4 } });
  await using peer = new ScriptedPeer(cluster, "b");
  await cluster.make("a").gossiper.start();
  const asked = () =>
    peer.heard.flatMap((message) => message.type === "gossip" ? [...message.holds ?? []] : [])
      .map(([id, { incarnation, number }]) => `${id} ${incarnation} ${number}`);
  await cluster.advance(3_000);
  const nothing = ["c", "d", "e", "f"].map((id) => `${id} ${NO_INCARNATION} 0`);
  assertEquals([...new Set(asked())].sort(), nothing);
  peer.answer = (message) =>
    message.type === "gossip"
      ? replyTo(message, {
        delta: { members: ids.slice(2).map((id) => memberDelta(id, peer.incarnation, [entry("k", 7, 1)])) },
      })
      : undefined;
  await cluster.advance(1_000);
  assertEquals(cluster.of("a").values("k"), { c: 1, d: 1, e: 1, f: 1 });
  peer.heard.length = 0;
  await cluster.advance(3_000);
  assert(peer.last("gossip"));
  assertEquals(asked(), []);
});

Deno.test("disseminate: sends a member that the peer asks for from the version that the peer reports (R3.2)", async () => {
  const ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
  await using cluster = new TestCluster(ids, { config: { gossipMaxSend: 4, gossipInterval: 9_000 } });
  await cluster.make("a").gossiper.start();
  await using other = new ScriptedPeer(cluster, "c");
  const deltas = ids.slice(3).map((id) =>
    memberDelta(id, other.incarnation, [entry("k", 1, 1), entry("l", 2, 1)])
  );
  await other.say("a", {
    type: "gossip",
    liveness: { count: 0 },
    id: "d2",
    memberId: "c",
    delta: deltaOf(deltas),
  });
  await using peer = new ScriptedPeer(cluster, "b");
  const holds = new Map([["e", { incarnation: other.incarnation, number: 1 }], ["f", {
    incarnation: other.incarnation,
    number: 1,
  }]]);
  await peer.say("a", {
    type: "gossip",
    liveness: { count: 0 },
    id: "d2",
    memberId: "b",
    delta: deltaOf([]),
    holds,
  });
  const members = peer.last("reply")!.delta.members.map(({ id, after }) => `${id} after ${after}`);
  assertEquals(members.slice(0, 4).filter((each) => each.endsWith("1")), ["e after 1", "f after 1"]);
});

Deno.test("applyIncoming: merges and answers gossip (R3.3)", async () => {
  await using cluster = new TestCluster(["a", "b", "c"]);
  const a = cluster.make("a");
  await a.gossiper.start();
  a.gossiper.setState("mine", 1);
  await cluster.runtime.settle();
  // No peer existed when a dialed; of two connections only one would stay.
  await using peer = new ScriptedPeer(cluster, "b");
  const deltaOfB = memberDelta("b", peer.incarnation, [entry("k", 1, "of b"), entry("other", 2, [1, 2])]);
  const delta = deltaOf([deltaOfB, memberDelta("c", peer.incarnation, [entry("k", 7, "of c")])]);
  await peer.say("a", { type: "gossip", liveness: { count: 0 }, id: "d2", memberId: "b", delta });
  assertEquals([a.values("k"), a.values("other")], [{ b: "of b", c: "of c" }, { b: [1, 2] }]);
  const updates = a.told("GossipUpdate").filter(({ memberId }) => memberId !== "a");
  assertEquals(updates.map(({ memberId, key, sequenceNumber }) => [memberId, key, sequenceNumber]), [
    ["b", "k", 1],
    ["b", "other", 2],
    ["c", "k", 7],
  ]);
  const reply = peer.last("reply");
  assertEquals([reply?.id, [...reply!.holds]], ["d2", []]);
  assert(reply!.delta.members.some(({ id }) => id === "a"));
});

Deno.test("applyIncoming: merges a reply too, and reports a gap in it (R3.3)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await using peer = new ScriptedPeer(cluster, "b");
  let deltaOfB = memberDelta("b", peer.incarnation, [entry("k", 1, "first")]);
  peer.answer = (message) =>
    message.type === "gossip" ? replyTo(message, { delta: { members: [deltaOfB] } }) : undefined;
  const a = cluster.make("a");
  await a.gossiper.start();
  await cluster.advance(300);
  assertEquals(a.values("k"), { b: "first" });
  assertEquals([...peer.last("ack")!.holds], []);
  // Without the first five entries this is a gap.
  deltaOfB = memberDelta("b", peer.incarnation, [entry("k", 6, "sixth")], { after: 5 });
  await cluster.advance(300);
  assertEquals(a.values("k"), { b: "first" });
  assertEquals([...peer.last("ack")!.holds], [["b", { incarnation: peer.incarnation, number: 1 }]]);
});

/** One event of every kind of the engine; the compiler reports a missing one. */
const EVERY_EVENT: { readonly [T in EngineEvent["type"]]: Extract<EngineEvent, { type: T }> } = {
  ConflictDetected: { type: "ConflictDetected", memberId: "b", reason: "value", key: "k", sequenceNumber: 1 },
  Confirmed: { type: "Confirmed", digest: "0123456789abcdef" },
  ConsensusLost: { type: "ConsensusLost", checkId: "consensus-1", key: "k" },
  ConsensusReached: { type: "ConsensusReached", checkId: "consensus-1", key: "k", value: { a: 1 } },
  Disseminated: { type: "Disseminated", peerId: "b", members: 1, entries: 2 },
  GossipUpdate: {
    type: "GossipUpdate",
    memberId: "b",
    key: "k",
    value: [1],
    sequenceNumber: 3,
    deleted: false,
  },
  Isolated: { type: "Isolated" },
  IncarnationRenewed: { type: "IncarnationRenewed", incarnation: "0123456789ab-01234567" },
  MemberBlocked: { type: "MemberBlocked", memberId: "b", reason: "expired" },
  MemberFailed: { type: "MemberFailed", memberId: "b", reason: "crashed" },
  MemberForgotten: { type: "MemberForgotten", memberId: "b" },
  MemberJoined: { type: "MemberJoined", memberId: "b" },
  MemberLeft: { type: "MemberLeft", memberId: "b" },
  MemberSuspected: { type: "MemberSuspected", memberId: "b" },
  MemberUnblocked: { type: "MemberUnblocked", memberId: "b" },
  PhaseChanged: { type: "PhaseChanged", from: "diffusing", to: "confirmed" },
  ReconcilingRequested: { type: "ReconcilingRequested", peerId: "b" },
  Rejoined: { type: "Rejoined" },
  SelfBlocked: { type: "SelfBlocked", reason: "expired", peerId: "b" },
  StateDropped: { type: "StateDropped", memberId: "b", limit: "maxMembers", count: 2 },
  SuspicionEnded: { type: "SuspicionEnded", memberId: "b" },
};

Deno.test("events: every kind of event of the engine is published once, at once and in order (R3.4)", async () => {
  const eventStream = new EventStream();
  const engineHost = new EngineHost({
    id: "a",
    openMembership: false,
    settings: configure(),
    runtime: new VirtualRuntime(),
    eventStream,
    onFatal: (error) => {
      throw error;
    },
  });
  const all = eventStream.subscribe();
  const byType = Object.entries(EVERY_EVENT).map(([type, event]) =>
    [eventStream.subscribe(type as EngineEvent["type"]), event] as const
  );
  const events = Object.values(EVERY_EVENT);
  engineHost.do(() => ({ events }));
  engineHost.do(() => ({ events: events.toReversed() }));
  eventStream.close();
  assertEquals(await Array.fromAsync(all), [...events, ...events.toReversed()]);
  for (const [stream, event] of byType) assertEquals(await Array.fromAsync(stream), [event, event]);
});

Deno.test("events: report the whole history of a cluster (R3.4)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"], {
    config: { heartbeatExpiration: 2_000, blockedProbeInterval: 1_000, departedRetention: 5_000 },
  });
  const a = cluster.of("a");
  await cluster.runUntil(() => cluster.isConfirmed());
  a.events.length = 0;
  a.gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  const { digest } = a.gossiper.snapshot();
  const reported = a.events.filter(({ type }) => type !== "Disseminated");
  assertEquals(reported.filter((event) => !("key" in event && event.key === HEARTBEAT_KEY)).slice(0, 2), [
    {
      type: "GossipUpdate",
      memberId: "a",
      key: "k",
      value: 1,
      sequenceNumber: ownNumber(a, "k"),
      deleted: false,
    },
    { type: "PhaseChanged", from: "confirmed", to: "diffusing" },
  ]);
  assertEquals(reported.filter(({ type }) => type === "PhaseChanged" || type === "Confirmed").slice(-2), [
    { type: "PhaseChanged", from: "diffusing", to: "confirmed" },
    { type: "Confirmed", digest },
  ]);
  assertEquals(new Set(a.told("Disseminated").map(({ peerId }) => peerId)), new Set(["b", "c"]));
  // The link to c breaks and heals.
  cluster.network.cut("memory://a:1", "memory://c:1");
  cluster.network.cut("memory://b:1", "memory://c:1");
  const hasBlocked = (id: string) => cluster.of(id).told("MemberBlocked").length > 0;
  await cluster.runUntil(() => hasBlocked("a") && hasBlocked("c"));
  cluster.network.heal();
  await cluster.runUntil(() => a.told("MemberUnblocked").length === 1);
  assertEquals([a.told("MemberBlocked"), a.told("MemberUnblocked")], [
    [{ type: "MemberBlocked", memberId: "c", reason: "expired" }],
    [{ type: "MemberUnblocked", memberId: "c" }],
  ]);
  assert(cluster.of("c").told("SelfBlocked").length + cluster.of("c").told("MemberBlocked").length > 0);
  await cluster.stop("c");
  await cluster.runUntil(() => a.told("MemberForgotten").length === 1);
  assertEquals(a.told("MemberBlocked").at(-1), { type: "MemberBlocked", memberId: "c", reason: "left" });
});

/** The number of a member's own entry. */
function ownNumber({ id, gossiper }: TestMember, key: string): number {
  return gossiper.getState(key).get(id)!.sequenceNumber;
}

/** The phases of a member in order, its present one first. */
function phasesOf(cluster: TestCluster, id: string): Phase[] {
  const changes = cluster.of(id).told("PhaseChanged");
  for (const [index, { from }] of changes.entries()) {
    if (index > 0) assertEquals(from, changes[index - 1]!.to);
  }
  return [...changes.slice(0, 1).map(({ from }) => from), ...changes.map(({ to }) => to)];
}

Deno.test("phase: is diffusing from a set until every active peer acknowledged it (R3.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  cluster.network.setFaults({ delayMs: 50 });
  const a = cluster.of("a").gossiper;
  await cluster.runUntil(() => cluster.isConfirmed());
  a.setState("k", 1);
  assertEquals(a.phase, "diffusing");
  const holders = () => ["b", "c"].filter((id) => cluster.of(id).value("a", "k") === 1).length;
  await cluster.runUntil(() => holders() === 2);
  // Both have the state, but neither knows that before the replies arrive.
  assertEquals(a.phase, "diffusing");
  await cluster.runUntil(() => a.phase === "confirmed");
  a.deleteState("k");
  assertEquals(a.phase, "diffusing");
  await cluster.finish(a.converged());
  assertEquals([a.phase, cluster.of("b").values("k"), cluster.of("c").values("k")], ["confirmed", {}, {}]);
});

Deno.test("phase: is diffusing while a peer lacks state of a third member, or one cannot be reached (R3.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.network.cut("memory://a:1", "memory://c:1");
  cluster.network.cut("memory://b:1", "memory://c:1");
  cluster.of("b").gossiper.setState("k", 1);
  await cluster.advance(5_000);
  assertEquals(cluster.of("a").value("b", "k"), 1);
  assertEquals(cluster.of("a").gossiper.phase, "diffusing");
  // Once it is blocked it is inactive, and no wait needs it.
  await cluster.runUntil(() => cluster.isConfirmed(["a", "b"]));
  assertEquals([cluster.of("a").blocked, cluster.of("c").value("b", "k")], [{ c: "expired" }, undefined]);
});

Deno.test("phase: heartbeats alone do not end confirmed (R3.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  const count = () => cluster.members.map((member) => member.told("PhaseChanged").length);
  const before = count();
  await cluster.advance(10_000);
  assertEquals(count(), before);
});

Deno.test("phase: is reconciling while a peer lacks state that it had acknowledged (R3.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await using peer = new ScriptedPeer(cluster, "b");
  const a = cluster.make("a");
  await a.gossiper.start();
  a.gossiper.setState("k", "kept");
  await cluster.runUntil(() => a.gossiper.phase === "confirmed" && peer.heard.length > 1);
  const { incarnation } = a.gossiper.members.find(({ isSelf }) => isSelf)!;
  let gap = true;
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    const reply = replyTo(message);
    if (!gap || reply.type !== "reply") return reply;
    return { ...reply, holds: new Map([["a", { incarnation: incarnation!, number: 0 }]]) };
  };
  await cluster.runUntil(() => a.gossiper.phase === "reconciling");
  gap = false;
  await cluster.runUntil(() => a.gossiper.phase !== "reconciling");
  // It was sent everything again, from the beginning.
  const own = peer.last("gossip")!.delta.members.find(({ id }) => id === "a")!;
  assertEquals(own.after, 0);
  assert(own.entries.some(({ key, value }) => key === "k" && value === "kept"));
  assertEquals(a.gossiper.phase, "confirmed");
  assertEquals(phasesOf(cluster, "a").slice(-3), ["confirmed", "reconciling", "confirmed"]);
});

Deno.test("phase: is reconciling while digests still differ and members are compared one by one (R3.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await using peer = new ScriptedPeer(cluster, "b");
  const a = cluster.make("a");
  await a.gossiper.start();
  a.gossiper.setState("k", 1);
  let digest: string | undefined = "f".repeat(16);
  const phases = new Set<Phase>();
  peer.answer = (message) => {
    phases.add(a.gossiper.phase);
    if (message.type === "reconcile") {
      // It has no state, whatever it acknowledged.
      return { ...message, part: { ...message.part, members: new Map() } };
    }
    if (message.type !== "gossip") return undefined;
    const { active } = message.delta;
    return replyTo(message, { delta: { digest: digest ?? message.delta.digest, active, partial: false } });
  };
  await cluster.runUntil(() => peer.last("reconcile") !== undefined);
  assertEquals(a.told("ReconcilingRequested"), [{ type: "ReconcilingRequested", peerId: "b" }]);
  assertEquals([...peer.last("reconcile")!.part.members.keys()], ["a"]);
  await cluster.runtime.settle();
  assertEquals(a.gossiper.phase, "reconciling");
  digest = undefined;
  await cluster.runUntil(() => a.gossiper.phase === "confirmed");
  assert(phases.has("diffusing") && phases.has("reconciling"));
  const own = peer.last("gossip")!.delta.members.find(({ id }) => id === "a")!;
  assertEquals(own.after, 0);
});

Deno.test("phase: a member with a list of its peers is not confirmed before it has met them (R3.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const a = cluster.make("a");
  await cluster.make("b").gossiper.start();
  a.gossiper.setState("k", 1);
  await a.gossiper.start();
  const converged = a.gossiper.converged().then(() => cluster.of("b").value("a", "k"));
  assertNotEquals(a.gossiper.phase, "confirmed");
  assertEquals(await cluster.finish(converged), 1);
});

/** A member's durable state: without heartbeats and digests, which change all the time. */
function lasting(cluster: TestCluster, holder: string): Map<string, string> {
  const { members } = cluster.of(holder).gossiper.snapshot();
  return new Map(
    members.flatMap(({ id, entries }) =>
      entries.filter(({ key }) => key !== HEARTBEAT_KEY)
        .map(({ key, value, sequenceNumber }) =>
          [`${id} ${key}`, `${sequenceNumber} ${JSON.stringify(value)}`] as const
        )
    ),
  );
}

/** True if a peer has all state of a member, or newer state. */
function holdsAll(
  cluster: TestCluster,
  { of, peer }: { readonly of: string; readonly peer: string },
): boolean {
  const theirs = lasting(cluster, peer);
  return [...lasting(cluster, of)].every(([name, text]) => {
    const other = theirs.get(name);
    return other !== undefined && Number.parseInt(other) >= Number.parseInt(text);
  });
}

Deno.test("phase: confirmed is never reported wrongly, whatever the network does (R3.5)", async () => {
  const ids = ["a", "b", "c"];
  for (let seed = 1; seed <= 2; seed++) {
    await using cluster = await TestCluster.started(ids, { seed, config: { gossipRequestTimeout: 200 } });
    await cluster.runUntil(() => cluster.isConfirmed());
    cluster.network.setFaults({
      delayMs: { min: 0, mean: 60, max: 400 },
      loss: 0.2,
      duplicate: 0.1,
      reorder: 0.1,
    });
    const random = seededRandom(seed);
    let confirmed = 0;
    const check = () => {
      for (const of of ids) {
        if (cluster.of(of).gossiper.phase !== "confirmed") continue;
        confirmed++;
        for (const peer of ids) {
          assert(holdsAll(cluster, { of, peer }), `seed ${seed}: ${peer} lacks of ${of}`);
        }
      }
      return false;
    };
    for (let step = 0; step < 8; step++) {
      cluster.of(ids[Math.floor(random() * 3)]!).gossiper.setState(`k${Math.floor(random() * 4)}`, step);
      const untilMs = cluster.runtime.monotonicMs() + random() * 3_000;
      await cluster.runUntil(() => check() || cluster.runtime.monotonicMs() >= untilMs);
    }
    cluster.network.setFaults({});
    await cluster.runUntil(() => cluster.isConfirmed());
    assert(confirmed > 10, `${confirmed}`);
  }
});
