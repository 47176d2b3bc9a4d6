/**
 * The tokens that were used, for as long as they would be good: so that each is used once.
 *
 * @module
 */

/** How many used tokens are remembered: 16 addresses have to fill their shares before nobody else is let in. */
export const MAX_USED_TOKENS = 40_000;
/** How many of one id: a member dials another a few times in a second at most, and a token is good for 30 s at most. */
export const MAX_USED_TOKENS_PER_ID = 256;
/** How many of one address, behind which there may be many members. */
export const MAX_USED_TOKENS_PER_ADDRESS = 2_500;

/** Where a token is from, and for how long it is good. */
export interface TokenUse {
  /** The member that it names. */
  readonly id: string;
  /** The address that the client comes from; `undefined` where that is not known. */
  readonly address: string | undefined;
  readonly untilMs: number;
  readonly nowMs: number;
}

type Remembered = Omit<TokenUse, "nowMs">;

/** Remembers tokens by their `jti`. */
export class UsedTokens {
  /** Until when each would be good; about in the order in which they end. */
  readonly #byJti = new Map<string, Remembered>();
  readonly #countById = new Map<string, number>();
  readonly #countByAddress = new Map<string, number>();

  /**
   * Uses a token: `"used"` where that is not for the first time, `"full"` where it could not be remembered because its
   * id or its address has its share, or because there are too many in all.
   */
  use(jti: string, { nowMs, ...token }: TokenUse): "ok" | "used" | "full" {
    if (this.#byJti.has(jti)) return "used";
    if (this.#isFull(token)) this.#forget(nowMs);
    if (this.#isFull(token)) return "full";
    this.#byJti.set(jti, token);
    this.#count(token, 1);
    return "ok";
  }

  #isFull({ id, address }: Remembered): boolean {
    return this.#byJti.size >= MAX_USED_TOKENS ||
      (this.#countById.get(id) ?? 0) >= MAX_USED_TOKENS_PER_ID ||
      (address !== undefined && (this.#countByAddress.get(address) ?? 0) >= MAX_USED_TOKENS_PER_ADDRESS);
  }

  /** Those that are over may stand behind one that is not, but not for longer than that is good. */
  #forget(nowMs: number): void {
    for (const [jti, token] of this.#byJti) {
      if (token.untilMs >= nowMs) continue;
      this.#byJti.delete(jti);
      this.#count(token, -1);
    }
  }

  #count({ id, address }: Remembered, step: number): void {
    add(this.#countById, id, step);
    if (address !== undefined) add(this.#countByAddress, address, step);
  }
}

function add(counts: Map<string, number>, key: string, step: number): void {
  const count = (counts.get(key) ?? 0) + step;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
