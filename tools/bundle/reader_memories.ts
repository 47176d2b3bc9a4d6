/**
 * In place of `engine/sync/readers.ts`: a page serves no reader, and remembers none.
 *
 * @module
 */

/** Remembers nothing. */
export class Readers {}
