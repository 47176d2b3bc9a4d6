import { assertEquals } from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { makeIncarnation } from "../../../engine/incarnation.ts";
import { HEARTBEAT_KEY } from "../../../engine/types.ts";
import {
  deliver,
  entry,
  eventsOf,
  exchange,
  handshake,
  incarnationAt,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  note,
  remove,
  set,
  settle,
  TestClock,
  tombstone,
  valueOf,
} from "../harness.ts";
import { OPTIONS, RETENTION_MS } from "../tombstones.ts";

Deno.test("delete: is an entry without a value under a new number, and emits one event (E8)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock);
  set(a, "k", 1, clock);
  set(a, "other", 1, clock);
  eventsOf(a).clear();
  assertEquals(remove(a, "k", clock), 3);
  assertEquals([valueOf(a, "a", "k"), a.view.state("k").size, a.view.versionOf("a")?.number], [
    undefined,
    0,
    3,
  ]);
  assertEquals(a.view.entriesOf("a").map(({ key }) => key), ["other"]);
  assertEquals(eventsOf(a).of("GossipUpdate"), [
    { type: "GossipUpdate", memberId: "a", key: "k", value: undefined, sequenceNumber: 3, deleted: true },
  ]);
});

Deno.test("tombstone: spreads like any value, also over a third member, and emits one event at each (E8)", () => {
  const clock = new TestClock();
  const [a, b, c] = makeCluster(["a", "b", "c"], clock);
  set(a, "k", 1, clock);
  exchange(a, b!, { clock });
  exchange(b!, c!, { clock });
  assertEquals(valueOf(c!, "a", "k"), 1);
  remove(a, "k", clock);
  exchange(a, b!, { clock });
  exchange(b!, c!, { clock });
  for (const engine of [b!, c!]) {
    assertEquals(valueOf(engine, "a", "k"), undefined);
    const deletions = eventsOf(engine).of("GossipUpdate").filter(({ deleted }) => deleted);
    assertEquals(deletions, [
      { type: "GossipUpdate", memberId: "a", key: "k", value: undefined, sequenceNumber: 2, deleted: true },
    ]);
    assertEquals(engine.view.digest, a.view.digest);
  }
});

Deno.test("tombstone: of an unknown key emits no event (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  exchange(a, b, { clock });
  assertEquals(b.view.versionOf("a")?.number, 2);
  assertEquals(eventsOf(b).of("GossipUpdate"), []);
});

Deno.test("delete: a deleted key can be set again (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  settle([a, b], { clock });
  set(a, "k", 2, clock);
  settle([a, b], { clock });
  // The replaced tombstone is gone already, and is not forgotten in its stead.
  const kept = [a.view.footprint, b.view.footprint].map(({ keys, tombstones }) => [keys, tombstones]);
  assertEquals(kept, [[1, 0], [1, 0]]);
  for (const engine of [a, b]) note(engine, engine.tick(clock.advance(RETENTION_MS)));
  assertEquals([valueOf(a, "a", "k"), valueOf(b, "a", "k")], [2, 2]);
  assertEquals([a.view.footprint, b.view.footprint].map(({ keys, tombstones }) => [keys, tombstones]), kept);
});

Deno.test("tombstone: is forgotten after tombstoneRetention and not before, by each member's own clock (E8)", () => {
  const clock = new TestClock();
  // While a member lacks the deletion, it is sent.
  const [a, b] = makeCluster(["a", "b", "away"], clock, OPTIONS) as [Engine, Engine, Engine];
  handshake(a, b, clock);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  set(a, "other", 1, clock);
  clock.advance(4_000);
  exchange(a, b, { clock });
  const tombstones = () =>
    [a, b].map((engine) => (note(engine, engine.tick(clock.now)), engine.view.footprint.tombstones));
  clock.advance(RETENTION_MS - 4_001);
  assertEquals(tombstones(), [1, 1]);
  clock.advance(1);
  assertEquals(tombstones(), [0, 1]);
  clock.advance(3_999);
  assertEquals(tombstones(), [0, 1]);
  clock.advance(1);
  assertEquals(tombstones(), [0, 0]);
});

