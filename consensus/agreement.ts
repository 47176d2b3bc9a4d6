/**
 * A consensus as its users see it: the waits for it, and the calls at each change.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import type { WaitOptions } from "../gossiper/contract.ts";
import { WAIT } from "../gossiper/call_options.ts";
import { assertOptions, FUNCTION, type Rules } from "../options/rules.ts";

/** A consensus of the active members, as one member sees it. Disposing it (`using`) ends it. */
export interface Consensus<T> extends Disposable {
  /** The value of the consensus; `undefined` without one. */
  readonly value: T | undefined;
  /**
   * Resolves with the value at consensus. A consensus that is lost again within one turn of the event loop may be missed.
   * Rejects with the signal's reason, or with code `stopped` when it is disposed of or the member begins to leave.
   */
  reached(options?: WaitOptions): Promise<T>;
}

/** Callbacks of a {@linkcode Consensus}. An error in one emits `CallbackFailed` and has no other effect. */
export interface ConsensusOptions<T> {
  /** Called each time consensus is reached, and for each new value. */
  readonly onReached?: (value: T) => unknown;
  /** Called when consensus is lost. */
  readonly onLost?: () => unknown;
}

/** A value of the members, and a text that is equal for equal values. */
export interface AgreedValue<T> {
  readonly value: T;
  readonly text: string;
}

/** The rules of {@linkcode ConsensusOptions}. */
export const CALLBACKS: Rules<ConsensusOptions<unknown>> = { onReached: FUNCTION, onLost: FUNCTION };

/** The last state of one consensus, and the waits for the next. */
export class ConsensusWaits<T> {
  readonly #options: ConsensusOptions<T>;
  readonly #leaving: AbortSignal;
  readonly #waiting = new Set<PromiseWithResolvers<T>>();
  readonly #abort = () => this.end(this.#leaving.reason);
  #text: string | undefined;
  #end: { readonly error: unknown } | undefined;

  /** Ends when the signal of the member is aborted. */
  constructor(leaving: AbortSignal, options: ConsensusOptions<T>) {
    this.#options = options;
    this.#leaving = leaving;
    if (leaving.aborted) this.#abort();
    else leaving.addEventListener("abort", this.#abort);
  }

  /** True if no consensus can come any more. */
  get isOver(): boolean {
    return this.#end !== undefined;
  }

  /** Takes the present state, and calls back if it changed. Returns the result of the callback, which may throw. */
  update(present: AgreedValue<T> | undefined): unknown {
    if (this.#end) return;
    if (present) this.#resolve(present.value);
    if (present?.text === this.#text) return;
    this.#text = present?.text;
    return present ? this.#options.onReached?.(present.value) : this.#options.onLost?.();
  }

  /** Resolves with the value at consensus: the present one, or the next. */
  async reached(present: AgreedValue<T> | undefined, options: WaitOptions = {}): Promise<T> {
    assertOptions(options, WAIT);
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#end) throw this.#end.error;
    if (present) return present.value;
    const waiting = Promise.withResolvers<T>();
    const abort = () => waiting.reject(signal!.reason);
    signal?.addEventListener("abort", abort);
    this.#waiting.add(waiting);
    try {
      return await waiting.promise;
    } finally {
      // mutant delete-statement: without it only memory would grow.
      this.#waiting.delete(waiting);
      // mutant delete-statement: as above.
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Rejects all waits; nothing is called any more. */
  end(error: unknown = new HearsayError("stopped", "The consensus check was removed.")): void {
    if (this.#end) return;
    this.#end = { error };
    // mutant delete-statement: without it only memory would grow.
    this.#leaving.removeEventListener("abort", this.#abort);
    for (const { reject } of this.#waiting) reject(error);
  }

  /**
   * An equal text ends the waits too. A consensus may be lost and restored between two updates, and a wait that began
   * meanwhile would never end.
   */
  #resolve(value: T): void {
    for (const { resolve } of this.#waiting) resolve(value);
  }
}
