/**
 * The event log of a simulation.
 *
 * @module
 */

/** Lines with the columns time, subject and event. */
export class EventLog {
  readonly #lines: (readonly [atMs: number, subject: string, text: string])[] = [];

  /** Adds a line; the time is in virtual milliseconds. */
  add(atMs: number, subject: string, text: string): void {
    this.#lines.push([atMs, subject, text]);
  }

  /** The last lines as text; all by default. */
  lines(last: number = this.#lines.length): string[] {
    const shown = this.#lines.slice(-last);
    const width = Math.max(4, ...shown.map(([, subject]) => subject.length));
    return shown.map(([atMs, subject, text]) =>
      `${(atMs / 1_000).toFixed(3).padStart(9)} s  ${subject.padEnd(width)}  ${text}`
    );
  }
}
