import {
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertRejects,
} from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { memoryAddress } from "../../testing/memory.ts";
import type { DepartureEnd } from "../../contracts/meters.ts";
import { MemberMeters } from "../../operations/metrics/mod.ts";
import { incarnationAbove } from "../../engine/incarnation.ts";
import { incarnationOf, TestCluster } from "../requirements/harness.ts";
import { replyTo, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { MeteredCluster } from "../operations/metrics/cluster.ts";

const IDS = ["a", "b", "c"];

Deno.test("metrics: the counts of members by status follow a crash and a departure", async () => {
  await using metered = await MeteredCluster.started(IDS);
  const { cluster } = metered;
  await cluster.runUntil(() => cluster.isConfirmed());
  const counts = () =>
    ["alive", "suspected", "failed", "left"].map((status) =>
      metered.value("a", `hearsay_members{status="${status}"}`)
    );
  assertEquals(counts(), [3, 0, 0, 0]);
  cluster.crash("c");
  await cluster.runUntil(() => counts()[1] === 1);
  assertEquals(counts(), [2, 1, 0, 0]);
  await cluster.runUntil(() => counts()[2] === 1);
  await cluster.stop("b");
  assertEquals(counts(), [1, 0, 1, 1]);
});

Deno.test("metrics: rounds are counted with their duration, and skipped rounds are counted", async () => {
  await using metered = await MeteredCluster.started(IDS, { config: { gossipInterval: 300 } });
  await metered.cluster.advance(3_000);
  assertEquals(metered.value("a", "hearsay_rounds_total"), 11);
  assertEquals(metered.value("a", "hearsay_round_duration_seconds_count"), 11);
  assertEquals(metered.value("a", "hearsay_skipped_rounds_total"), 0);
  // The peers answer nothing for a while: a round then lasts as long as a request.
  for (const id of ["b", "c"]) {
    metered.cluster.network.setFaults({ hang: true }, { from: memoryAddress(id, 1) });
  }
  metered.cluster.of("a").gossiper.setState("key", 1);
  await metered.cluster.advance(3_000);
  const skipped = metered.value("a", "hearsay_skipped_rounds_total");
  assertGreater(skipped, 0);
  assertEquals(skipped, metered.cluster.of("a").gossiper.skippedRounds);
  assertGreater(metered.value("a", "hearsay_round_duration_seconds_sum"), 0.3);
});

Deno.test("metrics: the delay of the event loop is the delay of the rounds' timers", async () => {
  await using metered = await MeteredCluster.started(IDS, { config: { gossipInterval: 300 } });
  await metered.cluster.advance(3_000);
  assertEquals(metered.value("a", "hearsay_event_loop_delay_seconds_count"), 10);
  assertEquals(metered.value("a", "hearsay_event_loop_delay_seconds_sum"), 0);
  const { runtime } = metered.cluster.of("a");
  runtime.freeze();
  await metered.cluster.advance(1_000);
  runtime.thaw();
  await metered.cluster.advance(300);
  assertGreaterOrEqual(metered.value("a", "hearsay_event_loop_delay_seconds_sum"), 0.7);
  assertLess(metered.value("a", "hearsay_event_loop_delay_seconds_sum"), 1);
});

Deno.test("metrics: exchanges are counted by outcome, with their duration", async () => {
  // With the detection of crashes the dead member would be blocked before an exchange dials it.
  await using metered = await MeteredCluster.started(IDS, { config: { detectCrashes: false } });
  const { cluster } = metered;
  await cluster.runUntil(() => cluster.isConfirmed());
  const count = (outcome: string) =>
    metered.value("a", `hearsay_exchange_duration_seconds_count{outcome="${outcome}"}`);
  assertGreater(count("done"), 0);
  assertEquals([count("timeout"), count("connection"), count("refused")], [0, 0, 0]);
  cluster.network.setFaults({ hang: true }, { from: memoryAddress("b", 1) });
  cluster.of("a").gossiper.setState("key", 1);
  await cluster.runUntil(() => count("timeout") > 0);
  const sum = metered.value("a", 'hearsay_exchange_duration_seconds_sum{outcome="timeout"}');
  assertGreaterOrEqual(sum / count("timeout"), 0.4);
  cluster.crash("c");
  cluster.of("a").gossiper.setState("key", 2);
  await cluster.runUntil(() => count("connection") > 0);
});

Deno.test("metrics: an exchange that the peer refuses counts as refused", async () => {
  await using metered = await MeteredCluster.started(IDS, { fixed: false });
  const { cluster } = metered;
  await cluster.publish(IDS);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.publish(IDS, { blocked: ["a"], to: ["b"] });
  const refused = 'hearsay_exchange_duration_seconds_count{outcome="refused"}';
  assertEquals(metered.value("a", refused), 0);
  cluster.of("a").gossiper.setState("key", 1);
  await cluster.runUntil(() => metered.value("a", refused) > 0);
});

Deno.test("metrics: pushes are counted at both sides, by outcome", async () => {
  await using metered = await MeteredCluster.started(["a", "b"], { fixed: false });
  const { cluster } = metered;
  await cluster.publish(["a", "b"]);
  await cluster.runUntil(() => cluster.isConfirmed());
  // The exchange of the present round carries this entry too.
  cluster.of("a").gossiper.setState("key", 0);
  await cluster.advance(100);
  const sent = (outcome: string) =>
    metered.value("a", `hearsay_pushes_total{direction="transmit",outcome="${outcome}"}`);
  const received = (outcome: string) =>
    metered.value("b", `hearsay_pushes_total{direction="receive",outcome="${outcome}"}`);
  assertGreater(sent("needless"), 0);
  const before = [sent("sent"), received("merged")];
  cluster.of("a").gossiper.setState("key", 1);
  await cluster.advance(10);
  assertEquals([sent("sent") - before[0]!, received("merged") - before[1]!], [1, 1]);
  assertEquals([sent("congested"), received("ignored"), received("refused")], [0, 0, 0]);
  await cluster.runUntil(() => cluster.isConfirmed());
  await cluster.advance(100);
  // `b` takes nothing from a blocked member, which learns of its block only from its next request.
  await cluster.publish(["a", "b"], { blocked: ["a"], to: ["b"] });
  cluster.of("a").gossiper.setState("key", 2);
  await cluster.advance(10);
  assertEquals(received("ignored"), 1);
});

Deno.test("metrics: connections, state and queues have the present amounts", async () => {
  await using metered = await MeteredCluster.started(IDS);
  const { cluster } = metered;
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(metered.value("a", 'hearsay_connections{stage="ready"}'), 2);
  assertEquals(metered.value("a", 'hearsay_connections{stage="handshake"}'), 0);
  const own = metered.value("a", 'hearsay_state_size_bytes{owner="own"}');
  const others = metered.value("b", 'hearsay_state_size_bytes{owner="others"}');
  const keys = metered.value("b", "hearsay_state_keys");
  cluster.of("a").gossiper.setState("key", "x".repeat(1_000));
  await cluster.runUntil(() => cluster.isConfirmed());
  assertGreaterOrEqual(metered.value("a", 'hearsay_state_size_bytes{owner="own"}') - own, 1_000);
  assertGreaterOrEqual(metered.value("b", 'hearsay_state_size_bytes{owner="others"}') - others, 1_000);
  assertEquals(metered.value("b", "hearsay_state_keys") - keys, 1);

  // One subscriber of the test reads at once, and this one never.
  const unread = cluster.of("a").stream.subscribe("ConsensusReached");
  cluster.of("a").stream.publish({ type: "ConsensusReached", checkId: "1", key: "k", value: 1 });
  cluster.of("a").stream.publish({ type: "ConsensusReached", checkId: "1", key: "k", value: 2 });
  assertEquals(metered.value("a", 'hearsay_queue_length{queue="events"}') >= 2, true);
  await unread.cancel();
});

Deno.test("metrics: the outbox is the number of messages that peers do not read", async () => {
  await using metered = await MeteredCluster.started(["a", "b"]);
  const { cluster } = metered;
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(metered.value("a", 'hearsay_queue_length{queue="outbox"}'), 0);
  cluster.network.pause(memoryAddress("b", 1));
  const longest = { outbox: 0 };
  for (let time = 0; time < 200; time++) {
    cluster.of("a").gossiper.setState("key", `${time} ${"x".repeat(60_000)}`);
    await cluster.advance(10);
    longest.outbox = Math.max(longest.outbox, metered.value("a", 'hearsay_queue_length{queue="outbox"}'));
  }
  assertGreater(longest.outbox, 0);
  cluster.network.resume(memoryAddress("b", 1));
});

Deno.test("metrics: a member is counted as pending while a peer lacks entries of it", async () => {
  const config = { maxMessageBytes: 65_536, maxStateBytes: 400_000, spread: "interval" } as const;
  await using metered = await MeteredCluster.started(["a", "b"], { config });
  const { cluster } = metered;
  await cluster.runUntil(() => cluster.isConfirmed());
  const pending = () => metered.value("a", 'hearsay_queue_length{queue="pending"}');
  assertEquals(pending(), 0);
  for (let key = 0; key < 20; key++) cluster.of("a").gossiper.setState(`key-${key}`, "x".repeat(10_000));
  // One message has room for six of these entries.
  await cluster.runUntil(() => pending() === 1);
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(pending(), 0);
});

Deno.test("metrics: a push to a peer that reads nothing counts as congested", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const meters = new MemberMeters();
  const { gossiper } = cluster.make("b", { cluster: { meters } });
  // The lower id dials, so that its connection stays if the member dials too.
  await using peer = new ScriptedPeer(cluster, "a");
  await gossiper.start();
  const connection = await peer.dial("b");
  const writer = connection.writable.getWriter();
  // Nothing reads the answers: they fill the link, and then the outbox.
  for (let number = 1; number <= 100; number++) void writer.write(peer.hello(`d${number}`)).catch(() => {});
  await cluster.advance(10);
  const { congested } = meters.sentPushes;
  gossiper.setState("key", 1);
  await cluster.advance(10);
  assertEquals(meters.sentPushes.congested, congested + 1);
  await connection.readable.cancel();
});

