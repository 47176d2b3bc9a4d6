/**
 * The warnings that this library logs: a setting without protection, and an early end of the process.
 *
 * @module
 */

import { printable } from "./printable.ts";

/** The longest line, in UTF-16 units: enough for eight seed addresses with their failures. */
const MAX_LOGGED = 8_000;

/** Logs a warning. */
export function warn(text: string): void {
  console.warn(printable(text, MAX_LOGGED));
}
