/**
 * The tokens that were used, for as long as they would be good: so that each is used once.
 *
 * @module
 */

/** How many used tokens are remembered; while there are so many, nobody else is let in. */
export const MAX_USED_TOKENS = 10_000;

/** Remembers tokens by their `jti`. */
export class UsedTokens {
  /** Until when each would be good; about in the order in which they end. */
  readonly #untilMs = new Map<string, number>();

  /** Uses a token: `"used"` where that is not for the first time, `"full"` where it could not be remembered. */
  use(jti: string, options: { readonly untilMs: number; readonly nowMs: number }): "ok" | "used" | "full" {
    const { untilMs, nowMs } = options;
    if (this.#untilMs.has(jti)) return "used";
    if (this.#untilMs.size >= MAX_USED_TOKENS) this.#forget(nowMs);
    if (this.#untilMs.size >= MAX_USED_TOKENS) return "full";
    this.#untilMs.set(jti, untilMs);
    return "ok";
  }

  /** Those that are over may stand behind one that is not, but not for longer than that is good. */
  #forget(nowMs: number): void {
    for (const [jti, untilMs] of this.#untilMs) if (untilMs < nowMs) this.#untilMs.delete(jti);
  }
}
