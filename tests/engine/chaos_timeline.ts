/**
 * The time of a simulation, and its trace.
 *
 * @module
 */

/** The present time, and a line for each thing that happened. */
export class Timeline {
  #nowMs = 0;
  /** A line is built only if it is read. */
  readonly lines: (() => string)[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Advances the time; it never goes back. */
  advanceTo(ms: number): void {
    this.#nowMs = Math.max(this.#nowMs, ms);
  }

  /** Adds a line with the present time. */
  note(line: () => string): void {
    const atMs = this.#nowMs;
    this.lines.push(() => `${atMs} ${line()}`);
  }
}
