import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { incarnationAbove, makeIncarnation } from "../../engine/incarnation.ts";
import { type Delta, GRACEFULLY_LEFT_KEY, type Incarnation, TYPE } from "../../engine/types.ts";
import { murmur32Pair } from "../../engine/state/murmur3.ts";
import type { Connection } from "../../contracts/cluster.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { HearsayError } from "../../common/errors.ts";
import { EventStream } from "../../contracts/event_stream.ts";
import { Gossiper } from "../../gossiper/gossiper.ts";
import type { Message } from "../../protocol/message.ts";
import { refuse } from "../../protocol/refusal.ts";
import type { Signing } from "../../contracts/signing.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster, TestMember } from "../requirements/harness.ts";
import { deltaOf, replyTo, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { memberDelta } from "../engine/harness.ts";

const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 10_000 };

function incarnationOf({ gossiper }: TestMember): Incarnation {
  return gossiper.members.find(({ isSelf }) => isSelf)!.incarnation!;
}

/** Signatures without security and without time: a virtual clock does not wait for real ones. */
function signingOf(publicKey: string): Signing {
  const sign = (text: string, key = publicKey) => `${key} ${murmur32Pair(text, 0, 1)}`;
  return {
    publicKey,
    sign: (text) => Promise.resolve(sign(text)),
    verify: (text, by) => Promise.resolve(sign(text, by.publicKey) === by.signature),
  };
}

/** A real member `a` whose only peer is `p`, after one answer of it. */
async function withScripted(): Promise<{ cluster: TestCluster; a: TestMember; peer: ScriptedPeer }> {
  const cluster = new TestCluster(["a", "p"], { config: CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  const a = cluster.make("a");
  await a.gossiper.start();
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  await cluster.runtime.settle();
  return { cluster, a, peer };
}

async function end(cluster: TestCluster, peer: ScriptedPeer): Promise<void> {
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
}

/** A claim of a later incarnation of `a`. */
function claimOf(incarnation: Incarnation): Partial<Delta> {
  return { members: [{ id: "a", incarnation, after: 0, reset: false, entries: [] }] };
}

Deno.test("gossiper: ends at once with the reason when its transport breaks, and accepts nothing more (R12.1)", async () => {
  await using elsewhere = new TestCluster(["a"]);
  const { transport } = elsewhere.make("a");
  await using cluster = new TestCluster(["a"]);
  const { promise, reject } = Promise.withResolvers<never>();
  const incoming = new ReadableStream<Connection>({ pull: () => promise });
  const broken = {
    incoming,
    addressOf: transport.addressOf.bind(transport),
    dial: transport.dial.bind(transport),
    close: transport.close.bind(transport),
  };
  const { gossiper } = cluster.make("a", { cluster: { transport: broken } });
  await gossiper.start();
  reject(new Error("The network card is on fire."));
  const closed = await cluster.finish(gossiper.closed);
  assertEquals([closed.reason, (closed.error as Error).message], ["failed", "The network card is on fire."]);
  const error = await assertRejects(() => gossiper.converged(), HearsayError);
  assertEquals(error.code, "stopped");
});

Deno.test("gossiper: dispose before the start ends it: its streams end, and it cannot be started (R9.3)", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  gossiper.setState("k", 1);
  const watched = Array.fromAsync(gossiper.watch("k"));
  await gossiper[Symbol.asyncDispose]();
  assertEquals((await watched).map(({ value }) => value), [1]);
  assertEquals((await gossiper.closed).reason, "stopped");
  assertEquals((await assertRejects(() => gossiper.start(), HearsayError)).code, "stopped");
  await gossiper[Symbol.asyncDispose]();
});

Deno.test("watch: a signal that is already aborted gives a stream that has ended (R8.2)", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  gossiper.setState("k", 1);
  assertEquals(await Array.fromAsync(gossiper.watch("k", { signal: AbortSignal.abort() })), []);
});

Deno.test("stop: of two calls at once one stops, and the second is refused (R9.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: CONFIG });
  const { gossiper } = cluster.of("a");
  const first = gossiper.stop();
  const second = await assertRejects(() => gossiper.stop(), HearsayError);
  assertEquals(second.code, "stopped");
  assertEquals((await cluster.finish(first)).flushed, true);
});

Deno.test("gossiper: cannot be constructed without a cluster, and the error names the missing part (R12.2)", () => {
  for (const given of [undefined, null, "cluster"]) {
    let error: unknown;
    try {
      new Gossiper({}, given as never);
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof ConfigurationError, `${error}`);
    assertEquals(error.problems.map(({ field }) => field), ["cluster"]);
  }
});

