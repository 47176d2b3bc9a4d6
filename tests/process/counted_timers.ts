/**
 * Counts the timers that Hearsay sets in this process.
 *
 * @module
 */

import { realRuntime } from "../../common/runtime.ts";

const pending = new Set<symbol>();
const setTimer = realRuntime.setTimer;

realRuntime.setTimer = (delayMs, callback) => {
  const timer = Symbol();
  pending.add(timer);
  const cancel = setTimer(delayMs, () => {
    pending.delete(timer);
    callback();
  });
  return () => {
    pending.delete(timer);
    cancel();
  };
};

/** The number of pending timers that were set after this import. */
export function timersSet(): number {
  return pending.size;
}
