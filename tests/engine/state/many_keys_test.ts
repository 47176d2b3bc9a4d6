import {
  assert,
  assertEquals,
  assertLess,
  assertLessOrEqual,
  assertThrows,
} from "../../../deps/std_assert.ts";
import type { Engine } from "../../../engine/engine.ts";
import { deltaBytes } from "../../../engine/sync/selection.ts";
import type { Delta, SentEntry } from "../../../engine/types.ts";
import {
  deliver,
  entry,
  eventsOf,
  exchange,
  handshake,
  handshakeAll,
  makeCluster,
  makeEngine,
  makePair,
  memberDelta,
  message,
  note,
  reconcile,
  remove,
  set,
  SETTINGS,
  settle,
  TestClock,
  tombstone,
  valueOf,
} from "../harness.ts";

const KIB = 1_024;
/** The least valid value: a hundred small keys need two messages. */
const SMALL = { maxMessageBytes: 16 * KIB };

function setMany(engine: Engine, count: number, clock: TestClock, value: number | string = 0): void {
  for (let key = 0; key < count; key++) set(engine, `k${key}`, value, clock);
}

/** The parts of a member in one exchange: reset or not, start, end, and end of the state. */
function partsOf({ members }: Delta, id: string) {
  return members.filter((each) => each.id === id).map(({ reset, after, end, entries }) => ({
    reset,
    after,
    last: entries.at(-1)?.number ?? after,
    end,
  }));
}

/** Three members with handshakes; each has five keys of the first. */
function makeSettledThree(clock: TestClock): readonly [a: Engine, b: Engine, c: Engine] {
  const [a, b, c] = makeCluster(["a", "b", "c"], clock) as [Engine, Engine, Engine];
  handshakeAll([a, b, c], clock);
  setMany(a, 5, clock);
  settle([a, b, c], { clock });
  return [a, b, c];
}

function tick(engines: readonly Engine[], clock: TestClock): void {
  clock.advance(300);
  for (const engine of engines) {
    note(engine, engine.countHeartbeat(undefined, clock.now));
    const count = engine.view.heartbeatOf(engine.view.id)!.number;
    for (const other of engines) note(other, other.applyCount(engine.view.id, count, clock.now));
  }
  for (const engine of engines) note(engine, engine.tick(clock.now));
}

Deno.test("many keys: a state of 300 keys is sent in parts to a peer without any key, each no larger than a message (E7)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: SMALL });
  setMany(a, 300, clock);
  let parts = 0;
  for (let held = 0; b.view.digest !== a.view.digest; parts++) {
    const { request } = exchange(a, b, { clock });
    const [part] = partsOf(request, "a");
    assertEquals([part!.reset, part!.after], [false, held]);
    held = part!.last;
    assertLessOrEqual(deltaBytes(request.members[0]!), SMALL.maxMessageBytes);
    assertEquals(request.partial, held < 300);
  }
  assert(parts > 3, `${parts} parts`);
  assertEquals(valueOf(b, "a", "k299"), 0);
  settle([a, b], { clock });
  assertEquals([a.view.phase, b.view.phase], ["confirmed", "confirmed"]);
});

Deno.test("many keys: a reset is sent in parts, and its last part removes the deleted keys (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { ...SMALL, tombstoneRetention: 1_000 } });
  setMany(a, 200, clock);
  settle([a, b], { clock });
  // b receives none of these deletions before they are forgotten.
  for (let key = 0; key < 200; key += 2) remove(a, `k${key}`, clock);
  setMany(a, 1, clock, "last");
  clock.advance(2_000);
  note(a, a.tick(clock.now));
  assertEquals(a.view.footprint.tombstones, 0);
  const seen = [];
  for (let round = 0; b.view.digest !== a.view.digest; round++) {
    assert(round < 20);
    const { request } = exchange(a, b, { clock });
    seen.push(...partsOf(request, "a"));
  }
  assert(seen.length > 1, `${seen.length} parts`);
  // The first answers b's version; each further one begins at the end of the last.
  assertEquals(seen.map(({ reset, end }) => [reset, end]), seen.map(() => [true, 301]));
  assertEquals(seen.map(({ after }) => after), [0, ...seen.slice(0, -1).map(({ last }) => last)]);
  assertEquals([valueOf(b, "a", "k2"), valueOf(b, "a", "k1"), valueOf(b, "a", "k0")], [undefined, 0, "last"]);
  settle([a, b], { clock });
  assertEquals([a.view.phase, b.view.phase], ["confirmed", "confirmed"]);
});

