import { assertEquals } from "../../../deps/std_assert.ts";
import { FailureDetector } from "../../../engine/liveness/failure_detector.ts";

const GAP_MS = 800;
const LIMIT_MS = 20_000;

/** Checks every 300 ms up to a time; returns the expired members and the times. */
function checkUntil(
  detector: FailureDetector,
  span: { readonly fromMs: number; readonly untilMs: number },
): string[] {
  const found: string[] = [];
  for (let atMs = span.fromMs; atMs <= span.untilMs; atMs += 300) {
    for (const id of detector.advance(atMs, LIMIT_MS)) {
      found.push(`${id} at ${atMs}`);
      detector.remove(id);
    }
  }
  return found;
}

Deno.test("failure detector: finds a member silent for longer than the limit, and not before (E9, L3)", () => {
  const detector = new FailureDetector(GAP_MS, 0);
  detector.heartbeat("a", 0);
  assertEquals(detector.advance(500, 500), []);
  assertEquals(detector.advance(501, 500), ["a"]);
});

Deno.test("failure detector: counts the age from the last sign of life, not from the first (E9)", () => {
  const detector = new FailureDetector(GAP_MS, 0);
  detector.heartbeat("a", 0);
  detector.heartbeat("b", 0);
  assertEquals(checkUntil(detector, { fromMs: 0, untilMs: 15_000 }), []);
  detector.heartbeat("a", 15_000);
  // The first checks after 20,000 and after 35,000.
  assertEquals(checkUntil(detector, { fromMs: 15_000, untilMs: 40_000 }), ["b at 20100", "a at 35100"]);
});

Deno.test("failure detector: a sign of life between two checks counts from its own time (E9)", () => {
  const detector = new FailureDetector(GAP_MS, 0);
  detector.advance(300, 1_000);
  detector.heartbeat("a", 500);
  detector.advance(600, 1_000);
  detector.advance(1_200, 1_000);
  assertEquals(detector.advance(1_500, 1_000), []);
  assertEquals(detector.advance(1_501, 1_000), ["a"]);
});

Deno.test("failure detector: a suspension of this process counts as one slow round, so that it expires no member (E9, L3)", () => {
  const detector = new FailureDetector(GAP_MS, 0);
  detector.heartbeat("a", 0);
  assertEquals(checkUntil(detector, { fromMs: 300, untilMs: 9_000 }), []);
  // An hour's suspension counts as one slow round.
  assertEquals(detector.advance(3_609_000, LIMIT_MS), []);
  assertEquals(detector.advance(3_609_300, LIMIT_MS), []);
  const rest = LIMIT_MS - 9_000 - GAP_MS - 300;
  assertEquals(detector.advance(3_609_300 + GAP_MS, rest + 9_000 + GAP_MS + 300), []);
  assertEquals(checkUntil(detector, { fromMs: 3_610_200, untilMs: 3_630_000 }), ["a at 3619500"]);
});

Deno.test("failure detector: after a stall, a sign of life before the next check counts from its own time (E9)", () => {
  const detector = new FailureDetector(GAP_MS, 0);
  detector.heartbeat("a", 0);
  detector.heartbeat("b", 60_000);
  assertEquals(detector.advance(60_000, 700), ["a"]);
  detector.remove("a");
  assertEquals(detector.advance(60_700, 700), []);
  assertEquals(detector.advance(60_701, 700), ["b"]);
});

Deno.test("failure detector: a gap of exactly the longest round counts in full (E9)", () => {
  const detector = new FailureDetector(GAP_MS, 0);
  detector.heartbeat("a", 0);
  assertEquals(detector.advance(800, 799), ["a"]);
  const stalled = new FailureDetector(GAP_MS, 0);
  stalled.heartbeat("a", 0);
  assertEquals(stalled.advance(801, 800), []);
});

Deno.test("failure detector: a clock that stands still or steps back ages no member (E9)", () => {
  const detector = new FailureDetector(GAP_MS, 1_000);
  detector.heartbeat("a", 1_000);
  for (let each = 0; each < 100; each++) assertEquals(detector.advance(1_000, 0), []);
  assertEquals(detector.advance(500, 0), []);
});

Deno.test("failure detector: a clock that steps back keeps no member alive for longer (E9)", () => {
  const detector = new FailureDetector(GAP_MS, 3_600_000);
  detector.heartbeat("a", 3_600_000);
  assertEquals(detector.advance(0, 500), []);
  assertEquals([detector.advance(500, 500), detector.advance(501, 500)], [[], ["a"]]);
});

Deno.test("failure detector: does not find a removed member (E9)", () => {
  const detector = new FailureDetector(GAP_MS, 0);
  detector.heartbeat("a", 0);
  detector.heartbeat("b", 0);
  detector.remove("a");
  assertEquals(detector.advance(600, 500), ["b"]);
});

Deno.test("failure detector: the cost of a check is in proportion to the silent members (E6)", () => {
  const detector = new FailureDetector(GAP_MS, 0);
  for (let each = 0; each < 100_000; each++) detector.heartbeat(`m${each}`, each < 2 ? 0 : 400);
  const start = performance.now();
  for (let each = 0; each < 10_000; each++) assertEquals(detector.advance(501, 500).length, 2);
  // A check of all of them each time would take a thousand million steps.
  assertEquals(performance.now() - start < 2_000, true);
});