Deno.test("tombstone: a forgotten tombstone emits no event and changes no digest, so that members with and without it agree (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  set(a, "other", 1, clock);
  settle([a, b], { clock });
  eventsOf(a).clear();
  note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals([a.view.footprint.tombstones, b.view.footprint.tombstones], [0, 1]);
  assertEquals([a.view.digest, a.view.phase, eventsOf(a).all], [b.view.digest, "confirmed", []]);
});

Deno.test("tombstone: a tombstone that is a member's latest entry is kept, because it has the version (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  set(a, "k", 1, clock);
  set(a, "other", 1, clock);
  remove(a, "k", clock);
  for (let times = 0; times < 3; times++) note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals([a.view.footprint.tombstones, a.view.versionOf("a")?.number], [1, 3]);
  const { request } = exchange(a, b, { clock });
  assertEquals(request.members.map(({ reset, entries }) => [reset, entries.at(-1)?.number]), [[false, 3]]);
  set(a, "other", 2, clock);
  note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals(a.view.footprint.tombstones, 0);
});

Deno.test("tombstone: the latest entry of a member is not forgotten, whatever its key (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock, OPTIONS);
  const incarnation = incarnationAt(clock);
  deliver(a, "b", memberDelta("b", incarnation, [entry("k", 1, 1), tombstone(HEARTBEAT_KEY, 2)]), clock);
  note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals([a.view.footprint.tombstones, a.view.versionOf("b")?.number], [1, 2]);
});

Deno.test("tombstone: is kept as the latest entry despite later heartbeats, so that a new member can agree (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, OPTIONS);
  for (const engine of [a, b]) note(engine, engine.countHeartbeat({}, clock.now));
  set(a, "other", 1, clock);
  set(a, "k", 1, clock);
  remove(a, "k", clock);
  for (let times = 0; times < 3; times++) {
    note(a, a.tick(clock.advance(RETENTION_MS)));
    for (const engine of [a, b]) note(engine, engine.countHeartbeat({}, clock.now));
  }
  assertEquals(a.view.footprint.tombstones, 1);
  settle([a, b], { clock });
  assertEquals([b.view.digest, a.view.phase, b.view.phase], [a.view.digest, "confirmed", "confirmed"]);
  set(a, "other", 2, clock);
  note(a, a.tick(clock.advance(RETENTION_MS)));
  assertEquals(a.view.footprint.tombstones, 0);
  const late = makeEngine("b", clock, { incarnation: makeIncarnation(clock.wallMs, 0.9) });
  late.setTopology({ members: ["a", "b"], blocked: [] }, clock.now);
  note(late, late.countHeartbeat({}, clock.now));
  handshake(late, a, clock);
  settle([a, late], { clock });
  assertEquals([late.view.digest, a.view.phase], [a.view.digest, "confirmed"]);
});

Deno.test("tombstone: a key that is set and deleted 100 times leaves one tombstone, and a removed member leaves no tombstone (E8, E6)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { settings: { departedRetention: 1_000 } });
  for (let time = 1; time <= 100; time++) {
    set(a, "k", time, clock);
    remove(a, "k", clock);
  }
  assertEquals(a.view.footprint.tombstones, 1);
  set(a, "k", 0, clock);
  assertEquals(a.view.footprint.tombstones, 0);
  deliver(a, "b", memberDelta("x", incarnationAt(clock), [tombstone("k", 1), entry("l", 2, 0)]), clock);
  assertEquals(a.view.footprint.tombstones, 1);
  clock.advance(1_001);
  note(a, a.tick(clock.now));
  assertEquals([a.view.versionOf("x"), a.view.footprint.tombstones], [undefined, 0]);
});
