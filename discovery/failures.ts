/**
 * How a source goes on after a failure: it tells why, waits, and tries again.
 *
 * @module
 */

import type { DiscoverySite } from "../gossiper/cluster.ts";
import { sleep } from "../gossiper/runtime.ts";
import { reasonOf, ToldReasons } from "../gossiper/told_reasons.ts";

/** The failures of one source, in a row. */
export class Failures {
  readonly #site: Pick<DiscoverySite, "eventStream">;
  readonly #source: string;
  readonly #told = new ToldReasons();
  #count = 0;

  /** Begins with none. */
  constructor(site: Pick<DiscoverySite, "eventStream">, source: string) {
    this.#site = site;
    this.#source = source;
  }

  /** How many there were since it last worked. */
  get count(): number {
    return this.#count;
  }

  /** It failed: told once for each reason, since it may fail the same way for hours. */
  failed(error: unknown): void {
    this.#count++;
    const reason = reasonOf(error);
    if (!this.#told.isNews(this.#source, reason)) return;
    this.#told.add(this.#source, reason);
    this.#site.eventStream.publish({ type: "DiscoveryFailed", source: this.#source, error });
  }

  /** It worked. */
  succeeded(): void {
    this.#count = 0;
    this.#told.forget(this.#source);
  }
}

/** How something is tried again and again. */
export interface TryingOptions {
  readonly site: DiscoverySite;
  /** What is tried, in words, with its address. */
  readonly source: string;
  readonly signal: AbortSignal;
}

/**
 * Does something until the signal is aborted, and never rejects: after a failure it waits, at random up to a
 * limit that grows with each in a row, and does it again; after an end without one, as after the first failure,
 * so that a source that ends everything at once is not asked without pause. `succeeded` is to be called as soon
 * as an attempt is known to work.
 */
export async function keepTrying(
  attempt: (options: { readonly signal: AbortSignal; readonly succeeded: () => void }) => Promise<void>,
  { site, source, signal }: TryingOptions,
): Promise<void> {
  const failures = new Failures(site, source);
  while (!signal.aborted) {
    try {
      await attempt({ signal, succeeded: () => failures.succeeded() });
    } catch (error) {
      if (signal.aborted) return;
      failures.failed(error);
    }
    await sleep(site.runtime, site.retryDelay(Math.max(1, failures.count)), { signal }).catch(() => {});
  }
}
