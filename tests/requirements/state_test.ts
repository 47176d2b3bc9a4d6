import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../../engine/types.ts";
import type { Discovery } from "../../contracts/cluster.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { HearsayError } from "../../common/errors.ts";
import { sleep } from "../../common/runtime.ts";
import { seededRandom } from "../../testing/memory_random.ts";
import { recordOf, TestCluster, type TestMember } from "./harness.ts";
import { replyTo, ScriptedPeer } from "./scripted_peer.ts";

/** The code of the error of this library that a call throws. */
function codeOf(call: () => unknown): string {
  return assertThrows(call, HearsayError).code;
}

/** All visible state and events of a member, heartbeats included. */
function everythingOf({ gossiper, events }: TestMember): string {
  return JSON.stringify([gossiper.snapshot(), events.length]);
}

/** A promise, and its state. */
function watched<T>(promise: Promise<T>) {
  const state = { promise, isDone: false };
  const settle = () => void (state.isDone = true);
  promise.then(settle, settle);
  return state;
}

Deno.test("getState: returns the value of the key for every member that has one (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c", "d"]);
  cluster.of("a").gossiper.setState("load", { cpu: 0.5 });
  cluster.of("b").gossiper.setState("load", { cpu: 0.25 });
  cluster.of("c").gossiper.setState("other", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const member of cluster.members) {
    const state = member.gossiper.getState<{ cpu: number }>("load");
    const cpus = [...state].map(([id, { value }]) => [id, value.cpu]);
    assertEquals(new Map(cpus as [string, number][]), new Map([["a", 0.5], ["b", 0.25]]));
    assertEquals(member.gossiper.getState("nothing"), new Map());
  }
  // A deleted key has no value, and its member is not in the answer.
  cluster.of("a").gossiper.deleteState("load");
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const member of cluster.members) assertEquals(member.values("load"), { b: { cpu: 0.25 } });
});

Deno.test("getState: every value has its sequence number and its local merge time (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const [a, b] = [cluster.of("a"), cluster.of("b")];
  b.runtime.stepWall(86_400_000);
  await cluster.advance(250);
  a.gossiper.setState("k", "v");
  const setMs = a.runtime.wallMs();
  const mine = a.gossiper.getState("k").get("a")!;
  const { sequenceNumber } = mine;
  assert(Number.isInteger(sequenceNumber) && sequenceNumber > 0);
  assertEquals(mine, { value: "v", sequenceNumber, localTimestampUnixMilliseconds: setMs });
  await cluster.runUntil(() => b.value("a", "k") === "v");
  const mergedMs = b.runtime.wallMs();
  await cluster.advance(1_000);
  const theirs = b.gossiper.getState("k").get("a")!;
  assertEquals(theirs, { value: "v", sequenceNumber, localTimestampUnixMilliseconds: mergedMs });
});

Deno.test("getState: a snapshot is not changed by later gossip, later sets or its readers (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const [a, b] = [cluster.of("a").gossiper, cluster.of("b").gossiper];
  a.setState("k", { deep: [1, { deeper: "first" }] });
  b.setState("k", "of b");
  await cluster.runUntil(() => cluster.isConfirmed());
  const before = b.getState("k");
  const text = JSON.stringify([...before]);
  a.setState("k", { deep: [2] });
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(cluster.of("b").value("a", "k"), { deep: [2] });
  a.deleteState("k");
  b.setState("k", "of b, later");
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(JSON.stringify([...before]), text);
  assertEquals(cluster.of("b").values("k"), { b: "of b, later" });
  // The map belongs to the caller; its values cannot be changed.
  before.clear();
  assertEquals(cluster.of("b").values("k"), { b: "of b, later" });
});

Deno.test("getState: every value is frozen at every depth, here and at the peers (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  cluster.of("a").gossiper.setState("k", { deep: [1, { deeper: ["x"] }] });
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const { gossiper } of cluster.members) {
    type Value = { deep: [number, { deeper: string[] }] };
    const held = gossiper.getState<Value>("k").get("a")!;
    const { value } = held;
    assertThrows(() => Object.assign(held, { value: 1 }), TypeError);
    assertThrows(() => Object.assign(value, { more: 1 }), TypeError);
    assertThrows(() => value.deep.push(value.deep[1] as never), TypeError);
    assertThrows(() => value.deep[1].deeper[0] = "y", TypeError);
    const [event] = cluster.of("b").told("GossipUpdate").filter(({ key }) => key === "k");
    assertThrows(() => Object.assign(event!.value as object, { more: 1 }), TypeError);
  }
});

