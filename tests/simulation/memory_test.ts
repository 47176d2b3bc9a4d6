import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assertEquals, assertGreater, assertLess, assertLessOrEqual } from "../../deps/std_assert.ts";
import { incarnationAbove, makeIncarnation } from "../../engine/incarnation.ts";
import type { Engine } from "../../engine/engine.ts";
import { PENDING_PER_MEMBER } from "../../engine/sync/peer_memory.ts";
import { GRACEFULLY_LEFT_KEY } from "../../engine/types.ts";
import {
  deliver,
  entry,
  eventsOf,
  exchange,
  handshake,
  heartbeat,
  makePair,
  memberDelta,
  note,
  remove,
  set,
  TestClock,
  tombstone,
  WALL_START_MS,
} from "../engine/harness.ts";

/** Members in the cluster at a time, besides the two permanent ones. */
const PRESENT = 10;
/** Members with heartbeats and without acknowledgements. */
const MUTE = Array.from({ length: 10 }, (_, index) => `mute${index}`);
const MUTE_INCARNATION = makeIncarnation(WALL_START_MS, 0.5);
const DEPARTED_RETENTION_MS = 10_000;
const TOMBSTONE_RETENTION_MS = 5_000;
const STEP_MS = 100;
/** Departed members with state: those that left within the retention, and one step more. */
const MOST_DEPARTED = DEPARTED_RETENTION_MS / STEP_MS + 1;
/** A member that crashed counts as present until it expires. */
const MOST_MEMBERS = 2 + MUTE.length + PRESENT + MOST_DEPARTED + PRESENT;
/** Tombstones of a member that stays: its deletes within the retention, and the newest, which is never dropped. */
const MOST_DELETED = TOMBSTONE_RETENTION_MS / STEP_MS + 2;
/** Low enough that pending entries of ten mute members reach the bound. */
const MAX_MEMBERS = MOST_MEMBERS + 10;

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return Deno.memoryUsage().heapUsed;
}

/** At each step one member joins through `b`, and the oldest leaves or crashes. */
function churn(pair: readonly [Engine, Engine], clock: TestClock, from: number, until: number): void {
  const [a, b] = pair;
  for (let index = from; index < until; index++) {
    clock.advance(STEP_MS);
    const id = `m${index}`;
    const present = Array.from({ length: PRESENT }, (_, each) => `m${index - each}`);
    for (const engine of pair) {
      const members = ["a", "b", ...MUTE, ...present];
      note(engine, engine.setTopology({ members, blocked: [] }, clock.now));
    }
    change(a, index, clock);
    hearMute(pair, index, clock);
    const incarnation = makeIncarnation(clock.wallMs, (index % 1_000) / 1_000);
    note(b, b.applyHello({ id, incarnation, digest: "0".repeat(16), active: "0".repeat(16) }, clock.now));
    deliver(
      b,
      id,
      memberDelta(id, incarnation, [
        entry("k", 1, index),
        entry("l", 2, "x".repeat(50)),
        tombstone("gone", 3),
        heartbeat(4),
      ]),
      clock,
    );
    const leaver = `m${index - PRESENT + 1}`;
    if (index % 2 === 0) {
      deliver(
        b,
        leaver,
        memberDelta(leaver, incarnationAbove(incarnation, 0, 0.5), [entry(GRACEFULLY_LEFT_KEY, 5, {})]),
        clock,
      );
    }
    exchange(a, b, { clock });
    for (const engine of pair) {
      note(engine, engine.countHeartbeat({}, clock.now));
      note(engine, engine.tick(clock.now));
    }
  }
}

/** Sets and deletes one key three times, and a new key once. */
function change(engine: Engine, index: number, clock: TestClock): void {
  for (const key of ["again", "again", "again", `once${index}`]) {
    set(engine, key, index, clock);
    remove(engine, key, clock);
  }
}

