/**
 * Membership: topology, blocks, expiry and departures (rules E9, E10, E11).
 *
 * @module
 */

import { BlockList, endsWithProofOfLife } from "./block_list.ts";
import { Departures } from "./departures.ts";
import type { EngineEvent } from "../events.ts";
import { FailureDetector } from "../liveness/failure_detector.ts";
import type { PeerMemories } from "../sync/peer_memory.ts";
import type { Store } from "../state/store.ts";
import type { BlockReason, Incarnation, Instant, KnownVersion } from "../types.ts";

/** The settings for membership; durations in milliseconds. */
export interface MembershipSettings {
  readonly gossipInterval: number;
  readonly gossipRequestTimeout: number;
  readonly heartbeatExpiration: number;
  /** True if silence blocks no member. */
  readonly neverExpires?: boolean;
  readonly blockedProbeInterval: number;
  readonly departedRetention: number;
  readonly maxMembers: number;
}

/** A topology: the members that the discovery names or a handshake let in since, without those dropped for room (E15). */
export interface NewTopology {
  /** The ids of all members. */
  readonly members: readonly string[];
  /** The ids that the discovery blocks. */
  readonly blocked: readonly string[];
  /**
   * The members that can neither be dialed from here nor dial this member, so that no handshake can show whether they
   * live.
   */
  readonly unreachable?: ReadonlySet<string>;
}

/** The membership of the cluster as one member sees it. */
export class Membership {
  readonly blocks: BlockList;
  readonly departures: Departures;
  readonly #settings: MembershipSettings;
  readonly #selfId: string;
  readonly #openMembership: boolean;
  readonly #signs: boolean;
  readonly #store: Store;
  readonly #memories: PeerMemories;
  readonly #emit: (event: EngineEvent) => void;
  readonly #detector: FailureDetector;
  #topology = new Set<string>();
  #topologyBlocked = new Set<string>();
  /** The members that this member's own program blocks, until it unblocks them. */
  readonly #blockedByHand = new Set<string>();
  /** Members with the key `left` in their state. */
  readonly #leavers = new Set<string>();

  constructor(
    settings: MembershipSettings,
    context: {
      readonly selfId: string;
      readonly store: Store;
      readonly memories: PeerMemories;
      readonly emit: (event: EngineEvent) => void;
      readonly now: Instant;
      /** True if the topology follows the members' own claims. Membership in it is then no proof of trust. */
      readonly openMembership: boolean;
      readonly signs: boolean;
    },
  ) {
    this.#settings = settings;
    this.#openMembership = context.openMembership;
    this.#signs = context.signs;
    this.#selfId = context.selfId;
    this.#store = context.store;
    this.#memories = context.memories;
    this.#emit = context.emit;
    this.blocks = new BlockList(settings.blockedProbeInterval);
    this.departures = new Departures(settings.departedRetention, settings.maxMembers);
    // The next round begins after an interval, or at the end of a slower request. A longer gap counts as a standstill of
    // this process. A comparison in parts may take longer too; then less silence is counted.
    const longestGap = settings.gossipInterval + settings.gossipRequestTimeout;
    this.#detector = new FailureDetector(longestGap, context.now.monotonicMs);
    this.#store.activate(this.#selfId);
  }

  /** The longest silence of all active members, in milliseconds. */
  longestSilence(nowMs: number): number {
    return this.#detector.longestSilence(nowMs);
  }

  /**
   * True if another member is active, or was heard here and is blocked as `expired`. An expired member may still live,
   * and be only out of reach.
   */
  get hasOthers(): boolean {
    return this.#store.active.size > 1 || this.blocks.expired > 0;
  }

  isMember(id: string): boolean {
    return id === this.#selfId || this.#topology.has(id);
  }

  /** The latest known incarnation of a member, even if its state was forgotten. */
  latestIncarnation(id: string): Incarnation | undefined {
    return this.#store.log.get(id)?.incarnation ?? this.departures.rememberedVersion(id)?.incarnation;
  }

