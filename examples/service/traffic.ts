/**
 * The requests under way.
 *
 * @module
 */

/** Counts them, and tells when there are none. */
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

  /** Resolves when the time has passed and then no request is under way; rejects when the signal is aborted before. */
  async drained({ forMs, signal }: { readonly forMs: number; readonly signal: AbortSignal }): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, forMs));
    while (this.#underWay > 0 && !signal.aborted) await this.#idle.promise;
  }
}
