/**
 * The exchange with each peer: the deltas for the peer, and the conclusions from its messages (rules E4 to E7 and E12).
 *
 * @module
 */

import type { EngineEvent } from "../events.ts";
import { isUnversioned, NO_INCARNATION } from "../incarnation.ts";
import { withHeartbeatEntries } from "../liveness/entries_for_unversioned.ts";
import type { Membership } from "../membership/membership.ts";
import type { MemberState } from "../state/member_state.ts";
import { versionBytes, versionsBytes } from "../state/size.ts";
import { withAges } from "../state/expiries.ts";
import { nameOfState, type Store } from "../state/store.ts";
import type { Delta, Incarnation, KnownVersion, KnownVersions, MemberDelta, MemberDeltas } from "../types.ts";
import { Acknowledgements, type AckSettings } from "./acknowledgements.ts";
import { AgreeingPeers } from "./agreeing_peers.ts";
import { DeltaPlanner } from "./delta_planner.ts";
import type { PeerMemories, PeerMemory, SendRecord } from "./peer_memory.ts";
import { Reconciliation, type ReconciliationSettings } from "./reconciliation.ts";
import { deltaBytes, maxPulled, select, selectInOrder } from "./selection.ts";
import { type SentSpan, spanOf } from "./span.ts";

/** Pulls take at most `maxMessageBytes` divided by this. 8: the rest is for deltas. */
const PULL_DIVISOR = 8;
/** The version of an unknown member: each incarnation is later. */
export const NO_VERSION: KnownVersion = { incarnation: NO_INCARNATION, number: 0 };

/** A delta on its way, kept by its sender until it is acknowledged. Opaque. */
export interface Sent {
  readonly peerId: string;
  readonly peerIncarnation: Incarnation | undefined;
  /** The value of `PeerMemory.resends` when the delta was sent. */
  readonly resends: number;
  /** By member id: the span of its delta, as positions. */
  readonly members: ReadonlyMap<string, SentSpan>;
  /** The facts to record once the peer has acknowledged the delta. */
  readonly record: SendRecord;
  /** The name of the sender's state. */
  readonly stateName: string;
  /** The bytes of the message without its envelope and its liveness. */
  readonly bytes: number;
}

/** A delta of a peer during its merge. Opaque. */
export interface Merging {
  readonly peer: PeerMemory;
  /** The serial of the latest change before the merge. */
  readonly serial: number;
}

/** The limits and the pace of messages. */
export interface SyncSettings extends AckSettings, ReconciliationSettings {
  /** The most members in one message. */
  readonly gossipMaxSend: number;
}

/** Selects deltas for peers, and records the known state of each peer. */
export class PeerSync {
  /** The comparisons with peers whose digests still differ. */
  readonly reconciliation: Reconciliation;
  readonly #memories: PeerMemories;
  readonly #settings: SyncSettings;
  readonly #selfId: string;
  readonly #signs: boolean;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #planner: DeltaPlanner;
  readonly #agreeing: AgreeingPeers;
  readonly #acks: Acknowledgements;
  readonly #emit: (event: EngineEvent) => void;

  constructor(
    settings: SyncSettings,
    context: {
      readonly selfId: string;
      readonly store: Store;
      readonly membership: Membership;
      readonly memories: PeerMemories;
      readonly emit: (event: EngineEvent) => void;
      /** True if only signed entries are sent. */
      readonly signs: boolean;
    },
  ) {
    this.#settings = settings;
    this.#signs = context.signs;
    this.#selfId = context.selfId;
    this.#store = context.store;
    this.#membership = context.membership;
    this.#emit = context.emit;
    this.#memories = context.memories;
    this.#planner = new DeltaPlanner({ ...context, maxMembers: settings.gossipMaxSend });
    this.#agreeing = new AgreeingPeers(context);
    this.#acks = new Acknowledgements(settings, { ...context, agreeing: this.#agreeing });
    this.reconciliation = new Reconciliation(settings, {
      ...context,
      acks: this.#acks,
      agreeing: this.#agreeing,
    });
  }

  /** The name of this member's state. */
  get stateName(): string {
    return this.#store.stateName;
  }