Deno.test("gossiper: a member that learns that it is blocked as expired dials that peer at once, but not after every refusal (R10.3, E10)", async () => {
  const { cluster, a, peer } = await withScripted();
  const handshakes = () => peer.heard.filter(({ type }) => type === "hello").length;
  const before = handshakes();
  const blocked = { ...refuse("blocked", "a is blocked here (expired).", { reason: "expired" }) };
  peer.answer = (message) => message.type === "gossip" ? { ...blocked, id: message.id } : undefined;
  await cluster.runUntil(() => a.told("SelfBlocked").length > 0);
  await cluster.runUntil(() => handshakes() > before, { withinMs: CONFIG.gossipInterval / 2 });
  assertEquals(a.told("SelfBlocked").map(({ peerId, reason }) => [peerId, reason]), [["p", "expired"]]);

  const [fromMs, fromHandshakes] = [cluster.runtime.monotonicMs(), handshakes()];
  await cluster.advance(2_000);
  const most = (cluster.runtime.monotonicMs() - fromMs) / CONFIG.gossipRequestTimeout;
  assertLess(handshakes() - fromHandshakes, most + 1);
  await end(cluster, peer);
});

Deno.test("incarnation: a member that learns of a later one of its id begins one above it and sends that first (E1)", async () => {
  const { cluster, a, peer } = await withScripted();
  a.gossiper.setState("k", "v");
  const before = incarnationOf(a);
  const claimed = incarnationAbove(before, 0, 0.5);
  let from = Infinity;
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    if (from < Infinity) return replyTo(message);
    from = peer.heard.length;
    return replyTo(message, { delta: claimOf(claimed) });
  };
  await cluster.runUntil(() => peer.heard.slice(from).some(({ type }) => type === "gossip"));
  assertGreater(incarnationOf(a), claimed);
  const [first] = peer.heard.slice(from).filter(({ type }) => type === "hello" || type === "gossip");
  assert(first?.type === "hello");
  assertEquals(first.incarnation, incarnationOf(a));
  const [told] = peer.heard.slice(from).flatMap((message) =>
    message.type === "gossip" || message.type === "push" ? message.delta.members : []
  );
  assertEquals([told?.incarnation, told?.entries.some(({ value }) => value === "v")], [
    incarnationOf(a),
    true,
  ]);
  await end(cluster, peer);
});

