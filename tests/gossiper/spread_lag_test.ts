import { assertEquals } from "../../deps/std_assert.ts";
import { SpreadLag } from "../../gossiper/spread_lag.ts";

/** A lag among peers whose acknowledged numbers a test sets, and its reports as text. */
function lagAmong(acknowledged: number[]) {
  const reports: string[] = [];
  const clock = { nowMs: 0 };
  const lag = new SpreadLag({
    meters: {
      spread: (share, durationMs) => reports.push(`${share} after ${durationMs}`),
      spreadDropped: () => reports.push("dropped"),
    },
    monotonicMs: () => clock.nowMs,
    peers: () => acknowledged.length,
    acknowledgedBy: (number) => acknowledged.filter((each) => each >= number).length,
  });
  return { lag, reports, clock };
}

Deno.test("lag: reports when half, 95 % and all of the other members have a set, each once", () => {
  const acknowledged: number[] = new Array(40).fill(0);
  const { lag, reports, clock } = lagAmong(acknowledged);
  lag.begin(7);
  for (let peer = 0; peer < 40; peer++) {
    clock.nowMs += 10;
    acknowledged[peer] = 7;
    lag.check();
    lag.check();
  }
  assertEquals(reports, ["0.5 after 200", "0.95 after 380", "1 after 400"]);
  assertEquals(lag.oldestMs, 0);
});

Deno.test("lag: an acknowledgement of a later set counts for the earlier sets", () => {
  const acknowledged = [0];
  const { lag, reports, clock } = lagAmong(acknowledged);
  lag.begin(1);
  clock.nowMs = 5;
  lag.begin(2);
  assertEquals(lag.oldestMs, 5);
  acknowledged[0] = 1;
  lag.check();
  assertEquals(reports, ["0.5 after 5", "0.95 after 5", "1 after 5"]);
  clock.nowMs = 9;
  acknowledged[0] = 2;
  lag.check();
  assertEquals(reports.slice(3), ["0.5 after 4", "0.95 after 4", "1 after 4"]);
});

Deno.test("lag: measures four sets at a time, and drops a set that is a minute old for a later set", () => {
  const acknowledged = [0];
  const { lag, reports, clock } = lagAmong(acknowledged);
  clock.nowMs = 500;
  for (let number = 1; number <= 4; number++) {
    lag.begin(number);
    clock.nowMs += 10;
  }
  // The oldest alone decides.
  clock.nowMs = 60_499;
  lag.begin(5);
  assertEquals([reports, lag.oldestMs], [[], 59_999]);
  clock.nowMs = 60_500;
  lag.begin(6);
  assertEquals(reports, ["dropped"]);
  acknowledged[0] = 6;
  lag.check();
  // Sets 2, 3, 4 and 6.
  assertEquals(reports.filter((each) => each.startsWith("1 ")), [
    "1 after 59990",
    "1 after 59980",
    "1 after 59970",
    "1 after 0",
  ]);
});

Deno.test("lag: measures no set of a member that is alone, and drops the sets of a member that becomes alone", () => {
  const acknowledged: number[] = [];
  const { lag, reports, clock } = lagAmong(acknowledged);
  lag.begin(1);
  clock.nowMs = 100;
  acknowledged.push(1);
  lag.check();
  assertEquals([reports, lag.oldestMs], [[], 0]);
  lag.begin(2);
  acknowledged.pop();
  lag.check();
  assertEquals([reports, lag.oldestMs], [["dropped"], 0]);
});

Deno.test("lag: a member that is no longer active is not waited for", () => {
  const acknowledged = [0, 0];
  const { lag, reports, clock } = lagAmong(acknowledged);
  lag.begin(1);
  acknowledged[0] = 1;
  lag.check();
  clock.nowMs = 20_000;
  acknowledged.pop();
  lag.check();
  assertEquals(reports, ["0.5 after 0", "0.95 after 20000", "1 after 20000"]);
});