  /** True if some of this member's own state is not signed yet, so that its digest covers more than it sends. */
  get #isUnsigned(): boolean {
    const own = this.#store.log.get(this.#selfId)!;
    return this.#signs && own.version > own.signedUpTo;
  }

  /** A handshake with a peer. Acknowledgements of an earlier incarnation do not count. */
  recordHello(
    hello: Pick<Delta, "digest" | "active"> & {
      readonly id: string;
      readonly incarnation: Incarnation;
      readonly maxMessageBytes?: number;
    },
    nowMs: number,
  ): void {
    const { id, incarnation, maxMessageBytes = Infinity } = hello;
    if (this.#memories.peek(id)?.incarnation !== incarnation) {
      this.#memories.forget(id);
      // The name of a state does not cover an incarnation without entries, such as that of a process that has just begun.
      this.#agreeing.record(id, { acknowledged: undefined, reported: undefined });
    }
    const peer = this.#memories.touch(id);
    const held = this.#store.log.get(id)?.incarnation;
    // Either this handshake was slow, or the peer does not know its later incarnation yet. Another handshake follows.
    // mutant negate-condition 2: Engine.applyHello() refuses a handshake in an earlier incarnation than the one stored.
    const current = held !== undefined && held > incarnation ? undefined : incarnation;
    peer.recordHello({ incarnation: current, maxMessageBytes });
    this.#recordState(peer, hello, nowMs);
    if (nameOfState(hello.digest, hello.active) === this.stateName) this.reconciliation.recordMatch(peer);
  }

  /**
   * Sends all state to an unversioned peer again. When the members of the peer or of this member change, the peer may
   * have dropped the state of unknown members without a report. Acknowledgements of earlier messages do not count.
   */
  resendAll(peerId: string): void {
    const known = this.#memories.peek(peerId);
    if (known?.incarnation === undefined || !isUnversioned(known.incarnation)) return;
    this.#memories.forgetAcks(peerId);
    this.#agreeing.record(peerId, { acknowledged: undefined });
  }

  /** Records the name of a peer's state. */
  #recordState(peer: PeerMemory, { digest, active }: Pick<Delta, "digest" | "active">, nowMs: number): void {
    const { stateName } = this;
    const received = nameOfState(digest, active);
    // One text is kept for all peers with the same state.
    peer.recordState(received === stateName ? stateName : received, nowMs);
    // The digest covers incarnations.
    if (received === stateName) peer.recordIncarnationsHash(this.#store.incarnationsHash);
    // The peer has other active members, so an index in a vector would name another member there.
    else if (active !== this.#store.activeHash) peer.recordIncarnationsHash(undefined);
    // A message of an earlier incarnation says nothing about the state of the later one.
    this.#agreeing.record(peer.id, { sent: this.isOutlived(peer) ? undefined : peer.receivedStateName });
  }

  /** Records the arrival of a message of a peer. */
  recordHeard(peerId: string, nowMs: number): void {
    this.#memories.peek(peerId)?.recordHeard(nowMs);
  }

  /** True if a later incarnation of the peer is known than the incarnation of its handshake. */
  isOutlived(peer: PeerMemory): boolean {
    const held = this.#store.log.get(peer.id)?.incarnation;
    return held !== undefined && peer.incarnation !== undefined && held > peer.incarnation;
  }

  /** True if both sides know that they have the same state, so that only heartbeats are to be exchanged. */
  isQuiet(peerId: string, nowMs: number): boolean {
    const peer = this.#memories.peek(peerId);
    return peer !== undefined && peer.ackedStateName === this.stateName &&
      peer.receivedStateName === this.stateName &&
      peer.incarnation !== undefined && !isUnversioned(peer.incarnation) && !this.#isToBeSent(peer, nowMs);
  }

  /**
   * True if a peer may lack state that is passed on. The name of a state covers the active members alone: of the inactive
   * ones the peer must have every change.
   */
  #isToBeSent({ changes, pending }: PeerMemory, nowMs: number): boolean {
    for (const id of pending.ids()) if (this.#membership.passesOn(id, nowMs)) return true;
    const { inactive, log } = this.#store;
    return inactive.size > 0 && (changes.upTo < log.serial || pending.wasDropped);
  }

  /**
   * The members to pull from a peer if not all members find room in one message: active members without stored state.
   */
  membersToPull(peerId: string): KnownVersions {
    const { gossipMaxSend, maxMessageBytes } = this.#settings;
    const versions = new Map<string, KnownVersion>();
    if (this.#store.active.size <= gossipMaxSend) return versions;
    for (const id of this.#store.takeUnknown(maxPulled(gossipMaxSend))) {
      if (id !== peerId) versions.set(id, NO_VERSION);
    }
    let room = maxMessageBytes / PULL_DIVISOR;
    return new Map([...versions].filter(([id]) => (room -= versionBytes(id)) >= 0));
  }

  /** The entries without an acknowledgement of the peer, as many as fit beside the versions. */
  disseminate(
    peerId: string,
    options: {
      /** The versions in the same message. */
      readonly holds: KnownVersions;
      /** The peer's versions of the members in its pull. */
      readonly asked: KnownVersions;
      readonly nowMs: number;
      readonly silent: boolean;
    },
  ): { delta: Delta; sent: Sent } {
    const peer = this.#memories.touch(peerId);
    this.#planner.clearPending(peer, options.nowMs);
    const plan = this.#planner.plan(peer, options);
    const selected = options.silent ? [] : select(plan, {
      members: this.#settings.gossipMaxSend,
      bytes: peer.roomFor(this.#settings) - versionsBytes(options.holds),
      roundRobinFirst: peer.roundRobinFirst,
    });
    const deltas = this.#withAges(peer, selected, options.nowMs);
    this.#emitDisseminated(peerId, deltas);
    const members = new Map(deltas.map((each) => [each.id, this.#acks.spanSent(each)]));
    const record = this.#planner.recordSent(peer, plan, members);
    const { incarnation: peerIncarnation, resends } = peer;
    const delta = {
      members: isUnversioned(peer.incarnation ?? "") ? this.#withHeartbeats(peer, deltas) : deltas,
      digest: this.#store.digest,
      active: this.#store.activeHash,
      partial: record.partial || options.silent || this.#isUnsigned,
      ...this.#agreeing.setFor(peer),
    };
    // mutant replace-value: heartbeats get one byte less.
    const bytes = versionsBytes(options.holds) + (delta.agreeing?.length ?? 0) +
      // mutant replace-value: as above.
      delta.members.reduce((sum, each) => sum + deltaBytes(each), 0);
    return {
      delta,
      sent: { peerId, peerIncarnation, resends, members, record, stateName: this.stateName, bytes },
    };
  }

  /** The changes of these members, for a message to a peer that is sent at once and has no answer. */
  push(peerId: string, ids: Iterable<string>, nowMs: number): MemberDelta[] {
    const peer = this.#memories.touch(peerId);
    const plan = this.#planner.planPush(peer, ids, nowMs);
    const selected = selectInOrder(plan.changed, {
      members: this.#settings.gossipMaxSend,
      bytes: peer.roomFor(this.#settings),
    });
    const deltas = this.#withAges(peer, selected, nowMs);
    this.#planner.recordPushed(plan);
    for (const delta of deltas) {
      const { incarnation, last: number } = spanOf(delta);
      // A recorded push relies on the peer's report of a gap. An unversioned member has no gaps, and an unversioned peer
      // reports none.
      if (!isUnversioned(incarnation) && !isUnversioned(peer.incarnation ?? NO_INCARNATION)) {
        peer.recordPush(delta.id, { incarnation, number });
      }
    }
    this.#emitDisseminated(peerId, deltas);
    if (!isUnversioned(peer.incarnation ?? "")) return deltas;
    // The entry of a heartbeat has the number of a set, which may be above the count. The peer would then ignore all counts
    // up to that number.
    return withHeartbeatEntries(deltas, {
      members: [],
      // mutant replace-value: `members` is empty, so no place is used.
      places: 0,
      stateOf: (id) => this.#store.log.get(id),
    })
      .filter(({ entries }) => entries.length > 0);
  }

  #withAges(peer: PeerMemory, deltas: MemberDelta[], nowMs: number): MemberDelta[] {
    if (!this.#store.expiries.isUsed) return deltas;
    // A signature covers the values.
    const mayRenew = !this.#signs && !isUnversioned(peer.incarnation ?? NO_INCARNATION);
    // For a pending member the record of known changes does not hold.
    const isKnown = (id: string, serial: number) =>
      mayRenew && !peer.pending.has(id) && peer.changes.has(serial);
    return withAges(deltas, { nowMs, isKnown });
  }

  /** The peer has the entries of a message. A version in its report always wins. */
  acknowledge(sent: Sent, versions: KnownVersions, nowMs: number): void {
    const peer = this.#memories.peek(sent.peerId);
    // A later incarnation of the peer may lack what an earlier one acknowledged.
    if (!peer || peer.incarnation !== sent.peerIncarnation || this.isOutlived(peer)) return;
    // An unversioned peer may have dropped the entries since then.
    if (peer.resends !== sent.resends) return;
    peer.recordDelivered(sent.stateName, sent.record);
    this.#acks.recordAcked(peer, { members: sent.members, versions, nowMs });
    this.#updateConvergence(peer);
  }

  /** Before a delta of a peer is merged. */
  beforeMerge(peerId: string): Merging {
    return { peer: this.#memories.touch(peerId), serial: this.#store.log.serial };
  }

  /** After a delta of a peer was merged: the peer has these entries, so they need not be sent back. */
  afterMerge(
    merging: Merging,
    delta: Delta,
    { holds: versions, nowMs }: { readonly holds: KnownVersions; readonly nowMs: number },
  ): void {
    const { peer } = merging;
    this.recordReceived(merging, delta, versions);
    this.#recordState(peer, delta, nowMs);
    this.#agreeing.apply(delta);
    const isLacking = this.#updateConvergence(peer);
    // Refused entries are sent again, and until then the digests differ.
    if (versions.size === 0) this.reconciliation.applyDigest(peer, delta, { isLacking });
  }

  /** After entries of a peer were merged, with a digest or without. */
  recordReceived({ peer, serial }: Merging, delta: MemberDeltas, versions: KnownVersions): void {
    peer.changes.add(serial, this.#store.log.serial);
    this.#acks.recordReceived(peer, delta, versions);
  }

  /** The number of active peers that are known to have this member's own state up to a number. */
  acknowledgedBy(number: number): number {
    let count = 0;
    for (const id of this.#store.active) if (this.isAcknowledgedBy(id, number)) count++;
    return count;
  }

  /** True if an active peer is known to have this member's own state up to a number. */
  isAcknowledgedBy(id: string, number: number): boolean {
    if (id === this.#selfId || !this.#store.active.has(id)) return false;
    return this.ackedOwnNumber(id) >= number;
  }

  /** All active peers have this member's own state up to this number. */
  ownAckedByAll(): number {
    let number = this.#store.log.get(this.#selfId)!.version;
    for (const id of this.#store.peers) number = Math.min(number, this.ackedOwnNumber(id));
    return number;
  }

  /** The number up to which a peer has this member's own state; `Infinity` if it has the whole state. */
  ackedOwnNumber(id: string): number {
    // The peer has the same state as this member.
    if (this.#store.convergence.agrees(id, this.stateName)) return Infinity;
    const peer = this.#memories.peek(id);
    // A later incarnation of the peer may lack what an earlier one acknowledged.
    return peer && !this.isOutlived(peer) ? peer.ackedOwnNumber : 0;
  }

  /** This member has a new incarnation: acknowledgements of its own state do not count any more. */
  ownIncarnationRenewed(): void {
    for (const peer of this.#memories.peers()) peer.limitOwnAck(0);
  }

  /** The deltas with heartbeats as entries: this member's heartbeat, and heartbeats of others in round-robin order. */
  #withHeartbeats(peer: PeerMemory, deltas: readonly MemberDelta[]): MemberDelta[] {
    const { log } = this.#store;
    return withHeartbeatEntries(deltas, {
      members: this.#takeHeartbeats(peer),
      places: this.#settings.gossipMaxSend,
      stateOf: (id) => log.get(id),
    });
  }

  /** This member, then the other active members, from the index at which the last message to the peer ended. */
  *#takeHeartbeats(peer: PeerMemory): Iterable<MemberState> {
    const { log, peers } = this.#store;
    yield log.get(this.#selfId)!;
    // mutant move-bound: one turn more offers a member twice, and it is sent once; the next message may begin anywhere.
    for (let looked = 0; looked < peers.length; looked++) {
      const id = peers[peer.takeHeartbeatTurn(peers.length)]!;
      const state = log.get(id);
      // A peer knows its own state best (E1).
      if (state && id !== peer.id) yield state;
    }
  }

  #emitDisseminated(peerId: string, deltas: readonly MemberDelta[]): void {
    if (deltas.length === 0) return;
    const entries = deltas.reduce((count, delta) => count + delta.entries.length, 0);
    this.#emit({ type: "Disseminated", peerId, members: deltas.length, entries });
  }

  /**
   * Returns true if the peer lacks entries. If it lacks no entries, it counts as having acknowledged this member's
   * state.
   */
  #updateConvergence(peer: PeerMemory): boolean {
    // The peer may have acknowledged this state, and report now that it lost some of it. A late message of its earlier
    // incarnation is no evidence about the later incarnation.
    const isLacking = this.isOutlived(peer) || this.#acks.isLacking(peer);
    if (!isLacking) this.#acks.recordUpToDate(peer);
    if (isLacking) this.#agreeing.record(peer.id, { acknowledged: undefined });
    else if (!peer.pending.wasDropped) this.#agreeing.record(peer.id, { acknowledged: this.stateName });
    return isLacking;
  }
}
