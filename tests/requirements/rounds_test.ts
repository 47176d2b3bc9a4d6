import { assert, assertEquals } from "../../deps/std_assert.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import { DEFAULT_CONFIG } from "../../options/configuration.ts";
import { HearsayError } from "../../common/errors.ts";
import { Loop } from "../../gossiper/loop.ts";
import { type Runtime, sleep } from "../../common/runtime.ts";
import { seededRandom } from "../../testing/memory_random.ts";
import { entry, memberDelta } from "../engine/harness.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import { TestCluster, type TestMember } from "./harness.ts";
import { replyTo, ScriptedPeer } from "./scripted_peer.ts";

/** The first `count` multiples of an interval. */
function grid(count: number, options: { readonly interval?: number; readonly from?: number } = {}): number[] {
  const { interval = 300, from = 0 } = options;
  return Array.from({ length: count }, (_, index) => (from + index) * interval);
}

/** The times of a member's own heartbeats, from now until the stream ends. */
function heartbeatsOf(cluster: TestCluster, { stream, id }: TestMember): number[] {
  const times: number[] = [];
  void (async () => {
    for await (const event of stream.subscribe("GossipUpdate")) {
      if (event.type !== "GossipUpdate" || event.memberId !== id || event.key !== HEARTBEAT_KEY) continue;
      times.push(cluster.runtime.monotonicMs());
    }
  })();
  return times;
}

Deno.test("round: gossip is sent at every interval while the gossiper runs, and not after (R2.1)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const { gossiper } = cluster.make("a");
  await cluster.make("b").gossiper.start();
  await cluster.advance(1_000);
  assertEquals(cluster.gossipedBy("a"), []);
  await gossiper.start();
  await cluster.advance(6_100);
  // Other tests check whether the first round has a peer.
  const sent = cluster.gossipedBy("a", { to: "b" }).filter(({ atMs }) => atMs > 1_000);
  assertEquals(sent.map(({ atMs }) => atMs - 1_000), grid(20, { from: 1 }));
  // Each has the member's current count, the start included.
  assertEquals(sent.map(({ text }) => JSON.parse(text).count), sent.map((_, index) => index + 2));
  await cluster.stop("a");
  const count = cluster.sent.length;
  await cluster.advance(6_000);
  assertEquals(cluster.sent.slice(count).filter(({ from }) => from === "memory://a:1"), []);
});

Deno.test("round: without pushes, a value that was set is sent with the next round (R2.1)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], { config: { spread: "interval" } });
  await cluster.advance(1_000);
  cluster.of("a").gossiper.setState("k", 1);
  assertEquals(cluster.of("b").values("k"), {});
  assertEquals(await cluster.runUntil(() => cluster.of("b").value("a", "k") === 1), 200);
});

Deno.test("heartbeat: rises at every interval, and reaches the peers as often (R2.2)", async () => {
  await using cluster = await TestCluster.started(["a", "b"]);
  await cluster.advance(100);
  cluster.of("b").events.length = 0;
  const own = heartbeatsOf(cluster, cluster.of("a"));
  await cluster.advance(2_900);
  assertEquals(own, grid(10, { from: 1 }));
  const [mine, theirs] = ["a", "b"].map((id) => cluster.of(id).gossiper.getState(HEARTBEAT_KEY).get("a")!);
  assertEquals(theirs!.sequenceNumber, mine!.sequenceNumber);
  assertEquals(mine!.localTimestampUnixMilliseconds, cluster.of("a").runtime.wallMs());
  const merged = cluster.of("b").emitted("GossipUpdate")
    .filter(({ memberId, key }) => memberId === "a" && key === HEARTBEAT_KEY)
    .map(({ sequenceNumber }) => sequenceNumber);
  assertEquals(merged.length, 10);
  assertEquals(merged, merged.toSorted((one, other) => one - other));
});

Deno.test("heartbeat: rises at every interval of a member that is alone (R2.2)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const own = heartbeatsOf(cluster, cluster.of("a"));
  await cluster.advance(1_500);
  assertEquals(own.length, 5);
});

