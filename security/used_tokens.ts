/**
 * Remembers used tokens until they expire, so that each is accepted once.
 *
 * @module
 */

/**
 * The most remembered tokens: 16 addresses have to use up their shares before all other clients are refused.
 */
export const MAX_USED_TOKENS = 40_000;
/**
 * The most remembered tokens of one id: a member dials another member at most a few times per second, and a token
 * expires after at most 30 s.
 */
export const MAX_USED_TOKENS_PER_ID = 256;
/** The most remembered tokens of one address, which may have many members. */
export const MAX_USED_TOKENS_PER_ADDRESS = 2_500;

/** The origin and the expiry of a token. */
export interface TokenUse {
  /** The member that it names. */
  readonly id: string;
  /** The client's address; `undefined` if unknown. */
  readonly address: string | undefined;
  readonly untilMs: number;
  readonly nowMs: number;
}

type Remembered = Omit<TokenUse, "nowMs">;

/** The used tokens by `jti`. */
export class UsedTokens {
  /** Roughly in order of expiry. */
  readonly #byJti = new Map<string, Remembered>();
  readonly #countById = new Map<string, number>();
  readonly #countByAddress = new Map<string, number>();

  /**
   * Records a token. Returns `"used"` if it was recorded before. Returns `"full"` if there is no room: the share of its
   * id, the share of its address, or the total is used up.
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

  /** Drops all expired tokens. The order is only approximate, so every token is checked. */
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
