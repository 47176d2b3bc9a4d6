/**
 * Doing only so much at once.
 *
 * @module
 */

import { type Runtime, sleep } from "../gossiper/runtime.ts";

/** How many may pass a {@linkcode Gate}. */
export interface GateOptions {
  /** How many may be inside at once. */
  readonly places: number;
  /** How long, in milliseconds, a place is kept from those who wait after it was left. */
  readonly heldMs: number;
  readonly runtime: Runtime;
}

/** How a task passes. */
export interface PassOptions {
  readonly signal: AbortSignal;
  /** Whether it need not be done any more. */
  readonly unless?: () => boolean;
}

/** Lets a number of tasks run at once; the others wait, and come in the order of their coming. */
export class Gate {
  readonly #options: GateOptions;
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  #free: number;

  /** Makes a gate with nobody inside. */
  constructor(options: GateOptions) {
    this.#options = options;
    this.#free = options.places;
  }

  /**
   * Runs a task when there is a place for it, unless there is no need any more by then: the next may come at once.
   * Rejects with the signal's reason where that is aborted before.
   */
  async pass<T>(task: () => Promise<T>, { signal, unless }: PassOptions): Promise<T | undefined> {
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
    const turn = Promise.withResolvers<void>();
    // Out of the queue at once, so that nobody who gave up is given a place.
    const giveUp = () => {
      const at = this.#waiting.indexOf(turn);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      turn.reject(signal.reason);
    };
    this.#waiting.push(turn);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await turn.promise;
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
