import { assertEquals } from "../../../deps/std_assert.ts";
import { PeerComparison } from "../../../engine/sync/peer_comparison.ts";
import { PeerTotals } from "../../../engine/sync/peer_totals.ts";

Deno.test("PeerComparison: is due when the same two states differ twice in a row (E12)", () => {
  const comparison = new PeerComparison(new PeerTotals());
  const due = ["a b", "a c", "a b", "a b", "a b"].map((states) => {
    comparison.recordMismatch(states);
    return comparison.isDue;
  });
  assertEquals(due, [false, false, false, true, true]);
  comparison.recordMatch();
  assertEquals(comparison.isDue, false);
});

Deno.test("PeerComparison: is tried once for two states, and reports a failure once (E12)", () => {
  const comparison = new PeerComparison(new PeerTotals());
  for (let times = 0; times < 2; times++) assertEquals(comparison.recordMismatch("a b"), false);
  comparison.begin();
  assertEquals([comparison.isUnderWay, comparison.isDue], [true, false]);
  comparison.end();
  assertEquals([1, 2, 3].map(() => comparison.recordMismatch("a b")), [true, false, false]);
  assertEquals(comparison.isDue, false);
  for (let times = 0; times < 2; times++) assertEquals(comparison.recordMismatch("a c"), false);
  assertEquals(comparison.isDue, true);
});

Deno.test("PeerComparison: may begin again for the same states if no answer came (E12)", () => {
  const totals = new PeerTotals();
  const comparison = new PeerComparison(totals);
  for (let times = 0; times < 2; times++) comparison.recordMismatch("a b");
  comparison.begin();
  assertEquals(totals.inRepair, true);
  comparison.abandon();
  assertEquals([totals.inRepair, comparison.isDue], [false, false]);
  for (let times = 0; times < 2; times++) assertEquals(comparison.recordMismatch("a b"), false);
  assertEquals(comparison.isDue, true);
});

Deno.test("PeerComparison.admit: counts a request without members as one member, and permits members again after a period", () => {
  const comparison = new PeerComparison(new PeerTotals());
  const admit = (members: number, nowMs: number) =>
    comparison.admit(members, { nowMs, periodMs: 100, most: 3 });
  assertEquals([admit(3, 0), admit(0, 1), admit(0, 99), admit(0, 100)], [true, true, false, true]);
});
