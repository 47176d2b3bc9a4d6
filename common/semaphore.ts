/**
 * A limit on concurrent tasks.
 *
 * @module
 */

import { type Runtime, sleep } from "./runtime.ts";

/** Options of a {@linkcode Semaphore}. */
export interface SemaphoreOptions {
  /** The most tasks at once. */
  readonly permits: number;
  /** The pause before a freed permit goes to a waiting task, in milliseconds. */
  readonly heldMs: number;
  readonly runtime: Runtime;
}

/** Options of {@linkcode Semaphore.run}. */
export interface RunOptions {
  readonly signal: AbortSignal;
  /** Returns true if the task is not needed any more. */
  readonly unless?: () => boolean;
}

/** Runs at most `permits` tasks at once. The others wait in order of arrival. */
export class Semaphore {
  readonly #options: SemaphoreOptions;
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  #free: number;

  constructor(options: SemaphoreOptions) {
    this.#options = options;
    this.#free = options.permits;
  }

  /**
   * Runs a task as soon as a permit is free. If `unless` returns true by then, skips the task, and the next task gets
   * the permit at once. Rejects with the signal's reason if it is aborted while waiting.
   */
  async run<T>(task: () => Promise<T>, { signal, unless }: RunOptions): Promise<T | undefined> {
    await this.#enter(signal);
    if (unless?.()) return void this.#handOn();
    try {
      return await task();
    } finally {
      void this.#leave(signal);
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) return void this.#free--;
    const permit = Promise.withResolvers<void>();
    // Leave the queue at once, so that no canceled task gets a permit.
    const giveUp = () => {
      const at = this.#waiting.indexOf(permit);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      permit.reject(signal.reason);
    };
    this.#waiting.push(permit);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await permit.promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  async #leave(signal: AbortSignal): Promise<void> {
    const { runtime, heldMs } = this.#options;
    if (this.#waiting.length > 0) await sleep(runtime, heldMs, { signal }).catch(() => {});
    this.#handOn();
  }

  #handOn(): void {
    const next = this.#waiting.shift();
    if (next) next.resolve();
    else this.#free++;
  }
}