  /** Replaces the topology, and the members that it blocks. */
  setTopology(topology: NewTopology, now: Instant): void {
    const before = this.#topology;
    const blockedBefore = this.#topologyBlocked;
    this.#topology = new Set(topology.members);
    this.#topologyBlocked = new Set(topology.blocked);
    for (const id of before) {
      if (this.#topology.has(id)) continue;
      // A forgotten member had only its block left. The block ends when the member is no longer in the topology.
      if (this.departures.rememberedVersion(id) && !this.#isBlockedForGood(id)) this.blocks.free(id);
      this.#updateActive(id, now);
    }
    for (const id of this.#topology) {
      // No failure detection for this member itself.
      if (before.has(id) || id === this.#selfId) continue;
      if (!this.#openMembership) this.#store.held.meet(id);
      else if (this.#isWithoutLife(id) && !topology.unreachable?.has(id)) {
        this.block(id, "expired", now, { isHearsay: true });
        continue;
      }
      this.#detector.heartbeat(id, now.monotonicMs);
      this.#updateActive(id, now);
    }
    for (const id of blockedBefore) {
      if (!this.#isBlockedForGood(id) && this.blocks.reason(id) === "topology") this.free(id, now);
    }
    for (const id of this.#topologyBlocked) {
      if (!blockedBefore.has(id)) this.block(id, "topology", now);
    }
  }

  /**
   * True for a member known by hearsay whose state came without a heartbeat count, because the sender has blocked the
   * member. If such a dead member counted as active, it would keep a newcomer from consensus until it expires there
   * too.
   */
  #isWithoutLife(id: string): boolean {
    const state = this.#store.log.get(id);
    // With signing on, a peer's message is no evidence about another member (rule L4).
    return !this.#signs && state?.isUnversioned === false && state.heartbeatCount === 0 &&
      !this.#store.held.hasMet(id);
  }

  /** Blocks a member, but never this member itself (R6.5). For the options see {@linkcode BlockList.block}. */
  block(
    id: string,
    reason: BlockReason,
    now: Instant,
    options: { readonly isHearsay?: boolean } = {},
  ): void {
    if (id === this.#selfId) {
      this.#emit({ type: "SelfBlocked", reason });
      return;
    }
    if (!this.blocks.block(id, reason, now, options)) return;
    this.#updateActive(id, now);
    this.#emit({ type: "MemberBlocked", memberId: id, reason });
  }

  /**
   * Blocks a member until {@linkcode Membership.unblock}, as a topology does: no proof of life frees it. Returns false if it
   * was blocked by hand before.
   *
   * @throws {RangeError} if `maxMembers` ids are blocked by hand already. Then nothing is changed.
   */
  blockByHand(id: string, now: Instant): boolean {
    if (this.#blockedByHand.has(id)) return false;
    const { maxMembers } = this.#settings;
    if (this.#blockedByHand.size >= maxMembers) {
      throw new RangeError(
        `At most ${maxMembers} ids (maxMembers) can be blocked by hand. Nothing was changed.`,
      );
    }
    this.#blockedByHand.add(id);
    this.block(id, "topology", now);
    return true;
  }

  /** Ends a member's block, also one by hand; returns false if there was none. */
  unblock(id: string, now: Instant): boolean {
    this.#blockedByHand.delete(id);
    return this.free(id, now);
  }

  /** Ends a member's block; returns false if there was none. */
  free(id: string, now: Instant): boolean {
    if (!this.blocks.free(id)) return false;
    if (this.#topology.has(id)) this.#detector.heartbeat(id, now.monotonicMs);
    this.#updateActive(id, now);
    this.#emit({ type: "MemberUnblocked", memberId: id });
    return true;
  }

  /** Called when state of a member was stored. A member that is not active departs at once. */
  recordState(id: string, now: Instant): void {
    this.departures.forget(id);
    if (!this.#store.active.has(id)) this.departures.depart(id, now.monotonicMs);
  }

  /**
   * Called when a handshake succeeded. A peer that is not active departs at once, so that it is forgotten even if it
   * never joins.
   */
  met(id: string, now: Instant): void {
    this.#store.held.meet(id);
    if (!this.#store.active.has(id)) this.departures.depart(id, now.monotonicMs);
  }

  /** A newer heartbeat proves that a member lives. It does not bring back a member that left. */
  heartbeat(id: string, now: Instant): void {
    if (id === this.#selfId) return;
    const reason = this.blocks.reason(id);
    if (endsWithProofOfLife(reason)) this.free(id, now);
    else if (reason === undefined && this.#topology.has(id)) this.#detector.heartbeat(id, now.monotonicMs);
  }

  /** Called when a later incarnation of a member is known: the leave and the block of the earlier incarnation end. */
  newerIncarnation(id: string, now: Instant): void {
    this.#leavers.delete(id);
    if (this.blocks.reason(id) !== "topology") this.free(id, now);
  }

  /** The key `left` of a member was set or deleted. */
  setLeft(id: string, left: boolean, now: Instant): void {
    if (!left || id === this.#selfId) {
      this.#leavers.delete(id);
      return;
    }
    this.#leavers.add(id);
    this.block(id, "left", now);
  }

  /** Must be called once an interval: blocks silent members and members that left, and forgets departed members. */
  tick(now: Instant): void {
    const { heartbeatExpiration, neverExpires } = this.#settings;
    for (const id of this.#detector.advance(now.monotonicMs, neverExpires ? Infinity : heartbeatExpiration)) {
      this.block(id, "expired", now);
    }
    for (const id of this.#leavers) if (!this.blocks.has(id)) this.block(id, "left", now);
    for (const id of this.departures.takeExpired(now.monotonicMs)) this.#forget(id);
  }

  /**
   * Drops all state of a member, to make room for another (rule E15). The member counts as forgotten: later deltas of
   * it are refused unless they are newer. If the topology does not come from members, it stays in the topology.
   */
  displace(id: string): void {
    if (this.#openMembership && this.#topology.delete(id)) {
      this.#detector.remove(id);
      this.#store.deactivate(id);
    }
    this.departures.return(id);
    this.#forget(id);
  }

  /** True if the state of a member is passed on (rule E11). */
  passesOn(id: string, nowMs: number): boolean {
    return this.departures.passesOn(id, nowMs);
  }

  /**
   * True if a peer's delta of a forgotten member, up to this version, is refused. The remembered version is accepted if
   * the member is active again. The member itself may send any version. Lower versions from other peers may be old.
   */
  refuses(id: string, { incarnation, number }: KnownVersion, peerId: string): boolean {
    const isBack = this.#store.active.has(id);
    const least = id === peerId ? Infinity : number + 1;
    return this.departures.refuses(id, { incarnation, number: isBack ? least : number });
  }

  /** Activates a member, or starts its departure, as topology and blocks demand. */
  #updateActive(id: string, now: Instant): void {
    if (id === this.#selfId) return;
    const wasActive = this.#store.active.has(id);
    const active = this.#topology.has(id) && !this.blocks.has(id);
    if (active) {
      this.departures.return(id);
      this.#store.activate(id);
      if (!wasActive) this.#emit({ type: "MemberJoined", memberId: id });
    } else {
      const reason = this.blocks.reason(id) ?? "left";
      if (wasActive && reason === "left") this.#emit({ type: "MemberLeft", memberId: id });
      else if (wasActive && reason !== "left") this.#emit({ type: "MemberFailed", memberId: id, reason });
      this.#detector.remove(id);
      this.departures.depart(id, now.monotonicMs);
      this.#store.deactivate(id);
      this.#memories.suspend(id);
    }
  }

  /** True if the block stays after the member is forgotten: a block by the topology, or by hand. */
  #isBlockedForGood(id: string): boolean {
    return this.#topologyBlocked.has(id) || this.#blockedByHand.has(id);
  }

  #forget(id: string): void {
    const reason = this.blocks.reason(id);
    const member = this.#store.log.get(id);
    if (member) {
      this.departures.remember(id, { incarnation: member.incarnation, number: member.highestNumber });
    }
    this.#store.removeMember(id);
    this.#memories.forget(id);
    this.#leavers.delete(id);
    this.#store.held.forget(id);
    // A block of a member in the topology stays: without it the dead member would count as active again.
    if (!this.#topology.has(id) && !this.#isBlockedForGood(id)) this.blocks.free(id);
    this.#emit({ type: "MemberForgotten", memberId: id, ...(reason && { reason }) });
  }
}
