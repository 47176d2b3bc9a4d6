/**
 * Limits work that costs far more than the message that causes it. A renewal of 150 bytes stands for a value of up to a
 * mebibyte, and a reset of one entry may rebuild a state of 65,536 keys. All peers share an allowance, because a
 * process with a key can act as many members.
 *
 * @module
 */

/** An amount of work that is refilled over time. */
export class Allowance {
  readonly #perSecond: number;
  readonly #most: number;
  #left: number;
  #atMs = 0;

  /** Makes a full allowance. */
  constructor(perSecond: number, { most = perSecond }: { readonly most?: number } = {}) {
    this.#perSecond = perSecond;
    this.#most = most;
    this.#left = most;
  }

  /**
   * Takes an amount. If too little is left, takes nothing and returns false. A full allowance permits any amount, as a
   * debt.
   */
  take(amount: number, nowMs: number): boolean {
    this.#left = Math.min(this.#most, this.#left + (nowMs - this.#atMs) * this.#perSecond / 1_000);
    this.#atMs = nowMs;
    if (amount > this.#left && this.#left < this.#most) return false;
    this.#left -= amount;
    return true;
  }
}
