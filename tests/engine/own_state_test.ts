import { assertEquals, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import { copyJson } from "../../engine/json.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes, storedBytes } from "../../engine/state/size.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import {
  entry,
  eventsOf,
  exchange,
  makeEngine,
  makePair,
  note,
  remove,
  set,
  TestClock,
  valueOf,
} from "./harness.ts";

Deno.test("limits: a value over half of maxMessageBytes is refused with the sizes, and nothing is changed (E7)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { maxMessageBytes: 32_768 } });
  set(a, "k", "before", clock);
  set(a, "other", 1, clock);
  const { digest } = a.view;
  eventsOf(a).clear();
  const limit = 32_768 / 2 - ENVELOPE_BYTES - memberBytes("a");
  const copy = copyJson("x".repeat(13_000));
  const bytes = entryBytes({ ...entry("k", 3, ""), json: copy.json });
  const error = assertThrows(() => a.set("k", copy, clock.now), RangeError, "half of maxMessageBytes");
  for (const part of [`${limit} bytes`, `${bytes}`, '"k"', "Nothing was changed"]) {
    assertStringIncludes(error.message, part);
  }
  assertEquals([valueOf(a, "a", "k"), a.view.digest, a.view.versionOf("a")?.number], ["before", digest, 2]);
  assertEquals(exchange(a, b, { clock }).request.members[0]?.entries.length, 2);
  assertEquals([set(a, "k", "after", clock), eventsOf(a).of("GossipUpdate").length], [3, 1]);
});

Deno.test("limits: the error names the number of deleted keys that take room, and the room is free when they are forgotten (E7, E8)", () => {
  const clock = new TestClock();
  const [a] = makePair(clock, { settings: { maxStateBytes: 16_384, tombstoneRetention: 1_000 } });
  for (let index = 0; index < 20; index++) {
    set(a, `deleted${index}`, 1, clock);
    remove(a, `deleted${index}`, clock);
  }
  const copy = copyJson("x".repeat(15_900));
  assertThrows(() => a.set("k", copy, clock.now), RangeError, "20 deleted keys count until");
  note(a, a.tick(clock.advance(2_000)));
  assertEquals(set(a, "k", "x".repeat(15_900), clock), 41);
});

Deno.test("limits: half of a message is usable to the last byte, and é takes two bytes (E7)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock, { settings: { maxMessageBytes: 32_768 } });
  const limit = 32_768 / 2 - ENVELOPE_BYTES;
  const most = limit - memberBytes("a") - entryBytes(entry("k", 1, ""));
  set(a, "k", "x".repeat(most), clock);
  set(a, "l", "y".repeat(most), clock);
  assertThrows(() => set(a, "k", "z".repeat(most + 1), clock), RangeError);
  assertThrows(() => set(a, "k", "é".repeat(most / 2 + 1), clock), RangeError);
});

Deno.test("limits: maxStateBytes is usable to the last byte, and a replaced or deleted value frees its bytes (E7)", () => {
  const clock = new TestClock();
  const a = makeEngine("a", clock, { settings: { maxStateBytes: 16_384 } });
  const most = 16_384 - storedBytes(entry("k", 1, ""));
  set(a, "k", "x".repeat(most), clock);
  set(a, "k", "y".repeat(most), clock);
  assertThrows(() => set(a, "k", "z".repeat(most + 1), clock), RangeError);
  assertThrows(() => set(a, "l", 1, clock), RangeError);
  remove(a, "k", clock);
  set(a, "l", 1, clock);
});

Deno.test("limits: a member publishes its own entries even if its user has filled maxStateBytes (E7)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { maxStateBytes: 16_384 } });
  const most = 16_384 - storedBytes(entry("k", 1, ""));
  set(a, "k", "x".repeat(most), clock);
  note(a, a.countHeartbeat({ worker: 7 }, clock.now));
  note(a, a.leave(clock.now));
  const { request } = exchange(a, b, { clock });
  assertEquals(request.members[0]?.entries.length, 4);
  assertEquals(b.view.get("a", HEARTBEAT_KEY)?.value, { actorStatistics: { actorCount: { worker: 7 } } });
});
