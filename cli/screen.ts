/**
 * The output of the commands: text for people, or JSON.
 *
 * @module
 */

import { printableJson } from "../common/printable.ts";
import { type Column, Painter, tableOf, type Tone } from "./paint.ts";
import type { Terminal } from "./terminal.ts";
import { cut, cutEnd, widthOf } from "./width.ts";

/** Moves the cursor to the first line. */
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
const CLEAR_ALL = "\u001b[2J";

/** Writes the output of one command. */
export class Screen {
  /** True with `--json`. */
  readonly isJson: boolean;
  readonly #terminal: Terminal;
  readonly #painter: Painter;
  #hasDrawn = false;

  /** Makes the screen of a command. */
  constructor(
    terminal: Terminal,
    { json = false, color = true }: { readonly json?: boolean; readonly color?: boolean },
  ) {
    const noColor = terminal.env("NO_COLOR");
    this.isJson = json;
    this.#terminal = terminal;
    // An empty NO_COLOR does not count, by https://no-color.org.
    this.#painter = new Painter(color && terminal.isTerminal && (noColor === undefined || noColor === ""));
  }

  /** True if the output can be drawn in place. */
  get mayRedraw(): boolean {
    return this.#terminal.isTerminal && !this.isJson;
  }

  /** A text in a tone. */
  paint(text: string, tone: Tone): string {
    return this.#painter.paint(text, tone);
  }

  /** The lines of a table that fits the terminal; without a terminal nothing is cut. */
  table<T>(rows: readonly T[], columns: readonly Column<T>[]): string[] {
    const width = this.#terminal.isTerminal ? { columns: this.#terminal.size().columns } : {};
    return tableOf(rows, columns, { painter: this.#painter, ...width });
  }

  /** Writes a line. */
  line(text = ""): void {
    this.#terminal.write(`${text}\n`);
  }

  /** Writes lines. */
  lines(lines: readonly string[]): void {
    if (lines.length > 0) this.line(lines.join("\n"));
  }

  /** Writes a paragraph that is wrapped to the width of the terminal. */
  paragraph(text: string, indent = ""): void {
    this.lines(this.wrapped(text, indent));
  }

  /** A paragraph as lines. */
  wrapped(text: string, indent = ""): string[] {
    const most = this.#terminal.isTerminal ? this.#terminal.size().columns : Infinity;
    const lines: string[] = [];
    let line = "";
    for (const word of text.split(" ")) {
      if (line !== "" && indent.length + widthOf(line) + 1 + widthOf(word) > most) {
        lines.push(indent + line);
        line = word;
      } else {
        line = line === "" ? word : `${line} ${word}`;
      }
    }
    return [...lines, indent + line];
  }

  /** Writes a JSON document in one line. */
  json(value: unknown): void {
    this.line(printableJson(value));
  }

  /** Draws lines in place of the former lines. Without a terminal they are appended. */
  draw(lines: readonly string[]): void {
    if (!this.mayRedraw) return this.lines(lines);
    const { columns, rows } = this.#terminal.size();
    const fitting = lines.length > rows - 1
      ? [...lines.slice(0, rows - 2), this.paint(`… ${lines.length - rows + 2} more lines`, "dim")]
      : lines;
    const begin = this.#hasDrawn ? HOME : CLEAR_ALL + HOME;
    this.#hasDrawn = true;
    // A line that the terminal wraps would move the lines below it.
    const drawn = fitting.map((line) => `${cutEnd(line, columns)}${CLEAR_LINE}\n`);
    this.#terminal.write(`${begin}${drawn.join("")}${CLEAR_BELOW}`);
  }

  /** On a terminal, the text cut to this number of columns; elsewhere the whole text. */
  cut(text: string, most: number): string {
    return this.#terminal.isTerminal ? cut(text, Math.max(1, most)) : text;
  }

  /** The width of the terminal. */
  get columns(): number {
    return this.#terminal.isTerminal ? this.#terminal.size().columns : Infinity;
  }
}