Deno.test("getState: includes blocked members, and no inherited property of objects (R4.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  cluster.of("b").gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.stop("b");
  assertEquals(cluster.of("a").blocked, { b: "left" });
  assertEquals(cluster.of("a").values("k"), { b: 1 });
  for (const key of ["__proto__", "constructor", "toString"]) {
    assertEquals(cluster.of("a").gossiper.getState(key).size, 0);
  }
});

Deno.test("setState: updates the own state at once, and the next gossip sends it (R4.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"], { config: { spread: "interval" } });
  await cluster.advance(1_000);
  const { gossiper } = cluster.of("a");
  gossiper.setState("k", 1);
  assertEquals(cluster.of("a").values("k"), { a: 1 });
  gossiper.setState("k", 2);
  assertEquals(cluster.of("a").values("k"), { a: 2 });
  const sent = cluster.sent.length;
  await cluster.advance(199);
  assertEquals(cluster.sent.length, sent);
  await cluster.advance(1);
  for (const id of ["b", "c"]) assertEquals(cluster.of(id).values("k"), { a: 2 });
});

Deno.test("setState: every JSON value arrives unchanged (R4.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const values = [
    null,
    true,
    false,
    0,
    -1.5e-300,
    Number.MAX_SAFE_INTEGER,
    Number.MAX_VALUE,
    "",
    'naïve ☃ 😀 \u0000 \u2028 "quoted"',
    [],
    {},
    [[[]], [{}]],
    { "": 0, "a.b": [1, "two", null, { three: [true] }], __proto: 1 },
    JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}'),
    Object.assign(Object.create(null), { bare: true }),
    Array.from({ length: 1_000 }, (_, index) => index),
    nested(64),
  ];
  for (const [index, value] of values.entries()) cluster.of("a").gossiper.setState(`k${index}`, value);
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const [index, value] of values.entries()) {
    assertEquals(JSON.stringify(cluster.of("b").value("a", `k${index}`)), JSON.stringify(value), `k${index}`);
  }
  assertEquals(({} as { polluted?: boolean }).polluted, undefined);
});

/** Nested arrays of this depth. */
function nested(depth: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < depth; level++) value = [value];
  return value;
}

Deno.test("setState: copies the value: a later change by its owner has no effect (R4.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const value = { list: [1], same: { x: 1 } };
  cluster.of("a").gossiper.setState("k", value);
  value.list.push(2);
  value.same.x = 2;
  assertEquals(cluster.of("a").values("k"), { a: { list: [1], same: { x: 1 } } });
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(cluster.of("b").values("k"), { a: { list: [1], same: { x: 1 } } });
  // It still belongs to the caller: it is not frozen, and one object may stand in it twice.
  value.list.push(3);
  cluster.of("a").gossiper.setState("k", [value.same, value.same]);
  assertEquals(cluster.of("a").values("k"), { a: [{ x: 2 }, { x: 2 }] });
});

class Point {
  x = 1;
}

