/**
 * The loop of rounds: one round at every interval.
 *
 * @module
 */

import type { Runtime } from "../common/runtime.ts";

/** Options of a {@linkcode Loop}. */
export interface LoopOptions {
  readonly runtime: Runtime;
  /** The time between the starts of two rounds, in milliseconds. */
  readonly interval: number;
  /** Runs one round. The next round waits for its end. */
  readonly round: () => Promise<void>;
  /** Called when the wait for a round has ended, with its delay in milliseconds. */
  readonly onWoken?: ((lateMs: number) => void) | undefined;
}

/**
 * Runs the first round at once, and the others at whole intervals after the start, so that delays do not add up. A
 * round longer than the interval is followed at once by the latest missed one; those before it are skipped.
 */
export class Loop {
  readonly #options: LoopOptions;
  #rounds = 0;
  #skipped = 0;
  /** Ends the wait for the next round. */
  #wake: () => void = () => {};

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

  /** Runs until the signal is aborted and the round under way has ended; rejects with the error of a round. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { runtime, interval, round } = this.#options;
    const start = runtime.monotonicMs();
    // One listener for all rounds: adding and removing one in each would double the cost of an idle round.
    const wake = () => this.#wake();
    signal.addEventListener("abort", wake, { once: true });
    try {
      for (let tick = 0; !signal.aborted;) {
        this.#rounds++;
        await round();
        const next = Math.max(tick + 1, Math.floor((runtime.monotonicMs() - start) / interval));
        this.#skipped += next - tick - 1;
        tick = next;
        await this.#until(start + tick * interval, signal);
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  async #until(dueMs: number, signal: AbortSignal): Promise<void> {
    const { runtime } = this.#options;
    let left = dueMs - runtime.monotonicMs();
    // A round that was late itself says nothing of the event loop.
    const onWoken = left > 0 ? this.#options.onWoken : undefined;
    // A timer may fire early by the monotonic clock, and the round would then be one too many.
    for (; left > 0; left = dueMs - runtime.monotonicMs()) {
      if (signal.aborted) return;
      await this.#sleep(left);
    }
    onWoken?.(-left);
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
