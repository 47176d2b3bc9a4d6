import { assertEquals, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import { formatDocument, type Row } from "../../bench/peers/document.ts";
import { formatEvent, formatSet, parseEvent, parseSet, wallClockMs } from "../../bench/peers/line.ts";
import { sentBytesOf } from "../../bench/peers/network.ts";
import { ticksOf } from "../../bench/peers/processor_time.ts";
import { type Figures, lastAfter, medianOfRuns, percentile, ratios } from "../../bench/peers/statistics.ts";

const FIGURES: Figures = {
  spreadMedianMs: 400,
  spreadP95Ms: 600,
  idleBytes: 1234,
  idleCpuSeconds: 0.5,
  killSeconds: 20,
  joinSeconds: 1.5,
};

Deno.test("line protocol: parses each event of a member", () => {
  assertEquals(parseEvent('{"ready":"m0","at":1.5}'), { type: "ready", subject: "m0", atMs: 1.5 });
  assertEquals(parseEvent('{"at":1.5,"set":"a"}'), { type: "set", subject: "a", atMs: 1.5 });
  assertEquals(parseEvent('{"seen":"a","at":2}'), { type: "seen", subject: "a", atMs: 2 });
  assertEquals(parseEvent('{"members":32,"at":2}'), { type: "members", subject: 32, atMs: 2 });
  assertEquals(parseEvent('{"gone":"m1","at":2}'), { type: "gone", subject: "m1", atMs: 2 });
});

Deno.test("line protocol: refuses a line that is not an event", () => {
  const lines = [
    "",
    "ready",
    "null",
    "[]",
    '{"ready":"m0"}',
    '{"ready":1,"at":1}',
    '{"members":"3","at":1}',
    '{"members":0.5,"at":1}',
    '{"seen":"a","at":"1"}',
    '{"seen":"a","at":0}',
    '{"seen":"a","set":"a","at":1}',
    '{"unknown":"a","at":1}',
  ];
  for (const line of lines) assertThrows(() => parseEvent(line), SyntaxError, undefined, line);
});

Deno.test("line protocol: parses its own output, with the machine's clock", () => {
  assertEquals(parseSet(formatSet("ä \n")), "ä \n");
  for (const line of ["{}", "null", '{"set":1}']) assertThrows(() => parseSet(line), SyntaxError);
  const before = wallClockMs();
  const { type, subject, atMs } = parseEvent(formatEvent("members", 3));
  assertEquals([type, subject], ["members", 3]);
  assertEquals(before <= atMs && atMs <= wallClockMs(), true);
  // Members in other languages read the wall clock: a monotonic clock with another origin would not do.
  assertEquals(Math.abs(atMs - Date.now()) < 1_000, true);
});

Deno.test("percentile: is the smallest number that the given share of the numbers does not exceed", () => {
  const numbers = Array.from({ length: 20 }, (_, index) => 20 - index);
  assertEquals(percentile(numbers, 95), 19);
  assertEquals(percentile(numbers, 100), 20);
  assertEquals(percentile(numbers, 50), 10);
  assertEquals(percentile(numbers, 0), 1);
  assertEquals(percentile([7], 95), 7);
  assertThrows(() => percentile([], 95), RangeError);
});

Deno.test("lastAfter: counts to the last member, and ignores members before the start", () => {
  assertEquals(lastAfter(100, [150, 420.5, 90]), 320.5);
  assertEquals(lastAfter(100, [90, 95]), 0);
});

Deno.test("medianOfRuns: takes the median of each figure separately, and no median if a run lacks the figure", () => {
  const runs = [
    { ...FIGURES, spreadMedianMs: 1, killSeconds: 9 },
    { ...FIGURES, spreadMedianMs: 3, killSeconds: 7 },
    { ...FIGURES, spreadMedianMs: 2, killSeconds: 8, idleBytes: null },
  ];
  assertEquals(medianOfRuns(runs), { ...FIGURES, spreadMedianMs: 2, killSeconds: 8, idleBytes: null });
});

Deno.test("ratios: compare with the best of the other systems", () => {
  const others = [{ ...FIGURES, spreadMedianMs: 800, idleBytes: null }, { ...FIGURES, joinSeconds: 0 }];
  const compared = ratios({ ...FIGURES, spreadMedianMs: 200, killSeconds: null }, others);
  assertEquals(compared, {
    spreadMedianMs: 0.5,
    spreadP95Ms: 1,
    idleBytes: 1,
    idleCpuSeconds: 1,
    killSeconds: null,
    joinSeconds: null,
  });
});

Deno.test("processor time: adds user and system ticks, for any name of the process", () => {
  const stat = "17 (a (b) c) S 1 17 17 0 -1 4194304 900 0 0 0 250 40 0 0 20 0 9 0 1234 0 0";
  assertEquals(ticksOf(stat), 290);
  assertThrows(() => ticksOf("17 (a)"), SyntaxError);
});

Deno.test("network: reads the bytes sent over loopback", () => {
  const text = `Inter-|   Receive                            |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
  flo:      1       2    0    0    0     0          0         0        3       4    0    0    0     0       0          0
    lo:  5000      60    0    0    0     0          0         0     7000      80    0    0    0     0       0          0
`;
  assertEquals(sentBytesOf(text, "lo"), 7_000);
  assertThrows(() => sentBytesOf(text, "eth0"), SyntaxError);
});

Deno.test("document: has a row for each measured system, the ratios, and a reason for each missing figure", () => {
  const row = (name: string, figures: Figures): Row => ({
    name,
    settings: "defaults",
    version: "1.0",
    runs: [{ figures, joinCpuSeconds: 7, whyNoBytes: undefined, falselyGone: name === "B" ? 2 : 0 }],
  });
  const rows: Row[] = [
    row("A", { ...FIGURES, idleBytes: null }),
    row("B", { ...FIGURES, spreadMedianMs: 200 }),
    { name: "C", settings: "defaults", version: "not measured (no compiler)", runs: [] },
  ];
  const page = formatDocument(rows, {
    day: "2026-01-31",
    command: "deno task bench:peers",
    cores: 2,
    loadAverage: 0.5,
    load: {
      members: 3,
      gossipIntervalMs: 300,
      fanOut: 3,
      sets: 4,
      idleMs: 20_000,
      warmUpMs: 0,
      settleMs: 0,
      kill: true,
    },
    runs: 1,
  });
  assertStringIncludes(page, "| A | 400 ms | 600 ms | n/a | 0.50 | 20.0 s | 1.50 s |");
  assertStringIncludes(page, "| B | 200 ms | 600 ms | 1,230 | 0.50 | 20.0 s | 1.50 s |");
  assertStringIncludes(page, "| A / best other | 2.0× | 1.0× | n/a | 1.0× | 1.0× | 1.0× |");
  assertStringIncludes(page.replaceAll("\n", " "), "together: A 7.0 s, B 7.0 s.");
  assertStringIncludes(page, "as gone: B 2.");
  assertStringIncludes(page, "C not measured (no compiler); defaults.");
});
