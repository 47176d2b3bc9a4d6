/**
 * How many timers a process has set, as everything in Hearsay sets them.
 *
 * @module
 */

import { realRuntime } from "../../gossiper/runtime.ts";

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

/** The number of timers that are set and have neither fired nor been cancelled; counted from this import on. */
export function timersSet(): number {
  return pending.size;
}
