/**
 * How often a member begins a new life because a later one of its id was heard of, and when it takes another process to
 * use its id (rule E1).
 *
 * @module
 */

/**
 * How many new lives may be begun in half of `heartbeatExpiration`. 2: whoever restarts with a clock that was set back
 * may hear of two earlier lives at once. Fewer: it waits for the second. More: each lie costs all members more.
 */
const MAX_RENEWALS = 2;
/**
 * How often within `heartbeatExpiration` a later life is heard of, or a process greets under this id, before the id is
 * taken to be in use twice. 3: a restart with a clock that was set back causes one or two.
 */
const CONFLICT_TIMES = 3;

/** The new lives of one member, and the processes that it met under its own id. */
export class Renewals {
  readonly #expirationMs: number;
  #begunMs: number[] = [];
  #heardMs: number[] = [];
  #metMs: number[] = [];
  #conflictMs = -Infinity;

  /** Makes a memory of nothing; the expiration is that of heartbeats, in milliseconds. */
  constructor(expirationMs: number) {
    this.#expirationMs = expirationMs;
  }

  /** Counts a later life that was heard of; returns whether a conflict is to be told, which it is once in an expiration. */
  recordClaim(nowMs: number): boolean {
    this.#heardMs = this.#withTime(this.#heardMs, nowMs);
    if (this.#heardMs.length < CONFLICT_TIMES || nowMs - this.#conflictMs < this.#expirationMs) return false;
    this.#conflictMs = nowMs;
    return true;
  }

  /**
   * Whether a new life may be begun now, which then counts. Within half of the expiration: a member that has to wait for
   * longer than all of it would be blocked by those that know of the later life.
   */
  begin(nowMs: number): boolean {
    this.#begunMs = this.#begunMs.filter((atMs) => nowMs - atMs < this.#expirationMs / 2);
    if (this.#begunMs.length >= MAX_RENEWALS) return false;
    this.#begunMs.push(nowMs);
    return true;
  }

  /** Counts a greeting by another process under this id; returns whether there were too many. */
  recordDuplicate(nowMs: number): boolean {
    this.#metMs = this.#withTime(this.#metMs, nowMs);
    return this.#metMs.length === CONFLICT_TIMES;
  }

  /** The last times within an expiration, this one included: no more than are needed. */
  #withTime(timesMs: readonly number[], nowMs: number): number[] {
    const recent = timesMs.filter((atMs) => nowMs - atMs < this.#expirationMs);
    return [...recent, nowMs].slice(-CONFLICT_TIMES);
  }
}
