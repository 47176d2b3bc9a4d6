/**
 * The warnings that this library logs: a setting without protection, and an early end of the process.
 *
 * @module
 */

import { printable } from "./printable.ts";

/** The longest line, in UTF-16 units: enough for eight seed addresses with their failures. */
const MAX_LOGGED = 8_000;

/** A text as one line of a log: escaped, and cut. */
export function logLine(text: string): string {
  return printable(text, MAX_LOGGED);
}

/** Logs a warning. */
export function warn(text: string): void {
  console.warn(logLine(text));
}

/** True for the console of this process, which prints further arguments over several lines. */
export function isConsole(logger: unknown): boolean {
  return logger === console;
}
