/**
 * Lives: which of two processes that used one id is the later (rule E1).
 *
 * @module
 */

import type { Incarnation } from "./types.ts";

const INCARNATION = /^[0-9a-f]{12}-[0-9a-f]{8}$/;
const YEAR_MS = 366 * 24 * 3_600_000;

/**
 * The life of every member that knows nothing of lives, such as one of protoactor-go's: the lowest there is. What
 * is told of it names no prefix, so that it is merged key by key (see "Members that know nothing of lives" in
 * `docs/ALGORITHM.md`).
 */
export const NO_INCARNATION: Incarnation = "000000000000-00000000";

/** Whether a life is that of a member that knows nothing of lives. */
export function isUnversioned(incarnation: Incarnation): boolean {
  return incarnation === NO_INCARNATION;
}

/** Makes a life of the wall clock's milliseconds and a random number of at least 0 and less than 1. */
export function makeIncarnation(wallMs: number, random: number): Incarnation {
  const start = Math.max(0, Math.floor(wallMs)).toString(16).padStart(12, "0");
  return `${start}-${Math.floor(random * 2 ** 32).toString(16).padStart(8, "0")}`;
}

/** A new life, later than `told` and not before the wall clock. */
export function incarnationAbove(delta: Incarnation, wallMs: number, random: number): Incarnation {
  return makeIncarnation(Math.max(wallMs, incarnationStartMs(delta) + 1), random);
}

/** The wall clock's milliseconds at the start of a life. */
export function incarnationStartMs(incarnation: Incarnation): number {
  return Number.parseInt(incarnation.slice(0, 12), 16);
}

/** Whether something has the form of a life. */
export function isIncarnation(text: unknown): text is Incarnation {
  return typeof text === "string" && INCARNATION.test(text);
}

/**
 * Whether a life starts so far ahead of this clock that it cannot be believed (rule E2): nothing could ever
 * be set above it. The one comparison with another's clock.
 */
export function isFarAhead(incarnation: Incarnation, wallMs: number): boolean {
  return incarnationStartMs(incarnation) > wallMs + YEAR_MS;
}