/** Values that JSON cannot carry, with their path and the expected text. */
function refusedValues(): readonly [value: unknown, path: string, what: RegExp][] {
  const loop: { inner: { list: unknown[] } } = { inner: { list: [] } };
  loop.inner.list.push(loop);
  const self: unknown[] = [];
  self.push(self);
  return [
    [undefined, "value", /undefined/],
    [() => 1, "value", /function/],
    [Symbol("s"), "value", /symbol/],
    [10n, "value", /bigint/],
    [NaN, "value", /NaN/],
    [Infinity, "value", /Infinity/],
    [-Infinity, "value", /-Infinity/],
    ["\ud800", "value", /lone surrogate/],
    [new Date(0), "value", /Date/],
    [new Map([["a", 1]]), "value", /Map/],
    [new Set([1]), "value", /Set/],
    [new Point(), "value", /Point/],
    [new Uint8Array(2), "value", /Uint8Array/],
    [new Error("e"), "value", /Error/],
    [/x/, "value", /RegExp/],
    [Promise.resolve(1), "value", /Promise/],
    [new Number(1), "value", /Number/],
    [{ a: { b: [1, { c: () => 1 }] } }, "value.a.b[1].c", /function/],
    [{ a: [0, undefined] }, "value.a[1]", /undefined/],
    [{ a: undefined }, "value.a", /undefined/],
    [[1, , 3], "value[1]", /undefined/],
    [{ "not a name": [NaN] }, 'value["not a name"][0]', /NaN/],
    [[{ big: 1n }], "value[0].big", /bigint/],
    [{ at: { when: new Date(0) } }, "value.at.when", /Date/],
    [[[new Map()]], "value[0][0]", /Map/],
    [{ text: ["ok", "no \udc00"] }, "value.text[1]", /lone surrogate/],
    [{ a: { "\ud800": 1 } }, "value.a", /lone surrogate/],
    [{ toJSON: () => 1 }, "value.toJSON", /function/],
    [loop, "value.inner.list[0]", /leads back to itself/],
    [self, "value[0]", /leads back to itself/],
    [nested(65), "value" + "[0]".repeat(64), /deeper than 64/],
    [nested(100_000), "value" + "[0]".repeat(64), /deeper than 64/],
  ];
}

Deno.test("setState: refuses a value that JSON cannot carry, with the path, and changes nothing (R4.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const a = cluster.of("a");
  a.gossiper.setState("k", "kept");
  await cluster.runUntil(() => cluster.isConfirmed());
  const before = everythingOf(a);
  for (const [value, path, what] of refusedValues()) {
    const thrown = assertThrows(() => a.gossiper.setState("k", value), HearsayError);
    const rejected = await assertRejects(() => a.gossiper.setStateRequest("k", value), HearsayError);
    for (const error of [thrown, rejected]) {
      assertEquals(error.code, "invalid_value");
      assertStringIncludes(error.message, `The key "k" cannot take this value: ${path} `);
      assertMatch(error.message, what);
      assertStringIncludes(error.message, "Nothing was changed");
    }
    await cluster.runtime.settle();
    assertEquals(everythingOf(a), before, path);
  }
  // The member continues unaffected: with the very next number, and the next gossip.
  const last = a.gossiper.getState("k").get("a")!.sequenceNumber;
  const latest = Math.max(...ownNumbers(a));
  assert(latest >= last);
  a.gossiper.setState("k", "new");
  assertEquals(a.gossiper.getState("k").get("a")!.sequenceNumber, latest + 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(cluster.of("b").values("k"), { a: "new" });
});

/** The numbers of a member's own entries; the heartbeat has its count instead of one. */
function ownNumbers({ id, gossiper }: TestMember): number[] {
  const own = gossiper.snapshot().members.find((member) => member.id === id)!;
  return own.entries.filter(({ key }) => key !== HEARTBEAT_KEY).map(({ sequenceNumber }) => sequenceNumber);
}

Deno.test("setState: a getter that throws, or calls the gossiper, does no harm (R4.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  await cluster.runtime.settle();
  const a = cluster.of("a");
  const before = everythingOf(a);
  const own = new Error("no");
  const throwing = {
    get x(): never {
      throw own;
    },
  };
  const error = assertThrows(() => a.gossiper.setState("k", throwing), HearsayError);
  assertEquals([error.code, error.cause], ["invalid_value", own]);
  assertEquals(everythingOf(a), before);
  a.gossiper.setState("outer", {
    get x() {
      a.gossiper.setState("inner", 1);
      return 2;
    },
  });
  assertEquals([a.values("inner"), a.values("outer")], [{ a: 1 }, { a: { x: 2 } }]);
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals([cluster.of("b").values("inner"), cluster.of("b").values("outer")], [{ a: 1 }, {
    a: { x: 2 },
  }]);
});

