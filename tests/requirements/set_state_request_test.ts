import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
} from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import type { Discovery } from "../../contracts/cluster.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { HearsayError } from "../../common/errors.ts";
import { sleep } from "../../common/runtime.ts";
import { everythingOf, recordOf, TestCluster } from "./harness.ts";
import { replyTo, ScriptedPeer } from "./scripted_peer.ts";

/** A promise, and its state. */
function watched<T>(promise: Promise<T>) {
  const state = { promise, isDone: false };
  const settle = () => void (state.isDone = true);
  promise.then(settle, settle);
  return state;
}

Deno.test("setStateRequest: resolves when the value is set, without a delay (R4.5)", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  const request = gossiper.setStateRequest("k", { x: 1 });
  assertInstanceOf(request, Promise);
  assertEquals(cluster.of("a").values("k"), { a: { x: 1 } });
  assertEquals(await request, undefined);
  await gossiper.setStateRequest("k", 2, { acknowledgedBy: 0, signal: new AbortController().signal });
  assertEquals(cluster.of("a").values("k"), { a: 2 });
  assertEquals(cluster.runtime.timers, 0);
});

Deno.test("setStateRequest: rejects with the reason of a signal that is aborted already, and sets nothing (R4.5)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  await cluster.runtime.settle();
  const a = cluster.of("a");
  const before = everythingOf(a);
  const reason = new Error("not now");
  const signal = AbortSignal.abort(reason);
  for (const acknowledgedBy of [0, 1, "all"] as const) {
    const error = await assertRejects(
      () => a.gossiper.setStateRequest("k", 1, { signal, acknowledgedBy }),
      Error,
    );
    assertStrictEquals(error, reason);
  }
  assertEquals(everythingOf(a), before);
});

Deno.test("setStateRequest: a signal aborted during the wait ends the wait; the value stays (R4.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  await cluster.advance(300);
  cluster.network.cut("memory://a:1", "memory://b:1");
  const controller = new AbortController();
  const { signal } = controller;
  const { gossiper } = cluster.of("a");
  const request = watched(gossiper.setStateRequest("k", 1, { signal, acknowledgedBy: 1 }));
  await cluster.advance(1_000);
  assert(!request.isDone);
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => request.promise), reason);
  assertEquals(cluster.of("a").values("k"), { a: 1 });
  cluster.network.heal();
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 1);
});

/** The members other than a with this value of it. */
function membersWith(cluster: TestCluster, key: string, value: unknown): number {
  return cluster.members.filter((member) => member.id !== "a" && member.value("a", key) === value).length;
}

Deno.test("acknowledgedBy: resolves as soon as that many other members acknowledged the value, and not before (R4.5)", async () => {
  const spreads = ["interval", "immediate"] as const;
  const cases = [1, 2, 3, 4, "all" as const].flatMap((acknowledgedBy) =>
    spreads.map((spread) => ({ acknowledgedBy, spread }))
  );
  for (const { acknowledgedBy, spread } of cases) {
    await using cluster = await TestCluster.started(["a", "b", "c", "d", "e"], {
      config: { gossipFanOut: 1, spread },
      seed: 5,
    });
    await cluster.runUntil(() => cluster.isConfirmed());
    cluster.network.setFaults({ delayMs: { min: 10, mean: 40, max: 90 } });
    const { gossiper } = cluster.of("a");
    const wanted = acknowledgedBy === "all" ? 4 : acknowledgedBy;
    const request = watched(gossiper.setStateRequest("k", "v", { acknowledgedBy }));
    await cluster.runtime.settle();
    assert(!request.isDone);
    await cluster.runUntil(() => {
      // The condition holds whenever it resolves.
      if (request.isDone) assert(membersWith(cluster, "k", "v") >= wanted, `${acknowledgedBy}`);
      return request.isDone;
    });
    await request.promise;
    // A push brings the value to all before the first can acknowledge it.
    if (acknowledgedBy === 1 && spread === "interval") assert(membersWith(cluster, "k", "v") < 4);
  }
});

