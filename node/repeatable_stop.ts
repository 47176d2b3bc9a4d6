/**
 * A `stop` that may be called several times.
 *
 * @module
 */

import { type FlushResult, NOTHING_SENT } from "../gossiper/departure.ts";
import type { Gossiper } from "../gossiper/gossiper.ts";

/** Stops a gossiper once. Once the gossiper leaves for any reason, each call returns the same promise. */
export class RepeatableStop {
  readonly #gossiper: Pick<Gossiper, "closed" | "signal">;
  readonly #stop: () => Promise<FlushResult>;
  #departure: Promise<FlushResult> | undefined;

  /** `stop` is the gossiper's own method, which refuses a second call. */
  constructor(gossiper: Pick<Gossiper, "closed" | "signal">, stop: () => Promise<FlushResult>) {
    this.#gossiper = gossiper;
    this.#stop = stop;
  }

  stop(): Promise<FlushResult> {
    const { closed, signal } = this.#gossiper;
    if (signal.aborted) return this.#departure ??= closed.then(({ flush }) => flush ?? NOTHING_SENT);
    const stopping = this.#stop();
    // A call within an extractor is refused, and the member does not leave.
    if (signal.aborted) this.#departure = stopping;
    return stopping;
  }
}