Deno.test("expiration: expired members are blocked at every interval (R2.3)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c", "d"], {
    config: { heartbeatExpiration: 2_000 },
  });
  await cluster.advance(3_000);
  // They are silenced at one time. Each was last heard in one of the rounds before, directly or through
  // another member.
  for (const id of ["b", "c", "d"]) await silence(cluster, id);
  const blocked = () => Object.keys(cluster.of("a").blocked);
  const times: number[] = [];
  for (let round = 0; blocked().length < 3; round++) {
    const before = blocked().length;
    await cluster.advance(300);
    if (blocked().length > before) times.push(cluster.runtime.monotonicMs());
    assert(round < 10, `${blocked()}`);
  }
  assertEquals(blocked().sort(), ["b", "c", "d"]);
  for (const time of times) assertEquals(time % 300, 0);
  assert(times.at(-1)! <= 3_000 + 2_100 + 300, `${times}`);
});

/** Isolates a member: to the others it looks like a failed machine. */
async function silence(cluster: TestCluster, id: string) {
  for (const other of cluster.members) {
    if (other.id !== id) cluster.network.cut(cluster.of(id).transport.address, other.transport.address);
  }
  await cluster.runtime.settle();
}

Deno.test("departure: a member that left is blocked, and is blocked again at the next interval after `unblock` (R2.4)", async () => {
  await using cluster = await TestCluster.started(["a", "b", "c"]);
  await cluster.advance(1_000);
  await cluster.stop("c");
  await cluster.runUntil(() => cluster.of("a").blocked.c === "left");
  assertEquals(cluster.of("b").blocked, { c: "left" });
  for (let time = 0; time < 3; time++) {
    assert(cluster.of("a").gossiper.unblock("c"));
    assertEquals(cluster.of("a").blocked, {});
    await cluster.advance(300);
    assertEquals(cluster.of("a").blocked, { c: "left" });
  }
});

/** A loop on a virtual clock with rounds of a given duration, and its record. */
function looping(options: { readonly runtime: VirtualRuntime; readonly lasts: (round: number) => number }) {
  const { runtime, lasts } = options;
  const controller = new AbortController();
  const starts: number[] = [];
  let underWay = 0;
  const loop = new Loop({
    runtime,
    interval: 300,
    round: async () => {
      assertEquals(++underWay, 1, "a round overlaps another");
      const round = starts.push(runtime.monotonicMs()) - 1;
      const lastsMs = lasts(round);
      if (lastsMs > 0) await sleep(runtime, lastsMs);
      underWay--;
    },
  });
  return { loop, starts, controller, running: loop.run(controller) };
}

Deno.test("loop: each of 1,000 rounds starts on its millisecond, and no round is skipped (R2.5)", async () => {
  const runtime = new VirtualRuntime();
  const random = seededRandom(3);
  // Some take no time, some almost the whole interval.
  const { loop, starts, controller, running } = looping({ runtime, lasts: () => random() * 299.9 });
  await runtime.advance(300 * 999 + 1);
  assertEquals(starts, grid(1_000));
  assertEquals([loop.rounds, loop.skipped], [1_000, 0]);
  controller.abort();
  await runtime.advance(300);
  await running;
});

Deno.test("loop: the errors of early and late timers do not add up, and no round starts before its time (R2.5)", async () => {
  const runtime = new VirtualRuntime();
  const random = seededRandom(5);
  const unsteady: Runtime = {
    monotonicMs: () => runtime.monotonicMs(),
    wallMs: () => runtime.wallMs(),
    random: () => runtime.random(),
    setTimer: (delayMs, callback) => runtime.setTimer(delayMs + (random() - 0.3) * 10, callback),
  };
  const starts: number[] = [];
  const controller = new AbortController();
  const round = () => Promise.resolve(void starts.push(runtime.monotonicMs()));
  const loop = new Loop({ runtime: unsteady, interval: 300, round });
  const running = loop.run(controller);
  await runtime.advance(300 * 999 + 50);
  assertEquals(starts.length, 1_000);
  assertEquals(loop.skipped, 0);
  const late = starts.map((atMs, index) => atMs - index * 300);
  assert(Math.min(...late) >= 0 && Math.max(...late) <= 20, `${Math.min(...late)} to ${Math.max(...late)}`);
  controller.abort();
  await running;
});

Deno.test("loop: steps of the wall clock do not move the rounds (R2.5)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const own = heartbeatsOf(cluster, cluster.of("a"));
  await cluster.advance(1_000);
  cluster.of("a").runtime.stepWall(-86_400_000);
  await cluster.advance(1_000);
  cluster.of("a").runtime.stepWall(2 * 86_400_000);
  await cluster.advance(1_000);
  assertEquals(own, grid(10, { from: 1 }));
});

