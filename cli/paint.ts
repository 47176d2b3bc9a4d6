/**
 * Colors, and tables that fit the terminal.
 *
 * @module
 */

import { printable } from "../common/printable.ts";
import { cut, widthOf } from "./width.ts";

/** A color or weight. */
export type Tone = "bad" | "bold" | "dim" | "good" | "plain" | "warn";

const CODES: { readonly [tone in Tone]: string } = {
  bad: "31",
  bold: "1",
  dim: "2",
  good: "32",
  plain: "",
  warn: "33",
};

/** Paints texts, or leaves them as they are. */
export class Painter {
  readonly #isOn: boolean;

  /** Makes a painter. With `isOn` false it leaves all texts unpainted. */
  constructor(isOn: boolean) {
    this.#isOn = isOn;
  }

  /** A text in a tone. The text must be printable: the caller replaces control characters from peers first. */
  paint(text: string, tone: Tone): string {
    return this.#isOn && tone !== "plain" && text !== "" ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text;
  }
}

/** A column of a table. */
export interface Column<T> {
  readonly title: string;
  readonly text: (row: T) => string;
  readonly tone?: (row: T) => Tone;
  readonly align?: "right";
  /** True if the column is cut first when the table is too wide. */
  readonly mayShrink?: boolean;
  /** The least width of the terminal at which the column is shown. */
  readonly from?: number;
}

/** The space between two columns. */
const GAP = "  ";
/** The shortest width of a column that shrinks. */
const LEAST = 12;

/** The lines of a table, the titles first. All texts are escaped. `columns` is the width, if it is limited. */
export function tableOf<T>(
  rows: readonly T[],
  given: readonly Column<T>[],
  { painter, columns = Infinity }: { readonly painter: Painter; readonly columns?: number },
): string[] {
  const shown = given.filter(({ from = 0 }) => columns >= from);
  const cells = rows.map((row) => shown.map(({ text }) => printable(text(row))));
  const widths = shown.map(({ title }, at) =>
    Math.max(title.length, ...cells.map((each) => widthOf(each[at]!)))
  );
  shrink(widths, shown, columns);
  const titles = line(shown.map(({ title }) => title), shown, {
    widths,
    paint: (text) => painter.paint(text, "dim"),
  });
  return [
    titles,
    ...cells.map((each, index) =>
      line(each, shown, {
        widths,
        paint: (text, at) => painter.paint(text, shown[at]!.tone?.(rows[index]!) ?? "plain"),
      })
    ),
  ];
}

function shrink<T>(widths: number[], columns: readonly Column<T>[], most: number): void {
  let excess = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - most;
  while (excess > 0) {
    const shrinking = columns.map(({ mayShrink }, at) => mayShrink && widths[at]! > LEAST ? widths[at]! : 0);
    const widest = Math.max(...shrinking);
    if (widest === 0) return;
    widths[shrinking.indexOf(widest)]!--;
    excess--;
  }
}

function line<T>(
  cells: readonly string[],
  columns: readonly Column<T>[],
  { widths, paint }: {
    readonly widths: readonly number[];
    readonly paint: (text: string, at: number) => string;
  },
): string {
  return cells.map((cell, at) => {
    const text = cut(cell, widths[at]!);
    const space = " ".repeat(widths[at]! - widthOf(text));
    if (columns[at]!.align === "right") return space + paint(text, at);
    // Without spaces at the end of a line.
    return paint(text, at) + (at === cells.length - 1 ? "" : space);
  }).join(GAP).trimEnd();
}

/** A bar of at most `most` characters, for a part from 0 to 1. A part above 0 shows at least one character. */
export function bar(part: number, most: number): string {
  const eighths = part > 0 ? Math.max(1, Math.round(Math.min(1, part) * most * 8)) : 0;
  const rest = eighths % 8;
  return "█".repeat(Math.floor(eighths / 8)) + (rest === 0 ? "" : "▏▎▍▌▋▊▉"[rest - 1]);
}

/** A duration for people. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1_000;
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(seconds / 3_600);
  if (hours < 48) return `${hours} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** An amount of bytes for people. */
export function bytes(count: number): string {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const) {
    if (count >= size) return `${(count / size).toFixed(1)} ${unit}`;
  }
  return `${Math.round(count)} B`;
}

/** A time of day, in the zone of this machine. */
export function timeOfDay(wallMs: number): string {
  const date = new Date(wallMs);
  const two = (number: number) => String(number).padStart(2, "0");
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}