Deno.test("getState, watch: refuse an invalid key, which could never have a value (R4.2)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  for (const key of [undefined, null, "", 5, "\ud800", "x".repeat(1_025), ["k"]] as string[]) {
    const label = String(key).slice(0, 40);
    assertEquals(codeOf(() => gossiper.watch(key)), "invalid_key", label);
    assertEquals(codeOf(() => gossiper.getState(key)), "invalid_key", label);
    assertEquals(codeOf(() => gossiper.registerConsensusCheck(key)), "invalid_key", label);
  }
  // Reserved keys may be read.
  assertEquals([...gossiper.getState(HEARTBEAT_KEY).keys()], ["a"]);
  await gossiper.watch(HEARTBEAT_KEY).cancel();
});

Deno.test("setState: refuses reserved and invalid keys (R4.2)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  await cluster.runtime.settle();
  const a = cluster.of("a");
  const before = everythingOf(a);
  const keys: unknown[] = [
    ...[TOPOLOGY_KEY, HEARTBEAT_KEY, GRACEFULLY_LEFT_KEY, "hearsay.digest", "hearsay.member", "hearsay."],
    ...["", "\ud800", "x".repeat(1_025), "é".repeat(513)],
    ...[undefined, null, 1, {}, ["k"], Symbol("k")],
  ];
  for (const key of keys as string[]) {
    assertEquals(codeOf(() => a.gossiper.setState(key, 1)), "invalid_key", String(key));
    assertEquals(codeOf(() => a.gossiper.deleteState(key)), "invalid_key", String(key));
    const rejected = await assertRejects(() => a.gossiper.setStateRequest(key, 1), HearsayError);
    assertEquals(rejected.code, "invalid_key");
  }
  assertEquals(everythingOf(a), before);
  // Similar names are allowed, also those of inherited properties.
  const allowed = [
    "Topology",
    "heartbeat",
    "hearsay",
    "x".repeat(1_024),
    "__proto__",
    "constructor",
    " ",
    "\u0000",
  ];
  for (const key of allowed) a.gossiper.setState(key, key);
  for (const key of allowed) assertEquals(a.value("a", key), key);
});

Deno.test("setState: refuses a value over half a message and a state over maxStateBytes, with the sizes (R4.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], {
    config: { maxMessageBytes: 64 * 1024, maxStateBytes: 40_000 },
  });
  const a = cluster.of("a");
  a.gossiper.setState("first", "x".repeat(20_000));
  const before = everythingOf(a);
  const errorOf = (value: string) =>
    assertThrows(() => a.gossiper.setState("second", value), HearsayError) as HearsayError;
  const [large, full] = [errorOf("x".repeat(29_000)), errorOf("x".repeat(25_000))];
  assertEquals([large.code, full.code], ["too_large", "too_large"]);
  assertMatch(
    large.message,
    /^A value must take at most 28\d{3} bytes.*"second".*\b29\d{3}\b.*Nothing was changed/,
  );
  assertMatch(
    full.message,
    /state.* 40000 bytes \(maxStateBytes\).*"second".*\b4\d{4}\b.*Nothing was changed/,
  );
  // The bytes count, not the characters.
  assertEquals(codeOf(() => a.gossiper.setState("second", "☃".repeat(9_600))), "too_large");
  assertEquals(everythingOf(a), before);
  a.gossiper.setState("second", "☃".repeat(2_000));
  a.gossiper.setState("first", "less");
  a.gossiper.setState("second", "x".repeat(25_000));
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(cluster.of("b").value("a", "second"), "x".repeat(25_000));
});

Deno.test("setState: is refused after the end, while state can still be read (R4.2)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  gossiper.setState("k", 1);
  const stopping = gossiper.stop();
  assertEquals(codeOf(() => gossiper.setState("k", 2)), "stopped");
  await cluster.finish(stopping);
  assertEquals(codeOf(() => gossiper.setState("k", 2)), "stopped");
  assertEquals(codeOf(() => gossiper.deleteState("k")), "stopped");
  assertEquals((await assertRejects(() => gossiper.setStateRequest("k", 2), HearsayError)).code, "stopped");
  assertEquals(cluster.of("a").values("k"), { a: 1 });
});

