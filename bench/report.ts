/**
 * Output of the benchmark: a line per measurement, with a verdict if it claims something.
 *
 * @module
 */

/** One line of the report. */
export interface Line {
  /** The measured subject. */
  readonly what: string;
  /** The result with its unit. */
  readonly value: string;
  /** The name of the line to compare with, such as "10 members". */
  readonly against?: string;
  /** This result divided by the other. */
  readonly ratio?: number;
  /** The highest allowed ratio; a line without it claims nothing. */
  readonly limit?: number;
}

/** The widths of the columns after the first. */
const WIDTHS = [12, 9, 9] as const;

/** Prints lines and counts claims. */
export class Report {
  #claims = 0;
  #failed = 0;

  /** Claims so far. */
  get claims(): number {
    return this.#claims;
  }

  /** Failed claims so far. */
  get failed(): number {
    return this.#failed;
  }

  /** Prints one table. */
  table(title: string, lines: readonly Line[]): void {
    const width = Math.max(title.length, ...lines.map(({ what }) => what.length));
    console.log(`\n${row(title, ["", "ratio", "limit"], width)}`);
    for (const line of lines) console.log(this.#line(line, width));
  }

  /** Prints a sentence below the last table. */
  note(text: string): void {
    console.log(`  ${text}`);
  }

  #line({ what, value, against, ratio, limit }: Line, width: number): string {
    const cells = [value, ratio === undefined ? "" : `${figure(ratio)}×`];
    if (limit === undefined || ratio === undefined) {
      return row(what, cells, width) + (against ? `${" ".repeat(WIDTHS[2])}  of ${against}` : "");
    }
    this.#claims++;
    const holds = ratio <= limit;
    if (!holds) this.#failed++;
    return `${row(what, [...cells, `≤ ${limit}×`], width)}  ${holds ? "pass" : "FAIL"}${
      against ? `, of ${against}` : ""
    }`;
  }
}

function row(first: string, cells: readonly string[], width: number): string {
  return first.padEnd(width) + cells.map((cell, index) => cell.padStart(WIDTHS[index]!)).join("");
}

/** A number with three significant digits. */
export function figure(number: number): string {
  if (number === 0) return "0";
  return number >= 100 ? Math.round(number).toLocaleString("en") : number.toPrecision(number >= 1 ? 3 : 2);
}

/** A time in a suitable unit. */
export function duration(ms: number): string {
  return ms < 1 ? `${figure(ms * 1000)} µs` : `${figure(ms)} ms`;
}

/** A size in a suitable unit. */
export function size(bytes: number): string {
  return bytes < 1024 ? `${figure(bytes)} B` : `${figure(bytes / 1024)} KiB`;
}
