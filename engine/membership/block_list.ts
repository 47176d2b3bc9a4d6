/**
 * Who is blocked, why and since when, and who of them is to be greeted (rule E10).
 *
 * @module
 */

import type { BlockedMember, BlockReason, Instant } from "../types.ts";

/** From the least to the gravest; `crashed` and `expired` weigh the same, so that neither replaces the other. */
const GRAVITY: { readonly [reason in BlockReason]: number } = {
  crashed: 0,
  expired: 0,
  left: 1,
  topology: 2, // mutant replace-value: only the order counts.
};

/** Whether proof of life ends a block: a newer heartbeat or a greeting (rule E10). */
export function endsWithIncarnation(reason: BlockReason | undefined): boolean {
  return reason === "crashed" || reason === "expired";
}

interface Block {
  readonly reason: BlockReason;
  readonly sinceMs: number;
  probeAtMs: number;
}

/** The blocked members. */
export class BlockList {
  readonly #probeIntervalMs: number;
  readonly #blocks = new Map<string, Block>();
  #expired = 0;
  /** No probe is due before this moment, so that a round in which none is costs nothing. */
  #nextProbeMs = Infinity;

  constructor(probeIntervalMs: number) {
    this.#probeIntervalMs = probeIntervalMs;
  }

  /**
   * Blocks a member; returns whether it was free. A graver reason takes the place of another: a member that
   * left is not to be greeted, and whom the topology blocks only the topology frees.
   */
  block(id: string, reason: BlockReason, now: Instant): boolean {
    const before = this.#blocks.get(id);
    if (before && GRAVITY[reason] <= GRAVITY[before.reason]) return false;
    const probeAtMs = endsWithIncarnation(reason) ? now.monotonicMs + this.#probeIntervalMs : Infinity;
    if (before?.reason === "expired") this.#expired--;
    if (reason === "expired") this.#expired++;
    this.#blocks.set(id, { reason, sinceMs: before?.sinceMs ?? now.wallMs, probeAtMs });
    this.#nextProbeMs = Math.min(this.#nextProbeMs, probeAtMs);
    return !before;
  }

  /** Frees a member; returns whether it was blocked. */
  free(id: string): boolean {
    if (this.#blocks.get(id)?.reason === "expired") this.#expired--;
    return this.#blocks.delete(id);
  }

  /** The number of members blocked as expired. */
  get expired(): number {
    return this.#expired;
  }

  has(id: string): boolean {
    return this.#blocks.has(id);
  }

  reason(id: string): BlockReason | undefined {
    return this.#blocks.get(id)?.reason;
  }

  get(id: string): BlockedMember | undefined {
    const block = this.#blocks.get(id);
    return block && { id, reason: block.reason, sinceMs: block.sinceMs };
  }

  /** The ids blocked, the first blocked first. */
  ids(): string[] {
    return [...this.#blocks.keys()];
  }

  /** The ids whose greeting is due, each once per interval. */
  takeDueProbes(nowMs: number): string[] {
    if (nowMs < this.#nextProbeMs) return [];
    const due: string[] = [];
    this.#nextProbeMs = Infinity;
    for (const [id, block] of this.#blocks) {
      if (block.probeAtMs <= nowMs) {
        due.push(id);
        block.probeAtMs = nowMs + this.#probeIntervalMs;
      }
      this.#nextProbeMs = Math.min(this.#nextProbeMs, block.probeAtMs);
    }
    return due;
  }
}
