/**
 * Settings with which tombstones are forgotten soon.
 *
 * @module
 */

export const RETENTION_MS = 10_000;
/** Options of an engine with {@linkcode RETENTION_MS}. */
export const OPTIONS = { settings: { tombstoneRetention: RETENTION_MS } };