Deno.test("acknowledgedBy: a peer that received the message without an acknowledgement does not count (R4.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await using peer = new ScriptedPeer(cluster, "b");
  let silent = false;
  peer.answer = (message) => message.type === "gossip" && !silent ? replyTo(message) : undefined;
  const { gossiper } = cluster.make("a");
  await gossiper.start();
  await cluster.advance(300);
  silent = true;
  const request = watched(gossiper.setStateRequest("k", "v", { acknowledgedBy: 1 }));
  await cluster.advance(350);
  assert(cluster.sentBy("a", "push").at(-1)!.text.includes('"k"'));
  assert(!request.isDone);
  silent = false;
  await cluster.finish(request.promise);
});

Deno.test("acknowledgedBy: a later set of the key does not delay an earlier request (R4.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const { gossiper } = cluster.of("a");
  await cluster.advance(450);
  const first = watched(gossiper.setStateRequest("k", 1, { acknowledgedBy: "all" }));
  const second = watched(gossiper.setStateRequest("k", 2, { acknowledgedBy: "all" }));
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 2);
  gossiper.setState("k", 3);
  await cluster.runUntil(() => first.isDone && second.isDone);
  await Promise.all([first.promise, second.promise]);
});

Deno.test("acknowledgedBy: waits for more members if there are too few (R4.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"], { fixed: false });
  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  const { gossiper } = cluster.of("a");
  const request = watched(gossiper.setStateRequest("k", 1, { acknowledgedBy: 2 }));
  await cluster.advance(3_000);
  assert(!request.isDone);
  await cluster.publish(["a", "b", "c"]);
  await cluster.finish(request.promise);
  assertEquals(membersWith(cluster, "k", 1), 2);
});

Deno.test('acknowledgedBy "all": does not wait for blocked or departed members, and waits for new members (R4.5)', async () => {
  await using cluster = await TestCluster.started(["a", "b", "c", "d"], {
    fixed: false,
    config: { heartbeatExpiration: 2_000 },
  });
  await cluster.publish(["a", "b", "c"]);
  await cluster.advance(600);
  const { gossiper } = cluster.of("a");
  cluster.network.setFaults({ cut: true }, { to: "memory://c:1" });
  const blocked = watched(gossiper.setStateRequest("k", 1, { acknowledgedBy: "all" }));
  await cluster.runUntil(() => membersWith(cluster, "k", 1) === 1);
  await cluster.advance(600);
  assert(!blocked.isDone);
  await cluster.runUntil(() => blocked.isDone);
  assertEquals(cluster.of("a").blocked, { c: "expired" });
  cluster.network.setFaults({ cut: true }, { to: "memory://d:1" });
  await cluster.publish(["a", "b", "d"]);
  const gone = watched(gossiper.setStateRequest("k", 2, { acknowledgedBy: "all" }));
  await cluster.advance(600);
  assert(!gone.isDone);
  await cluster.publish(["a", "b"]);
  await cluster.runUntil(() => gone.isDone);
  await Promise.all([blocked.promise, gone.promise]);
});

Deno.test('acknowledgedBy "all": waits for all members of a fixed list, even if it is called before the start (R4.5)', async () => {
  await using cluster = new TestCluster(["a", "b", "c"]);
  const { gossiper } = cluster.make("a");
  for (const id of ["b", "c"]) await cluster.make(id).gossiper.start();
  const early = watched(gossiper.setStateRequest("k", 1, { acknowledgedBy: "all" }));
  await cluster.runtime.settle();
  assert(!early.isDone, "only this member has the value");
  await gossiper.start();
  const late = watched(gossiper.setStateRequest("k", 2, { acknowledgedBy: "all" }));
  await cluster.runUntil(() => early.isDone && late.isDone);
  assertEquals(membersWith(cluster, "k", 2), 2);
});

