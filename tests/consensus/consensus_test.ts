import { assertEquals, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { consensusAcross, consensusOf, reading, topologyConsensus } from "../../consensus/mod.ts";
import { topologyHash } from "../../engine/state/murmur3.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { TestCluster } from "../requirements/harness.ts";

const IDS = ["a", "b", "c"];
const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 2_000 };

/** Three members that know each other. */
async function confirmed(): Promise<TestCluster> {
  const cluster = await TestCluster.started(IDS, { config: CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

/** The gossiper of a member. */
function at(cluster: TestCluster, id: string) {
  return cluster.of(id).gossiper;
}

/** Sets a key at all members. */
function setAll(cluster: TestCluster, key: string, value: unknown): void {
  for (const id of IDS) at(cluster, id).setState(key, value);
}

Deno.test("consensusOf: is reached when all members have one value under each key, and calls back at each change", async () => {
  await using cluster = await confirmed();
  const calls: unknown[] = [];
  using check = consensusOf(at(cluster, "a"), ["version", "currency"], {
    onReached: (values) => calls.push(values),
    onLost: () => calls.push("lost"),
  });
  const reached = check.reached();
  setAll(cluster, "version", 1);
  at(cluster, "a").setState("currency", "EUR");
  await cluster.advance(1_000);
  assertEquals([check.value, check.dissenters(), calls], [undefined, ["b", "c"], []]);
  for (const id of ["b", "c"]) at(cluster, id).setState("currency", "EUR");
  assertEquals(await cluster.finish(reached), [1, "EUR"]);
  assertEquals([check.value, check.dissenters()], [[1, "EUR"], []]);

  setAll(cluster, "version", 2);
  await cluster.runUntil(() => calls.length === 3);
  at(cluster, "b").deleteState("currency");
  await cluster.runUntil(() => calls.length === 4);
  assertEquals(calls, [[1, "EUR"], "lost", [2, "EUR"], "lost"]);
  assertEquals(check.dissenters(), ["b"]);
});

Deno.test("consensusOf: is not reached if the keys have common values only at different times", async () => {
  await using cluster = await confirmed();
  let calls = 0;
  using check = consensusOf(at(cluster, "a"), ["one", "two"], { onReached: () => calls++ });
  setAll(cluster, "one", 1);
  await cluster.advance(1_000);
  for (const id of IDS) at(cluster, id).deleteState("one");
  await cluster.advance(1_000);
  setAll(cluster, "two", 2);
  await cluster.advance(1_000);
  assertEquals([check.value, calls], [undefined, 0]);
});

Deno.test("consensusOf: `reached` resolves at once if there is consensus, with the value after the last set", async () => {
  await using cluster = await confirmed();
  using check = consensusOf(at(cluster, "a"), ["one", "two"]);
  setAll(cluster, "one", 1);
  setAll(cluster, "two", 2);
  await cluster.finish(check.reached());
  assertEquals(await check.reached(), [1, 2]);
  at(cluster, "a").setState("one", 5);
  assertEquals(check.value, undefined);
  const reached = check.reached();
  for (const id of ["b", "c"]) at(cluster, id).setState("one", 5);
  assertEquals(await cluster.finish(reached), [5, 2]);
});

Deno.test("consensusOf: `reached` resolves if a member breaks the consensus and restores it at once", async () => {
  await using cluster = await confirmed();
  const calls: unknown[] = [];
  using check = consensusOf(at(cluster, "a"), ["one"], {
    onReached: (values) => calls.push(values),
    onLost: () => calls.push("lost"),
  });
  setAll(cluster, "one", 1);
  await cluster.finish(check.reached());
  at(cluster, "a").setState("one", 2);
  const reached = check.reached();
  at(cluster, "a").setState("one", 1);
  assertEquals([await cluster.finish(reached), calls], [[1], [[1]]]);
});

Deno.test("consensusOf: a member that leaves does not count, and a member alone agrees with no other (E13)", async () => {
  await using cluster = await confirmed();
  using check = consensusOf(at(cluster, "a"), ["one", "two"]);
  for (const id of ["a", "b"]) for (const key of ["one", "two"]) at(cluster, id).setState(key, 1);
  await cluster.advance(1_000);
  assertEquals(check.value, undefined);
  await cluster.stop("c");
  assertEquals(await cluster.finish(check.reached()), [1, 1]);
  // The others are cut off: with expired heartbeats `a` would agree with itself.
  cluster.network.cut("memory://a:1", "memory://b:1");
  await cluster.runUntil(() => check.value === undefined);
  assertEquals(cluster.of("a").emitted("Isolated").length, 1);
});

Deno.test("consensusOf: an error of a callback emits CallbackFailed, and the check continues", async () => {
  await using cluster = await confirmed();
  using check = consensusOf(at(cluster, "a"), ["one", "two"], {
    onReached: () => {
      throw new Error("no");
    },
    onLost: () => Promise.reject(new Error("no, later")),
  });
  setAll(cluster, "one", 1);
  setAll(cluster, "two", 1);
  await cluster.finish(check.reached());
  at(cluster, "a").deleteState("one");
  await cluster.advance(1_000);
  const failures = cluster.of("a").emitted("CallbackFailed").map(({ error }) => (error as Error).message);
  assertEquals(failures, ["no", "no, later"]);
});

Deno.test("consensusOf: ends its waits when it is removed, and when the member leaves", async () => {
  await using cluster = await confirmed();
  const codes: string[] = [];
  const waitFor = async (check: { reached(): Promise<unknown> }) => {
    codes.push((await assertRejects(() => check.reached(), HearsayError)).code);
  };
  const removed = consensusOf(at(cluster, "a"), ["one", "two"]);
  const ended = consensusOf(at(cluster, "a"), ["one", "two"]);
  const waits = [waitFor(removed), waitFor(ended)];
  removed[Symbol.dispose]();
  await cluster.runtime.settle();
  assertEquals(codes.length, 1);
  await cluster.stop("a");
  await Promise.all([...waits, waitFor(removed), waitFor(ended)]);
  assertEquals(codes, ["stopped", "stopped", "stopped", "stopped"]);
});

Deno.test("consensusOf: a removed check has no value and calls no callback", async () => {
  await using cluster = await confirmed();
  let calls = 0;
  const check = consensusOf(at(cluster, "a"), ["one", "two"], {
    onReached: () => calls++,
    onLost: () => calls++,
  });
  setAll(cluster, "one", 1);
  setAll(cluster, "two", 1);
  await cluster.finish(check.reached());
  calls = 0;
  check[Symbol.dispose]();
  setAll(cluster, "two", 2);
  await cluster.advance(1_000);
  assertEquals([check.value, check.dissenters(), calls], [undefined, [], 0]);
});

Deno.test("consensusOf: a wait ends with the reason of its signal", async () => {
  await using cluster = await confirmed();
  using check = consensusOf(at(cluster, "a"), ["one", "two"]);
  const controller = new AbortController();
  const waiting = assertRejects(() => check.reached({ signal: controller.signal }), RangeError, "enough");
  controller.abort(new RangeError("enough"));
  await waiting;
  await assertRejects(() => check.reached({ signal: controller.signal }), RangeError, "enough");
  await assertRejects(() => check.reached(controller.signal as never), ConfigurationError, "{ signal }");
});

Deno.test("consensusOf: refuses an empty list of keys, too many or invalid keys and unknown options, and leaves no check behind", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const many = Array.from({ length: 101 }, (_, index) => `${index}`);
  for (const keys of [[], many, "one", undefined]) {
    assertThrows(() => consensusOf(gossiper, keys as never), ConfigurationError, "a list of 1 to 100 keys");
  }
  assertThrows(() => consensusOf(gossiper, []), ConfigurationError, "got a list of 0");
  assertThrows(() => consensusOf(gossiper, many), ConfigurationError, "got a list of 101");
  for (const given of [{}, { key: "one" }, { key: "one", extractorFor: () => () => 1 }]) {
    assertThrows(
      () => consensusOf(gossiper, ["one", given as never]),
      ConfigurationError,
      "`keys[1]` must be a key or a reading; got an object",
    );
  }
  assertThrows(() => consensusOf(gossiper, ["one"], { onReach: () => {} } as never), ConfigurationError);
  assertThrows(() => reading("one", 5 as never), ConfigurationError, "extractor");
  assertThrows(() => reading("", () => 1), HearsayError);
  for (const given of [5, null, undefined]) {
    assertThrows(() => consensusOf(gossiper, ["one", given as never]), HearsayError, "key");
  }
  using most = consensusOf(gossiper, many.slice(1));
  assertEquals(most.value, undefined);
  const bad = { key: "", extractorFor: () => () => 1, agreed: () => 1 };
  assertThrows(() => consensusOf(gossiper, ["one", bad]), HearsayError);
  setAll(cluster, "one", 1);
  await cluster.advance(1_000);
  assertEquals(cluster.of("a").emitted("ConsensusReached"), []);
});

Deno.test("consensusAcross: is reached when all keys of all members have one value, as with protoactor-go's InConsensusWith", async () => {
  await using cluster = await confirmed();
  const planned = reading("plan", (value) => (value as { readonly version: number }).version);
  using check = consensusAcross(at(cluster, "a"), [planned, "done"]);
  for (const id of IDS) at(cluster, id).setState("plan", { version: 7, by: id });
  setAll(cluster, "done", 6);
  await cluster.advance(1_000);
  // Each key has one value, but the keys differ: no member dissents.
  assertEquals([check.value, check.dissenters()], [undefined, []]);
  const reached = check.reached();
  setAll(cluster, "done", 7);
  assertEquals(await cluster.finish(reached), 7);
  at(cluster, "c").setState("done", 8);
  await cluster.runUntil(() => check.value === undefined);
  assertEquals(check.dissenters(), ["c"]);
});

Deno.test("topologyConsensus: has the hash of the active members once all members see the same, and another hash when a member leaves", async () => {
  await using cluster = await TestCluster.started(IDS, { config: CONFIG, fixed: false });
  await cluster.publish(IDS, { to: ["a", "b"] });
  await cluster.publish(["b", "c"], { to: ["c"] });
  using check = topologyConsensus(at(cluster, "a"));
  await cluster.advance(1_000);
  assertEquals([check.value, check.dissenters()], [undefined, ["c"]]);
  await cluster.publish(IDS);
  assertEquals(await cluster.finish(check.reached()), topologyHash(new Set(IDS)));
  await cluster.stop("c");
  const rest = topologyHash(new Set(["a", "b"]));
  await cluster.runUntil(() => check.value === rest);
});
