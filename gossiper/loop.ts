/**
 * The loop of rounds: one round at every interval.
 *
 * @module
 */

import type { Runtime } from "../common/runtime.ts";

/**
 * The most rounds that {@linkcode Loop.now} begins in one interval. 10: with the default interval a round every 30 ms,
 * so that a caller in a loop cannot exceed the message rate of a peer.
 */
const ASKED_PER_INTERVAL = 10;

/** Options of a {@linkcode Loop}. */
export interface LoopOptions {
  readonly runtime: Runtime;
  /** The time between the starts of two rounds, in milliseconds. */
  readonly interval: number;
  /** Runs one round. The next round waits for its end. `isDue` is false for an extra round that {@linkcode Loop.now} began. */
  readonly round: (isDue: boolean) => Promise<void>;
  /** Called when the wait for a round has ended, with its delay in milliseconds. */
  readonly onWoken?: ((lateMs: number) => void) | undefined;
}

/**
 * Runs the first round at once, and the others at whole intervals after the start, so that delays do not add up. After
 * a round that took longer than the interval, one missed round begins at once. Earlier missed rounds are skipped.
 */
export class Loop {
  readonly #options: LoopOptions;
  #rounds = 0;
  #skipped = 0;
  /** Ends the wait for the next round. */
  #wake: () => void = () => {};
  /** The next round, if {@linkcode Loop.now} was called for it. */
  #asked: PromiseWithResolvers<void> | undefined;
  #beganMs = -Infinity;

  /** Makes a loop that does not run yet. */
  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** The number of rounds started. */
  get rounds(): number {
    return this.#rounds;
  }

  /** The number of rounds skipped because a round or this process was late. */
  get skipped(): number {
    return this.#skipped;
  }

  /**
   * Begins an extra round now; the rounds at whole intervals stay. It begins at least a tenth of an interval after the
   * start of the last round, and after its end. Resolves at the end of the extra round or of the loop.
   */
  now(): Promise<void> {
    this.#asked ??= Promise.withResolvers();
    this.#wake();
    return this.#asked.promise;
  }

  /** Runs until the signal is aborted and the round under way has ended; rejects with the error of a round. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { runtime, interval, round } = this.#options;
    const start = runtime.monotonicMs();
    let asked: PromiseWithResolvers<void> | undefined;
    // One listener for all rounds: a listener for each round would double the cost of an idle round.
    const wake = () => this.#wake();
    signal.addEventListener("abort", wake, { once: true });
    try {
      for (let tick = 0; !signal.aborted;) {
        asked = this.#asked;
        this.#asked = undefined;
        this.#beganMs = runtime.monotonicMs();
        const isDue = this.#beganMs >= start + tick * interval;
        const due = isDue ? tick + 1 : tick;
        this.#rounds++;
        await round(isDue);
        asked?.resolve();
        tick = Math.max(due, Math.floor((runtime.monotonicMs() - start) / interval));
        this.#skipped += tick - due;
        await this.#until(start + tick * interval, signal);
      }
    } finally {
      signal.removeEventListener("abort", wake);
      asked?.resolve();
      this.#asked?.resolve();
    }
  }

  async #until(dueMs: number, signal: AbortSignal): Promise<void> {
    const { interval, runtime } = this.#options;
    const untilNext = () => {
      const nextMs = this.#asked ? Math.min(dueMs, this.#beganMs + interval / ASKED_PER_INTERVAL) : dueMs;
      return nextMs - runtime.monotonicMs();
    };
    let left = untilNext();
    // After a long round the lateness says nothing about the event loop.
    const onWoken = left > 0 ? this.#options.onWoken : undefined;
    // A timer may fire early by the monotonic clock. Without this loop, the early round would be an extra round.
    for (; left > 0; left = untilNext()) {
      if (signal.aborted) return;
      await this.#sleep(left);
    }
    if (!this.#asked) onWoken?.(-left);
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.runtime.setTimer(delayMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
