/**
 * What the benchmark says: a line for every measurement, and a verdict for every claim.
 *
 * @module
 */

/** One line of the report. */
export interface Line {
  /** What was measured. */
  readonly what: string;
  /** The measurement, with its unit. */
  readonly value: string;
  /** What it is held against, in the words of the report: "10 members". */
  readonly against?: string;
  /** How many times that it is. */
  readonly ratio?: number;
  /** The most that the ratio may be; without one the line claims nothing. */
  readonly limit?: number;
}

/** The widths of the columns after the first. */
const WIDTHS = [12, 9, 9] as const;

/** Gathers lines, prints them, and knows whether every claim held. */
export class Report {
  #claims = 0;
  #failed = 0;

  /** The number of claims that were checked. */
  get claims(): number {
    return this.#claims;
  }

  /** The number of claims that did not hold. */
  get failed(): number {
    return this.#failed;
  }

  /** Prints one table. */
  table(title: string, lines: readonly Line[]): void {
    const width = Math.max(title.length, ...lines.map(({ what }) => what.length));
    console.log(`\n${row(title, ["", "ratio", "limit"], width)}`);
    for (const line of lines) console.log(this.#line(line, width));
  }

  /** Prints a sentence that belongs to the table before. */
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

/** A number with three digits that count. */
export function figure(number: number): string {
  if (number === 0) return "0";
  return number >= 100 ? Math.round(number).toLocaleString("en") : number.toPrecision(number >= 1 ? 3 : 2);
}

/** A time in the unit that suits it. */
export function duration(ms: number): string {
  return ms < 1 ? `${figure(ms * 1000)} µs` : `${figure(ms)} ms`;
}

/** A size in the unit that suits it. */
export function size(bytes: number): string {
  return bytes < 1024 ? `${figure(bytes)} B` : `${figure(bytes / 1024)} KiB`;
}