Deno.test("loop: a slow round delays the next tick, and the ticks that it missed are skipped (R2.5)", async () => {
  const cases: readonly [lastsMs: number, starts: number[], skipped: number][] = [
    // As long as the interval: no tick is late.
    [300, [0, 300, 600, 900, 1_200, 1_500], 0],
    // A little longer: one tick comes late, none is lost.
    [310, [0, 310, 600, 900, 1_200, 1_500], 0],
    [599, [0, 599, 600, 900, 1_200, 1_500], 0],
    // More than two intervals: only the latest missed tick is made up for.
    [610, [0, 610, 900, 1_200, 1_500, 1_800], 1],
    [1_000, [0, 1_000, 1_200, 1_500, 1_800, 2_100], 2],
    [300_000, [0, 300_000, 300_300, 300_600, 300_900, 301_200], 999],
  ];
  for (const [lastsMs, expected, skipped] of cases) {
    const runtime = new VirtualRuntime();
    const { loop, starts, controller, running } = looping({
      runtime,
      lasts: (round) => round === 0 ? lastsMs : 0,
    });
    await runtime.runUntil(() => starts.length === expected.length, { withinMs: 1_000_000 });
    assertEquals(starts, expected, `${lastsMs} ms`);
    assertEquals(loop.skipped, skipped, `${lastsMs} ms`);
    controller.abort();
    await running;
  }
});

Deno.test("loop: slow rounds follow each other without a queue (R2.5)", async () => {
  const runtime = new VirtualRuntime();
  let slow = true;
  const { starts, controller, running } = looping({ runtime, lasts: () => slow ? 1_000 : 0 });
  await runtime.advance(10_000);
  assertEquals(starts, grid(11, { interval: 1_000 }));
  slow = false;
  // The round of 10,000 still takes its time; then the grid continues, and no tick is made up for.
  await runtime.advance(1_900);
  assertEquals(starts.slice(11), [11_000, 11_100, 11_400, 11_700]);
  controller.abort();
  await running;
});

Deno.test("loop: an abort between two rounds ends it at once (R2.5)", async () => {
  const runtime = new VirtualRuntime();
  const { starts, controller, running } = looping({ runtime, lasts: () => 0 });
  await runtime.advance(450);
  controller.abort();
  await running;
  assertEquals([runtime.monotonicMs(), runtime.timers, starts], [450, 0, [0, 300]]);
});

Deno.test("loop: an abort during a round ends it after that round (R2.5)", async () => {
  const runtime = new VirtualRuntime();
  const { starts, controller, running } = looping({ runtime, lasts: () => 1_000 });
  await runtime.advance(450);
  controller.abort();
  let isOver = false;
  running.then(() => isOver = true);
  await runtime.advance(549);
  assert(!isOver);
  await runtime.advance(1);
  assert(isOver);
  assertEquals([runtime.timers, starts], [0, [0]]);
});

Deno.test("loop: starts no round if its signal is aborted already, and ends with the error of a round (R2.5)", async () => {
  const runtime = new VirtualRuntime();
  let rounds = 0;
  const round = () => Promise.resolve(void rounds++);
  await new Loop({ runtime, interval: 300, round }).run({ signal: AbortSignal.abort() });
  assertEquals(rounds, 0);
  const failing = new Loop({ runtime, interval: 300, round: () => Promise.reject(new Error("broken")) });
  const { signal } = new AbortController();
  assertEquals(await failing.run({ signal }).catch((error) => error.message), "broken");
});

Deno.test("gossiper: keeps the grid over 1,000 intervals, however long its requests take (R2.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await cluster.make("a").gossiper.start();
  await cluster.make("b", { config: { gossipInterval: 3_000 } }).gossiper.start();
  cluster.network.setFaults({ delayMs: { min: 1, mean: 20, max: 120 } });
  const own = heartbeatsOf(cluster, cluster.of("a"));
  await cluster.advance(300 * 1_000 + 1);
  assertEquals(own, grid(1_000, { from: 1 }));
  assertEquals(cluster.of("a").gossiper.skippedRounds, 0);
});

