/**
 * What this library prints, and that is little: that it was told to do without protection, and that its process was
 * ended before its time.
 *
 * @module
 */

/** Writes a warning to the log of the process. */
export function warn(text: string): void {
  console.warn(text);
}
