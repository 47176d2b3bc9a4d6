/**
 * The event log of a simulation.
 *
 * @module
 */

/** Lines with the columns time, subject and event. */
export class EventLog {
  readonly #lines: (readonly [atMs: number, who: string, what: string])[] = [];

  /** Adds a line; the time is in virtual milliseconds. */
  add(atMs: number, who: string, what: string): void {
    this.#lines.push([atMs, who, what]);
  }

  /** The last lines as text; all by default. */
  lines(last: number = this.#lines.length): string[] {
    const shown = this.#lines.slice(-last);
    const width = Math.max(4, ...shown.map(([, who]) => who.length));
    return shown.map(([atMs, who, what]) =>
      `${(atMs / 1_000).toFixed(3).padStart(9)} s  ${who.padEnd(width)}  ${what}`
    );
  }
}