Deno.test('acknowledgedBy "all": waits until a slow discovery has published (R4.5)', async () => {
  await using cluster = new TestCluster(["a", "b"], { fixed: false });
  const discovery: Discovery = {
    openMembership: false,
    run: async ({ eventStream, runtime }, { signal }) => {
      await sleep(runtime, 1_000, { signal });
      eventStream.publish({ type: "ClusterTopology", members: ["a", "b"].map(recordOf), blocked: [] });
    },
  };
  for (const id of ["a", "b"]) await cluster.make(id, { cluster: { discovery } }).gossiper.start();
  const { gossiper } = cluster.of("a");
  const request = watched(gossiper.setStateRequest("k", 1, { acknowledgedBy: "all" }));
  await cluster.advance(900);
  assert(!request.isDone);
  assertNotEquals(gossiper.phase, "confirmed");
  await cluster.runUntil(() => request.isDone);
  assertEquals(membersWith(cluster, "k", 1), 1);
});

Deno.test('acknowledgedBy "all": with seeds, waits until the first other member is found (R4.5)', async () => {
  await using cluster = new TestCluster(["a", "b"], { fixed: false });
  const { gossiper } = cluster.make("a", { cluster: { discovery: seeds(["memory://b:1"]) } });
  const request = watched(gossiper.setStateRequest("k", 1, { acknowledgedBy: "all" }));
  await gossiper.start();
  await cluster.advance(2_000);
  assert(!request.isDone);
  await cluster.make("b", { cluster: { discovery: seeds([]) } }).gossiper.start();
  await cluster.runUntil(() => request.isDone);
  assertEquals(membersWith(cluster, "k", 1), 1);
});

Deno.test('acknowledgedBy: must be an integer or "all"; otherwise nothing is set (R4.5)', async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  for (const given of [-1, 0.5, NaN, Infinity, "some", null, true]) {
    const acknowledgedBy = given as number;
    await assertRejects(
      () => gossiper.setStateRequest("k", 1, { acknowledgedBy }),
      ConfigurationError,
      '`acknowledgedBy` must be "all" or a whole number',
    );
  }
  assertEquals(gossiper.getState("k").size, 0);
});

Deno.test('setStateRequest: stop() rejects pending requests with the code "stopped" (R4.5)', async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  await cluster.advance(300);
  cluster.network.setFaults({ hang: true });
  const { gossiper } = cluster.of("a");
  const { signal } = new AbortController();
  const request = assertRejects(
    () => gossiper.setStateRequest("k", 1, { acknowledgedBy: 1, signal }),
    HearsayError,
  );
  await cluster.advance(100);
  await cluster.stop("a");
  assertEquals((await request).code, "stopped");
});

Deno.test("setStateRequest: in a renewed incarnation, waits for the value under its new number (R4.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  await cluster.advance(600);
  const { gossiper } = cluster.of("a");
  const incarnationOf = () => gossiper.members.find(({ isSelf }) => isSelf)!.incarnation!;
  const before = incarnationOf();
  cluster.network.cut("memory://a:1", "memory://b:1");
  const request = watched(gossiper.setStateRequest("k", "v", { acknowledgedBy: 1 }));
  // Another process under the same id, in a later incarnation, sends a handshake.
  await using twin = new ScriptedPeer(cluster, "twin");
  const hello = { ...twin.hello("d1"), member: { id: "a", host: "a", port: 1, kinds: [] } };
  twin.hello = () => ({ ...hello, incarnation: `${before.slice(0, 12)}-ffffffff` });
  await twin.say("a");
  assertNotEquals(incarnationOf(), before);
  await cluster.advance(900);
  assert(!request.isDone);
  cluster.network.heal();
  await cluster.finish(request.promise);
  assertEquals(cluster.of("b").value("a", "k"), "v");
});