Deno.test("sequence number: every set and delete of any key raises it by one, also with an equal value (R4.3)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  const a = cluster.of("a");
  const random = seededRandom(11);
  for (let round = 0; round < 8; round++) {
    for (let step = 0; step < 10; step++) {
      const key = `k${Math.floor(random() * 3)}`;
      const choice = random();
      if (choice < 0.5) a.gossiper.setState(key, "equal");
      else if (choice < 0.8) await a.gossiper.setStateRequest(key, step);
      else a.gossiper.deleteState(key);
    }
    await cluster.advance(300);
  }
  const updates = a.told("GossipUpdate").filter(({ memberId, key }) =>
    memberId === "a" && key !== HEARTBEAT_KEY
  );
  assert(updates.length > 75 && updates.some(({ deleted }) => deleted));
  // The first number belongs to the heartbeat's statistics, which have not changed since.
  assertEquals(updates.map(({ sequenceNumber }) => sequenceNumber), updates.map((_, index) => index + 2));
  // At the peer they rise too, though not every one is emitted.
  const merged = cluster.of("b").told("GossipUpdate")
    .filter(({ memberId, key }) => memberId === "a" && key !== HEARTBEAT_KEY)
    .map(({ sequenceNumber }) => sequenceNumber);
  assert(merged.length > 0 && merged.every((number, index) => index === 0 || number > merged[index - 1]!));
  assertEquals(ownNumbers(a), ownNumbers(a).toSorted((one, other) => one - other));
});

Deno.test("sequence number: a heartbeat does not raise it; the heartbeat's own count rises by one an interval (R4.3, R6.1)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const a = cluster.of("a");
  a.gossiper.setState("k", 1);
  const { sequenceNumber } = a.gossiper.getState("k").get("a")!;
  await cluster.advance(3_000);
  a.gossiper.setState("k", 2);
  assertEquals(a.gossiper.getState("k").get("a")!.sequenceNumber, sequenceNumber + 1);
  const counts = a.told("GossipUpdate").filter(({ key }) => key === HEARTBEAT_KEY)
    .map((update) => update.sequenceNumber);
  assertEquals(counts, Array.from({ length: 11 }, (_, index) => index + 1));
});

Deno.test("sequence number: a delete of a missing key does not raise it (R4.3)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const { gossiper } = cluster.of("a");
  gossiper.setState("k", 1);
  const { sequenceNumber } = gossiper.getState("k").get("a")!;
  assertEquals([gossiper.deleteState("none"), gossiper.deleteState("k"), gossiper.deleteState("k")], [
    false,
    true,
    false,
  ]);
  gossiper.setState("k", 1);
  assertEquals(gossiper.getState("k").get("a")!.sequenceNumber, sequenceNumber + 2);
});

Deno.test("timestamp: every set records the wall clock of this machine, also after a step of it (R4.4)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const a = cluster.make("a");
  const stamp = (key = "k") => a.gossiper.getState(key).get("a")!.localTimestampUnixMilliseconds;
  a.gossiper.setState("k", 1);
  assertEquals(stamp(), a.runtime.wallMs());
  await cluster.advance(1_234);
  assertEquals(stamp(), a.runtime.wallMs() - 1_234);
  await a.gossiper.setStateRequest("k", 1);
  assertEquals(stamp(), a.runtime.wallMs());
  a.gossiper.setState("other", 1);
  a.runtime.stepWall(-3_600_000);
  a.gossiper.setState("k", 1);
  assertEquals(stamp(), a.runtime.wallMs());
  assertEquals(stamp("other"), a.runtime.wallMs() + 3_600_000);
  await a.gossiper.start();
  await cluster.advance(450);
  assertEquals(stamp(HEARTBEAT_KEY), a.runtime.wallMs() - 150);
});

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

Deno.test("setStateRequest: a signal aborted before it rejects with its reason and sets nothing (R4.5)", async () => {
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

Deno.test("acknowledgedBy: resolves as soon as so many other members acknowledged the value, and not before (R4.5)", async () => {
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

Deno.test("acknowledgedBy: waits for more members where there are too few (R4.5)", async () => {
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

Deno.test('acknowledgedBy "all": does not wait for blocked or departed members, and waits for new ones (R4.5)', async () => {
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

Deno.test('acknowledgedBy "all": waits for a list of peers from the first moment, also before the start (R4.5)', async () => {
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
