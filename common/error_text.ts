/**
 * The text of an error. A callback or a custom discovery may throw anything.
 *
 * @module
 */

/** The name and message of an error, or the text of another value. Never throws: fields of an error may throw. */
export function errorText(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "an error without a text";
  }
}

/** The message of an error, or the text of another value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : errorText(error);
}
