/**
 * Reports a member that stays alone.
 *
 * @module
 */

import type { DiscoveryContext, SeedStatus } from "../contracts/cluster.ts";

/** The time alone after which a member emits `Alone`, in milliseconds: longer than other members take to start. */
const ALONE_MS = 10_000;

/**
 * Emits `Alone` after `ALONE_MS` without another member, if a seed has failed or leads to this member: once, and once
 * more if a seed fails after a report without a failure.
 */
export class AloneWatch {
  readonly #context: Pick<DiscoveryContext, "activeIds" | "eventStream" | "runtime">;
  readonly #seeds: () => readonly SeedStatus[];
  #cancel: (() => void) | undefined;
  /** The gravity of the last report: 0 without one, 1 if each seed led to this member, 2 if a seed had failed. */
  #reported = 0;
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

  /** To be called after each change of the members, and after each dial of a seed. */
  check(): void {
    if (!this.isAlone) {
      this.#reported = 0;
      this.#cancel?.();
      this.#cancel = undefined;
    } else if (this.#reported < 2 && !this.#isStopped) {
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
    const gravity = Math.max(
      0,
      ...seeds.map(({ outcome }) => outcome === "failed" ? 2 : Number(outcome === "self")),
    );
    if (!this.isAlone || gravity <= this.#reported) return;
    this.#reported = gravity;
    this.#context.eventStream.publish({ type: "Alone", seeds });
  }
}
