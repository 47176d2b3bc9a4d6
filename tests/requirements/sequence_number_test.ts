import { assert, assertEquals } from "../../deps/std_assert.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import { seededRandom } from "../../testing/memory_random.ts";
import { ownNumbers, TestCluster } from "./harness.ts";

Deno.test("sequence number: rises by one with every set and delete of any key, also with an equal value (R4.3)", async () => {
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
  const updates = a.emitted("GossipUpdate").filter(({ memberId, key }) =>
    memberId === "a" && key !== HEARTBEAT_KEY
  );
  assert(updates.length > 75 && updates.some(({ deleted }) => deleted));
  // The first number belongs to the heartbeat's statistics, which have not changed since.
  assertEquals(updates.map(({ sequenceNumber }) => sequenceNumber), updates.map((_, index) => index + 2));
  // At the peer they rise too, though not every one is emitted.
  const merged = cluster.of("b").emitted("GossipUpdate")
    .filter(({ memberId, key }) => memberId === "a" && key !== HEARTBEAT_KEY)
    .map(({ sequenceNumber }) => sequenceNumber);
  assert(merged.length > 0 && merged.every((number, index) => index === 0 || number > merged[index - 1]!));
  assertEquals(ownNumbers(a), ownNumbers(a).toSorted((one, other) => one - other));
});

Deno.test("sequence number: does not rise with a heartbeat; the heartbeat's own count rises by one an interval (R4.3, R6.1)", async () => {
  await using cluster = await TestCluster.started(["a"]);
  const a = cluster.of("a");
  a.gossiper.setState("k", 1);
  const { sequenceNumber } = a.gossiper.getState("k").get("a")!;
  await cluster.advance(3_000);
  a.gossiper.setState("k", 2);
  assertEquals(a.gossiper.getState("k").get("a")!.sequenceNumber, sequenceNumber + 1);
  const counts = a.emitted("GossipUpdate").filter(({ key }) => key === HEARTBEAT_KEY)
    .map((update) => update.sequenceNumber);
  assertEquals(counts, Array.from({ length: 11 }, (_, index) => index + 1));
});

Deno.test("sequence number: does not rise with a delete of a missing key (R4.3)", async () => {
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

Deno.test("timestamp: every set records the wall clock of this machine, also after a step of that clock (R4.4)", async () => {
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
