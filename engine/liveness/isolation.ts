/**
 * Isolation: this member hears no other member for long, although the topology has others (rule L5).
 *
 * @module
 */

import type { EngineEvent } from "../events.ts";
import type { Membership } from "../membership/membership.ts";
import type { Instant } from "../types.ts";

/**
 * If one member is silent for `heartbeatExpiration` divided by this number, idle rounds end. If all others are, this
 * member is isolated, but not within two intervals and their timeouts: see {@linkcode Isolation.tick}. 3: this member
 * notices well before the others block it, and a few lost rounds do not count as isolation.
 */
export const ISOLATED_DIVISOR = 3;

/** Durations in milliseconds. */
export interface IsolationSettings {
  readonly gossipInterval: number;
  readonly gossipRequestTimeout: number;
  readonly heartbeatExpiration: number;
}

/** Detects that this member hears no other member. */
export class Isolation {
  readonly #settings: IsolationSettings;
  readonly #membership: Membership;
  readonly #emit: (event: EngineEvent) => void;
  /** The last message of any other member. */
  #heardMs: number;
  #tickedMs: number;
  #isIsolated = false;

  constructor(settings: IsolationSettings, context: {
    readonly membership: Membership;
    readonly emit: (event: EngineEvent) => void;
    readonly now: Instant;
  }) {
    this.#settings = settings;
    this.#membership = context.membership;
    this.#emit = context.emit;
    this.#heardMs = context.now.monotonicMs;
    this.#tickedMs = context.now.monotonicMs;
  }

  get isIsolated(): boolean {
    return this.#isIsolated;
  }

  /** Records a message of another member; ends the isolation. */
  recordHeard(now: Instant): void {
    this.#heardMs = now.monotonicMs;
    if (!this.#isIsolated) return;
    this.#isIsolated = false;
    this.#emit({ type: "Rejoined" });
  }

  /** Must be called once an interval. Time in which this process was suspended does not count (rule E9). */
  tick(now: Instant): void {
    const { gossipInterval, gossipRequestTimeout, heartbeatExpiration } = this.#settings;
    const longestGap = gossipInterval + gossipRequestTimeout;
    const lostMs = Math.max(0, now.monotonicMs - this.#tickedMs - longestGap);
    this.#tickedMs = now.monotonicMs;
    // A message may have arrived after the gap and before this call. Then the sum would be in the future and delay
    // isolation.
    this.#heardMs = Math.min(this.#heardMs + lostMs, now.monotonicMs);
    // The only member of a cluster is alone, and not isolated.
    if (!this.#membership.hasOthers) this.recordHeard(now);
    // With a short expiration, two lost rounds are no isolation either.
    const mostMs = Math.max(heartbeatExpiration / ISOLATED_DIVISOR, 2 * longestGap);
    if (this.#isIsolated || now.monotonicMs - this.#heardMs <= mostMs) return;
    this.#isIsolated = true;
    this.#emit({ type: "Isolated" });
  }
}
