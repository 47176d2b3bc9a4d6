import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assertLess, assertLessOrEqual } from "../../deps/std_assert.ts";
import { lifeAbove, makeLife } from "../../engine/life.ts";
import type { Engine } from "../../engine/engine.ts";
import { GRACEFULLY_LEFT_KEY } from "../../engine/types.ts";
import {
  entry,
  eventsOf,
  exchange,
  greet,
  heartbeat,
  makePair,
  memberDelta,
  note,
  tell,
  TestClock,
} from "../unit/engine/harness.ts";

/** How many members are in the cluster at a time, besides the two that stay. */
const PRESENT = 10;
const DEPARTED_RETENTION_MS = 10_000;
const STEP_MS = 100;
/** How many are still held after they left: as many as leave within the retention, and one step more. */
const MOST_DEPARTED = DEPARTED_RETENTION_MS / STEP_MS + 1;

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return Deno.memoryUsage().heapUsed;
}

/** One joins with its state, is heard through the other member, and the one that joined first leaves or dies. */
function churn(pair: readonly [Engine, Engine], clock: TestClock, from: number, until: number): void {
  const [a, b] = pair;
  for (let index = from; index < until; index++) {
    clock.advance(STEP_MS);
    const id = `m${index}`;
    const present = Array.from({ length: PRESENT }, (_, each) => `m${index - each}`);
    for (const engine of pair) {
      note(engine, engine.setTopology({ members: ["a", "b", ...present], blocked: [] }, clock.now));
    }
    const life = makeLife(clock.wallMs, (index % 1_000) / 1_000);
    note(b, b.greeted({ id, life, digest: "0".repeat(16), active: "0".repeat(16) }, clock.now));
    tell(
      b,
      id,
      memberDelta(id, life, [entry("k", 1, index), entry("l", 2, "x".repeat(50)), heartbeat(3)]),
      clock,
    );
    const leaver = `m${index - PRESENT + 1}`;
    if (index % 2 === 0) {
      tell(
        b,
        leaver,
        memberDelta(leaver, lifeAbove(life, 0, 0.5), [entry(GRACEFULLY_LEFT_KEY, 4, {})]),
        clock,
      );
    }
    exchange(a, b, { clock });
    for (const engine of pair) {
      note(engine, engine.beat({}, clock.now));
      note(engine, engine.tick(clock.now));
    }
  }
}

Deno.test("E11 E6 after a hundred thousand members have come and gone memory is what it was after a few thousand", () => {
  const clock = new TestClock();
  const settings = {
    departedRetention: DEPARTED_RETENTION_MS,
    heartbeatExpiration: 5_000,
    maxMembers: 1_000,
  };
  const pair = makePair(clock, { settings });
  greet(pair[0], pair[1], clock);
  churn(pair, clock, 0, 5_000);
  for (const engine of pair) eventsOf(engine).clear();
  const early = heapBytes();
  for (let from = 5_000; from < 100_000; from += 5_000) {
    churn(pair, clock, from, from + 5_000);
    for (const engine of pair) {
      // What the engines told is kept by the harness, and not theirs.
      eventsOf(engine).clear();
      assertLessOrEqual([...engine.memberIds()].length, 2 + PRESENT + MOST_DEPARTED + PRESENT);
      assertLessOrEqual(engine.blockedMembers().length, PRESENT + MOST_DEPARTED);
    }
  }
  assertLess(heapBytes() - early, 5_000_000);
});
