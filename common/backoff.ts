/**
 * Backoff for peers that failed.
 *
 * @module
 */

import { BoundedMap } from "./bounded_map.ts";

/** The bounds of a random wait. */
export interface BackoffOptions {
  /** The longest wait after one failure, in milliseconds. */
  readonly base: number;
  /** The longest wait after any number of failures, in milliseconds. */
  readonly cap: number;
  /** A random number of at least 0 and less than 1. */
  readonly random: number;
}

/**
 * Returns a random wait in milliseconds (full jitter): from 0 to a limit that doubles with each failure. Without the
 * jitter, members that lost the same peer together would all dial it again together.
 */
export function jitteredDelay(failures: number, { base, cap, random }: BackoffOptions): number {
  return random * Math.min(cap, base * 2 ** Math.min(Math.max(failures - 1, 0), 30));
}

/** Options of {@linkcode Backoffs}. */
export interface BackoffsOptions extends Omit<BackoffOptions, "random"> {
  /** The failures in a row without a wait; 0 by default. */
  readonly tolerated?: number;
  /**
   * The most peers with a backoff. Beyond it, the peer whose last failure is oldest is dropped. No limit by default.
   */
  readonly most?: number;
}

/** The backoff of each peer. */
export class Backoffs {
  readonly #options: BackoffsOptions;
  readonly #byId: BoundedMap<string, { readonly failures: number; readonly untilMs: number }>;

  /** Makes a list without peers. */
  constructor(options: BackoffsOptions) {
    this.#options = options;
    this.#byId = new BoundedMap(options.most ?? Infinity);
  }

  /** True if a peer is in its backoff. */
  isResting(id: string, nowMs: number): boolean {
    const backoff = this.#byId.get(id);
    return backoff !== undefined && nowMs < backoff.untilMs;
  }

  /** Records a failure of a peer. */
  failed(id: string, { nowMs, random }: { readonly nowMs: number; readonly random: number }): void {
    const { tolerated = 0, ...options } = this.#options;
    const failures = (this.#byId.get(id)?.failures ?? 0) + 1;
    const untilMs = failures > tolerated
      ? nowMs + jitteredDelay(failures - tolerated, { ...options, random })
      : nowMs;
    this.#byId.set(id, { failures, untilMs });
  }

  /** Removes the backoff of a peer that was reached, or that reached this member. */
  succeeded(id: string): void {
    this.#byId.delete(id);
  }

  /** Removes all other peers, so that the list does not grow with every member ever known. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#byId.keys()) if (!ids.has(id)) this.#byId.delete(id);
  }
}
