/**
 * Handshakes with peers, and their reports of a block of this member.
 *
 * @module
 */

import type { EngineEvent } from "./events.ts";
import type { Identity } from "./identity.ts";
import { isFarAhead } from "./incarnation.ts";
import type { Heartbeats } from "./liveness/heartbeats.ts";
import type { Isolation } from "./liveness/isolation.ts";
import type { Suspicions } from "./liveness/suspicions.ts";
import { endsWithProofOfLife } from "./membership/block_list.ts";
import type { Membership } from "./membership/membership.ts";
import type { OwnState } from "./own_state.ts";
import type { Progress } from "./progress.ts";
import type { Store } from "./state/store.ts";
import type { Merge } from "./sync/merge.ts";
import type { PeerSync } from "./sync/peer_sync.ts";
import { type BlockReason, GRACEFULLY_LEFT_KEY, type Incarnation, type Instant } from "./types.ts";

/** The reason to refuse a handshake. */
export type HelloRejection = "blocked" | "id_conflict" | "invalid";

/** The engine's part of a peer's `hello`. */
export interface PeerHello {
  readonly id: string;
  readonly incarnation: Incarnation;
  readonly digest: string;
  readonly active: string;
  readonly count?: number;
  /** True if it begins a handshake: the peer lives, but the age of its heartbeat is not renewed. */
  readonly isRequest?: boolean;
  readonly maxMessageBytes?: number;
}

/** The parts of an engine for handshakes. */
export interface HandshakesContext {
  readonly selfId: string;
  readonly signs: boolean;
  readonly store: Store;
  readonly membership: Membership;
  readonly own: OwnState;
  readonly identity: Identity;
  readonly merge: Merge;
  readonly sync: PeerSync;
  readonly heartbeats: Heartbeats;
  readonly suspicions: Suspicions;
  readonly isolation: Isolation;
  readonly progress: Progress;
  readonly emit: (event: EngineEvent) => void;
}

/** The handshakes of one member. */
export class Handshakes {
  readonly #parts: HandshakesContext;
  /** Peers with an emitted report, until their next handshake. */
  readonly #blockedBy = new Set<string>();

  constructor(parts: HandshakesContext) {
    this.#parts = parts;
  }

  /** Applies a peer's `hello`, as request or as answer. After a refusal no other message may follow. */
  apply(peer: PeerHello, now: Instant): HelloRejection | undefined {
    const { own, identity, membership } = this.#parts;
    if (isFarAhead(peer.incarnation, now.wallMs)) return "invalid";
    if (peer.id === this.#parts.selfId) {
      if (peer.incarnation > own.incarnation) identity.meetDuplicate(peer.incarnation, now);
      return "id_conflict";
    }
    if (!this.#applyIncarnation(peer, now)) return "id_conflict";
    if (endsWithProofOfLife(membership.blocks.reason(peer.id))) membership.free(peer.id, now);
    if (membership.blocks.has(peer.id)) return "blocked";
    this.#accept(peer, now);
    return undefined;
  }

  /** Emits a peer's block of this member, once until the next handshake with the peer. */
  onBlockedBy(
    peerId: string,
    { reason, nowMs }: { readonly reason: BlockReason; readonly nowMs: number },
  ): void {
    const { membership, heartbeats, emit } = this.#parts;
    if (this.#blockedBy.has(peerId)) return;
    emit({ type: "SelfBlocked", peerId, reason });
    if (membership.isMember(peerId)) this.#blockedBy.add(peerId);
    // The peer has not heard this member for long, so this process may have been suspended without notice.
    if (endsWithProofOfLife(reason)) heartbeats.distrustAfterBlock(nowMs);
  }

  /** Drops the reports of peers outside the topology. */
  dropFormerMembers(): void {
    for (const id of this.#blockedBy) if (!this.#parts.membership.isMember(id)) this.#blockedBy.delete(id);
  }

  /**
   * Returns false if a later incarnation of the peer is known: the peer must begin an incarnation above it. With signing on,
   * this member must also be able to prove the later incarnation, because the peer accepts only a proof.
   */
  #applyIncarnation(peer: PeerHello, now: Instant): boolean {
    const { signs, identity, membership, merge } = this.#parts;
    const latest = membership.latestIncarnation(peer.id) ?? "";
    if (latest > peer.incarnation) {
      // The peer's clock was set back, or another process has its id.
      const isProvable = !signs || identity.canProve(peer.id, peer.maxMessageBytes);
      if (isProvable && !isFarAhead(latest, now.wallMs)) return false;
      // The peer accepts only a proof of its later incarnation, and this member has no proof. So the peer's recent,
      // signed handshake counts. It counts too if the later incarnation began by a false clock (E2).
      merge.forgetIncarnation(peer.id, peer.incarnation, now);
    }
    merge.beginIncarnation(peer.id, peer.incarnation, now);
    if (signs && this.#isBack(peer)) membership.newerIncarnation(peer.id, now);
    return true;
  }

  #accept(peer: PeerHello, now: Instant): void {
    const { membership, sync, heartbeats, suspicions, isolation, progress } = this.#parts;
    progress.recordMetPeer();
    isolation.recordHeard(now);
    suspicions.remove(peer.id);
    membership.met(peer.id, now);
    this.#blockedBy.delete(peer.id);
    const { id, count = 0, isRequest } = peer;
    heartbeats.applyOwnCount(id, isRequest ? 0 : count, now);
    heartbeats.recordHelloCount(id, count);
    sync.recordHello(peer, now.monotonicMs);
  }

  /** True if a peer that left has come back in a later incarnation, whose state arrived before this handshake. */
  #isBack({ id, incarnation }: PeerHello): boolean {
    const { store, membership } = this.#parts;
    const state = store.log.get(id);
    return membership.blocks.reason(id) === "left" && state?.incarnation === incarnation &&
      state.live(GRACEFULLY_LEFT_KEY) === undefined;
  }
}
