import { assertEquals, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { type Consensus, consensusBy, type ConsensusOptions, type MemberState } from "../../consensus/mod.ts";
import { seeds } from "../../discovery/seeds.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { TestCluster } from "../requirements/harness.ts";

const IDS = ["a", "b", "c"];
const CONFIG = { gossipInterval: 100, gossipRequestTimeout: 200, heartbeatExpiration: 2_000 };

async function confirmed(options: { readonly fixed?: boolean } = {}): Promise<TestCluster> {
  const cluster = await TestCluster.started(IDS, { config: CONFIG, ...options });
  if (options.fixed === false) await cluster.publish(IDS);
  await cluster.runUntil(() => cluster.isConfirmed());
  return cluster;
}

/** {@linkcode consensusBy} of one member, on the virtual clock. */
function checkAt<T>(
  cluster: TestCluster,
  id: string,
  read: (states: ReadonlyMap<string, MemberState>) => T | undefined,
  callbacks: ConsensusOptions<T> = {},
): Consensus<T> {
  const { gossiper, runtime } = cluster.of(id);
  return consensusBy(gossiper, read, { runtime, ...callbacks });
}

/** Lets the check see all that was set. */
function turn(cluster: TestCluster): Promise<void> {
  return cluster.advance(0);
}

/** The sum of the slots of all members; none if a member has no number. */
function totalOf(states: ReadonlyMap<string, MemberState>): number | undefined {
  let total = 0;
  for (const state of states.values()) {
    const slots = state.get("slots");
    if (typeof slots !== "number") return undefined;
    total += slots;
  }
  return total;
}

Deno.test("consensusBy: has the value of a function of the states of all active members, and calls back at each change", async () => {
  await using cluster = await confirmed();
  const calls: unknown[] = [];
  using check = checkAt(cluster, "a", totalOf, {
    onReached: (total) => calls.push(total),
    onLost: () => calls.push("lost"),
  });
  const reached = check.reached();
  for (const [index, id] of IDS.entries()) cluster.of(id).gossiper.setState("slots", 10 ** index);
  assertEquals(await cluster.finish(reached), 111);
  cluster.of("b").gossiper.setState("slots", 20);
  await cluster.runUntil(() => check.value === 121);
  // The callback follows in a later turn, and a value that is lost before is skipped.
  await cluster.runUntil(() => calls.length === 2);
  cluster.of("c").gossiper.deleteState("slots");
  await cluster.runUntil(() => calls.length === 3);
  await cluster.stop("c");
  await cluster.runUntil(() => calls.length === 4);
  assertEquals(calls, [111, 121, "lost", 21]);
});

Deno.test("consensusBy: passes the user's keys of all active members, and of no others, in the order of their ids", async () => {
  await using cluster = await TestCluster.started(IDS, { config: CONFIG, fixed: false });
  await cluster.publish(["b", "c"]);
  let seen: unknown;
  using _check = checkAt(cluster, "b", (states) => {
    seen = [...states].map(([id, state]) => [id, Object.fromEntries(state)]);
    return undefined;
  });
  await cluster.advance(100);
  await cluster.publish(IDS);
  cluster.of("c").gossiper.setState("x", { deep: [1] });
  cluster.of("a").gossiper.setState("y", null);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(1_000);
  assertEquals(seen, [["a", { y: null }], ["b", {}], ["c", { x: { deep: [1] } }]]);
  await cluster.stop("a");
  await cluster.advance(1_000);
  assertEquals(seen, [["b", {}], ["c", { x: { deep: [1] } }]]);
});

Deno.test("consensusBy: runs once for many changes of one turn, and not for heartbeats", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  let runs = 0;
  using _check = checkAt(cluster, "a", () => void runs++);
  await cluster.advance(1_000);
  runs = 0;
  await cluster.advance(5_000);
  assertEquals(runs, 0);
  for (let index = 0; index < 100; index++) gossiper.setState(`k${index}`, index);
  await turn(cluster);
  assertEquals(runs, 1);
});

Deno.test("consensusBy: `value` and `reached` read the state after the last set", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  using check = checkAt(cluster, "a", totalOf);
  for (const id of IDS) cluster.of(id).gossiper.setState("slots", 1);
  await cluster.finish(check.reached());
  gossiper.setState("slots", 5);
  assertEquals([check.value, await check.reached()], [7, 7]);
});

Deno.test("consensusBy: `reached` resolves if a member breaks the consensus and restores it at once", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  using check = checkAt(cluster, "a", totalOf);
  for (const id of IDS) cluster.of(id).gossiper.setState("slots", 1);
  await cluster.finish(check.reached());
  await turn(cluster);
  gossiper.deleteState("slots");
  const reached = check.reached();
  gossiper.setState("slots", 1);
  assertEquals(await cluster.finish(reached), 3);
});

