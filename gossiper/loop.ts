/**
 * The beat of the gossip: one round at every interval.
 *
 * @module
 */

import type { Runtime } from "../common/runtime.ts";

/** What a {@linkcode Loop} does, and when. */
export interface LoopOptions {
  readonly runtime: Runtime;
  /** Milliseconds between the starts of two rounds. */
  readonly interval: number;
  /** One round. The next does not begin before it is over. */
  readonly round: () => Promise<void>;
}

/**
 * Rounds on a grid: the first at once, the others at whole intervals after the start, so that delays do not
 * add up. After a round that took longer than the interval the latest tick missed is made up for at once,
 * and those before it are skipped.
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

  /** The number of rounds that were begun. */
  get rounds(): number {
    return this.#rounds;
  }

  /** The number of ticks that were skipped, because a round or this process was late. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Runs until the signal is aborted, and the round under way is over; rejects with what a round throws. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { runtime, interval, round } = this.#options;
    const start = runtime.monotonicMs();
    // One listener for all rounds: to add and remove one in each costs as much as a round without news.
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
    // A timer may fire a little early by the other clock: a round before its time would be one too many.
    for (let left = dueMs - runtime.monotonicMs(); left > 0; left = dueMs - runtime.monotonicMs()) {
      if (signal.aborted) return;
      await this.#sleep(left);
    }
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
