/**
 * The time of a simulation, and the actions planned in it.
 *
 * @module
 */

import type { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import type { RunRecord } from "./run_record.ts";

/** Ends a simulation after a broken rule. */
export class Violated extends Error {}

/** Virtual time. Its first part is the fault phase. */
export class Timeline {
  readonly #runtime: VirtualRuntime;
  readonly #record: RunRecord;
  /** Cancel functions of planned actions. */
  readonly #planned = new Set<() => void>();
  #isFaultPhase = true;

  constructor(runtime: VirtualRuntime, record: RunRecord) {
    this.#runtime = runtime;
    this.#record = record;
  }

  /** Virtual milliseconds since the start. */
  get nowMs(): number {
    return this.#runtime.monotonicMs();
  }

  /** Lets this time pass. Rejects if a rule was broken meanwhile. */
  async pass(forMs: number): Promise<void> {
    await this.#runtime.advance(Math.max(0, forMs));
    if (this.#record.violation !== undefined) throw new Violated();
  }

  /** Plans an action. Returns a function that cancels it. */
  later(afterMs: number, action: () => void): () => void {
    const cancel = this.#runtime.setTimer(afterMs, () => {
      this.#planned.delete(cancel);
      action();
    });
    this.#planned.add(cancel);
    return () => {
      this.#planned.delete(cancel);
      cancel();
    };
  }

  /** Plans an action that is left out if the fault phase ends before it. */
  laterInFaultPhase(afterMs: number, action: () => void): void {
    this.later(afterMs, () => {
      if (this.#isFaultPhase) action();
    });
  }

  /** Repeats an action until the fault phase ends. The wait before each time is drawn after the time before. */
  repeatInFaultPhase(drawWaitMs: () => number, action: () => void): void {
    this.laterInFaultPhase(drawWaitMs(), () => {
      action();
      this.repeatInFaultPhase(drawWaitMs, action);
    });
  }

  /** Ends the fault phase. */
  endFaultPhase(): void {
    this.#isFaultPhase = false;
  }

  /** Cancels all planned actions, so that no timer is left at the end. */
  cancelPlanned(): void {
    for (const cancel of this.#planned) cancel();
  }
}