Deno.test("many keys: the state of a member that was forgotten and returns is merged in parts (E11)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: SMALL });
  setMany(a, 200, clock);
  settle([a, b], { clock });
  note(b, b.setTopology({ members: ["b"], blocked: [] }, clock.now));
  note(b, b.tick(clock.advance(SETTINGS.departedRetention + 1)));
  assertEquals(b.view.incarnationOf("a"), undefined);
  note(b, b.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  for (let round = 0; b.view.digest !== a.view.digest; round++) {
    assert(round < 20, "The state does not arrive.");
    exchange(a, b, { clock });
    reconcile(a, b);
  }
  assertEquals(valueOf(b, "a", "k199"), 0);
});

Deno.test("many keys: a lost part of a reset is sent again (E5, E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { ...SMALL, tombstoneRetention: 1_000 } });
  setMany(a, 200, clock);
  settle([a, b], { clock });
  for (let key = 0; key < 200; key += 2) remove(a, `k${key}`, clock);
  clock.advance(2_000);
  note(a, a.tick(clock.now));
  exchange(a, b, { clock });
  const lost = partsOf(exchange(a, b, { clock, lose: "request" }).request, "a");
  assert(lost[0]!.after > 0);
  assertEquals(partsOf(exchange(a, b, { clock, lose: "reply" }).request, "a"), lost);
  assertEquals(partsOf(exchange(a, b, { clock }).request, "a"), lost);
  settle([a, b], { clock });
  assertEquals(b.view.digest, a.view.digest);
});

Deno.test("many keys: a reset continues with its next part if the first part ends below the peer's version (E5, E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { ...SMALL, tombstoneRetention: 1_000 } });
  setMany(a, 200, clock);
  for (let round = 0; round < 2; round++) exchange(a, b, { clock });
  const before = b.view.versionOf("a")!.number;
  assert(before < 200, "It has the whole state already.");
  for (let key = 0; key < 5; key++) remove(a, `k${key}`, clock);
  clock.advance(2_000);
  note(a, a.tick(clock.now));
  const [first] = partsOf(exchange(a, b, { clock }).request, "a");
  assertEquals([first?.reset, first?.after], [true, 0]);
  assert(first!.last < before, "The part ends above what the peer has.");
  settle([a, b], { clock });
  assertEquals([b.view.digest, valueOf(b, "a", "k0"), valueOf(b, "a", "k199")], [
    a.view.digest,
    undefined,
    0,
  ]);
});

Deno.test("many keys: states that differ under one number are repaired in parts (E12)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: SMALL });
  setMany(a, 200, clock);
  settle([a, b], { clock });
  // Another peer sent b another value under the same number, and a key that a never set.
  const [, c] = makePair(clock, { settings: SMALL });
  const twin = makeEngine("a", clock, { incarnation: a.view.incarnation, settings: SMALL });
  note(twin, twin.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  handshake(twin, c, clock);
  setMany(twin, 150, clock);
  set(twin, "false", 1, clock);
  for (let key = 150; key < 199; key++) set(twin, `k${key}`, 0, clock);
  settle([twin, c], { clock });
  assertEquals([valueOf(c, "a", "false"), c.view.get("a", "k198")?.number], [1, 200]);
  handshake(a, c, clock);
  for (let round = 0; c.view.digest !== a.view.digest; round++) {
    assert(round < 30, "The states still differ.");
    exchange(a, c, { clock });
    reconcile(a, c);
  }
  assertEquals([valueOf(c, "a", "false"), valueOf(c, "a", "k199")], [undefined, 0]);
});

