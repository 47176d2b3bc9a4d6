/**
 * The set of peers with a known state. Members send this set to each other (rule E12). So a member needs no exchange
 * with another member to know its state.
 *
 * @module
 */

import type { ConvergenceTracker } from "../convergence.ts";
import type { SortedMembers } from "../state/sorted_members.ts";
import { nameOfState, type Store } from "../state/store.ts";
import type { Delta, MemberSet } from "../types.ts";
import type { PeerMemories, PeerMemory } from "./peer_memory.ts";

/** Records the states of peers, and encodes and merges the set of peers with this member's state. */
export class AgreeingPeers {
  readonly #selfId: string;
  readonly #store: Store;
  readonly #memories: PeerMemories;
  readonly #signs: boolean;
  /**
   * The set as it was last sent, with the changes since. To encode it again would cost time in proportion to the
   * members.
   */
  #encoded: { readonly sorted: SortedMembers; readonly stateName: string; set: MemberSet } | undefined;
  /** The digits of all sets received, so that a member is looked up once for each state. */
  #received: {
    readonly sorted?: SortedMembers;
    readonly stateName?: string;
    readonly retractions?: number;
    readonly digits: number[];
  } = { digits: [] };

  constructor(
    context: {
      readonly selfId: string;
      readonly store: Store;
      readonly memories: PeerMemories;
      readonly signs: boolean;
    },
  ) {
    this.#selfId = context.selfId;
    this.#store = context.store;
    this.#memories = context.memories;
    this.#signs = context.signs;
  }

  /** The members with this member's state, as far as known here. The peer may know more such members. */
  setFor(peer: PeerMemory): Pick<Delta, "agreeing"> {
    const { convergence, active, stateName } = this.#store;
    // The set is about this member's state. A peer with another state has no use for it.
    if (this.#signs || peer.receivedStateName !== stateName || active.size <= 2) return {};
    // Read only now, because sorting the members again costs time in proportion to their number (rule E6).
    const { sorted } = this.#store;
    if (this.#encoded?.sorted !== sorted || this.#encoded.stateName !== stateName) {
      const set = sorted.encode((id) => id === this.#selfId || convergence.agrees(id, stateName));
      this.#encoded = { sorted, stateName, set };
    }
    return { agreeing: this.#encoded.set };
  }

  /** Records the known states of a peer. */
  record(id: string, known: Parameters<ConvergenceTracker["set"]>[1]): void {
    const { convergence, stateName } = this.#store;
    if (!convergence.set(id, known)) return;
    const encoded = this.#encoded;
    if (encoded?.stateName !== stateName) this.#encoded = undefined;
    else if (encoded) {
      const isIn = (each: string) => each === this.#selfId || convergence.agrees(each, encoded.stateName);
      encoded.set = encoded.sorted.encodeAnew(encoded.set, id, isIn);
    }
  }

  /** Merges the set of a peer with the same state. With signing on, no member speaks for another. */
  apply({ agreeing, digest, active }: Delta): void {
    const { stateName } = this.#store;
    if (agreeing === undefined || this.#signs || nameOfState(digest, active) !== stateName) return;
    const { sorted, convergence: { retractions } } = this.#store;
    const before = this.#received;
    if (before.sorted !== sorted || before.stateName !== stateName || before.retractions !== retractions) {
      this.#received = { sorted, stateName, retractions, digits: [] };
    }
    for (const id of sorted.decode(agreeing, this.#received.digits)) {
      const peer = this.#memories.peek(id);
      // Without entries of a peer the name does not cover its incarnation: an earlier process may have had this state.
      if (peer?.incarnation !== undefined && !this.#store.log.get(id)?.version) continue;
      this.record(id, { reported: stateName });
      // The peer has got the entries from another member since, or the member has departed.
      peer?.pending.endGaps();
    }
  }
}
