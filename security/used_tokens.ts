/**
 * Remembers used tokens, so that each is accepted once.
 *
 * @module
 */

/**
 * The most remembered tokens: 16 addresses have to use up their shares before all other clients are refused.
 */
export const MAX_USED_TOKENS = 40_000;
/**
 * The most unexpired tokens of one id: a member dials another member at most a few times per second, and a token
 * expires after at most 30 s.
 */
export const MAX_USED_TOKENS_PER_ID = 256;
/** The most unexpired tokens of one address, which may have many members. */
export const MAX_USED_TOKENS_PER_ADDRESS = 2_500;

/** The origin and the expiry of a token. */
export interface TokenUse {
  /** The member that it names. */
  readonly id: string;
  /** The client's address; `undefined` if unknown. */
  readonly address: string | undefined;
  /** The wall clock's time of its expiry. */
  readonly untilMs: number;
  /** The wall clock's time of its use. */
  readonly wallMs: number;
  /** The monotonic clock's time of its use. */
  readonly monotonicMs: number;
}

/** The name of a share of the room. */
type Source = Pick<TokenUse, "id" | "address">;

interface Counted extends Source {
  readonly untilMs: number;
  /** The monotonic clock's time of its expiry. */
  readonly endMs: number;
}

/** The used tokens by `jti`. */
export class UsedTokens {
  /**
   * Tokens that count in their shares until they expire by the monotonic clock. If the wall clock decided, a step back
   * would make expired tokens count again, and their members would be refused.
   */
  readonly #counted = new Map<string, Counted>();
  /**
   * The wall clock's expiry of tokens that left their shares, in the order of their use. They are remembered as long as
   * there is room: after a step back of the wall clock they are unexpired again.
   */
  readonly #former = new Map<string, number>();
  readonly #countById = new Map<string, number>();
  readonly #countByAddress = new Map<string, number>();

  /**
   * Records a token. Returns `"used"` if it was recorded before. Returns `"full"` if there is no room: the share of its
   * id, the share of its address, or the total is used up.
   */
  use(jti: string, { id, address, untilMs, wallMs, monotonicMs }: TokenUse): "ok" | "used" | "full" {
    if (this.#counted.has(jti) || this.#former.has(jti)) return "used";
    const token = { id, address, untilMs, endMs: monotonicMs + untilMs - wallMs };
    if (this.#isFull(token)) this.#endExpired(monotonicMs);
    if (this.#isFull(token)) return "full";
    if (this.#counted.size + this.#former.size >= MAX_USED_TOKENS) this.#dropFormer(wallMs);
    this.#counted.set(jti, token);
    this.#count(token, 1);
    return "ok";
  }

  #isFull({ id, address }: Source): boolean {
    return this.#counted.size >= MAX_USED_TOKENS ||
      (this.#countById.get(id) ?? 0) >= MAX_USED_TOKENS_PER_ID ||
      (address !== undefined && (this.#countByAddress.get(address) ?? 0) >= MAX_USED_TOKENS_PER_ADDRESS);
  }

  /** Removes expired tokens from their shares. The order is only roughly that of expiry, so every token is checked. */
  #endExpired(monotonicMs: number): void {
    for (const [jti, token] of this.#counted) {
      if (token.endMs >= monotonicMs) continue;
      this.#counted.delete(jti);
      this.#count(token, -1);
      this.#former.set(jti, token.untilMs);
    }
  }

  /** Drops one former token: the first that has expired by the wall clock as well, or else the first. */
  #dropFormer(wallMs: number): void {
    let dropped: string | undefined;
    for (const [jti, untilMs] of this.#former) {
      dropped ??= jti;
      if (untilMs >= wallMs) continue;
      dropped = jti;
      break;
    }
    if (dropped !== undefined) this.#former.delete(dropped);
  }

  #count({ id, address }: Source, step: number): void {
    add(this.#countById, id, step);
    if (address !== undefined) add(this.#countByAddress, address, step);
  }
}

function add(counts: Map<string, number>, key: string, step: number): void {
  const count = (counts.get(key) ?? 0) + step;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
