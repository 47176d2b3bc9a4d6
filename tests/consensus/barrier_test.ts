import { assert, assertEquals, assertInstanceOf, assertRejects } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { barrier, type BarrierNode, type BarrierOptions, BarrierTimeout } from "../../consensus/mod.ts";
import { seeds } from "../../discovery/seeds.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { TestCluster } from "../requirements/harness.ts";

const IDS = ["a", "b", "c"];
const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 2_000 };

/** Members that know each other. */
async function confirmed(ids: readonly string[] = IDS): Promise<TestCluster> {
  const cluster = await TestCluster.started(ids, { config: CONFIG });
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

/** A barrier of one member under the key `import`, on the virtual clock. */
function arrive(
  cluster: TestCluster,
  id: string,
  options: Partial<BarrierOptions> = {},
): Promise<readonly string[]> {
  const { gossiper, runtime } = cluster.of(id);
  return barrier(gossiper, { key: "import", step: 3, timeout: 10_000, runtime, ...options });
}

/** The error of a barrier that is not passed. */
async function timeoutOf(cluster: TestCluster, waiting: Promise<unknown>): Promise<BarrierTimeout> {
  const outcome = waiting.then(() => undefined, (error: unknown) => error);
  const error = await cluster.finish(outcome);
  assertInstanceOf(error, BarrierTimeout);
  assertEquals(error.code, "timeout");
  return error;
}

Deno.test("barrier: every member passes once all members have arrived, and not before", async () => {
  await using cluster = await confirmed();
  const passed: string[] = [];
  const arriving = (id: string) => arrive(cluster, id).then((ids) => (passed.push(id), ids));
  const waits = [arriving("a"), arriving("b")];
  await cluster.advance(5_000);
  assertEquals(passed, []);
  waits.push(arriving("c"));
  for (const ids of await cluster.finish(Promise.all(waits))) assertEquals(ids, IDS);
  assertEquals(passed.sort(), IDS);
});

Deno.test("barrier: at the timeout the error names the missing members, and the member's own step stays published", async () => {
  await using cluster = await confirmed();
  const startMs = cluster.runtime.monotonicMs();
  cluster.of("c").gossiper.setState("import", 2);
  const error = await timeoutOf(cluster, arrive(cluster, "a", { timeout: 1_500 }));
  assertEquals(cluster.runtime.monotonicMs() - startMs, 1_500);
  assertEquals(error.missing, ["b", "c"]);
  assertEquals(
    error.message,
    'The barrier "import" must be passed within 1500 ms; 2 of 3 active members have not finished step 3: "b", "c". ' +
      "The step of this member stays published.",
  );
  assertEquals(cluster.of("b").value("a", "import"), 3);
});

Deno.test("barrier: a later step counts as arrived, and an earlier call does not replace a member's own later step", async () => {
  await using cluster = await confirmed();
  const later = arrive(cluster, "a", { step: 5 });
  const waits = IDS.map((id) => arrive(cluster, id, { step: 4 }));
  for (const ids of await cluster.finish(Promise.all(waits))) assertEquals(ids, IDS);
  assertEquals(cluster.of("a").value("a", "import"), 5);
  const { missing } = await timeoutOf(cluster, later);
  assertEquals(missing, ["b", "c"]);
});

Deno.test("barrier: does not wait for members that failed or left, and waits for a member that joins before the last arrives", async () => {
  await using cluster = await TestCluster.started(IDS, { config: CONFIG, fixed: false });
  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  await cluster.runUntil(() => cluster.isConfirmed(["a", "b"]));
  const first = arrive(cluster, "a");
  await cluster.publish(IDS);
  const second = arrive(cluster, "b");
  let isPassed = false;
  const both = Promise.all([first, second]).then((all) => (isPassed = true, all));
  await cluster.advance(3_000);
  assertEquals(isPassed, false);
  cluster.crash("c");
  assertEquals(await cluster.finish(both), [["a", "b"], ["a", "b"]]);
});

Deno.test("barrier: does not wait for a member that joins right after the pass", async () => {
  await using cluster = await TestCluster.started(IDS, { config: CONFIG, fixed: false });
  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  await cluster.runUntil(() => cluster.isConfirmed(["a", "b"]));
  const passed = Promise.all([arrive(cluster, "a"), arrive(cluster, "b")]);
  assertEquals(await cluster.finish(passed), [["a", "b"], ["a", "b"]]);
  await cluster.publish(IDS);
  assertEquals(cluster.of("a").gossiper.members.map(({ status }) => status), ["alive", "alive", "alive"]);
  const { missing } = await timeoutOf(cluster, arrive(cluster, "a", { timeout: 500 }));
  assertEquals(missing, ["c"]);
});

Deno.test("barrier: waits for the least number of members, and says how many are active", async () => {
  await using cluster = await TestCluster.started(IDS, { config: CONFIG, fixed: false });
  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  await cluster.runUntil(() => cluster.isConfirmed(["a", "b"]));
  const alone = await timeoutOf(cluster, arrive(cluster, "a", { members: 3, timeout: 500 }));
  assertEquals(alone.missing, ["b"]);
  const early = arrive(cluster, "a", { members: 3, timeout: 1_000 });
  const waits = ["a", "b"].map((id) => arrive(cluster, id, { members: 3 }));
  const error = await timeoutOf(cluster, early);
  assertEquals(error.missing, []);
  assert(error.message.includes("; 2 of 3 members are active. "), error.message);
  await cluster.publish(IDS);
  waits.push(arrive(cluster, "c", { members: 3 }));
  for (const ids of await cluster.finish(Promise.all(waits))) assertEquals(ids, IDS);
});

Deno.test("barrier: fewer members than the least number do not pass if a member fails during the wait", async () => {
  await using cluster = await confirmed();
  const waiting = arrive(cluster, "a", { members: 3 });
  void arrive(cluster, "b", { members: 3 }).catch(() => {});
  await cluster.advance(1_000);
  cluster.crash("c");
  const error = await timeoutOf(cluster, waiting);
  assert(error.message.includes("; 2 of 3 members are active. "), error.message);
});

Deno.test("barrier: a member that is cut off does not pass alone, and the error says that it hears no other", async () => {
  await using cluster = await confirmed();
  for (const id of ["b", "c"]) cluster.network.cut(memoryAddress("a", 1), memoryAddress(id, 1));
  await cluster.runUntil(() => cluster.of("a").emitted("MemberFailed").length === 2);
  const error = await timeoutOf(cluster, arrive(cluster, "a"));
  assertEquals(error.missing, []);
  assert(error.message.includes("; this member hears no other. "), error.message);
});

Deno.test("barrier: a member whose id another process uses does not pass, and the error says that", async () => {
  await using cluster = await confirmed();
  const waits = ["b", "c"].map((id) => arrive(cluster, id));
  const { gossiper, runtime } = cluster.of("a");
  const fenced: BarrierNode = {
    id: "a",
    events: gossiper.events,
    signal: gossiper.signal,
    get members() {
      return gossiper.members.map((view) => view.isSelf ? { ...view, status: "failed" as const } : view);
    },
    getState: (key) => gossiper.getState(key),
    setState: (key, value) => gossiper.setState(key, value),
    whenMembers: (count, options) => gossiper.whenMembers(count, options),
    registerConsensusCheck: (...given) => gossiper.registerConsensusCheck(...given),
  };
  const error = await timeoutOf(
    cluster,
    barrier(fenced, { key: "import", step: 3, timeout: 1_000, runtime }),
  );
  assert(error.message.includes("; another process uses this member's id. "), error.message);
  await cluster.finish(Promise.all(waits));
});

Deno.test("barrier: a member that has met no other does not pass (E13)", async () => {
  await using cluster = await TestCluster.started(["a"], { fixed: false, cluster: { discovery: seeds([]) } });
  await timeoutOf(cluster, arrive(cluster, "a", { timeout: 60_000 / 2 }));
});

Deno.test("barrier: ends with the reason of its signal, and with code stopped when the member leaves", async () => {
  await using cluster = await confirmed();
  const controller = new AbortController();
  const waiting = assertRejects(
    () => arrive(cluster, "a", { signal: controller.signal }),
    RangeError,
    "enough",
  );
  controller.abort(new RangeError("enough"));
  await waiting;
  const { signal } = controller;
  await assertRejects(() => arrive(cluster, "b", { signal }), RangeError, "enough");
  assertEquals(cluster.of("b").gossiper.getState("import").has("b"), false);
  const late = assertRejects(() => arrive(cluster, "b"), HearsayError);
  await cluster.stop("b");
  const errors = [await late, await assertRejects(() => arrive(cluster, "b"), HearsayError)];
  assertEquals(errors.map(({ name, code }) => [name, code]), [
    ["HearsayError", "stopped"],
    ["HearsayError", "stopped"],
  ]);
});

Deno.test("barrier: leaves no timer and no check behind", async () => {
  await using cluster = await confirmed();
  await cluster.finish(Promise.all(IDS.map((id) => arrive(cluster, id, { timeout: 1_000_000 }))));
  const before = cluster.runtime.timers;
  await cluster.finish(Promise.all(IDS.map((id) => arrive(cluster, id, { step: 4, timeout: 2_000_000 }))));
  await cluster.advance(1_000);
  // Timers of rounds come and go; those of two barriers at three members would be six more.
  assert(cluster.runtime.timers < before + 3, `${cluster.runtime.timers} timers, before: ${before}`);
  cluster.of("a").events.length = 0;
  cluster.of("b").gossiper.setState("import", 0);
  await cluster.advance(1_000);
  assertEquals(cluster.of("a").emitted("ConsensusLost"), []);
});

Deno.test("barrier: the error names at most ten members in its text, and has all of them in `missing`", async () => {
  const ids = Array.from({ length: 14 }, (_, index) => `m${index}`.padStart(4, "0"));
  await using cluster = await confirmed(ids);
  const error = await timeoutOf(cluster, arrive(cluster, ids[0]!, { timeout: 100 }));
  assertEquals(error.missing.length, 13);
  assert(/13 of 14 active members .*( and 3 more)\. /.test(error.message), error.message);
});

Deno.test("barrier: accepts the steps 0 and 1, and does not replace a value that is no step", async () => {
  await using cluster = await confirmed();
  for (const step of [0, 1]) {
    const waits = IDS.map((id) => arrive(cluster, id, { step }));
    for (const ids of await cluster.finish(Promise.all(waits))) assertEquals(ids, IDS);
    assertEquals(cluster.of("a").value("b", "import"), step);
  }
  cluster.of("a").gossiper.setState("import", -1);
  const { code } = await assertRejects(() => arrive(cluster, "a"), HearsayError);
  assertEquals([code, cluster.of("a").value("a", "import")], ["invalid_value", -1]);
});

Deno.test("barrier: waits for a suspected member, which counts as active", async () => {
  await using cluster = await confirmed();
  const waits = ["a", "b", "c"].map((id) => arrive(cluster, id, { step: 1, members: 3 }));
  await cluster.finish(Promise.all(waits));
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.crash("c");
  await cluster.advance(100);
  assertEquals(cluster.of("a").gossiper.members.map(({ status }) => status), [
    "alive",
    "alive",
    "suspected",
  ]);
  assertEquals(await cluster.finish(arrive(cluster, "a", { step: 1, members: 3, timeout: 500 })), IDS);
});

Deno.test("barrier: a member whose value is no step counts as missing, and a member does not replace such a value of its own", async () => {
  await using cluster = await confirmed();
  cluster.of("b").gossiper.setState("import", "three");
  cluster.of("c").gossiper.setState("import", 3.5);
  const { missing } = await timeoutOf(cluster, arrive(cluster, "a", { timeout: 500 }));
  assertEquals(missing, ["b", "c"]);
  const error = await assertRejects(() => arrive(cluster, "b"), HearsayError);
  assertEquals([error.code, cluster.of("b").value("b", "import")], ["invalid_value", "three"]);
});

Deno.test("barrier: refuses options that are missing, unknown or out of range, and sets nothing", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const good = { key: "import", step: 1, timeout: 10 };
  const cases: [string, object][] = [
    ["key", { step: 1, timeout: 10 }],
    ["key", { ...good, key: "" }],
    ["step", { key: "import", timeout: 10 }],
    ["step", { ...good, step: -1 }],
    ["step", { ...good, step: 1.5 }],
    ["timeout", { key: "import", step: 1 }],
    ["timeout", { ...good, timeout: 0 }],
    ["timeout", { ...good, timeout: 2 ** 31 }],
    ["timeout", { ...good, timeout: Infinity }],
    ["members", { ...good, members: 0 }],
    ["runtime", { ...good, runtime: {} }],
    ["signal", { ...good, signal: 5 }],
    ["steps", { ...good, steps: 1 }],
  ];
  for (const [field, options] of cases) {
    const error = await assertRejects(() => barrier(gossiper, options as BarrierOptions), ConfigurationError);
    assertEquals(error.problems.map((problem) => problem.field), [field]);
  }
  const { code } = await assertRejects(() => barrier(gossiper, { ...good, key: "topology" }), HearsayError);
  assertEquals([code, gossiper.keys()], ["invalid_key", []]);
});
