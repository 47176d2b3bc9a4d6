/**
 * Lives: which of two processes that used one id is the later (rule E1).
 *
 * @module
 */

import type { Life } from "./types.ts";

const LIFE = /^[0-9a-f]{12}-[0-9a-f]{8}$/;
const YEAR_MS = 366 * 24 * 3_600_000;

/**
 * The life of every member that knows nothing of lives, such as one of protoactor-go's: the lowest there is. What
 * is told of it names no prefix, so that it is merged key by key (see "Members that know nothing of lives" in
 * `docs/ALGORITHM.md`).
 */
export const FOREIGN_LIFE: Life = "000000000000-00000000";

/** Whether a life is that of a member that knows nothing of lives. */
export function isForeign(life: Life): boolean {
  return life === FOREIGN_LIFE;
}

/** Makes a life of the wall clock's milliseconds and a random number of at least 0 and less than 1. */
export function makeLife(wallMs: number, random: number): Life {
  const start = Math.max(0, Math.floor(wallMs)).toString(16).padStart(12, "0");
  return `${start}-${Math.floor(random * 2 ** 32).toString(16).padStart(8, "0")}`;
}

/** A new life, later than `told` and not before the wall clock. */
export function lifeAbove(told: Life, wallMs: number, random: number): Life {
  return makeLife(Math.max(wallMs, lifeStartMs(told) + 1), random);
}

/** The wall clock's milliseconds at the start of a life. */
export function lifeStartMs(life: Life): number {
  return Number.parseInt(life.slice(0, 12), 16);
}

/** Whether something has the form of a life. */
export function isLife(text: unknown): text is Life {
  return typeof text === "string" && LIFE.test(text);
}

/**
 * Whether a life starts so far ahead of this clock that it cannot be believed (rule E2): nothing could ever
 * be set above it. The one comparison with another's clock.
 */
export function isFarAhead(life: Life, wallMs: number): boolean {
  return lifeStartMs(life) > wallMs + YEAR_MS;
}
