import { assert } from "../../../deps/std_assert.ts";
import { realRuntime, type Runtime } from "../../../common/runtime.ts";

/** Timers that fire only on a call of the test. */
export class HandRuntime implements Runtime {
  readonly monotonicMs = realRuntime.monotonicMs;
  readonly wallMs = realRuntime.wallMs;
  readonly random = realRuntime.random;
  readonly #timers = new Set<{ delayMs: number; callback: () => void }>();

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** The delays of the pending timers. */
  get set(): number[] {
    return Array.from(this.#timers, (timer) => timer.delayMs);
  }

  /** Fires those of this delay; there must be one. */
  fire(delayMs: number): void {
    const due = [...this.#timers].filter((timer) => timer.delayMs === delayMs);
    assert(due.length > 0, `No timer of ${delayMs} ms is set.`);
    for (const timer of due) {
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}