Deno.test("gossiper: skips ticks where peers do not answer, and never runs two rounds at once (R2.5)", async () => {
  await using cluster = await TestCluster.started(["a", "b"], {
    // Two rounds that wait for their timeout take 1,800 ms.
    config: { gossipRequestTimeout: 900, heartbeatExpiration: 20_000 },
  });
  const a = cluster.of("a");
  await cluster.advance(300);
  const own = heartbeatsOf(cluster, a);
  cluster.network.setFaults({ hang: true });
  // A change causes a request; an idle round sends heartbeats, which have no answer.
  a.gossiper.setState("k", 1);
  await cluster.runUntil(() => a.emitted("RequestFailed").length === 1);
  assertEquals(cluster.runtime.monotonicMs(), 1_500);
  // The rounds of 900 and 1,200 were skipped; that of 1,500 is due now.
  await cluster.runtime.settle();
  assertEquals([own, a.gossiper.skippedRounds], [[600, 1_500], 2]);
  const [failed] = a.emitted("RequestFailed");
  assert(failed!.error instanceof HearsayError && failed!.error.code === "timeout");
});

Deno.test("gossiper: an abort between two rounds ends it at once (R2.5)", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const controller = new AbortController();
  await cluster.make("a").gossiper.start(controller);
  await cluster.make("b").gossiper.start();
  await cluster.advance(1_000);
  controller.abort();
  await cluster.finish(cluster.of("a").gossiper.closed);
  assertEquals(cluster.runtime.monotonicMs(), 1_000);
  assertEquals(cluster.of("b").blocked, { a: "left" });
});

Deno.test("gossipInterval: is read from the configuration (R2.6)", async () => {
  for (const gossipInterval of [10, 70, 1_000, 3_600_000]) {
    await using cluster = await TestCluster.started(["a"], {
      config: { gossipInterval, heartbeatExpiration: 8_000_000, departedRetention: 8_000_000 },
    });
    const own = heartbeatsOf(cluster, cluster.of("a"));
    await cluster.advance(10 * gossipInterval);
    assertEquals(own, grid(10, { from: 1, interval: gossipInterval }));
  }
});

Deno.test("configuration: the defaults are those of protoactor-go (R2.6)", async () => {
  const {
    gossipInterval,
    gossipRequestTimeout,
    gossipFanOut,
    gossipMaxSend,
    heartbeatExpiration,
  } = DEFAULT_CONFIG;
  assertEquals([gossipInterval, gossipRequestTimeout, gossipFanOut, gossipMaxSend, heartbeatExpiration], [
    300,
    500,
    3,
    50,
    20_000,
  ]);
  await using cluster = await TestCluster.started(["a", "b", "c", "d", "e", "f"]);
  const a = cluster.of("a");
  for (const value of [1, 2, 3]) {
    await cluster.advance(150);
    a.gossiper.setState("k", value);
    await cluster.advance(150);
  }
  // Three peers every 300 ms, as long as there is state to send.
  assertEquals(cluster.gossipedBy("a").map(({ atMs }) => atMs).filter((atMs) => atMs > 0), [
    ...[300, 300, 300],
    ...[600, 600, 600],
    ...[900, 900, 900],
  ]);
  // Without answers a request is given up after 500 ms, and a member is blocked after 20 s.
  cluster.network.setFaults({ hang: true });
  a.gossiper.setState("k", 1);
  await cluster.runUntil(() => a.emitted("RequestFailed").length > 0);
  assertEquals(cluster.runtime.monotonicMs(), 1_700);
  await cluster.runUntil(() => a.emitted("MemberBlocked").length > 0);
  const blockedMs = cluster.runtime.monotonicMs();
  assert(blockedMs > 20_000 && blockedMs <= 21_500, `blocked after ${blockedMs} ms`);
});

Deno.test("configuration: a message has the states of at most 50 members by default (R2.6)", async () => {
  await using cluster = new TestCluster(["a", "b", "c"]);
  await using peer = new ScriptedPeer(cluster, "b");
  const members = Array.from(
    { length: 60 },
    (_, index) => memberDelta(`m${index}`, peer.incarnation, [entry("k", 1, index)]),
  );
  peer.answer = (message) => message.type === "gossip" ? replyTo(message, { delta: { members } }) : undefined;
  const a = cluster.make("a");
  await a.gossiper.start();
  await cluster.advance(300);
  const c = cluster.make("c");
  await c.gossiper.start();
  await cluster.runUntil(() => c.gossiper.getState("k").size === 60);
  const sizes = a.emitted("Disseminated").filter(({ peerId }) => peerId === "c").map(({ members }) =>
    members
  );
  assertEquals(Math.max(...sizes), 50);
});
