/**
 * Conflicts about an id: peers know a later incarnation of this member, or another process uses its id. Also the proof
 * that a member signed a later incarnation (rule E1).
 *
 * @module
 */

import type { EngineEvent } from "./events.ts";
import { incarnationAbove } from "./incarnation.ts";
import type { Heartbeats } from "./liveness/heartbeats.ts";
import { IncarnationRenewals } from "./membership/renewals.ts";
import type { OwnState } from "./own_state.ts";
import type { Random } from "./random.ts";
import { ENVELOPE_BYTES, memberBytes, signatureBytes } from "./state/size.ts";
import type { Store } from "./state/store.ts";
import type { PeerMemories } from "./sync/peer_memory.ts";
import type { PeerSync } from "./sync/peer_sync.ts";
import { spanOf } from "./sync/span.ts";
import {
  GRACEFULLY_LEFT_KEY,
  type Incarnation,
  type Instant,
  type KnownVersion,
  type MemberDelta,
} from "./types.ts";

/** The settings for identity conflicts. */
export interface IdentitySettings {
  /** In milliseconds. */
  readonly heartbeatExpiration: number;
  readonly maxMessageBytes: number;
}

/** Defends the incarnation of this member, and proves the incarnations of other members. */
export class Identity {
  readonly #settings: IdentitySettings;
  readonly #selfId: string;
  readonly #own: OwnState;
  readonly #store: Store;
  readonly #memories: PeerMemories;
  readonly #sync: PeerSync;
  readonly #heartbeats: Heartbeats;
  readonly #random: Random;
  readonly #signs: boolean;
  readonly #emit: (event: EngineEvent) => void;
  readonly #renewals: IncarnationRenewals;
  #isFenced = false;

  constructor(settings: IdentitySettings, context: {
    readonly selfId: string;
    readonly own: OwnState;
    readonly store: Store;
    readonly memories: PeerMemories;
    readonly sync: PeerSync;
    readonly heartbeats: Heartbeats;
    readonly random: Random;
    readonly signs: boolean;
    readonly emit: (event: EngineEvent) => void;
  }) {
    this.#settings = settings;
    this.#selfId = context.selfId;
    this.#own = context.own;
    this.#store = context.store;
    this.#memories = context.memories;
    this.#sync = context.sync;
    this.#heartbeats = context.heartbeats;
    this.#random = context.random;
    this.#signs = context.signs;
    this.#emit = context.emit;
    this.#renewals = new IncarnationRenewals(settings.heartbeatExpiration);
  }

  /**
   * True once another process with this id and key proved a later incarnation: this member then neither sends nor merges
   * (rule E1). Never true without signing, because any process could then fence a member.
   */
  get isFenced(): boolean {
    return this.#isFenced;
  }

  /**
   * Compares a peer's delta about this member with its own state; the delta is never merged. Returns the peer's
   * incarnation of this member if this member must begin an incarnation above it. Records this member's version if the
   * peer has an earlier version.
   */
  checkOwn(delta: MemberDelta, versions: Map<string, KnownVersion>): Incarnation | undefined {
    const { incarnation, last: number } = spanOf(delta);
    if (this.isAhead({ incarnation, number })) return incarnation;
    if (incarnation < this.#own.incarnation) {
      versions.set(this.#selfId, { incarnation: this.#own.incarnation, number: this.#own.state.version });
    }
    return undefined;
  }

  /** True if a version of this member is later than its own state. */
  isAhead({ incarnation, number }: KnownVersion): boolean {
    return incarnation > this.#own.incarnation ||
      (incarnation === this.#own.incarnation && number > this.#own.state.version);
  }

  /**
   * Begins an incarnation above the incarnation that a peer knows. A process that leaves begins none: the later
   * incarnation is its successor's, and would be replaced by a state with `left`. With signing on, does so only if this
   * member signed the known incarnation: any peer can claim a later incarnation, but only a peer with later state has
   * the proof.
   */
  beginIncarnationAbove(
    known: Incarnation | undefined,
    { isSigned = false, now }: { readonly isSigned?: boolean | undefined; readonly now: Instant },
  ): void {
    if (known === undefined || this.#isFenced || this.#own.state.live(GRACEFULLY_LEFT_KEY)) return;
    if (this.#signs && !isSigned) return;
    if (this.#renewals.recordClaim(now.monotonicMs)) this.#emitConflict();
    if (this.#renewals.begin(now.monotonicMs)) this.#beginIncarnation(known, now);
  }

  /** Handles a handshake of another process with this id and a later incarnation. */
  meetDuplicate(incarnation: Incarnation, now: Instant): void {
    // Without signatures every process can claim every id.
    if (!this.#signs) return this.beginIncarnationAbove(incarnation, { now });
    if (this.#isFenced || !this.#renewals.recordDuplicate(now.monotonicMs)) return;
    this.#emitConflict();
    this.#emit({ type: "SelfBlocked", reason: "identity" });
    this.#isFenced = true;
  }

  /**
   * True if a later incarnation of the peer is known than the incarnation of its handshake. With signing on, this
   * member must also be able to prove it, because the peer accepts only a proof.
   */
  isOutlived(peerId: string): boolean {
    const peer = this.#memories.peek(peerId);
    if (!peer || !this.#sync.isOutlived(peer)) return false;
    return !this.#signs || this.canProve(peerId);
  }

  /** See `EngineView.signedProof`. */
  signedProof(id: string, maxMessageBytes?: number): MemberDelta | undefined {
    if (!this.canProve(id, maxMessageBytes)) return undefined;
    return this.#store.log.get(id)!.deltaAfter(0, { reset: true });
  }

  /** True if {@linkcode Identity.signedProof} returns a proof; costs no copy of the state. */
  canProve(
    id: string,
    maxMessageBytes: number = this.#memories.peek(id)?.maxMessageBytes ?? Infinity,
  ): boolean {
    const state = this.#store.log.get(id);
    if (!this.#signs || state?.signature === undefined) return false;
    const room = Math.min(maxMessageBytes, this.#settings.maxMessageBytes) - ENVELOPE_BYTES;
    return memberBytes(id) + signatureBytes(id, state.signature) + state.signedBytes <= room;
  }

  #beginIncarnation(known: Incarnation, now: Instant): void {
    const incarnation = incarnationAbove(known, now.wallMs, this.#random.next());
    this.#own.beginIncarnation(incarnation, now);
    this.#heartbeats.count(this.#own.state, now);
    this.#sync.ownIncarnationRenewed();
    this.#emit({ type: "IncarnationRenewed", incarnation });
  }

  #emitConflict(): void {
    this.#emit({ type: "ConflictDetected", memberId: this.#selfId, reason: "identity" });
  }
}
