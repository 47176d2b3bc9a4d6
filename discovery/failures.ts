/**
 * Reports the failures of a source, and retries it after a delay.
 *
 * @module
 */

import type { DiscoveryContext } from "../contracts/cluster.ts";
import { sleep } from "../common/runtime.ts";
import { reasonOf, ReportOnce } from "../common/report_once.ts";

/** The consecutive failures of one source. */
export class Failures {
  readonly #context: Pick<DiscoveryContext, "eventStream">;
  readonly #source: string;
  readonly #reported = new ReportOnce();
  #count = 0;

  constructor(context: Pick<DiscoveryContext, "eventStream">, source: string) {
    this.#context = context;
    this.#source = source;
  }

  /** The number of failures since the last success. */
  get count(): number {
    return this.#count;
  }

  /**
   * Counts a failure. Emits `DiscoveryFailed` only once for each reason, because a source may fail in the same way for
   * hours.
   */
  failed(error: unknown): void {
    this.#count++;
    const reason = reasonOf(error);
    if (!this.#reported.claim(this.#source, reason)) return;
    this.#context.eventStream.publish({ type: "DiscoveryFailed", source: this.#source, error });
  }

  /** Resets the count and the reported reasons. */
  succeeded(): void {
    this.#count = 0;
    this.#reported.forget(this.#source);
  }
}

/** Options of {@linkcode retryForever}. */
export interface RetryOptions {
  readonly context: DiscoveryContext;
  /** The source and its address, for logs. */
  readonly source: string;
  readonly signal: AbortSignal;
}

/**
 * Runs `attempt` repeatedly until the signal is aborted, and never rejects. `attempt` must call `succeeded` as soon as
 * it works. After a failure the delay is random, up to a limit that rises with each consecutive failure. After an
 * attempt without an error, the delay is the delay of a first failure, because a source may end every attempt at once.
 */
export async function retryForever(
  attempt: (options: { readonly signal: AbortSignal; readonly succeeded: () => void }) => Promise<void>,
  { context, source, signal }: RetryOptions,
): Promise<void> {
  const failures = new Failures(context, source);
  while (!signal.aborted) {
    try {
      await attempt({ signal, succeeded: () => failures.succeeded() });
    } catch (error) {
      if (signal.aborted) return;
      failures.failed(error);
    }
    await sleep(context.runtime, context.retryDelay(Math.max(1, failures.count)), { signal }).catch(() => {});
  }
}
