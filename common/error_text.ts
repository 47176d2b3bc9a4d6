/**
 * The text of an error that a user's code threw.
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
