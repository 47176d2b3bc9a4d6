/**
 * A lease of etcd whose end this process knows by its own clocks, before etcd ends it.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { deadlineAfter, type Runtime, sleep } from "../common/runtime.ts";
import type { EtcdClient } from "../discovery/etcd/client.ts";

/**
 * The share of the time to live after which the lease counts as ended. 0.9: the clocks of two machines may differ in
 * speed by 10 %.
 */
const TRUSTED_SHARE = 0.9;
/** The number of renewals in each time to live. 3: two renewals may fail. */
const RENEWALS = 3;
/** The longest wait, in milliseconds, for etcd to delete the key of a process that stops. */
const REVOKE_TIMEOUT_MS = 500;

/** Options of {@linkcode Lease.granted}. */
export interface LeaseOptions {
  /** In whole seconds. */
  readonly ttlSeconds: number;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
}

/** A lease while it is renewed. */
export class Lease {
  /** Its id at etcd. */
  readonly id: string;
  readonly #client: EtcdClient;
  readonly #runtime: Runtime;
  readonly #ttlMs: number;
  readonly #ended = new AbortController();
  #validFrom: { readonly monotonicMs: number; readonly wallMs: number };
  #cancelEnd: () => void = () => {};

  private constructor(client: EtcdClient, options: {
    readonly id: string;
    readonly ttlMs: number;
    readonly runtime: Runtime;
    readonly sent: { readonly monotonicMs: number; readonly wallMs: number };
  }) {
    this.id = options.id;
    this.#client = client;
    this.#runtime = options.runtime;
    this.#ttlMs = options.ttlMs;
    this.#validFrom = options.sent;
    this.#awaitEnd();
  }

  /**
   * Asks etcd for a lease. Its time begins when the request is sent, so the lease never ends later here than at etcd.
   */
  static async granted(client: EtcdClient, { ttlSeconds, runtime, signal }: LeaseOptions): Promise<Lease> {
    const sent = clocksOf(runtime);
    const id = await client.grant(ttlSeconds, { signal });
    return new Lease(client, { id, ttlMs: ttlSeconds * 1_000, runtime, sent });
  }

  /** Aborted when the lease may have ended. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** True while etcd cannot have ended the lease. The wall clock shows the time for which the machine slept. */
  get isValid(): boolean {
    return !this.#ended.signal.aborted && this.#leftMs > 0;
  }

  /** Renews the lease until it ends or the signal is aborted. */
  async renew({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const either = AbortSignal.any([signal, this.ended]);
    const everyMs = this.#ttlMs / RENEWALS;
    let waitMs = everyMs;
    while (!either.aborted) {
      try {
        await sleep(this.#runtime, waitMs, { signal: either });
        const sent = clocksOf(this.#runtime);
        if (!await this.#client.keepAlive(this.id, { signal: either })) {
          this.end(new HearsayError("refused", "etcd has ended the lease."));
          return;
        }
        if (either.aborted || !this.isValid) break;
        this.#validFrom = sent;
        this.#awaitEnd();
        waitMs = everyMs;
      } catch {
        // etcd may answer the next request. If it does not, the lease ends by the clock.
        waitMs = everyMs / 4;
      }
    }
  }

  /** Counts as ended from now on. */
  end(reason: HearsayError): void {
    this.#cancelEnd();
    this.#ended.abort(reason);
  }

  /** Ends the lease here, then asks etcd to delete its keys. If this request fails, the lease expires at etcd. */
  async revoke(): Promise<void> {
    this.end(new HearsayError("stopped", "The lease was given back."));
    using deadline = deadlineAfter(this.#runtime, REVOKE_TIMEOUT_MS, "Revoking the lease");
    await this.#client.revoke(this.id, { signal: deadline.signal }).catch(() => {});
  }

  get #leftMs(): number {
    const { monotonicMs, wallMs } = clocksOf(this.#runtime);
    const passedMs = Math.max(monotonicMs - this.#validFrom.monotonicMs, wallMs - this.#validFrom.wallMs);
    return TRUSTED_SHARE * this.#ttlMs - passedMs;
  }

  #awaitEnd(): void {
    this.#cancelEnd();
    this.#cancelEnd = this.#runtime.setTimer(Math.max(0, this.#leftMs), () => {
      if (this.#leftMs > 0) return this.#awaitEnd();
      this.end(new HearsayError("timeout", "The lease may have ended: etcd did not renew it in time."));
    });
  }
}

function clocksOf(runtime: Runtime): { readonly monotonicMs: number; readonly wallMs: number } {
  return { monotonicMs: runtime.monotonicMs(), wallMs: runtime.wallMs() };
}
