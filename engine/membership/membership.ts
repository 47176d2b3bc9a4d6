/**
 * Who takes part: the topology, the blocks, the heartbeats awaited, and what becomes of the departed (rules
 * E9, E10, E11).
 *
 * @module
 */

import { BlockList, endsWithIncarnation } from "./block_list.ts";
import { Departures } from "./departures.ts";
import type { EngineEvent } from "../events.ts";
import { FailureDetector } from "../liveness/failure_detector.ts";
import type { PeerMemories } from "../sync/peer_memory.ts";
import type { Store } from "../state/store.ts";
import type { BlockReason, Incarnation, Instant, KnownVersion } from "../types.ts";

/** The settings that decide on membership; durations in milliseconds. */
export interface MembershipSettings {
  readonly gossipInterval: number;
  readonly gossipRequestTimeout: number;
  readonly heartbeatExpiration: number;
  readonly blockedProbeInterval: number;
  readonly departedRetention: number;
  readonly maxMembers: number;
}

/** Who takes part, as one member sees it. */
export class Membership {
  readonly blocks: BlockList;
  readonly departures: Departures;
  readonly #settings: MembershipSettings;
  readonly #selfId: string;
  readonly #openMembership: boolean;
  readonly #store: Store;
  readonly #memories: PeerMemories;
  readonly #emit: (event: EngineEvent) => void;
  readonly #detector: FailureDetector;
  #topology = new Set<string>();
  #topologyBlocked = new Set<string>();
  /** Members whose state says that they left. */
  readonly #leavers = new Set<string>();

  constructor(
    settings: MembershipSettings,
    context: {
      readonly selfId: string;
      readonly store: Store;
      readonly memories: PeerMemories;
      readonly emit: (event: EngineEvent) => void;
      readonly now: Instant;
      /** Whether the topology follows what members say of themselves, so that being in it proves nothing. */
      readonly openMembership: boolean;
    },
  ) {
    this.#settings = settings;
    this.#openMembership = context.openMembership;
    this.#selfId = context.selfId;
    this.#store = context.store;
    this.#memories = context.memories;
    this.#emit = context.emit;
    this.blocks = new BlockList(settings.blockedProbeInterval);
    this.departures = new Departures(settings.departedRetention, settings.maxMembers);
    // Rounds are an interval apart, or as long as a request may take where one is slow: beyond that, the
    // process itself was late.
    const longestGap = settings.gossipInterval + settings.gossipRequestTimeout;
    this.#detector = new FailureDetector(longestGap, context.now.monotonicMs);
    this.#store.activate(this.#selfId);
  }

  /** For how long the active member that was heard longest ago has been silent, in milliseconds. */
  longestSilence(nowMs: number): number {
    return this.#detector.longestSilence(nowMs);
  }

  /** Whether another member is active, or silent for a reason that is not known. */
  get hasOthers(): boolean {
    return this.#store.active.size > 1 || this.blocks.expired > 0;
  }

  isMember(id: string): boolean {
    return id === this.#selfId || this.#topology.has(id);
  }

  /** The latest known incarnation of a member, even if its state was forgotten. */
  latestIncarnation(id: string): Incarnation | undefined {
    return this.#store.log.get(id)?.incarnation ?? this.departures.memory(id)?.incarnation;
  }

