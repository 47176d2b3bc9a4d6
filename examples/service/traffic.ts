/**
 * The number of requests in progress.
 *
 * @module
 */

/** Counts requests in progress and waits until there are none. */
export class Traffic {
  #underWay = 0;
  #idle = Promise.withResolvers<void>();

  /** Counts a request until it is answered. */
  async carry(respond: () => Promise<Response>): Promise<Response> {
    this.#underWay++;
    try {
      return await respond();
    } finally {
      if (--this.#underWay === 0) {
        this.#idle.resolve();
        this.#idle = Promise.withResolvers();
      }
    }
  }

  /** Resolves after this time, once no request is in progress or the signal is aborted. */
  async drained({ forMs, signal }: { readonly forMs: number; readonly signal: AbortSignal }): Promise<void> {
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await new Promise((resolve) => setTimeout(resolve, forMs));
    while (this.#underWay > 0 && !signal.aborted) await Promise.race([this.#idle.promise, aborted]);
  }
}
