import { assertEquals, assertGreater } from "../../deps/std_assert.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import { EventStream, type HearsayEvent } from "../../contracts/event_stream.ts";
import type { Gossiper } from "../../gossiper/gossiper.ts";
import { TestCluster } from "../requirements/harness.ts";

const INTERVALS = 10;

/** A stream that counts published events, with and without subscribers. */
class CountedStream extends EventStream {
  readonly published: HearsayEvent[] = [];

  override publish(event: HearsayEvent): void {
    this.published.push(event);
    super.publish(event);
  }

  /** The number of published heartbeats, by member. */
  get heartbeats(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const event of this.published) {
      if (event.type !== "GossipUpdate" || event.key !== HEARTBEAT_KEY) continue;
      counts[event.memberId] = (counts[event.memberId] ?? 0) + 1;
    }
    return counts;
  }
}

/** Two members; `a` has a stream without subscribers. */
async function withoutSubscribers(): Promise<
  { cluster: TestCluster; stream: CountedStream; gossiper: Gossiper }
> {
  const cluster = new TestCluster(["a", "b"]);
  const stream = new CountedStream();
  const { gossiper } = cluster.make("a", { cluster: { eventStream: stream } });
  await gossiper.start();
  await cluster.make("b").gossiper.start();
  await cluster.advance(1_000);
  stream.published.length = 0;
  return { cluster, stream, gossiper };
}

/** Advances by intervals; returns the heartbeats published in them. */
async function heartbeatsIn(cluster: TestCluster, stream: CountedStream): Promise<Record<string, number>> {
  stream.published.length = 0;
  await cluster.advance(INTERVALS * 300);
  return stream.heartbeats;
}

const ALL = { a: INTERVALS, b: INTERVALS };

Deno.test("events: heartbeats emit no event without a subscriber, and are still shown", async () => {
  const { cluster, stream, gossiper } = await withoutSubscribers();
  await using _ = cluster;
  const before = gossiper.getState(HEARTBEAT_KEY).get("b")!;
  assertEquals(await heartbeatsIn(cluster, stream), {});
  assertEquals(stream.published, []);
  const after = gossiper.getState(HEARTBEAT_KEY).get("b")!;
  assertEquals(after.sequenceNumber, before.sequenceNumber + INTERVALS);
  assertGreater(after.localTimestampUnixMilliseconds, before.localTimestampUnixMilliseconds);
});

Deno.test("events: changes of other keys are published without a subscriber", async () => {
  const { cluster, stream, gossiper } = await withoutSubscribers();
  await using _ = cluster;
  gossiper.setState("k", 1);
  assertEquals(stream.published.map(({ type }) => type).filter((type) => type === "GossipUpdate"), [
    "GossipUpdate",
  ]);
});

for (const types of [undefined, "GossipUpdate", ["MemberBlocked", "GossipUpdate"]] as const) {
  Deno.test(`events: a subscriber to ${types ?? "all"} gets every heartbeat, for as long as it listens`, async () => {
    const { cluster, stream, gossiper } = await withoutSubscribers();
    await using _ = cluster;
    const over = new AbortController();
    const listening = Array.fromAsync(gossiper.events.subscribe(types, over));
    assertEquals(await heartbeatsIn(cluster, stream), ALL);
    over.abort();
    const counts = (await listening).flatMap((event) =>
      event.type === "GossipUpdate" && event.memberId === "b" ? [event.sequenceNumber] : []
    );
    assertEquals(counts, counts.map((_, index) => counts[0]! + index));
    assertEquals(counts.length, INTERVALS);
    assertEquals(await heartbeatsIn(cluster, stream), {});
  });
}

Deno.test("events: a subscriber to other types gets no heartbeats, and no heartbeat events are made for it", async () => {
  const { cluster, stream, gossiper } = await withoutSubscribers();
  await using _ = cluster;
  const reader = gossiper.events.subscribe(["MemberBlocked", "PhaseChanged"]).getReader();
  assertEquals(await heartbeatsIn(cluster, stream), {});
  await reader.cancel();
});

Deno.test("watch: the heartbeat key emits every count while it is watched, and no count afterwards", async () => {
  const { cluster, stream, gossiper } = await withoutSubscribers();
  await using _ = cluster;
  const over = new AbortController();
  const watching = Array.fromAsync(gossiper.watch(HEARTBEAT_KEY, over));
  const another = gossiper.watch(HEARTBEAT_KEY).getReader();
  assertEquals(await heartbeatsIn(cluster, stream), ALL);
  over.abort();
  const ofB = (await watching).filter(({ memberId }) => memberId === "b");
  assertEquals(ofB.map(({ value, deleted }) => [value, deleted]), ofB.map(() => [{}, false]));
  const counts = ofB.map(({ sequenceNumber }) => sequenceNumber);
  // The count at the beginning of the watch, and one an interval after that.
  assertEquals(counts, Array.from({ length: INTERVALS + 1 }, (_, index) => counts[0]! + index));
  // Another watch is still open.
  assertEquals(await heartbeatsIn(cluster, stream), ALL);
  await another.cancel();
  assertEquals(await heartbeatsIn(cluster, stream), {});
});

Deno.test("watch: a watch of another key emits no heartbeat, and a watch that has ended emits nothing", async () => {
  const { cluster, stream, gossiper } = await withoutSubscribers();
  await using _ = cluster;
  const other = gossiper.watch("k").getReader();
  await Array.fromAsync(gossiper.watch(HEARTBEAT_KEY, { signal: AbortSignal.abort() })).catch(() => {});
  assertEquals(await heartbeatsIn(cluster, stream), {});
  await other.cancel();
});

Deno.test("watch: a signal that is already aborted gives a stream that has ended", async () => {
  await using cluster = new TestCluster(["a"]);
  const { gossiper } = cluster.make("a");
  gossiper.setState("k", 1);
  assertEquals(await Array.fromAsync(gossiper.watch("k", { signal: AbortSignal.abort() })), []);
});
