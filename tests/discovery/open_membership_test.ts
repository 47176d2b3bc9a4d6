import { assert, assertEquals, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { Semaphore } from "../../common/semaphore.ts";
import { MAX_ADDRESSES, MAX_HANDSHAKES, openMembership } from "../../discovery/open_membership.ts";
import { retryForever } from "../../discovery/failures.ts";
import { dns } from "../../discovery/dns.ts";
import { etcd } from "../../discovery/etcd/etcd.ts";
import { autoManaged, protoactorEtcd } from "../../protoactor/discovery.ts";
import { seeds } from "../../discovery/seeds.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import type { Discovery } from "../../contracts/cluster.ts";
import { memoryAddress } from "../../testing/memory.ts";
import { recordOf, TestCluster } from "../requirements/harness.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { memberOf, TestContext } from "./context.ts";

const never = new AbortController().signal;

/** Discovery by seeds, and a record of its dials. */
function watchedSeeds(addresses: readonly string[]): { discovery: Discovery; greetings: string[] } {
  const { openMembership, run } = seeds(addresses);
  const greetings: string[] = [];
  const discovery: Discovery = {
    openMembership,
    run: (context, options) => {
      const greet: typeof context.handshake = (address, options) => {
        greetings.push(address);
        return context.handshake(address, options);
      };
      return run({ ...context, handshake: greet }, options);
    },
  };
  return { discovery, greetings };
}

Deno.test("Semaphore: admits a limited number at once and the others in order, and reserves slots for a while", async () => {
  const runtime = new VirtualRuntime();
  const gate = new Semaphore({ permits: 2, heldMs: 1_000, runtime });
  const entered: [number, number][] = [];
  const tasks = [1, 2, 3, 4, 5].map((id) =>
    gate.run(() => Promise.resolve(void entered.push([id, runtime.monotonicMs()])), { signal: never })
  );
  await runtime.advance(3_000);
  await Promise.all(tasks);
  assertEquals(entered, [[1, 0], [2, 0], [3, 1_000], [4, 1_000], [5, 2_000]]);
});

Deno.test("Semaphore: a wait that is aborted takes no slot from the others", async () => {
  const runtime = new VirtualRuntime();
  const gate = new Semaphore({ permits: 1, heldMs: 0, runtime });
  const first = Promise.withResolvers<void>();
  const passing = gate.run(() => first.promise, { signal: never });
  const leaving = new AbortController();
  const gone = assertRejects(() => gate.run(() => Promise.resolve(), leaving), Error, "enough");
  let isIn = false;
  const last = gate.run(() => Promise.resolve(void (isIn = true)), { signal: never });
  leaving.abort(new Error("enough"));
  await gone;
  first.resolve();
  await runtime.advance(1);
  await Promise.all([passing, last]);
  assert(isIn);
});

Deno.test("handshake discovery: does not dial an address whose member became known by gossip meanwhile", async () => {
  const ids = Array.from({ length: 24 }, (_, at) => `m${String(at).padStart(2, "0")}`);
  const config = { gossipInterval: 100, gossipRequestTimeout: 200, blockedProbeInterval: 1_000 };
  await using cluster = new TestCluster(["new", ...ids], { fixed: false, config });
  const all = ids.map((id) => memoryAddress(id, 1));
  for (const id of ids) await cluster.make(id, { cluster: { discovery: seeds([all[0]!]) } }).gossiper.start();
  await cluster.runUntil(() => ids.every((id) => cluster.of(id).gossiper.members.length === 24));
  const { discovery, greetings } = watchedSeeds(all);
  await cluster.make("new", { cluster: { discovery } }).gossiper.start();
  await cluster.runUntil(() => cluster.of("new").gossiper.members.length === 25);
  await cluster.advance(5_000);
  assertEquals(greetings.length, MAX_HANDSHAKES);
});

Deno.test("handshake discovery: an address that is no longer found is not dialed, and the number of addresses is bounded", async () => {
  let publish!: (addresses: readonly string[]) => void;
  const source = openMembership((_, { found, signal }) => {
    publish = found;
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  });
  await using context = new TestContext(source, { self: memberOf("a") });
  publish(["one", "two"]);
  await context.until(() => context.greetings.filter((address) => address === "two").length > 2);
  publish(["two"]);
  const from = context.greetings.length;
  await context.until(() => context.greetings.length > from + 3);
  assertEquals(new Set(context.greetings.slice(from)), new Set(["two"]));
  publish(["one"]);
  await context.until(() => context.greetings.at(-1) === "one");
  publish([]);
  publish(["one"]);
  await context.untilGreeted("one");
  publish(Array.from({ length: 2 * MAX_ADDRESSES }, (_, at) => `n${at}`));
  await context.until(() => context.greetings.includes("n0"));
  await context.stop();
  publish(["after the end"]);
  assertEquals(context.greetings.includes("after the end"), false);
});

Deno.test("handshake discovery: a seed that is another form of a member's own address is recognized as that address", async () => {
  const own = "127.0.0.1";
  await using cluster = new TestCluster(["a", own], { fixed: false });
  const addresses = ["memory://localhost:1", "memory://[::1]:1/"];
  const { discovery, greetings } = watchedSeeds(addresses);
  for (const address of addresses) cluster.network.balance(address, [memoryAddress(own, 1)]);
  await cluster.make(own, { cluster: { discovery: seeds([]) } }).gossiper.start();
  await cluster.make("a", { cluster: { discovery } }).gossiper.start();
  await cluster.advance(5 * 60_000);
  // An address without a known member is dialed again and again, as a balancer's.
  assertEquals(greetings.length, 2);
});

Deno.test("openMembership: the signal of dials that wait for a member to return is aborted when the dials end", async () => {
  await using cluster = new TestCluster(["a", "b"], { fixed: false });
  const signals: AbortSignal[] = [];
  const { openMembership, run } = seeds([]);
  const discovery: Discovery = {
    openMembership,
    run: (context, options) => {
      const handshake: typeof context.handshake = (address, { signal }) => {
        signals.push(signal);
        return context.handshake(address, { signal });
      };
      return run({ ...context, handshake }, options);
    },
  };
  const { gossiper } = cluster.make("a", { cluster: { discovery } });
  await gossiper.start();
  await cluster.make("b", { cluster: { discovery: seeds([memoryAddress("a", 1)]) } }).gossiper.start();
  await cluster.runUntil(() => gossiper.members.length === 2);
  cluster.crash("b");
  await cluster.runUntil(() => signals.length > 1);
  await cluster.advance(60_000);
  assertEquals(signals.filter(({ aborted }) => !aborted), []);
});

Deno.test("openMembership: dials the addresses of a name only until a member was met at them", async () => {
  await using cluster = new TestCluster(["a", "b", "c"], { fixed: false });
  const greetings: string[] = [];
  const name = "memory://name:1";
  const addresses = [memoryAddress("b", 1), memoryAddress("nobody", 1)];
  const { openMembership: isByGreeting, run } = openMembership((_, { found, signal }) => {
    found(addresses, new Map([[name, addresses]]));
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  });
  const discovery: Discovery = {
    openMembership: isByGreeting,
    run: (context, options) => {
      const greet: typeof context.handshake = (address, options) => {
        greetings.push(address);
        return context.handshake(address, options);
      };
      return run({ ...context, handshake: greet }, options);
    },
  };
  await cluster.make("b", { cluster: { discovery: seeds([]) } }).gossiper.start();
  await cluster.make("a", { cluster: { discovery } }).gossiper.start();
  await cluster.advance(30_000);
  assertEquals(greetings.includes(name), false);
  cluster.crash("b");
  // Only the name leads to the next process.
  cluster.network.balance(name, [memoryAddress("c", 1)]);
  await cluster.make("c", { cluster: { discovery: seeds([]) } }).gossiper.start();
  await cluster.runUntil(() => cluster.of("a").gossiper.members.some(({ id }) => id === "c"), {
    withinMs: 10_000,
  });
});

Deno.test("discovery: every source with waits refuses invalid durations", () => {
  for (const time of [0, -1, NaN, Infinity, "x"] as number[]) {
    for (
      const make of [
        () => autoManaged({ hosts: [], refreshInterval: time }),
        () => autoManaged({ hosts: [], requestTimeout: time }),
        () => protoactorEtcd({ leaseTtl: time }),
        () => etcd({ leaseTtl: time }),
        () => etcd({ requestTimeout: time }),
        () => etcd({ resyncInterval: time }),
        () => dns("a", { interval: time }),
        () => seeds([], { resolveInterval: time }),
      ]
    ) {
      assertThrows(
        make,
        ConfigurationError,
        `must be a duration; got ${typeof time === "string" ? '"x"' : time}`,
        `${make}`,
      );
    }
  }
  assertThrows(
    () => etcd({ leaseTtl: 999 }),
    ConfigurationError,
    "Allowed: a number of at least 1000 milliseconds",
  );
});

Deno.test("retryForever: tries again after ever longer waits, and reports each reason once", async () => {
  const runtime = new VirtualRuntime();
  const published: unknown[] = [];
  const waits: number[] = [];
  const context = {
    ...({} as TestContext),
    self: recordOf("a"),
    runtime,
    eventStream: { publish: (event: unknown) => void published.push(event) },
    retryDelay: (failures: number) => {
      waits.push(failures);
      return 10 * failures;
    },
  } as unknown as TestContext;
  const ending = new AbortController();
  const errors = ["a", "a", "b", undefined, "b"];
  const trying = retryForever(({ succeeded }) => {
    if (errors.length === 0) ending.abort();
    const error = errors.shift();
    if (error !== undefined) return Promise.reject(new Error(error));
    succeeded();
    return Promise.resolve();
  }, { context, source: "it", signal: ending.signal });
  await runtime.advance(1_000);
  await trying;
  assertEquals(waits.slice(0, 5), [1, 2, 3, 1, 1]);
  assertEquals(published.length, 3);
  assertEquals(runtime.timers, 0);
});