Deno.test("identity conflict: a signing member that meets another process with its id and key is silenced: it asks nothing, refuses requests, and still stops (E1)", async () => {
  const cluster = new TestCluster(["a", "p"], { config: CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  const [own, other] = [signingOf("own"), signingOf("other")];
  const a = cluster.make("a", { cluster: { discovery: seeds([]), signing: own } });
  await a.gossiper.start();
  const before = incarnationOf(a);
  const hello = (hours: number, id = "a", { publicKey } = own): Message => ({
    ...peer.hello("d1"),
    member: { id, host: "elsewhere", port: 1, kinds: [] },
    incarnation: makeIncarnation(cluster.runtime.wallMs() + hours * 3_600_000, 0),
    publicKey,
  });
  // With another key the id is another member's.
  for (const hours of [1, 2, 3, 4]) await peer.sayUngreeted("a", hello(hours, "a", other));
  assertEquals([incarnationOf(a), a.told("SelfBlocked")], [before, []]);
  for (const hours of [1, 2]) await peer.sayUngreeted("a", hello(hours));
  assertEquals(a.told("SelfBlocked"), []);
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  const received: Message[] = [];
  const reading = connection.readable.pipeTo(
    new WritableStream({ write: (message) => void received.push(message) }),
  );
  await writer.write(hello(0, "p", other));
  await cluster.runtime.settle();
  await peer.sayUngreeted("a", hello(3));
  assertEquals(a.told("SelfBlocked").map(({ reason }) => reason), ["identity"]);
  assertEquals(a.gossiper.members.find(({ isSelf }) => isSelf)!.status, "failed");
  const gossip = {
    type: "gossip",
    liveness: { count: 0 },
    id: "d2",
    memberId: "p",
    delta: deltaOf([]),
  } as const;
  await writer.write(gossip);
  await writer.write({
    type: "reconcile",
    id: "d3",
    part: { from: "", until: undefined, members: new Map() },
  });
  await cluster.runtime.settle();
  const refusals = received.filter((message) => message.type === "error");
  assertEquals(refusals.map(({ id, code }) => [id, code]), [["d2", "id_conflict"], ["d3", "id_conflict"]]);

  const from = cluster.sent.length;
  await cluster.advance(5_000);
  assertEquals(cluster.sent.slice(from), []);
  assertEquals(await cluster.stop("a"), { acknowledgedBy: 0, wanted: 0, flushed: true });
  await end(cluster, peer);
  await reading.catch(() => {});
});

Deno.test("identity conflict: a member that learns of ever later incarnations begins some of them, emits a conflict, and still answers (E1)", async () => {
  const { cluster, a, peer } = await withScripted();
  peer.answer = (message) =>
    message.type === "gossip"
      ? replyTo(message, { delta: claimOf(incarnationAbove(incarnationOf(a), 0, 0.5)) })
      : undefined;
  await cluster.advance(3 * CONFIG.heartbeatExpiration);
  assertEquals(a.told("SelfBlocked"), []);
  // Two in half of an expiration.
  const renewed = a.told("IncarnationRenewed").length;
  assert(renewed >= 10 && renewed <= 12, `${renewed}`);
  const conflicts = a.told("ConflictDetected").map(({ reason }) => reason);
  assertEquals(conflicts, ["identity", "identity", "identity"]);
  assertEquals(a.gossiper.members.find(({ isSelf }) => isSelf)!.status, "alive");
  const from = peer.heard.length;
  await cluster.advance(1_000);
  assert(peer.heard.slice(from).some(({ type }) => type === "gossip"));
  await end(cluster, peer);
});

Deno.test("incarnation: a member that left and returns with a clock set back is admitted again within a second (E1, R10.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"], { config: CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  const before = incarnationOf(cluster.of("b"));
  await cluster.stop("b");
  assertEquals(cluster.of("a").blocked, { b: "left" });
  await cluster.of("b").dispose();

  const runtime = cluster.runtime.machine({ wallMs: cluster.runtime.wallMs() - 3_600_000 });
  const again = cluster.make("b", { cluster: { runtime } });
  assertLess(incarnationOf(again), before);
  again.gossiper.setState("k", "back");
  await again.gossiper.start();
  await cluster.runUntil(() => cluster.of("a").value("b", "k") === "back", { withinMs: 1_000 });
  await cluster.runUntil(() => cluster.isConfirmed());
  assertGreater(incarnationOf(again), before);
  assertEquals([cluster.of("a").blocked, cluster.of("c").blocked], [{}, {}]);
});

Deno.test("incarnation: a member with a claimed departure in a later one learns of it with its next request, and is admitted again (E1, E10)", async () => {
  const cluster = new TestCluster(["a", "b", "p"], { config: CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  const [a, b] = [cluster.make("a"), cluster.make("b")];
  for (const { gossiper } of [a, b]) await gossiper.start();
  b.gossiper.setState("k", "first");
  await cluster.runUntil(() => a.value("b", "k") === "first");
  const claimed = incarnationAbove(incarnationOf(b), 0, 0.5);
  const left = { key: GRACEFULLY_LEFT_KEY, number: 1, type: TYPE.empty, value: {}, json: "{}" };
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    if (message.memberId !== "a" || b.told("IncarnationRenewed").length > 0) return replyTo(message);
    return replyTo(message, { delta: { members: [memberDelta("b", claimed, [left])] } });
  };
  await cluster.runUntil(() => a.blocked.b === "left");
  await cluster.runUntil(() => a.blocked.b === undefined, { withinMs: CONFIG.heartbeatExpiration / 2 });
  assertGreater(incarnationOf(b), claimed);
  b.gossiper.setState("k", "here");
  await cluster.runUntil(() => a.value("b", "k") === "here");
  await end(cluster, peer);
});

for (const meeting of ["through a third member", "directly"]) {
  Deno.test(`identity conflict: two processes with one id that meet ${meeting} both emit an event, and neither is silenced (E1)`, async () => {
    const config = { ...CONFIG, heartbeatExpiration: 5_000 };
    await using cluster = new TestCluster(["a", "x"], { config });
    const a = cluster.make("a", { cluster: { discovery: seeds([]) } });
    const seed = meeting === "directly" ? memoryAddress("x", 1) : a.transport.address;
    const one = cluster.make("x", { cluster: { discovery: seeds([a.transport.address]) } });
    const transport = cluster.network.transport("elsewhere", 1);
    const self = { id: "x", host: "elsewhere", port: 1, kinds: [] };
    const twin = new TestMember(self, {
      runtime: cluster.runtime.machine(),
      transport,
      config,
      cluster: { discovery: seeds([seed]) },
    });
    for (const { gossiper } of [a, one, twin]) {
      await gossiper.start();
      await cluster.advance(1_000);
    }
    const hasConflict = (member: TestMember) =>
      member.told("ConflictDetected").some(({ memberId, reason }) =>
        memberId === "x" && reason === "identity"
      );
    await cluster.runUntil(() => hasConflict(one) && hasConflict(twin), { withinMs: 20_000 });
    assertEquals([one.told("SelfBlocked"), twin.told("SelfBlocked")], [[], []]);
    // Once one of them has ended, the others see only the other one.
    await cluster.finish(twin.dispose());
    one.gossiper.setState("k", "mine");
    await cluster.runUntil(() => a.value("x", "k") === "mine", { withinMs: 10_000 });
    await cluster.runUntil(() => one.gossiper.phase === "confirmed" && a.gossiper.phase === "confirmed");
    assertEquals(a.blocked, {});
  });
}

for (const meeting of ["through a third member", "directly"]) {
  Deno.test(`identity conflict: two processes with one id and one key that meet ${meeting} both emit an event, and one that the other dials is silenced (E1)`, async () => {
    const config = { ...CONFIG, heartbeatExpiration: 5_000 };
    const [signing, others] = [signingOf("one"), signingOf("other")];
    await using cluster = new TestCluster(["a", "x"], { config });
    const a = cluster.make("a", { cluster: { discovery: seeds([]), signing: others } });
    const seed = meeting === "directly" ? memoryAddress("x", 1) : a.transport.address;
    const one = cluster.make("x", { cluster: { discovery: seeds([a.transport.address]), signing } });
    const self = { id: "x", host: "elsewhere", port: 1, kinds: [] };
    const twin = new TestMember(self, {
      runtime: cluster.runtime.machine(),
      transport: cluster.network.transport("elsewhere", 1),
      config,
      cluster: { discovery: seeds([seed]), signing },
    });
    for (const { gossiper } of [a, one, twin]) {
      await gossiper.start();
      await cluster.advance(1_000);
    }
    const isSilent = (member: TestMember) =>
      member.told("SelfBlocked").some(({ reason }) => reason === "identity");
    const hasConflict = (member: TestMember) =>
      member.told("ConflictDetected").some(({ reason }) => reason === "identity");
    await cluster.runUntil(() => hasConflict(one) && hasConflict(twin) || isSilent(one), {
      withinMs: 30_000,
    });
    assertEquals([isSilent(one), isSilent(twin)], [meeting === "directly", false]);
    await cluster.finish(twin.dispose());
  });
}

Deno.test("extractor: may abort the signal, which stops the gossiper in order; a stop() from it is refused (R1.3)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  const [{ gossiper: a }, { gossiper: b }] = [cluster.of("a"), cluster.of("b")];
  const stopping: Promise<unknown>[] = [];
  const check = a.registerConsensusCheck("k", (value) => {
    stopping.push(a.stop());
    return value;
  });
  a.setState("k", 1);
  assertEquals((await assertRejects(() => stopping[0]!, HearsayError)).code, "busy");
  a.removeConsensusCheck(check.id);
  await cluster.advance(1_000);
  assertEquals(b.members.map(({ status }) => status), ["alive", "alive"]);
});

Deno.test("stop: members that all stop at once are done at once, and have each other's departure (R9.2)", async () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  for (let seed = 1; seed <= 10; seed++) {
    await using cluster = await TestCluster.started(ids, { config: CONFIG, seed });
    await cluster.runUntil(() => cluster.isConfirmed());
    const stops = await cluster.finish(Promise.all(ids.map((id) => cluster.of(id).gossiper.stop())));
    assertEquals(stops.map(({ flushed }) => flushed), ids.map(() => true), `seed ${seed}`);
  }
});

