import { assert, assertEquals, assertRejects } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { TestCluster } from "./harness.ts";

const IDS = ["a", "b", "c"];
const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 2_000 };

/** Three members with a completed handshake each. */
async function confirmed(): Promise<TestCluster> {
  const cluster = await TestCluster.started(IDS, { config: CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

Deno.test("consensus check: is reached when all members have one value, emits one event, and is lost when a member has another value (R11.1, R11.2, R11.3)", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const emitted: unknown[] = [];
  const check = gossiper.registerConsensusCheck("version", (version) => version, {
    onReached: (value) => emitted.push(value),
    onLost: () => emitted.push("lost"),
  });
  const reached = check.reached();
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("version", { major: 2, minor: 0 });
  await cluster.advance(1_000);
  assertEquals(check.value, undefined);
  assertEquals(check.dissenters(), ["c"]);

  // The order of an object's fields does not count.
  cluster.of("c").gossiper.setState("version", { minor: 0, major: 2 });
  assertEquals(await cluster.finish(reached), { major: 2, minor: 0 });
  await cluster.advance(2_000);
  assertEquals(emitted, [{ major: 2, minor: 0 }]);
  assertEquals(check.dissenters(), []);

  cluster.of("b").gossiper.setState("version", { major: 3, minor: 0 });
  await cluster.runUntil(() => emitted.length === 2);
  assertEquals(emitted[1], "lost");
  assertEquals([check.value, check.dissenters()], [undefined, ["b"]]);
});

Deno.test("consensus check: a member without a value, or with a deleted value, prevents consensus (R11.2)", async () => {
  await using cluster = await confirmed();
  const check = cluster.of("a").gossiper.registerConsensusCheck("k", (value) => value);
  for (const id of IDS) cluster.of(id).gossiper.setState("k", 1);
  await cluster.runUntil(() => check.value === 1);
  cluster.of("c").gossiper.deleteState("k");
  await cluster.runUntil(() => check.value === undefined);
  assertEquals(check.dissenters(), ["c"]);
});

Deno.test("consensus check: the value of a blocked member does not count (R11.2)", async () => {
  await using cluster = await confirmed();
  const check = cluster.of("a").gossiper.registerConsensusCheck("k", (value) => value);
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("k", 1);
  cluster.of("c").gossiper.setState("k", 2);
  await cluster.advance(1_000);
  assertEquals(check.value, undefined);
  await cluster.stop("c");
  await cluster.runUntil(() => check.value === 1);
});

Deno.test("consensus check: consensus on A and then on B calls back twice (R11.3)", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  await gossiper.start();
  const reached: unknown[] = [];
  gossiper.registerConsensusCheck("k", (value) => value, { onReached: (value) => reached.push(value) });
  for (const value of ["A", "A", "B"]) gossiper.setState("k", value);
  await cluster.runtime.settle();
  assertEquals(reached, ["A", "B"]);
});

Deno.test("consensus check: the extractor decides what is compared; an extractor that throws counts as no value and emits an event (R11.1)", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const check = gossiper.registerConsensusCheck(
    "load",
    (load) => (load as { readonly zone: string }).zone.toUpperCase(),
  );
  for (const id of IDS) cluster.of(id).gossiper.setState("load", { zone: "eu", cpu: id });
  await cluster.runUntil(() => check.value === "EU");
  cluster.of("b").gossiper.setState("load", {});
  await cluster.runUntil(() => check.value === undefined);
  assertEquals(check.dissenters(), ["b"]);
  assert(cluster.of("a").emitted("CallbackFailed").length > 0);
  cluster.of("b").gossiper.setState("load", { zone: "eu" });
  await cluster.runUntil(() => check.value === "EU");
});

Deno.test("consensus check: a whole value is compared without a copy, which would cost most of the time (R11.1)", async () => {
  await using cluster = await TestCluster.started(["a"], { config: CONFIG });
  const { gossiper } = cluster.of("a");
  gossiper.setState("many", Array.from({ length: 1_000 }, () => []));
  const { freeze } = Object;
  let frozen = 0;
  Object.freeze = <T>(value: T) => (frozen++, freeze(value));
  try {
    gossiper.registerConsensusCheck("many", (value) => value);
  } finally {
    Object.freeze = freeze;
  }
  // The extractor's value and the agreed one are frozen, 1,001 parts each; a copy would be frozen too.
  assert(frozen >= 2_002 && frozen < 3_000, `${frozen} parts were frozen`);
});

Deno.test("consensus check: a callback that throws or rejects emits CallbackFailed, and gossip continues (R11.3)", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  gossiper.registerConsensusCheck("k", (value) => value, {
    onReached: () => {
      throw new Error("no");
    },
    onLost: () => Promise.reject(new Error("no, later")),
  });
  for (const id of IDS) cluster.of(id).gossiper.setState("k", 1);
  await cluster.runUntil(() => cluster.of("a").emitted("ConsensusReached").length === 1);
  gossiper.setState("k", 2);
  await cluster.runUntil(() => cluster.of("a").emitted("ConsensusLost").length === 1);
  await cluster.runUntil(() => cluster.of("b").value("a", "k") === 2);
  assertEquals(cluster.of("a").emitted("CallbackFailed").map(({ error }) => (error as Error).message), [
    "no",
    "no, later",
  ]);
});

Deno.test("consensus check: a removed check is not evaluated, and its waits reject (R11.4)", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  let calls = 0;
  const countCall = () => ++calls;
  const check = gossiper.registerConsensusCheck("k", countCall, { onReached: countCall });
  const waiting = assertRejects(() => check.reached(), HearsayError);
  assertEquals([gossiper.removeConsensusCheck(check.id), gossiper.removeConsensusCheck(check.id)], [
    true,
    false,
  ]);
  assertEquals((await waiting).code, "stopped");
  for (const id of IDS) cluster.of(id).gossiper.setState("k", 1);
  await cluster.advance(2_000);
  assertEquals(calls, 0);
});

Deno.test("consensus check: a wait ends with the reason of its signal (R11.3)", async () => {
  await using cluster = await confirmed();
  const check = cluster.of("a").gossiper.registerConsensusCheck("k", (value) => value);
  const controller = new AbortController();
  const waiting = assertRejects(() => check.reached({ signal: controller.signal }), RangeError, "enough");
  controller.abort(new RangeError("enough"));
  await waiting;
});

Deno.test("consensus check: a member that joins ends the consensus until it has the value (R11.2, E13)", async () => {
  await using cluster = await TestCluster.started(IDS, { config: CONFIG, fixed: false });
  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  const check = cluster.of("a").gossiper.registerConsensusCheck("k", (value) => value);
  for (const id of ["a", "b"]) cluster.of(id).gossiper.setState("k", 1);
  await cluster.runUntil(() => check.value === 1);
  await cluster.publish(IDS);
  assertEquals([check.value, check.dissenters()], [undefined, ["c"]]);
  cluster.of("c").gossiper.setState("k", 1);
  await cluster.runUntil(() => check.value === 1);
});