  /** Takes over who belongs to the cluster, and who of them is to be blocked. */
  setTopology(
    topology: { readonly members: readonly string[]; readonly blocked: readonly string[] },
    now: Instant,
  ): void {
    const before = this.#topology;
    const blockedBefore = this.#topologyBlocked;
    this.#topology = new Set(topology.members);
    this.#topologyBlocked = new Set(topology.blocked);
    for (const id of before) {
      if (this.#topology.has(id)) continue;
      // Of one that was forgotten the block alone was left, for as long as the topology had it.
      if (this.departures.memory(id) && !this.#topologyBlocked.has(id)) this.blocks.free(id);
      this.#updateActive(id, now);
    }
    for (const id of this.#topology) {
      // This member awaits no heartbeat of its own.
      if (before.has(id) || id === this.#selfId) continue;
      if (!this.#openMembership) this.#store.held.meet(id);
      this.#detector.heartbeat(id, now.monotonicMs);
      this.#updateActive(id, now);
    }
    for (const id of blockedBefore) {
      if (!this.#topologyBlocked.has(id) && this.blocks.reason(id) === "topology") this.free(id, now);
    }
    for (const id of this.#topologyBlocked) {
      if (!blockedBefore.has(id)) this.block(id, "topology", now);
    }
  }

  /** Blocks a member, but never this one itself (R6.5). */
  block(id: string, reason: BlockReason, now: Instant): void {
    if (id === this.#selfId) {
      this.#emit({ type: "SelfBlocked", reason });
      return;
    }
    if (!this.blocks.block(id, reason, now)) return;
    this.#updateActive(id, now);
    this.#emit({ type: "MemberBlocked", memberId: id, reason });
  }

  /** Ends a member's block; returns whether there was one. */
  free(id: string, now: Instant): boolean {
    if (!this.blocks.free(id)) return false;
    if (this.#topology.has(id)) this.#detector.heartbeat(id, now.monotonicMs);
    this.#updateActive(id, now);
    this.#emit({ type: "MemberUnblocked", memberId: id });
    return true;
  }

  /** Something of a member began to be held; if it is not active, it is on the way out at once. */
  heard(id: string, now: Instant): void {
    this.departures.forget(id);
    if (!this.#store.active.has(id)) this.departures.depart(id, now.monotonicMs);
  }

  /** A peer was greeted: what is remembered of one that never joins is forgotten like the departed. */
  met(id: string, now: Instant): void {
    this.#store.held.meet(id);
    if (!this.#store.active.has(id)) this.departures.depart(id, now.monotonicMs);
  }

  /** A member's heartbeat is newer than the last one known: it lives. One that left is not back by its last heartbeat. */
  heartbeat(id: string, now: Instant): void {
    if (id === this.#selfId) return;
    const reason = this.blocks.reason(id);
    if (endsWithIncarnation(reason)) this.free(id, now);
    else if (reason === undefined && this.#topology.has(id)) this.#detector.heartbeat(id, now.monotonicMs);
  }

  /** A later life of a member was heard of: what was said of the earlier one is over. */
  newerIncarnation(id: string, now: Instant): void {
    this.#leavers.delete(id);
    if (this.blocks.reason(id) !== "topology") this.free(id, now);
  }

  /** A member's state says that it left, or no longer says so. */
  setLeft(id: string, left: boolean, now: Instant): void {
    if (!left || id === this.#selfId) {
      this.#leavers.delete(id);
      return;
    }
    this.#leavers.add(id);
    this.block(id, "left", now);
  }

  /** What time brings, once an interval: silent members, those that left, those to be forgotten. */
  tick(now: Instant): void {
    for (const id of this.#detector.expired(now.monotonicMs, this.#settings.heartbeatExpiration)) {
      this.block(id, "expired", now);
    }
    for (const id of this.#leavers) if (!this.blocks.has(id)) this.block(id, "left", now);
    for (const id of this.departures.takeExpired(now.monotonicMs)) this.#forget(id);
  }

  /**
   * Drops all that is held of a member, to make room for another (rule E15). It counts as forgotten: what others go on
   * telling of it is refused, unless it is news. A topology that does not come from members still has it.
   */
  displace(id: string): void {
    if (this.#openMembership && this.#topology.delete(id)) {
      this.#detector.remove(id);
      this.#store.deactivate(id);
    }
    this.departures.return(id);
    this.#forget(id);
  }

  /** Whether what is held of a member is passed on (rule E11). */
  passesOn(id: string, nowMs: number): boolean {
    return this.departures.passesOn(id, nowMs);
  }

  /**
   * Whether what a peer tells up to there is refused, because it was forgotten. Of who is back, what was last held is
   * taken, and from itself any part: what others tell below that may be old.
   */
  refuses(id: string, { incarnation, number }: KnownVersion, peerId: string): boolean {
    const isBack = this.#store.active.has(id);
    const least = id === peerId ? Infinity : number + 1;
    return this.departures.refuses(id, { incarnation, number: isBack ? least : number });
  }

  /** Puts a member where it belongs: active and awaited, or on the way out. */
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

  #forget(id: string): void {
    const member = this.#store.log.get(id);
    if (member) {
      this.departures.remember(id, { incarnation: member.incarnation, number: member.highestNumber });
    }
    this.#store.removeMember(id);
    this.#memories.forget(id);
    this.#leavers.delete(id);
    this.#store.held.forget(id);
    // In the topology the block outlasts the state: else the dead would be greeted as the living again.
    if (!this.#topology.has(id) && !this.#topologyBlocked.has(id)) this.blocks.free(id);
    this.#emit({ type: "MemberForgotten", memberId: id });
  }
}