Deno.test("metrics: a block is counted under its reason, and as false only if the member lived all the time", async () => {
  await using metered = await MeteredCluster.started(IDS, { config: { heartbeatExpiration: 4_000 } });
  const { cluster } = metered;
  await cluster.runUntil(() => cluster.isConfirmed());
  const blocks = (reason: string) => metered.value("a", `hearsay_blocks_total{reason="${reason}"}`);
  const falseBlocks = (reason: string) =>
    metered.value("a", `hearsay_false_blocks_total{reason="${reason}"}`);
  // A partition: `b` lives, and is reached again.
  for (const other of ["a", "c"]) cluster.network.cut(memoryAddress("b", 1), memoryAddress(other, 1));
  await cluster.runUntil(() => blocks("expired") === 1);
  assertEquals(falseBlocks("expired"), 0);
  cluster.network.heal();
  await cluster.runUntil(() => falseBlocks("expired") === 1);
  // A crash, and a new process under the same id.
  await cluster.runUntil(() => cluster.isConfirmed());
  cluster.crash("c");
  await cluster.runUntil(() => blocks("crashed") === 1);
  await cluster.make("c").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed(["a", "c"]));
  await cluster.stop("c");
  await cluster.runUntil(() => blocks("left") === 1);
  assertEquals([blocks("expired"), falseBlocks("expired"), falseBlocks("crashed")], [1, 1, 0]);
});

