/**
 * Limits of new incarnations, and the signs that another process uses this member's id (rule E1).
 *
 * @module
 */

/**
 * The most new incarnations in half of `heartbeatExpiration`. 2: after a restart with a clock that was set back, peers
 * may know two later incarnations. Fewer: this member must wait before the second new incarnation. More: false claims
 * cost all members more.
 */
const MAX_RENEWALS = 2;
/**
 * The id counts as used twice after this number of claims, or of handshakes, in a later incarnation, within
 * `heartbeatExpiration`. 3: a restart with a clock that was set back causes one or two.
 */
const CONFLICT_TIMES = 3;

/** Counts the new incarnations of one member, and the claims of later incarnations. */
export class IncarnationRenewals {
  readonly #expirationMs: number;
  #begunMs: number[] = [];
  #heardMs: number[] = [];
  #metMs: number[] = [];
  #conflictMs = -Infinity;

  /** The expiration of heartbeats, in milliseconds. */
  constructor(expirationMs: number) {
    this.#expirationMs = expirationMs;
  }

  /** Counts a claim of a later incarnation; returns true if a conflict must be emitted, at most once in an expiration. */
  recordClaim(nowMs: number): boolean {
    this.#heardMs = this.#withTime(this.#heardMs, nowMs);
    if (this.#heardMs.length < CONFLICT_TIMES || nowMs - this.#conflictMs < this.#expirationMs) return false;
    this.#conflictMs = nowMs;
    return true;
  }

  /**
   * Counts a new incarnation; returns false if there were too many. The limit is for half of the expiration, because
   * peers with the later incarnation would block this member after a whole expiration.
   */
  begin(nowMs: number): boolean {
    this.#begunMs = this.#begunMs.filter((atMs) => nowMs - atMs < this.#expirationMs / 2);
    if (this.#begunMs.length >= MAX_RENEWALS) return false;
    this.#begunMs.push(nowMs);
    return true;
  }

  /** Counts a handshake of another process with this id; returns true if there were too many. */
  recordDuplicate(nowMs: number): boolean {
    this.#metMs = this.#withTime(this.#metMs, nowMs);
    return this.#metMs.length === CONFLICT_TIMES;
  }

  /** The times within an expiration, including this one; only as many as the limit needs. */
  #withTime(timesMs: readonly number[], nowMs: number): number[] {
    const recent = timesMs.filter((atMs) => nowMs - atMs < this.#expirationMs);
    return [...recent, nowMs].slice(-CONFLICT_TIMES);
  }
}
