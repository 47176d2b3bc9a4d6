/**
 * Dials the addresses of blocked members that no source lists, for a while: a process that restarts there, under any id,
 * may know no other member.
 *
 * @module
 */

import { sleep } from "../common/runtime.ts";
import type { DiscoveryContext } from "../contracts/cluster.ts";

/** The most addresses that are dialed at once, in addition to the addresses of a source. */
const MAX_RETURNS = 16;

/** Options of {@linkcode ReturningMembers}. */
export interface ReturningMembersOptions {
  /** The time for which an address is dialed, in milliseconds. */
  readonly forMs: number;
  /** The longest delay between two dials, in milliseconds. */
  readonly intervalMs: number;
  /** The addresses that are dialed for another reason. */
  readonly dialed: { has(address: string): boolean };
  /** Ends all dials. */
  readonly signal: AbortSignal;
}

/** The addresses of blocked members, while a restart is expected there. */
export class ReturningMembers {
  readonly #context: DiscoveryContext;
  readonly #options: ReturningMembersOptions;
  readonly #dialing = new Map<string, Promise<void>>();

  constructor(context: DiscoveryContext, options: ReturningMembersOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Dials an address until a member answers or the time is over. */
  expectAt(address: string): void {
    const isDialed = this.#options.dialed.has(address) || this.#dialing.has(address);
    if (isDialed || this.#dialing.size >= MAX_RETURNS) return;
    const ending = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, ending.signal]);
    const dialing = this.#dial(address, signal).finally(() => {
      // Otherwise the member's signal would keep the listeners of the dials.
      ending.abort();
      this.#dialing.delete(address);
    });
    this.#dialing.set(address, dialing);
  }

  /** Resolves once no dial is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#dialing.values());
  }

  async #dial(address: string, signal: AbortSignal): Promise<void> {
    const { forMs, intervalMs, dialed } = this.#options;
    const { runtime } = this.#context;
    const untilMs = runtime.monotonicMs() + forMs;
    let found: string | undefined;
    const isOver = () =>
      signal.aborted || dialed.has(address) || runtime.monotonicMs() >= untilMs ||
      found !== undefined && this.#context.activeIds().has(found);
    for (let dials = 1; !isOver(); dials++) {
      await sleep(runtime, Math.min(this.#context.retryDelay(dials), intervalMs), { signal }).catch(() => {});
      if (isOver()) break;
      found = (await this.#context.handshake(address, { signal }).catch(() => undefined))?.id;
    }
  }
}