Deno.test("metrics: a block that the user ends counts as false once the member is heard again", async () => {
  await using metered = await MeteredCluster.started(IDS, { config: { heartbeatExpiration: 4_000 } });
  const { cluster } = metered;
  await cluster.runUntil(() => cluster.isConfirmed());
  for (const other of ["a", "c"]) cluster.network.cut(memoryAddress("b", 1), memoryAddress(other, 1));
  await cluster.runUntil(() => metered.value("a", 'hearsay_blocks_total{reason="expired"}') === 1);
  cluster.of("a").gossiper.unblock("b");
  const falseBlocks = () => metered.value("a", 'hearsay_false_blocks_total{reason="expired"}');
  await cluster.advance(1_000);
  assertEquals(falseBlocks(), 0);
  cluster.network.heal();
  await cluster.runUntil(() => falseBlocks() === 1);
});

Deno.test("metrics: the lag of a set ends with the acknowledgement of each member", async () => {
  const ids = ["a", "b", "c", "d", "e"];
  await using metered = await MeteredCluster.started(ids);
  const { cluster } = metered;
  await cluster.runUntil(() => cluster.isConfirmed());
  const read = (share: string) => ({
    count: metered.value("a", `hearsay_lag_seconds_count{share="${share}"}`),
    sum: metered.value("a", `hearsay_lag_seconds_sum{share="${share}"}`),
  });
  const before = [read("0.5"), read("1")];
  // `e` receives the set two seconds later.
  cluster.network.setFaults({ hang: true }, { to: memoryAddress("e", 1) });
  cluster.of("a").gossiper.setState("key", 1);
  await cluster.advance(1_500);
  assertGreater(metered.value("a", "hearsay_lag_oldest_seconds"), 1.4);
  assertEquals(read("0.5").count - before[0]!.count, 1);
  assertEquals(read("1").count - before[1]!.count, 0);
  await cluster.advance(500);
  cluster.network.clearFaults();
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(read("1").count - before[1]!.count, 1);
  assertEquals(metered.value("a", "hearsay_lag_oldest_seconds"), 0);
  assertLess(read("0.5").sum - before[0]!.sum, 1);
  assertGreaterOrEqual(read("1").sum - before[1]!.sum, 2);
});