/** A mute member sends a heartbeat, receives a delta, and reports that it has no state at all. */
function hearMute([a, b]: readonly [Engine, Engine], index: number, clock: TestClock): void {
  const id = MUTE[index % MUTE.length]!;
  deliver(
    b,
    id,
    memberDelta(id, MUTE_INCARNATION, [heartbeat(index + 1)], {
      after: Math.max(0, index + 1 - MUTE.length),
    }),
    clock,
  );
  note(a, a.disseminate(id));
  note(a, a.answerReconcile(id, { from: "", until: undefined, members: new Map() }));
}

/** The bounds of docs/ALGORITHM.md. */
function assertWithinLimits(engine: Engine): void {
  const { members, keys, tombstones, gone, remembered, pending: waiting } = engine.view.footprint;
  assertLessOrEqual(members, MOST_MEMBERS);
  assertLessOrEqual(tombstones, MOST_DELETED + members);
  // Five keys of every other member: three entries, the heartbeat and the sign that it left. The two engines set the rest.
  assertLessOrEqual(keys, 2 * (MOST_DELETED + 3) + 5 * members);
  assertLessOrEqual(gone, PRESENT + MOST_DEPARTED);
  assertLessOrEqual(remembered, MAX_MEMBERS);
  assertLessOrEqual(waiting, PENDING_PER_MEMBER * MAX_MEMBERS);
}

Deno.test("memory: 100,000 departed members take no more memory than 5,000 (E6, E8, E11)", () => {
  const clock = new TestClock();
  const settings = {
    departedRetention: DEPARTED_RETENTION_MS,
    tombstoneRetention: TOMBSTONE_RETENTION_MS,
    heartbeatExpiration: 5_000,
    maxMembers: MAX_MEMBERS,
  };
  const pair = makePair(clock, { settings });
  handshake(pair[0], pair[1], clock);
  churn(pair, clock, 0, 5_000);
  for (const engine of pair) eventsOf(engine).clear();
  // Without this the bounds below would hold because they were never reached.
  assertGreater(pair[0].view.footprint.pending, PENDING_PER_MEMBER * MAX_MEMBERS / 2);
  assertEquals(pair[0].view.footprint.remembered, MAX_MEMBERS);
  const early = heapBytes();
  for (let from = 5_000; from < 100_000; from += 5_000) {
    churn(pair, clock, from, from + 5_000);
    for (const engine of pair) {
      // The harness stores these events, not the engine.
      eventsOf(engine).clear();
      assertWithinLimits(engine);
      assertLessOrEqual(engine.view.blockedMembers().length, PRESENT + MOST_DEPARTED);
    }
  }
  assertLess(heapBytes() - early, 5_000_000);
});

/** The number of states for measuring the memory of one. */
const HELD_STATES = 5_000;

Deno.test("memory: a stored state of four keys takes at most 1,450 bytes of heap, its list node and its texts included (E15)", () => {
  const clock = new TestClock();
  const [engine] = makePair(clock, { settings: { maxMembers: HELD_STATES + 2 } });
  const ids = Array.from({ length: HELD_STATES }, (_, index) => `m${index}`);
  note(engine, engine.setTopology({ members: ["a", "b", ...ids], blocked: [] }, clock.now));
  const state = (id: string, index: number) =>
    memberDelta(id, makeIncarnation(clock.wallMs + index, 0.5), [
      entry("version", 1, 1),
      heartbeat(2),
      entry("endpoint", 3, { host: `10.0.0.${index}`, port: index }),
      entry("zone", 4, `z${index}`),
    ]);
  eventsOf(engine).clear();
  const before = heapBytes();
  for (const [index, id] of ids.entries()) {
    // As the codec makes them: other objects for each state.
    const received = structuredClone(state(id, index));
    note(engine, engine.applyPush("b", { delta: { members: [received] }, relay: false }, clock.now));
    eventsOf(engine).clear();
  }
  const each = (heapBytes() - before) / HELD_STATES;
  // Read after the measurement: what is not used any more is collected.
  assertEquals(engine.view.footprint.keys, 4 * HELD_STATES);
  assertLessOrEqual(each, 1_450, `${each.toFixed(0)} bytes`);
});
