/**
 * The blocked members, and the probes of blocked members that may live (rule E10).
 *
 * @module
 */

import type { BlockedMember, BlockReason, Instant } from "../types.ts";

/**
 * The rank of each reason: a reason replaces a reason of lower rank. `crashed` and `expired` are equal, so that neither
 * replaces the other.
 */
const GRAVITY: { readonly [reason in BlockReason]: number } = {
  crashed: 0,
  expired: 0,
  left: 1,
  topology: 2, // mutant replace-value: only the order counts.
};

/** True if proof of life ends a block: a newer heartbeat or a handshake (rule E10). */
export function endsWithProofOfLife(reason: BlockReason | undefined): boolean {
  return reason === "crashed" || reason === "expired";
}

/**
 * The most probes at a time. 16: after a partition, the counts in the first few answers free the other members. Lower:
 * a newcomer checks blocked members later. Higher: a peer that invents members causes more dials at once.
 */
const MAX_PROBES = 16;

interface Block {
  readonly reason: BlockReason;
  /** True if the member was never heard here, and is blocked because a peer passed it on as blocked. */
  readonly isHearsay: boolean;
  readonly sinceMs: number;
  probeAtMs: number;
}

/** The blocked members. */
export class BlockList {
  readonly #probeIntervalMs: number;
  readonly #blocks = new Map<string, Block>();
  #expired = 0;
  /** No probe is due before this time, so that a round without probes costs nothing. */
  #nextProbeMs = Infinity;

  constructor(probeIntervalMs: number) {
    this.#probeIntervalMs = probeIntervalMs;
  }

  /**
   * Blocks a member; returns false if it was blocked before. A reason of higher rank replaces the present reason: a
   * member that left gets no probes, and a block by the topology ends only with the topology. With `isHearsay` the
   * first probe is due at once, because this member itself has not seen the other silent.
   */
  block(
    id: string,
    reason: BlockReason,
    now: Instant,
    { isHearsay = false }: { readonly isHearsay?: boolean } = {},
  ): boolean {
    const before = this.#blocks.get(id);
    if (before && GRAVITY[reason] <= GRAVITY[before.reason]) return false;
    const firstProbeMs = isHearsay ? now.monotonicMs : now.monotonicMs + this.#probeIntervalMs;
    const probeAtMs = endsWithProofOfLife(reason) ? firstProbeMs : Infinity;
    if (isHeardAndExpired(before)) this.#expired--;
    if (reason === "expired" && !isHearsay) this.#expired++;
    this.#blocks.set(id, { reason, isHearsay, sinceMs: before?.sinceMs ?? now.wallMs, probeAtMs });
    this.#nextProbeMs = Math.min(this.#nextProbeMs, probeAtMs);
    return !before;
  }

  /** Ends a block; returns false if there was none. */
  free(id: string): boolean {
    if (isHeardAndExpired(this.#blocks.get(id))) this.#expired--;
    return this.#blocks.delete(id);
  }

  /** The number of members blocked as expired that were heard here before. */
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

  /** The blocked ids, in the order of their blocks. */
  ids(): string[] {
    return [...this.#blocks.keys()];
  }

  /** The ids with a probe due, at most `MAX_PROBES`; each is returned once per probe interval. */
  takeDueProbes(nowMs: number): string[] {
    if (nowMs < this.#nextProbeMs) return [];
    // The probes that are due for longest come first, so that every probe gets its turn. All may be due at once, so
    // they are not sorted.
    const probed: [string, Block][] = [];
    for (const [id, block] of this.#blocks) {
      if (block.probeAtMs > nowMs) continue;
      const before = probed.findLastIndex(([, { probeAtMs }]) => probeAtMs <= block.probeAtMs);
      if (before + 1 < MAX_PROBES) probed.splice(before + 1, 0, [id, block]);
      if (probed.length > MAX_PROBES) probed.pop();
    }
    for (const [, block] of probed) block.probeAtMs = nowMs + this.#probeIntervalMs;
    this.#nextProbeMs = Infinity;
    for (const { probeAtMs } of this.#blocks.values()) {
      this.#nextProbeMs = Math.min(this.#nextProbeMs, probeAtMs);
    }
    return probed.map(([id]) => id);
  }
}

function isHeardAndExpired(block: Block | undefined): boolean {
  return block?.reason === "expired" && !block.isHearsay;
}
