/**
 * The only source of time and randomness. `gossiper/` and `transport/` use a {@linkcode Runtime} for every wait, age and
 * random number, so that a simulator can run the real code on a virtual clock.
 *
 * @module
 */

import { HearsayError } from "./errors.ts";

/** Clocks, timers and random numbers. */
export interface Runtime {
  /** Milliseconds since a fixed moment; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch; may step either way. */
  wallMs(): number;
  /** A number of at least 0 and less than 1. */
  random(): number;
  /** Calls back once after the delay; the returned function cancels it. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

/**
 * The longest delay of a timer, in milliseconds: almost 25 days. The platform would end a longer timer at once. A
 * source with a long interval, or with `Infinity`, would then be queried without a pause.
 */
const LONGEST_MS = 2 ** 31 - 1;

/** The machine's own clocks, timers and random numbers. */
export const realRuntime: Runtime = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  random: () => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32,
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, LONGEST_MS));
    return () => clearTimeout(timer);
  },
};

/** Resolves after the delay; rejects with the signal's reason if it is aborted before. */
export function sleep(
  runtime: Runtime,
  delayMs: number,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      cancel();
      reject(signal!.reason);
    };
    const cancel = runtime.setTimer(delayMs, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** A signal that is aborted when the time is up or its parent is aborted; dispose of it to free the timer. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** Makes a {@linkcode Deadline}. Its reason is a `HearsayError` with code `timeout` that names the operation. */
export function deadlineAfter(
  runtime: Runtime,
  delayMs: number,
  what: string,
  options: { readonly signal?: AbortSignal } = {},
): Deadline {
  const { signal: parent } = options;
  const controller = new AbortController();
  const follow = () => controller.abort(parent!.reason);
  if (parent?.aborted) follow();
  parent?.addEventListener("abort", follow, { once: true });
  const cancel = runtime.setTimer(delayMs, () => {
    controller.abort(new HearsayError("timeout", `${what} took longer than ${delayMs} ms.`));
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      cancel();
      parent?.removeEventListener("abort", follow);
    },
  };
}

/** Settles like the promise, or rejects with the signal's reason if the abort comes first. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Without this, a failure of the promise would end the process as unhandled.
  if (signal.aborted) promise.catch(() => {});
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
