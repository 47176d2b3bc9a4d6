/**
 * The one seam for time and chance. Everything in `gossiper/` and `transport/` waits, ages and draws by
 * a {@linkcode Runtime}, so that a simulator can run the real code on a virtual clock.
 *
 * @module
 */

import { HearsayError } from "./errors.ts";

/** Time and chance. */
export interface Runtime {
  /** Milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch; may step either way. */
  wallMs(): number;
  /** A number of at least 0 and less than 1. */
  random(): number;
  /** Calls back once after the delay; the function returned cancels that. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

/** The machine's own clocks, timers and random numbers. */
export const realRuntime: Runtime = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  random: () => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32,
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after the delay; rejects with the signal's reason when it is aborted before. */
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

/** A signal that is aborted when its time is up or the parent is; dispose of it to free the timer. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** A {@linkcode Deadline}: its reason is a `HearsayError` with code `timeout`, naming what was waited for. */
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

/** The promise's outcome, or the signal's reason if that comes first. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // The promise may have begun just now: without this, its failure would end the process as unhandled.
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
