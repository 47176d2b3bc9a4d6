import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../../engine/types.ts";
import { HearsayError } from "../../common/errors.ts";
import { everythingOf, ownNumbers, TestCluster } from "./harness.ts";

/** The code of the error of this library that a call throws. */
function codeOf(call: () => unknown): string {
  return assertThrows(call, HearsayError).code;
}

Deno.test("setState: updates the member's own state at once, and the next gossip sends the value (R4.2)", async () => {
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

Deno.test("setState: copies the value: a later change by the caller has no effect (R4.2)", async () => {
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

Deno.test("getState, watch: refuse an invalid key, because no member could set it (R4.2)", async () => {
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

Deno.test("setState: is refused after the end, but state can still be read (R4.2)", async () => {
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
