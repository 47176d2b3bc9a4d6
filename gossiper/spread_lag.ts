/**
 * Measures the time until this member's sets reach the others. Only this member's monotonic clock counts. A measurement
 * begins with the set, and ends with the acknowledgement of the last member, so it includes the way back.
 *
 * @module
 */

import type { Meters, SpreadShare } from "../contracts/meters.ts";

/** The shares of the other active members, in rising order. */
const SHARES: readonly SpreadShare[] = [0.5, 0.95, 1];
/**
 * The most measurements at a time. 4: a change takes about a second to be acknowledged by all, so that a few sets in each
 * second are measured. Lower: fewer samples. Higher: each engine call costs more while many sets spread.
 */
const MAX_OPEN = 4;
/**
 * The age in milliseconds at which a later set replaces a measurement. 60 s: a silent member is blocked earlier, at the
 * default `heartbeatExpiration`. Without this limit, an active member that never acknowledges would prevent all later
 * measurements.
 */
const MAX_AGE_MS = 60_000;

/** The dependencies of a {@linkcode SpreadLag}. */
export interface SpreadLagOptions {
  readonly meters: Pick<Meters, "spread" | "spreadDropped">;
  readonly monotonicMs: () => number;
  /** The number of other active members. */
  readonly peers: () => number;
  /** The number of other active members that acknowledged this member's own state up to a number. */
  readonly acknowledgedBy: (number: number) => number;
}

/** One set. */
interface Measurement {
  readonly number: number;
  readonly sinceMs: number;
  /** The number of shares that are reached. */
  reached: number;
}

/** The sets whose spread is measured now, the oldest first. */
export class SpreadLag {
  readonly #options: SpreadLagOptions;
  #open: Measurement[] = [];

  /** Measures nothing yet. */
  constructor(options: SpreadLagOptions) {
    this.#options = options;
  }

  /** The age of the oldest measurement in milliseconds; 0 if there is none. */
  get oldestMs(): number {
    const oldest = this.#open[0];
    return oldest ? this.#options.monotonicMs() - oldest.sinceMs : 0;
  }

  /**
   * This member set or deleted a key, under this number. The set is measured unless {@linkcode MAX_OPEN} sets are
   * measured already.
   */
  begin(number: number): void {
    // A lone member would measure its wait for the first other member, not the spread.
    if (this.#options.peers() === 0) return;
    const nowMs = this.#options.monotonicMs();
    if (this.#open.length >= MAX_OPEN) {
      if (nowMs - this.#open[0]!.sinceMs < MAX_AGE_MS) return;
      this.#open.shift();
      this.#options.meters.spreadDropped();
    }
    this.#open.push({ number, sinceMs: nowMs, reached: 0 });
  }

  /** Reports the time to each share that was reached since the last call. */
  check(): void {
    if (this.#open.length === 0) return;
    const { meters, monotonicMs, peers, acknowledgedBy } = this.#options;
    const count = peers();
    if (count === 0) return this.clear();
    let hasEnded = false;
    for (const measurement of this.#open) {
      const acknowledged = acknowledgedBy(measurement.number);
      // Without an acknowledgement of this set, no later set is acknowledged.
      if (acknowledged === 0) break;
      for (let share = SHARES[measurement.reached]; share !== undefined && acknowledged >= share * count;) {
        meters.spread(share, monotonicMs() - measurement.sinceMs);
        share = SHARES[++measurement.reached];
      }
      hasEnded ||= measurement.reached === SHARES.length;
    }
    if (hasEnded) this.#open = this.#open.filter(({ reached }) => reached < SHARES.length);
  }

  /** Drops all measurements: this member is alone, or its numbers begin again. */
  clear(): void {
    for (const _ of this.#open) this.#options.meters.spreadDropped();
    this.#open = [];
  }
}
