/**
 * The one thing that this library prints: that it was told to do without protection.
 *
 * @module
 */

/** Writes a warning to the log of the process. */
export function warn(text: string): void {
  console.warn(text);
}
