/**
 * What this library prints, and that is little: that it was told to do without protection, and that its process was
 * ended before its time.
 *
 * @module
 */

import { printable } from "./printable.ts";

/** How many UTF-16 units of a line are written: eight addresses of seeds, and what was said at each. */
const MAX_LOGGED = 8_000;

/** Writes a warning to the log of the process. */
export function warn(text: string): void {
  console.warn(printable(text, MAX_LOGGED));
}
