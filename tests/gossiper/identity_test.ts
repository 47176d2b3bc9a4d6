import { assert, assertEquals, assertGreater, assertLess } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { incarnationAbove, makeIncarnation } from "../../engine/incarnation.ts";
import { type Delta, GRACEFULLY_LEFT_KEY, type Incarnation, TYPE } from "../../engine/types.ts";
import { murmur32Pair } from "../../engine/state/murmur3.ts";
import type { Message } from "../../protocol/message.ts";
import type { Signing } from "../../contracts/signing.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { incarnationOf, TestCluster, TestMember } from "../requirements/harness.ts";
import { deltaOf, replyTo, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { end, EXPIRING_CONFIG, withAnsweringPeer } from "../requirements/scripted_pair.ts";
import { memberDelta } from "../engine/harness.ts";

const DAY_MS = 24 * 3_600_000;

/** Signatures without security and without time: a virtual clock does not wait for real ones. */
function signingOf(publicKey: string): Signing {
  const sign = (text: string, key = publicKey) => `${key} ${murmur32Pair(text, 0, 1)}`;
  return {
    publicKey,
    sign: (text) => Promise.resolve(sign(text)),
    verify: (text, by) => Promise.resolve(sign(text, by.publicKey) === by.signature),
  };
}

/** A claim of a later incarnation of `a`. */
function claimOf(incarnation: Incarnation): Partial<Delta> {
  return { members: [{ id: "a", incarnation, after: 0, reset: false, entries: [] }] };
}

Deno.test("incarnation: a member that learns of a later incarnation of its id begins an incarnation above it, and sends its state first (E1)", async () => {
  const { cluster, a, peer } = await withAnsweringPeer();
  a.gossiper.setState("k", "v");
  const before = incarnationOf(a);
  const claimed = incarnationAbove(before, 0, 0.5);
  let from = Infinity;
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    if (from < Infinity) return replyTo(message);
    from = peer.received.length;
    return replyTo(message, { delta: claimOf(claimed) });
  };
  await cluster.runUntil(() => peer.received.slice(from).some(({ type }) => type === "gossip"));
  assertGreater(incarnationOf(a), claimed);
  const [first] = peer.received.slice(from).filter(({ type }) => type === "hello" || type === "gossip");
  assert(first?.type === "hello");
  assertEquals(first.incarnation, incarnationOf(a));
  const [sent] = peer.received.slice(from).flatMap((message) =>
    message.type === "gossip" || message.type === "push" ? message.delta.members : []
  );
  assertEquals([sent?.incarnation, sent?.entries.some(({ value }) => value === "v")], [
    incarnationOf(a),
    true,
  ]);
  await end(cluster, peer);
});

