import { assertEquals } from "../../deps/std_assert.ts";
import { bar, bytes, type Column, duration, Painter, tableOf } from "../../cli/paint.ts";

interface Row {
  readonly id: string;
  readonly count: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: "ID", text: ({ id }) => id, mayShrink: true, tone: () => "bad" },
  { title: "COUNT", text: ({ count }) => String(count), align: "right" },
  { title: "MORE", text: () => "x", from: 40 },
];
const PLAIN = new Painter(false);

Deno.test("table: aligns its columns, and leaves out those for which the terminal is too narrow", () => {
  const rows = [{ id: "ada", count: 5 }, { id: "benjamin", count: 1_234 }];
  assertEquals(tableOf(rows, COLUMNS, { painter: PLAIN }), [
    "ID        COUNT  MORE",
    "ada           5  x",
    "benjamin   1234  x",
  ]);
  assertEquals(tableOf(rows, COLUMNS, { painter: PLAIN, columns: 30 })[1], "ada           5");
});

Deno.test("table: cuts the middle of the widest column, so that a line fits the terminal", () => {
  const rows = [{ id: "a123456789b123456789c123456789", count: 1 }];
  const lines = tableOf(rows, COLUMNS, { painter: PLAIN, columns: 24 });
  assertEquals(lines, ["ID                 COUNT", "a1234567…23456789      1"]);
  assertEquals(lines.every((line) => line.length <= 24), true);
});

Deno.test("table: escapes texts of other members, and paints after it has measured", () => {
  const rows = [{ id: "e\u001b[2J", count: 1 }];
  const painted = tableOf(rows, COLUMNS, { painter: new Painter(true) });
  assertEquals(painted[1], "\u001b[31me\\u001b[2J\u001b[0m      1  x");
});

Deno.test("table: characters of two columns, and marks without one, keep the columns aligned", () => {
  const rows = ["日本語", "e\u0301va", "🎉ok", "ada"].map((id, count) => ({ id, count }));
  assertEquals(tableOf(rows, COLUMNS, { painter: PLAIN }), [
    "ID      COUNT  MORE",
    "日本語      0  x",
    "e\u0301va         1  x",
    "🎉ok        2  x",
    "ada         3  x",
  ]);
});

Deno.test("bar: its length is the share, and a small share is still visible", () => {
  assertEquals([0, 0.001, 0.25, 0.5, 1, 7].map((part) => bar(part, 4)), ["", "▏", "█", "██", "████", "████"]);
});

Deno.test("duration and bytes: have units that people read", () => {
  const durations = [0, 999, 1_000, 59_900, 60_000, 3_725_000, 90_000_000, 200_000_000].map(duration);
  assertEquals(durations, [
    "0 ms",
    "999 ms",
    "1.0 s",
    "59.9 s",
    "1 min 0 s",
    "1 h 2 min",
    "25 h 0 min",
    "2 d 7 h",
  ]);
  assertEquals([0, 1_023, 1_024, 5 * 2 ** 20, 3 * 2 ** 30].map(bytes), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "5.0 MiB",
    "3.0 GiB",
  ]);
});
