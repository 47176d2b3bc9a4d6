/**
 * Incarnations: the order of the processes that used one id (rule E1).
 *
 * @module
 */

import type { Incarnation } from "./types.ts";

const INCARNATION = /^[0-9a-f]{12}-[0-9a-f]{8}$/;
const YEAR_MS = 366 * 24 * 3_600_000;

/**
 * The incarnation of every unversioned member, such as a member of protoactor-go: the lowest of all. Its deltas do not
 * form a prefix, so they are merged key by key.
 */
export const NO_INCARNATION: Incarnation = "000000000000-00000000";

/** True for {@linkcode NO_INCARNATION}. */
export function isUnversioned(incarnation: Incarnation): boolean {
  return incarnation === NO_INCARNATION;
}

/** Makes an incarnation from the wall clock's milliseconds and a random number of at least 0 and less than 1. */
export function makeIncarnation(wallMs: number, random: number): Incarnation {
  const start = Math.max(0, Math.floor(wallMs)).toString(16).padStart(12, "0");
  return `${start}-${Math.floor(random * 2 ** 32).toString(16).padStart(8, "0")}`;
}

/** Makes an incarnation above another, with a start not before the wall clock. */
export function incarnationAbove(known: Incarnation, wallMs: number, random: number): Incarnation {
  return makeIncarnation(Math.max(wallMs, incarnationStartMs(known) + 1), random);
}

/** The wall clock's milliseconds at the start of an incarnation. */
export function incarnationStartMs(incarnation: Incarnation): number {
  return Number.parseInt(incarnation.slice(0, 12), 16);
}

/** True if a value has the form of an incarnation. */
export function isIncarnation(text: unknown): text is Incarnation {
  return typeof text === "string" && INCARNATION.test(text);
}

/**
 * True if an incarnation starts more than a year ahead of this clock (rule E2). Such an incarnation could keep the
 * member itself from beginning a higher incarnation. This is the only comparison with another machine's clock.
 */
export function isFarAhead(incarnation: Incarnation, wallMs: number): boolean {
  return incarnationStartMs(incarnation) > wallMs + YEAR_MS;
}