Deno.test("many keys: a part of a reset of an older state is refused, and answered with the version (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  setMany(a, 5, clock);
  settle([a, b], { clock });
  const part = (after: number, number: number, end: number) => {
    const delta = memberDelta("a", a.view.incarnation, [entry(`k${number - 1}`, number, 0)], {
      after,
      reset: true,
      end,
    });
    return note(b, b.applyIncoming("c", message(delta), clock.now)).holds;
  };
  assertEquals([...part(0, 1, 4)], [["a", { incarnation: a.view.incarnation, number: 5 }]]);
  assertEquals(b.view.digest, a.view.digest);
  // One that begins above the version is a gap.
  assertEquals([...part(6, 7, 9)], [["a", { incarnation: a.view.incarnation, number: 5 }]]);
  // One of a state that is as new is merged.
  assertEquals([...part(0, 2, 5)], []);
  assertEquals([valueOf(b, "a", "k0"), valueOf(b, "a", "k1"), valueOf(b, "a", "k2")], [undefined, 0, 0]);
});

Deno.test("many keys: a reset restarts if deletions are forgotten that its parts so far did not contain (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock, { settings: { ...SMALL, tombstoneRetention: 1_000 } });
  setMany(a, 200, clock);
  settle([a, b], { clock });
  remove(a, "k199", clock);
  setMany(a, 1, clock, "last");
  clock.advance(2_000);
  note(a, a.tick(clock.now));
  exchange(a, b, { clock });
  // A key of the received part is deleted, and the deletion forgotten, before the next part.
  remove(a, "k1", clock);
  setMany(a, 1, clock, "at last");
  clock.advance(2_000);
  note(a, a.tick(clock.now));
  assertEquals(a.view.footprint.tombstones, 0);
  assertEquals(partsOf(exchange(a, b, { clock }).request, "a")[0]!.after, 0);
  settle([a, b], { clock });
  assertEquals([b.view.digest, valueOf(b, "a", "k1")], [a.view.digest, undefined]);
});

Deno.test("settled: a deletion is forgotten by all once all active members have it, and costs no reset (E8)", () => {
  const clock = new TestClock();
  const engines = makeSettledThree(clock);
  const [a, b, c] = engines;
  remove(a, "k3", clock);
  set(a, "k4", "last", clock);
  // While c lacks it, it is kept.
  exchange(a, b, { clock });
  tick(engines, clock);
  assertEquals([a.view.footprint.tombstones, b.view.footprint.tombstones, c.view.footprint.tombstones], [
    1,
    1,
    0,
  ]);
  exchange(b, c, { clock });
  // Unknown to a, by whose report others forget it.
  tick(engines, clock);
  assertEquals(a.view.footprint.tombstones, 1);
  exchange(a, c, { clock });
  tick(engines, clock);
  assertEquals(a.view.footprint.tombstones, 0);
  set(a, "k4", "news", clock);
  const exchanges = [exchange(a, b, { clock }), exchange(b, c, { clock }), exchange(a, c, { clock })];
  tick(engines, clock);
  assertEquals(engines.map((engine) => engine.view.footprint.tombstones), [0, 0, 0]);
  for (const { request, reply } of exchanges) {
    assertEquals([...request.members, ...reply!.delta.members].filter(({ reset }) => reset), []);
  }
  settle(engines, { clock });
  assertEquals(
    engines.map((engine) => [engine.view.digest, engine.view.phase]),
    engines.map(() => [a.view.digest, "confirmed"]),
  );
});

Deno.test("settled: two members that have a deletion from its owner need no reset after they forget the deletion (E8)", () => {
  const clock = new TestClock();
  const engines = makeSettledThree(clock);
  const [a, b, c] = engines;
  remove(a, "k3", clock);
  set(a, "k4", "last", clock);
  exchange(a, b, { clock });
  exchange(a, c, { clock });
  tick(engines, clock);
  set(a, "k4", "news", clock);
  exchange(a, b, { clock });
  tick(engines, clock);
  assertEquals([a.view.footprint.tombstones, b.view.footprint.tombstones, c.view.footprint.tombstones], [
    0,
    0,
    1,
  ]);
  const { request } = exchange(b, c, { clock });
  assertEquals(partsOf(request, "a"), [{ reset: false, after: 7, last: 9, end: undefined }]);
  assertEquals([valueOf(c, "a", "k3"), valueOf(c, "a", "k4")], [undefined, "news"]);
});

