/**
 * Reports a member that stays alone.
 *
 * @module
 */

import type { DiscoveryContext, SeedStatus } from "../contracts/cluster.ts";

/** The time alone after which a member emits `Alone`, in milliseconds: longer than other members take to start. */
const ALONE_MS = 10_000;

/** Emits `Alone` once, after `ALONE_MS` without another member, if a seed has failed. */
export class AloneWatch {
  readonly #context: Pick<DiscoveryContext, "activeIds" | "eventStream" | "runtime">;
  readonly #seeds: () => readonly SeedStatus[];
  #cancel: (() => void) | undefined;
  #isReported = false;
  #isStopped = false;

  /** `seeds` returns the present status of all seeds. */
  constructor(
    context: Pick<DiscoveryContext, "activeIds" | "eventStream" | "runtime">,
    seeds: () => readonly SeedStatus[],
  ) {
    this.#context = context;
    this.#seeds = seeds;
  }

  get isAlone(): boolean {
    return this.#context.activeIds().size <= 1;
  }

  /** To be called after each change of the members, and after each failure of a seed. */
  check(): void {
    if (!this.isAlone) {
      this.#isReported = false;
      this.#cancel?.();
      this.#cancel = undefined;
    } else if (!this.#isReported && !this.#isStopped) {
      this.#cancel ??= this.#context.runtime.setTimer(ALONE_MS, () => this.#report());
    }
  }

  /** Ends the wait. Later calls of `check` have no effect. */
  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #report(): void {
    this.#cancel = undefined;
    const seeds = this.#seeds();
    if (!this.isAlone || !seeds.some(({ outcome }) => outcome === "failed")) return;
    this.#isReported = true;
    this.#context.eventStream.publish({ type: "Alone", seeds });
  }
}