Deno.test("incarnation: a member that began a later incarnation sends a peer no count before the next handshake (E1, L1)", async () => {
  const cluster = new TestCluster(["a", "p"], { config: EXPIRING_CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  const a = cluster.make("a", { cluster: { discovery: seeds([]) } });
  await a.gossiper.start();
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  const counts: number[] = [];
  const reading = connection.readable.pipeTo(
    new WritableStream({
      async write(message) {
        if (message.type === "gossip") await writer.write(replyTo(message));
        else if (message.type === "hello" && message.id !== "d1") await writer.write(peer.hello(message.id));
        else if ("liveness" in message) counts.push(message.liveness.count);
      },
    }),
  );
  const claimed = incarnationAbove(incarnationOf(a), 0, 0.5);
  const gossip = (id: string, members: Delta["members"] = []): Message => (
    { type: "gossip", liveness: { count: 0 }, id, memberId: "p", delta: deltaOf(members) }
  );
  const send = async (...messages: readonly Message[]) => {
    await cluster.advance(2 * EXPIRING_CONFIG.gossipInterval);
    counts.length = 0;
    for (const message of messages) await writer.write(message);
    await cluster.runtime.settle();
    return [...counts];
  };
  await send(peer.hello("d1"));
  const [before] = await send(gossip("d2"));
  assertGreater(before!, 0);
  assertEquals(await send(gossip("d3", claimOf(claimed).members)), [0]);
  assertGreater(incarnationOf(a), claimed);
  const [after] = await send(gossip("d4"));
  assertGreater(after!, 0);
  await writer.close();
  await reading;
  await end(cluster, peer);
});

Deno.test("incarnation: a member shakes hands again with a peer that knows its present incarnation, but not by a handshake (E1)", async () => {
  const { cluster, a, peer } = await withAnsweringPeer();
  await cluster.advance(3_000);
  const incarnation = incarnationOf(a);
  peer.received.length = 0;
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    const { id } = message;
    return {
      type: "error",
      id,
      code: "id_conflict",
      message: "Another process has used the id.",
      incarnation,
    };
  };
  await cluster.runUntil(() => peer.received.length === 2);
  assertEquals(peer.received.map(({ type }) => type), ["gossip", "hello"]);
  assertEquals([peer.last("hello")?.incarnation, incarnationOf(a)], [incarnation, incarnation]);
  await end(cluster, peer);
});

Deno.test("identity conflict: a signing member that meets another process with its id and key is fenced: it sends no request, refuses requests, and still stops (E1)", async () => {
  const cluster = new TestCluster(["a", "p"], { config: EXPIRING_CONFIG });
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
  assertEquals([incarnationOf(a), a.emitted("SelfBlocked")], [before, []]);
  for (const hours of [1, 2]) await peer.sayUngreeted("a", hello(hours));
  assertEquals(a.emitted("SelfBlocked"), []);
  const connection = await peer.dial("a");
  const writer = connection.writable.getWriter();
  const received: Message[] = [];
  const reading = connection.readable.pipeTo(
    new WritableStream({ write: (message) => void received.push(message) }),
  );
  await writer.write(hello(0, "p", other));
  await cluster.runtime.settle();
  await peer.sayUngreeted("a", hello(3));
  assertEquals(a.emitted("SelfBlocked").map(({ reason }) => reason), ["identity"]);
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

Deno.test("identity conflict: a member that learns of later and later incarnations begins a few of them, emits a conflict, and still answers (E1)", async () => {
  const { cluster, a, peer } = await withAnsweringPeer();
  peer.answer = (message) =>
    message.type === "gossip"
      ? replyTo(message, { delta: claimOf(incarnationAbove(incarnationOf(a), 0, 0.5)) })
      : undefined;
  await cluster.advance(3 * EXPIRING_CONFIG.heartbeatExpiration);
  assertEquals(a.emitted("SelfBlocked"), []);
  // Two in half of an expiration.
  const renewed = a.emitted("IncarnationRenewed").length;
  assert(renewed >= 10 && renewed <= 12, `${renewed}`);
  const conflicts = a.emitted("ConflictDetected").map(({ reason }) => reason);
  assertEquals(conflicts, ["identity", "identity", "identity"]);
  assertEquals(a.gossiper.members.find(({ isSelf }) => isSelf)!.status, "alive");
  const from = peer.received.length;
  await cluster.advance(1_000);
  assert(peer.received.slice(from).some(({ type }) => type === "gossip"));
  await end(cluster, peer);
});

Deno.test("incarnation: a member that left and returns with a clock set back is admitted again within a second (E1, R10.3)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"], { config: EXPIRING_CONFIG });
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

for (const signs of [false, true]) {
  for (const wrong of [["a"], ["a", "b"], ["a", "b", "c"]]) {
    Deno.test(`incarnation: members with state of each other exchange it again after the clocks of ${wrong.join()} were over a year ahead (E2, ${signs ? "" : "un"}signed)`, async () => {
      const ids = ["a", "b", "c"];
      await using cluster = new TestCluster(ids, { config: EXPIRING_CONFIG });
      const wallMs = cluster.runtime.wallMs();
      const machines = new Map(ids.map((id) => {
        const aheadMs = wrong.includes(id) ? 400 * DAY_MS : 0;
        return [id, cluster.runtime.machine({ wallMs: wallMs + aheadMs })];
      }));
      for (const [id, runtime] of machines) {
        cluster.make(id, { cluster: { runtime, ...(signs && { signing: signingOf(id) }) } });
      }
      for (const { gossiper } of cluster.members) await gossiper.start();
      await cluster.advance(1_000);
      for (const id of wrong) {
        machines.get(id)!.stepWall(-400 * DAY_MS);
        await cluster.advance(700);
      }
      for (const id of ids) cluster.of(id).gossiper.setState("k", id);
      const hasAll = (member: TestMember) => ids.every((id) => member.value(id, "k") === id);
      await cluster.runUntil(() => cluster.members.every(hasAll) && cluster.isConfirmed(), {
        withinMs: 5_000,
      });
      for (const id of ids) {
        const renewed = cluster.of(id).emitted("IncarnationRenewed").length;
        assertEquals(renewed, wrong.includes(id) ? 1 : 0, id);
      }
    });
  }
}

Deno.test("incarnation: a member learns from its next request that a departure was claimed under a later incarnation, and is admitted again (E1, E10)", async () => {
  const cluster = new TestCluster(["a", "b", "p"], { config: EXPIRING_CONFIG });
  const peer = new ScriptedPeer(cluster, "p");
  const [a, b] = [cluster.make("a"), cluster.make("b")];
  for (const { gossiper } of [a, b]) await gossiper.start();
  b.gossiper.setState("k", "first");
  await cluster.runUntil(() => a.value("b", "k") === "first");
  const claimed = incarnationAbove(incarnationOf(b), 0, 0.5);
  const left = { key: GRACEFULLY_LEFT_KEY, number: 1, type: TYPE.empty, value: {}, json: "{}" };
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    if (message.memberId !== "a" || b.emitted("IncarnationRenewed").length > 0) return replyTo(message);
    return replyTo(message, { delta: { members: [memberDelta("b", claimed, [left])] } });
  };
  await cluster.runUntil(() => a.blocked.b === "left");
  await cluster.runUntil(() => a.blocked.b === undefined, {
    withinMs: EXPIRING_CONFIG.heartbeatExpiration / 2,
  });
  assertGreater(incarnationOf(b), claimed);
  b.gossiper.setState("k", "here");
  await cluster.runUntil(() => a.value("b", "k") === "here");
  await end(cluster, peer);
});

for (const meeting of ["through a third member", "directly"]) {
  Deno.test(`identity conflict: two processes with one id that meet ${meeting} both emit an event, and neither is fenced (E1)`, async () => {
    const config = { ...EXPIRING_CONFIG, heartbeatExpiration: 5_000 };
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
      member.emitted("ConflictDetected").some(({ memberId, reason }) =>
        memberId === "x" && reason === "identity"
      );
    await cluster.runUntil(() => hasConflict(one) && hasConflict(twin), { withinMs: 20_000 });
    assertEquals([one.emitted("SelfBlocked"), twin.emitted("SelfBlocked")], [[], []]);
    // Once one of them has ended, the others see only the other one.
    await cluster.finish(twin.dispose());
    one.gossiper.setState("k", "mine");
    await cluster.runUntil(() => a.value("x", "k") === "mine", { withinMs: 10_000 });
    await cluster.runUntil(() => one.gossiper.phase === "confirmed" && a.gossiper.phase === "confirmed");
    assertEquals(a.blocked, {});
  });
}

for (const meeting of ["through a third member", "directly"]) {
  Deno.test(`identity conflict: two processes with one id and one key that meet ${meeting} both emit an event, and a process that the other dials is fenced (E1)`, async () => {
    const config = { ...EXPIRING_CONFIG, heartbeatExpiration: 5_000 };
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
      member.emitted("SelfBlocked").some(({ reason }) => reason === "identity");
    const hasConflict = (member: TestMember) =>
      member.emitted("ConflictDetected").some(({ reason }) => reason === "identity");
    await cluster.runUntil(() => hasConflict(one) && hasConflict(twin) || isSilent(one), {
      withinMs: 30_000,
    });
    assertEquals([isSilent(one), isSilent(twin)], [meeting === "directly", false]);
    await cluster.finish(twin.dispose());
  });
}