Deno.test("settled: a member that was away while deletions were forgotten is sent the whole state (E8)", () => {
  const clock = new TestClock();
  const engines = makeSettledThree(clock);
  const [a, b, c] = engines;
  for (const engine of [a, b]) {
    note(engine, engine.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  }
  remove(a, "k3", clock);
  set(a, "k4", "last", clock);
  settle([a, b], { clock });
  tick([a, b], clock);
  exchange(a, b, { clock });
  tick([a, b], clock);
  assertEquals([a.view.footprint.tombstones, b.view.footprint.tombstones], [0, 0]);
  for (const engine of engines) {
    note(engine, engine.setTopology({ members: ["a", "b", "c"], blocked: [] }, clock.now));
  }
  settle(engines, { clock });
  assertEquals([valueOf(c, "a", "k3"), valueOf(c, "a", "k4")], [undefined, "last"]);
  assertEquals(c.view.digest, a.view.digest);
});

Deno.test("settled: a report is believed only up to the known version, and for no unversioned member (E8)", () => {
  const clock = new TestClock();
  const [a, b] = makePair(clock);
  const delta = memberDelta(
    "x",
    a.view.incarnation,
    [entry("k", 1, 1), tombstone("d", 2), entry("l", 3, 1)],
    {
      ackedByAll: 9,
    },
  );
  note(b, b.applyIncoming("a", message(delta), clock.now));
  assertEquals(b.view.footprint.tombstones, 0);
  note(
    b,
    b.applyIncoming(
      "a",
      message(memberDelta("x", a.view.incarnation, [tombstone("e", 4)], { after: 3 })),
      clock.now,
    ),
  );
  assertEquals(b.view.footprint.tombstones, 1);
  const later = memberDelta("x", a.view.incarnation, [entry("l", 5, 1)], { after: 4, ackedByAll: 5 });
  note(b, b.applyIncoming("a", message(later), clock.now));
  assertEquals(b.view.footprint.tombstones, 0);
});

Deno.test("settled: 100 deletions a second for an hour keep memory level, and no set is refused (E8)", () => {
  const clock = new TestClock();
  const engines = makeCluster(["a", "b", "c", "d"], clock, { settings: { maxKeysPerMember: 1_000 } });
  const [a] = engines as [Engine, ...Engine[]];
  for (const one of engines) {
    for (const other of engines) if (one.view.id < other.view.id) handshake(one, other, clock);
  }
  let [most, resets] = [0, 0];
  for (let round = 0, key = 0; round < 12_000; round++) {
    for (const end = key + 30; key < end; key++) {
      set(a, `client ${key}`, 1, clock);
      remove(a, `client ${key - 100}`, clock);
    }
    tick(engines, clock);
    const one = engines[round % 4]!;
    const { request, reply } = exchange(one, engines[(round + 1 + round % 3) % 4]!, { clock });
    resets += [...request.members, ...reply!.delta.members].filter(({ reset }) => reset).length;
    most = Math.max(most, ...engines.map((engine) => engine.view.footprint.keys));
  }
  assertLess(most, 700);
  assertEquals(resets, 0);
  assertEquals(eventsOf(a).of("ConflictDetected"), []);
});

Deno.test("many keys: 50,000 keys can be set by default, and reach another member (E7)", () => {
  const clock = new TestClock();
  const settings = { maxKeysPerMember: 65_536 };
  const [a, b] = makePair(clock, { settings });
  for (let key = 0; key < 50_000; key++) {
    note(a, a.set(`client-10.1.2.${key}`, { value: key, json: `${key}` }, clock.now));
  }
  eventsOf(a).clear();
  let exchanges = 0;
  for (; b.view.digest !== a.view.digest; exchanges++) exchange(a, b, { clock });
  assertLess(exchanges, 20);
  assertEquals(valueOf(b, "a", "client-10.1.2.49999"), 49_999);
});

Deno.test("many keys: the first part of a state over the local limit is stored, and the rest is requested ever more rarely (E7)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b"], clock);
  const b = makeEngine("b", clock, { settings: { maxKeysPerMember: 16 } });
  note(b, b.setTopology({ members: ["a", "b"], blocked: [] }, clock.now));
  handshake(a, b, clock);
  setMany(a, 100, clock);
  let sent = 0;
  for (let round = 0; round < 200; round++) {
    tick([a, b], clock);
    const { request } = exchange(a, b, { clock });
    const isSent = request.members.some(({ id, entries }) => id === "a" && entries.length > 0);
    if (isSent) sent++;
    assertEquals(request.partial, !isSent);
  }
  assertEquals([valueOf(b, "a", "k23"), valueOf(b, "a", "k24")], [0, undefined]);
  assertLess(sent, 15);
  assertEquals([a.view.phase, eventsOf(b).of("ConflictDetected").length], ["diffusing", sent]);
  // A part that fits is sent at once.
  for (let key = 0; key < 90; key++) remove(a, `k${key}`, clock);
  assertEquals(eventsOf(b).of("MemberBlocked"), []);
});

