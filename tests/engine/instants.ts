/**
 * Instants by their monotonic time.
 *
 * @module
 */

import type { Instant } from "../../engine/types.ts";

/** The instant at a monotonic time; the wall clock is ahead by a fixed time. */
export function at(monotonicMs: number): Instant {
  return { monotonicMs, wallMs: 1_000_000 + monotonicMs };
}
