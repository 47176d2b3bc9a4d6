/**
 * The version of this library.
 *
 * @module
 */

/** The version in `deno.json`; a test compares the two. */
export const VERSION = "0.2.0";