Deno.test("metrics: a set of another member starts no measurement of the lag", async () => {
  await using metered = await MeteredCluster.started(IDS);
  const { cluster } = metered;
  await cluster.runUntil(() => cluster.isConfirmed());
  const count = () => metered.value("a", 'hearsay_lag_seconds_count{share="1"}');
  const before = count();
  cluster.of("b").gossiper.setState("key", 1);
  await cluster.advance(1_000);
  await cluster.runUntil(() => cluster.isConfirmed());
  assertEquals(count(), before);
});

Deno.test("metrics: the lag does not wait for a member that is blocked", async () => {
  await using metered = await MeteredCluster.started(IDS, { fixed: false });
  const { cluster } = metered;
  await cluster.publish(IDS);
  await cluster.runUntil(() => cluster.isConfirmed());
  const count = () => metered.value("a", 'hearsay_lag_seconds_count{share="1"}');
  const before = count();
  cluster.network.setFaults({ hang: true }, { to: memoryAddress("c", 1) });
  cluster.of("a").gossiper.setState("key", 1);
  await cluster.advance(2_000);
  assertEquals(count(), before);
  await cluster.publish(IDS, { blocked: ["c"], to: ["a"] });
  assertEquals(count(), before + 1);
  cluster.network.clearFaults();
});

Deno.test("metrics: a new incarnation drops the measurements of the lag", async () => {
  const meters = new MemberMeters();
  await using cluster = new TestCluster(["a", "p"], { config: { gossipRequestTimeout: 200 } });
  await using peer = new ScriptedPeer(cluster, "p");
  const a = cluster.make("a", { cluster: { meters } });
  await a.gossiper.start();
  await cluster.runUntil(() =>
    peer.last("gossip") !== undefined && meters.member!.amounts().oldestSpreadMs === 0
  );
  const incarnation = incarnationAbove(incarnationOf(a), 0, 0.5);
  const claim = { id: "a", incarnation, after: 0, reset: false, entries: [] };
  peer.answer = (message) => {
    if (message.type !== "gossip") return undefined;
    peer.answer = () => undefined;
    return replyTo(message, { delta: { members: [claim] } });
  };
  a.gossiper.setState("key", 1);
  assertEquals(meters.droppedLags, 0);
  await cluster.runUntil(() => a.emitted("IncarnationRenewed").length === 1);
  // Those of its two values, which it publishes again.
  assertEquals([meters.member!.amounts().oldestSpreadMs, meters.droppedLags], [0, 2]);
});

Deno.test("metrics: a connection without a handshake is counted separately", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const meters = new MemberMeters();
  const { gossiper } = cluster.make("b", { cluster: { meters } });
  await using peer = new ScriptedPeer(cluster, "a");
  await gossiper.start();
  await cluster.runUntil(() => meters.member!.amounts().connections.ready === 1);
  const connection = await peer.dial("b");
  await cluster.runtime.settle();
  assertEquals(meters.member!.amounts().connections, { ready: 1, handshake: 1 });
  await connection.readable.cancel();
});

Deno.test("meters: receive the join and the departure, with their durations", async () => {
  const heard: unknown[] = [];
  class Heard extends MemberMeters {
    override joined(durationMs: number): void {
      heard.push(durationMs);
    }
    override departed(departure: DepartureEnd): void {
      heard.push(departure);
    }
  }
  await using cluster = new TestCluster(["a", "b"]);
  const { gossiper } = cluster.make("a", { cluster: { meters: new Heard() } });
  await gossiper.start();
  await cluster.advance(5_000);
  assertEquals(heard, []);
  await cluster.make("b").gossiper.start();
  await cluster.runUntil(() => cluster.isConfirmed());
  const [joinedMs] = heard;
  assertGreaterOrEqual(joinedMs as number, 5_000);
  await cluster.stop("a");
  assertEquals(heard.slice(1), [{ durationMs: 0, acknowledgedBy: 1, wanted: 1, flushed: true }]);
});

Deno.test("metrics: meters of another member are refused, and the gossiper does not start", async () => {
  await using metered = await MeteredCluster.started(["a"]);
  const { cluster } = metered;
  const other = cluster.make("b", { cluster: { meters: metered.meters.get("a")! } });
  const error = await assertRejects(() => other.gossiper.start(), HearsayError, "belong to the member a");
  assertEquals(error.code, "already_started");
});