Deno.test("stop: a peer that is gone, and not there at a second dial, is not waited for (R9.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.of("b").transport.close();
  const fromMs = cluster.runtime.monotonicMs();
  assertEquals((await cluster.stop("a")).flushed, true);
  assertLess(cluster.runtime.monotonicMs() - fromMs, CONFIG.gossipRequestTimeout);
});

Deno.test("stop: an unreachable peer whose connection this member closed itself does not count (R9.2)", async () => {
  const { cluster, a, peer } = await withScripted();
  // It answers nothing, so that its connection is given up, and is dead when it is dialed again.
  peer.greeting = peer.answer = () => undefined;
  const timeouts = () => a.told("RequestFailed").length;
  await cluster.runUntil(() => timeouts() === 2);
  await peer[Symbol.asyncDispose]();
  const { flushed, acknowledgedBy } = await cluster.stop("a");
  assertEquals([flushed, acknowledgedBy], [false, 0]);
  await cluster[Symbol.asyncDispose]();
});

Deno.test("gossiper: refuses actor kinds that would leave no room for anything else (R12.3)", async () => {
  await using cluster = new TestCluster(["a"]);
  const kinds = Array.from({ length: 36 }, (_, index) => `${index}`.padEnd(250, "k"));
  const { record: self } = cluster.make("a");
  const elsewhere = cluster.network.transport("elsewhere", 1);
  const parts = {
    self: { ...self, kinds },
    name: "test",
    eventStream: new EventStream(),
    transport: elsewhere,
  };
  let error: unknown;
  try {
    new Gossiper({ maxMessageBytes: 16_384 }, parts);
  } catch (thrown) {
    error = thrown;
  }
  assert(error instanceof ConfigurationError);
  assertEquals(error.problems.map(({ field }) => field), ["cluster.self.kinds"]);
});