Deno.test("consensusBy: an equal result in another order is no change", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  const calls: unknown[] = [];
  let runs = 0;
  using check = checkAt(cluster, "a", () => runs++ % 2 === 0 ? { x: 1, y: 2 } : { y: 2, x: 1 }, {
    onReached: (value) => calls.push(value),
  });
  await cluster.finish(check.reached());
  for (let index = 0; index < 5; index++) {
    gossiper.setState("k", index);
    await turn(cluster);
  }
  assertEquals(calls.length, 1);
});

Deno.test("consensusBy: includes a member that joins, and isolation ends the consensus (E13)", async () => {
  await using cluster = await TestCluster.started(IDS, { config: CONFIG, fixed: false });
  using check = checkAt(cluster, "a", totalOf);
  for (const id of IDS) cluster.of(id).gossiper.setState("slots", 1);
  await cluster.publish(["a", "b"], { to: ["a", "b"] });
  await cluster.runUntil(() => check.value === 2);
  await cluster.publish(IDS);
  await cluster.runUntil(() => check.value === 3);
  for (const other of ["b", "c"]) cluster.network.cut("memory://a:1", `memory://${other}:1`);
  await cluster.runUntil(() => cluster.of("a").emitted("Isolated").length === 1);
  assertEquals(check.value, undefined);
});

Deno.test("consensusBy: a function that throws returns nothing, and emits CallbackFailed once until it works", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  using check = checkAt(cluster, "a", (states) => {
    if (states.get("a")!.get("k") !== "works") throw new Error("no");
    return 1;
  });
  const failures = () => cluster.of("a").emitted("CallbackFailed").map(({ where }) => where);
  for (let index = 0; index < 5; index++) {
    gossiper.setState("k", index);
    await turn(cluster);
  }
  assertEquals([check.value, failures()], [undefined, ["the function of consensusBy"]]);
  gossiper.setState("k", "works");
  assertEquals(await cluster.finish(check.reached()), 1);
  gossiper.setState("k", "not");
  await turn(cluster);
  assertEquals(failures().length, 2);
});

Deno.test("consensusBy: a result that JSON cannot carry counts as no result, and errors of callbacks are reported", async () => {
  await using cluster = await confirmed();
  using odd = checkAt(cluster, "a", () => new Date(0));
  using failing = checkAt(cluster, "a", () => 1, {
    onReached: () => Promise.reject(new Error("late")),
  });
  await cluster.finish(failing.reached());
  await turn(cluster);
  assertEquals(odd.value, undefined);
  const where = cluster.of("a").emitted("CallbackFailed").map((event) => event.where).sort();
  assertEquals(where, ["a callback of consensusBy", "the function of consensusBy"]);
});

Deno.test("consensusBy: ends when it is disposed of, and when the member leaves", async () => {
  await using cluster = await confirmed();
  const { gossiper } = cluster.of("a");
  let runs = 0;
  const disposed = checkAt(cluster, "a", () => void runs++);
  await turn(cluster);
  const waiting = assertRejects(() => disposed.reached(), HearsayError);
  disposed[Symbol.dispose]();
  assertEquals((await waiting).code, "stopped");
  runs = 0;
  gossiper.setState("k", 1);
  await cluster.advance(1_000);
  assertEquals([runs, disposed.value], [0, undefined]);

  const left = checkAt(cluster, "a", () => undefined);
  const late = assertRejects(() => left.reached(), HearsayError);
  await cluster.stop("a");
  assertEquals((await late).code, "stopped");
  assertEquals((await assertRejects(() => left.reached(), HearsayError)).code, "stopped");
  assertThrows(() => checkAt(cluster, "a", () => 1), HearsayError);
});

Deno.test("consensusBy: is not reached before the first contact (E13)", async () => {
  await using cluster = await TestCluster.started(["a"], { fixed: false, cluster: { discovery: seeds([]) } });
  let runs = 0;
  using check = checkAt(cluster, "a", () => ++runs);
  cluster.of("a").gossiper.setState("k", 1);
  await cluster.advance(5_000);
  assertEquals([check.value, runs], [undefined, 0]);
});

Deno.test("consensusBy: refuses a value that is no function, and unknown options", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  assertThrows(() => consensusBy(gossiper, "slots" as never), ConfigurationError, "read");
  assertThrows(
    () => consensusBy(gossiper, () => 1, { onLoss: () => {} } as never),
    ConfigurationError,
    "onLost",
  );
});