Deno.test("Engine.set: names the limit that it would exceed, and changes nothing (E7)", () => {
  const clock = new TestClock();
  const settings = { maxMessageBytes: 16 * KIB, maxStateBytes: 20 * KIB, maxKeysPerMember: 50 };
  const [a] = makePair(clock, { settings });
  const message = (key: string, value: string) =>
    assertThrows(() => set(a, key, value, clock), RangeError).message;
  assert(
    message("large", "x".repeat(5_000)).startsWith("A value must take at most "),
    message("large", "x".repeat(5_000)),
  );
  for (let key = 0; key < 5; key++) set(a, `k${key}`, "x".repeat(3_500), clock);
  assert(message("more", "x".repeat(3_500)).includes("maxStateBytes"), message("more", "x".repeat(3_500)));
  for (let key = 0; key < 50; key++) set(a, `k${key}`, 0, clock);
  assert(message("one more", "x").includes("maxKeysPerMember"), message("one more", "x"));
  assertEquals([a.view.footprint.keys, valueOf(a, "a", "one more")], [50, undefined]);
});

Deno.test("merge: a settled report makes room for the entries in its message, and counts even if these have a gap (E7, E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c"], clock, { settings: { maxKeysPerMember: 2 } });
  const merge = (entries: readonly SentEntry[], options: { after?: number; ackedByAll?: number } = {}) =>
    deliver(a, "c", memberDelta("b", a.view.incarnation, entries, options), clock);
  merge([entry("k", 1, 1), entry("l", 2, 1), entry("m", 3, 1)]);
  merge([tombstone("k", 4), entry("l", 5, 2)], { after: 3 });
  merge([entry("n", 6, 1)], { after: 5, ackedByAll: 5 });
  assertEquals([valueOf(a, "b", "n"), eventsOf(a).of("ConflictDetected")], [1, []]);
  merge([tombstone("l", 7), entry("m", 8, 1)], { after: 6 });
  merge([entry("m", 10, 1)], { after: 9, ackedByAll: 8 });
  assertEquals([a.view.footprint.tombstones, a.view.versionOf("b")?.number], [0, 8]);
});

Deno.test("disseminate: an active peer counts as a holder of entries that their owner reports as settled; an inactive peer is sent all entries (E8)", () => {
  const clock = new TestClock();
  const [a] = makeCluster(["a", "b", "c", "x"], clock);
  note(a, a.setTopology({ members: ["a", "b", "c"], blocked: [] }, clock.now));
  deliver(
    a,
    "b",
    memberDelta("y", a.view.incarnation, [entry("k", 1, 1), entry("l", 2, 1)], { ackedByAll: 2 }),
    clock,
  );
  const sentTo = (id: string) =>
    a.disseminate(id).delta.members.map(({ after, entries }) => [after, entries.length]);
  assertEquals([sentTo("c"), sentTo("x")], [[[2, 0]], [[0, 2]]]);
});