Deno.test("maxMembers: a member above it is refused, and the earlier ones stay (R11.1)", async () => {
  const config = { ...CONFIG, heartbeatExpiration: 3_000, maxMembers: 3 };
  await using cluster = new TestCluster(["a", "b", "c", "d"], { config });
  const seed = memoryAddress("a", 1);
  for (const id of ["a", "b", "c"]) {
    await cluster.make(id, { cluster: { discovery: seeds([seed]) } }).gossiper.start();
  }
  await cluster.runUntil(() => cluster.isConfirmed(["a", "b", "c"]));
  const late = cluster.make("d", { cluster: { discovery: seeds([seed]) } });
  await late.gossiper.start();
  await cluster.runUntil(() => late.told("SeedFailed").length > 0);
  await cluster.advance(20_000);
  assertEquals((late.told("SeedFailed")[0]?.error as HearsayError).code, "busy");
  for (const id of ["a", "b", "c"]) {
    const { gossiper, blocked } = cluster.of(id);
    assertEquals([gossiper.members.length, blocked, gossiper.phase], [3, {}, "confirmed"]);
    assertEquals(cluster.of(id).told("ConflictDetected"), []);
  }
});

Deno.test("backoff: a peer that answers nothing is left alone for longer and longer, so that it delays ever fewer rounds (R2.5, R8.3)", async () => {
  const config = {
    gossipInterval: 100,
    gossipRequestTimeout: 200,
    heartbeatExpiration: 60_000,
    maxBackoff: 5_000,
  };
  const cluster = new TestCluster(["a", "p"], { config });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a").gossiper.start();
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  peer.answer = () => undefined;
  const asked = () => peer.heard.filter(({ type }) => type === "gossip").length;
  const before = asked();
  await cluster.advance(30_000);
  // Without backoff it would get 150 requests, and every one of these rounds would take twice its time.
  assertLess(asked() - before, 40);
  peer.answer = (message) => message.type === "gossip" ? replyTo(message) : undefined;
  const silent = asked();
  await cluster.runUntil(() => asked() > silent + 50, { withinMs: 15_000 });
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
});

Deno.test("backoff: a request after two lost ones is made in the next round (E5)", async () => {
  const config = {
    gossipInterval: 100,
    gossipRequestTimeout: 100,
    heartbeatExpiration: 60_000,
    maxBackoff: 5_000,
  };
  const cluster = new TestCluster(["a", "p"], { config });
  const peer = new ScriptedPeer(cluster, "p");
  await cluster.make("a").gossiper.start();
  await cluster.runUntil(() => peer.last("gossip") !== undefined);
  const asked = () => peer.heard.filter(({ type }) => type === "gossip").length;
  let elapsedMs = 0;
  for (let times = 0; times < 20; times++) {
    let lost = 0;
    peer.answer = (message) => {
      if (message.type !== "gossip") return undefined;
      return lost < 2 ? void lost++ : replyTo(message);
    };
    const before = asked();
    elapsedMs += await cluster.runUntil(() => asked() === before + 3, { withinMs: 5_000 });
  }
  // Each time two that are lost and one that is answered: a round each, and none skipped.
  assertEquals(elapsedMs, 20 * 3 * config.gossipInterval);
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
});
