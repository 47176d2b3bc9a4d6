/**
 * Dials the addresses of members that failed and were forgotten, so that the islands of an outage that lasted longer
 * than `departedRetention` merge, even if no seed of the one is in the other (rule E11).
 *
 * @module
 */

import { BoundedMap } from "../common/bounded_map.ts";
import { canonicalAddress } from "../common/canonical_address.ts";
import { sleep } from "../common/runtime.ts";
import { type DiscoveryContext, isDialable } from "../contracts/cluster.ts";
import type { EventOf } from "../contracts/events.ts";
import type { LearnedMembers } from "./learned_members.ts";

/**
 * The most addresses; beyond it the oldest is dropped. 64: one address of each island is enough, and two members that
 * dial one address each turn have dialed all of these within twelve minutes. Lower: members that crash in one island
 * crowd out the addresses of the others. Higher: an address that still leads to a member is dialed later.
 */
export const MAX_LOST = 64;
/**
 * The time for which an address is kept, in milliseconds. Seven days: longer than an outage of a weekend. Lower: islands
 * of a longer outage stay apart. Higher: this member dials addresses of other services for longer.
 */
const LOST_MS = 7 * 24 * 3_600_000;
/**
 * The longest time between two turns, in milliseconds. 30 s: small islands merge within minutes. Lower: more dials
 * without an answer. Higher: islands stay apart for longer.
 */
const TURN_MS = 30_000;
/** The mean number of members of an island that dial in a turn, so that a large island dials no more than a small one. */
const DIALERS = 8;
/** The most addresses that a lone member dials in a turn; other members dial one. */
const DIALED_ALONE = 8;

/** The failed and forgotten members, and the dials of their addresses. */
export class LostMembers {
  readonly #context: DiscoveryContext;
  readonly #members: Pick<LearnedMembers, "idAt" | "recordOf">;
  readonly #dialed: Pick<ReadonlyMap<string, unknown>, "has">;
  /** The addresses of members that are blocked, by id: the record is gone by the time of `MemberForgotten`. */
  readonly #blocked = new BoundedMap<string, string>(MAX_LOST);
  /** The time at which each address was lost, by the monotonic clock. */
  readonly #lost = new BoundedMap<string, number>(MAX_LOST);

  /** `dialed` has the addresses that are dialed for another reason. */
  constructor(context: DiscoveryContext, options: {
    readonly members: Pick<LearnedMembers, "idAt" | "recordOf">;
    readonly dialed: Pick<ReadonlyMap<string, unknown>, "has">;
  }) {
    this.#context = context;
    this.#members = options.members;
    this.#dialed = options.dialed;
  }

  /** Dials until the signal is aborted. */
  async follow({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    // Without probes of failed members, the parts of a partition are to stay apart.
    if (this.#context.blockedProbeInterval === Infinity) return;
    let dialing: Promise<void> | undefined;
    const types = ["MemberBlocked", "MemberForgotten", "MemberUnblocked"] as const;
    for await (const event of this.#context.eventStream.subscribe(types, { signal })) {
      this.#record(event);
      if (this.#lost.size === 0) continue;
      dialing ??= this.#dial(signal).finally(() => dialing = undefined);
    }
    await dialing;
  }

  #record(event: EventOf<"MemberBlocked" | "MemberForgotten" | "MemberUnblocked">): void {
    const { memberId } = event;
    if (event.type === "MemberBlocked") {
      const member = this.#members.recordOf(memberId);
      if (member && isDialable(member)) this.#blocked.set(memberId, this.#context.addressOf(member));
      return;
    }
    const address = this.#blocked.get(memberId);
    this.#blocked.delete(memberId);
    if (event.type !== "MemberForgotten" || address === undefined) return;
    // A member that left in order ended for good, and a block by hand is to keep its member away.
    if (event.reason !== "crashed" && event.reason !== "expired") return;
    this.#lost.set(address, this.#context.runtime.monotonicMs());
  }

  /** Dials some addresses in each turn until none is left. */
  async #dial(signal: AbortSignal): Promise<void> {
    const { runtime, blockedProbeInterval } = this.#context;
    while (this.#lost.size > 0 && !signal.aborted) {
      const turnMs = Math.min(TURN_MS, blockedProbeInterval) * (0.5 + runtime.random() / 2);
      await sleep(runtime, turnMs, { signal }).catch(() => {});
      this.#dropFound();
      // A failure is normal; the next turn follows. A success reaches `metPeers`.
      const dial = (address: string) => this.#context.handshake(address, { signal }).catch(() => {});
      if (!signal.aborted) await Promise.all(this.#drawn().map(dial));
    }
  }

  /** Drops the addresses at which a member is active, this member's own, and those that were lost long ago. */
  #dropFound(): void {
    const { runtime, self } = this.#context;
    const active = this.#context.activeIds();
    const own = isDialable(self) ? canonicalAddress(this.#context.addressOf(self)) : undefined;
    for (const [address, lostMs] of this.#lost) {
      const id = this.#members.idAt(address);
      const isFound = id !== undefined && active.has(id) || canonicalAddress(address) === own;
      if (isFound || runtime.monotonicMs() - lostMs > LOST_MS) this.#lost.delete(address);
    }
  }

  /** The addresses of one turn, by chance: members with equal orders would dial a dead address together. */
  #drawn(): string[] {
    const { runtime } = this.#context;
    const active = this.#context.activeIds().size;
    const left = [...this.#lost.keys()].filter((address) => !this.#dialed.has(address));
    const drawn: string[] = [];
    if (runtime.random() * active >= DIALERS) return drawn;
    for (let most = active > 1 ? 1 : DIALED_ALONE; most > 0 && left.length > 0; most--) {
      drawn.push(...left.splice(Math.floor(runtime.random() * left.length), 1));
    }
    return drawn;
  }
}
