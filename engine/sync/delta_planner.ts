/**
 * The candidates for the next message to a peer: changes without an acknowledgement, the latest first. The search costs
 * time in proportion to the message, not to the cluster (rules E6, E7).
 *
 * @module
 */

import type { Membership } from "../membership/membership.ts";
import type { MemberState } from "../state/member_state.ts";
import type { Store } from "../state/store.ts";
import { HEARTBEAT_KEY, type KnownVersion, type KnownVersions, type MemberDelta } from "../types.ts";
import type { PeerMemories, PeerMemory, SendRecord } from "./peer_memory.ts";
import { NOT_REFUSED, type PendingMember } from "./pending_members.ts";
import { type Candidate, type Candidates, maxPulled, roundRobinSlots } from "./selection.ts";

/**
 * The most slots in one search of the round-robin, for each member of a message: most members have nothing to send.
 */
const SLOTS_PER_MEMBER = 4;

/** A member with entries to send. */
interface Item extends Candidate {
  readonly member: MemberState;
  /** False if a part of the member's state cannot be sent yet. */
  readonly isWhole: boolean;
}

/** A member in round-robin order. */
interface SlotItem extends Item {
  readonly slot: number;
}

/** The candidates for one message. */
export interface Plan extends Candidates {
  readonly own: Item | undefined;
  readonly changed: readonly Item[];
  /** The changed members without the pending ones. */
  readonly notPending: readonly Item[];
  readonly roundRobin: readonly SlotItem[];
  /** The slot after the slots of `roundRobin`; `undefined` if all candidates find room. */
  readonly slot: number | undefined;
  /** The serial of the latest change. */
  readonly serial: number;
  readonly updates: PendingUpdates;
}

/** The candidates for one push. */
export interface PushPlan {
  readonly changed: readonly Candidate[];
  readonly updates: PendingUpdates;
}

/**
 * A plan's changes to the pending members of a peer. They are recorded only with the message, so that planning itself
 * changes no record.
 */
class PendingUpdates {
  readonly peer: PeerMemory;
  readonly nowMs: number;
  /** The updates in order: a member becomes pending. With `undefined` it is no longer pending. */
  #pending: (readonly [id: string, pending: PendingMember | undefined])[] | undefined;
  #unfillable: string[] | undefined;
  #isHeldBack = false;

  constructor(peer: PeerMemory, nowMs: number) {
    this.peer = peer;
    this.nowMs = nowMs;
  }

  /** True if a member was left out because the peer had refused its entries. */
  get isHeldBack(): boolean {
    return this.#isHeldBack;
  }

  addPending(id: string, pending: PendingMember): void {
    (this.#pending ??= []).push([id, pending]);
  }

  clearPending(id: string): void {
    (this.#pending ??= []).push([id, undefined]);
  }

  /** Records that no delta may be sent for a member with a gap now. Its gap then counts as no repair under way. */
  addUnfillable(id: string): void {
    (this.#unfillable ??= []).push(id);
  }

  holdBack(): void {
    this.#isHeldBack = true;
  }

  /** Records all updates. */
  record(memories: PeerMemories): void {
    const { peer } = this;
    for (const [id, pending] of this.#pending ?? []) {
      if (pending === undefined) peer.pending.delete(id);
      else if (!peer.pending.has(id)) memories.addPending(peer, id, pending);
    }
    for (const id of this.#unfillable ?? []) {
      const pending = peer.pending.get(id);
      if (pending) memories.addPending(peer, id, { ...pending, gap: false });
    }
  }
}

/** Finds the candidates for a message. */
export class DeltaPlanner {
  readonly #selfId: string;
  readonly #maxMembers: number;
  readonly #signs: boolean;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #memories: PeerMemories;
  /** The first slot for a peer without one. */
  #slot = 0;

  constructor(context: {
    readonly selfId: string;
    /** The most members in a message. */
    readonly maxMembers: number;
    /** True if only signed entries are sent. */
    readonly signs: boolean;
    readonly store: Store;
    readonly membership: Membership;
    readonly memories: PeerMemories;
  }) {
    this.#selfId = context.selfId;
    this.#maxMembers = context.maxMembers;
    this.#signs = context.signs;
    this.#store = context.store;
    this.#membership = context.membership;
    this.#memories = context.memories;
  }

  /** Clears a pending member if the peer has all of its state. The plan then treats it like any other member. */
  clearPending(peer: PeerMemory, nowMs: number): void {
    if (peer.pending.size === 0) return;
    for (const [id, { notBeforeMs }] of peer.pending) {
      if (id === peer.id || notBeforeMs > nowMs) continue;
      const member = this.#store.log.get(id);
      if (!member || this.#isComplete(peer, member)) peer.pending.delete(id);
    }
  }

  /** The candidates for a message to a peer, once {@linkcode DeltaPlanner.clearPending} was called. */
  plan(peer: PeerMemory, { asked, nowMs }: { readonly asked: KnownVersions; readonly nowMs: number }): Plan {
    const { log } = this.#store;
    const updates = new PendingUpdates(peer, nowMs);
    const own = this.#item(updates, log.get(this.#selfId)!);
    const pending = this.#pending(updates);
    const notPending = this.#changed(updates);
    const count = (own ? 1 : 0) + pending.length + notPending.length;
    const isCrowded = peer.lastMessageWasFull || count > this.#maxMembers;
    return {
      own,
      // Pending members come first, because the peer certainly lacks entries of them. The peer may have other changes
      // from elsewhere.
      changed: [...pending, ...notPending],
      pulled: isCrowded ? this.#pulled(updates, asked) : [],
      notPending,
      serial: log.serial,
      ...(isCrowded ? this.#roundRobin(updates) : { roundRobin: [], slot: undefined }),
      updates,
    };
  }

  /**
   * Records the members that found no room, so that every member is sent in the end. Returns the record for an
   * acknowledgement.
   */
  recordSent(
    peer: PeerMemory,
    plan: Plan,
    sent: ReadonlyMap<string, { readonly last: number }>,
  ): SendRecord {
    const { own, notPending, roundRobin, serial, updates } = plan;
    updates.record(this.#memories);
    this.#slot = plan.slot ?? this.#slot;
    const isLeft = ({ id, member }: Item) => (sent.get(id)?.last ?? 0) < this.#end(member);
    const owns = own ? [own] : [];
    const [next] = roundRobin;
    const isFull = [...owns, ...plan.changed].some(isLeft);
    peer.recordSent({ isFull });
    // The search ends when it has found more changes than can be sent, so at least one found member is left. All
    // members that were not searched changed before that member.
    const left = [...owns, ...notPending].filter((each) => isLeft(each) && !peer.pending.has(each.id));
    return {
      slot: roundRobin.find(isLeft)?.slot ?? plan.slot,
      roundRobinFirst: isFull && (next === undefined || isLeft(next)),
      partial: isFull || updates.isHeldBack,
      changes: [Math.max(0, ...left.map(({ member }) => member.changedSerial)), serial],
    };
  }

  /** The candidates for a push to a peer, without entries that an earlier message had. */
  planPush(peer: PeerMemory, ids: Iterable<string>, nowMs: number): PushPlan {
    const updates = new PendingUpdates(peer, nowMs);
    const changed: Item[] = [];
    for (const id of ids) {
      const member = this.#store.log.get(id);
      const item = member && this.#item(updates, member);
      // A pending member has a gap or needs a reset. This is left to a round, because a round gets an answer.
      if (!item?.isWhole || peer.pending.has(id)) continue;
      if (peer.pushedAfter(item.member, 0) < item.member.version) changed.push(item);
    }
    return { changed, updates };
  }

  recordPushed({ updates }: PushPlan): void {
    updates.record(this.#memories);
  }

  /** The last number of a member to send. */
  #end(member: MemberState): number {
    return this.#signs ? member.signedUpTo : member.version;
  }

  /** The pending members with a delta to send. */
  #pending(updates: PendingUpdates): Item[] {
    const { peer } = updates;
    const items: Item[] = [];
    if (peer.pending.size === 0) return items;
    for (const [id, pending] of peer.pending) {
      if (id === this.#selfId) continue;
      const member = this.#store.log.get(id);
      const item = member && this.#item(updates, member);
      if (item) items.push(item);
      else if (pending.gap) updates.addUnfillable(id);
    }
    return items;
  }

  /** The changed members without the pending ones, the latest change first. */
  #changed(updates: PendingUpdates): Item[] {
    const { peer } = updates;
    const items: Item[] = [];
    for (const member of this.#store.log.changes.newestFirst(peer.changes.upTo)) {
      if (items.length > this.#maxMembers) break;
      if (peer.pending.has(member.id) || member.isAckedBy(peer)) continue;
      const item = this.#otherItem(updates, member);
      if (item) items.push(item);
    }
    return items;
  }

  /** The next members in round-robin order: each member gets its turn, even if others change all the time. */
  #roundRobin(updates: PendingUpdates): Pick<Plan, "roundRobin" | "slot"> {
    const { log } = this.#store;
    let slot = updates.peer.slot ?? this.#slot;
    const roundRobin: SlotItem[] = [];
    const most = Math.min(log.size, SLOTS_PER_MEMBER * this.#maxMembers);
    for (
      const end = slot + most;
      slot < end && roundRobin.length < roundRobinSlots(this.#maxMembers);
      slot++
    ) {
      const item = this.#otherItem(updates, log.atSlot(slot));
      if (item) roundRobin.push({ ...item, slot });
    }
    return { roundRobin, slot };
  }

  /** The members in the peer's pull, above its versions. */
  #pulled(updates: PendingUpdates, asked: KnownVersions): Item[] {
    const items: Item[] = [];
    for (const [id, version] of asked) {
      if (items.length === maxPulled(this.#maxMembers)) break;
      const member = this.#store.log.get(id);
      const item = member && this.#otherItem(updates, member, version);
      if (item) items.push(item);
    }
    return items;
  }

  /** The heartbeat of a blocked member is not passed on, because it would free the member elsewhere (E10). */
  #withCount(
    { id, heartbeatCount: count, ackedByAll, isUnversioned }: MemberState,
    delta: MemberDelta,
  ): MemberDelta {
    // Until the discovery names a member here, it is neither active nor blocked.
    if (!this.#membership.blocks.has(id)) {
      return {
        ...delta,
        ...(count > 0 && { count }),
        ...(ackedByAll > 0 && !this.#signs && { ackedByAll }),
      };
    }
    // The entry of an unversioned member has its count.
    return isUnversioned
      ? { ...delta, entries: delta.entries.filter(({ key }) => key !== HEARTBEAT_KEY) }
      : delta;
  }

  /**
   * The position up to which an active peer has a member's state, as that member claims, unless the peer reported its
   * own version. Without this, each dropped deletion would cost a reset, even if the peer got the deletion elsewhere.
   * If the claim is wrong, the peer reports a gap.
   */
  #ackedByAllFor(peer: PeerMemory, { id, ackedByAll }: MemberState): number {
    return this.#store.active.has(peer.id) && !peer.pending.has(id) ? ackedByAll : 0;
  }

  #isComplete(peer: PeerMemory, member: MemberState): boolean {
    const { after, reset } = peer.assumedVersion(member);
    return after >= member.version && !reset;
  }

  #otherItem(updates: PendingUpdates, member: MemberState, reported?: KnownVersion): Item | undefined {
    return member.id === this.#selfId ? undefined : this.#item(updates, member, reported);
  }

  /**
   * The delta of a member for a peer, above the version that the peer reported, if any. `undefined` if there is no
   * delta now.
   */
  #item(updates: PendingUpdates, member: MemberState, reported?: KnownVersion): Item | undefined {
    const { peer, nowMs } = updates;
    const { id } = member;
    // A peer knows its own state best (E1).
    if (id === peer.id) return undefined;
    const pending = peer.pending.get(id);
    const isHeldBack = pending?.incarnation === member.incarnation && pending.notBeforeMs > nowMs;
    if (isHeldBack) return void updates.holdBack();
    const { after: assumed, reset } = peer.assumedVersion(member);
    if (assumed >= member.version && !reset) {
      // Only for a push: a plan has cleared such members before.
      if (peer.pending.has(id)) updates.clearPending(id);
      return undefined;
    }
    const after = reset ? assumed : Math.max(assumed, numberOf(reported, member));
    if (after >= member.version && !reset) return undefined;
    // A peer with a part of the state needs the rest, because the last key may say that the member left.
    const hasPart = assumed > 0 && assumed < member.version;
    const passesOn = hasPart || this.#membership.passesOn(id, nowMs);
    const isWhole = passesOn && (!this.#signs || member.signedUpTo >= member.version);
    if (!isWhole && !peer.pending.has(id)) {
      const { incarnation, version: resetEnd } = member;
      updates.addPending(id, { incarnation, after: assumed, reset, resetEnd, gap: false, ...NOT_REFUSED });
    }
    // The peer would refuse entries without a signature over them.
    if (this.#signs && (member.signedUpTo === 0 || (after >= member.signedUpTo && !reset))) return undefined;
    if (!passesOn) return undefined;
    const ackedByAll = isWhole ? this.#ackedByAllFor(peer, member) : 0;
    const start = reset ? after : Math.max(peer.pushedAfter(member, after), ackedByAll);
    return {
      id,
      member,
      isWhole,
      // If the whole state was pushed, a delta without entries finds out whether it arrived.
      delta: (maxBytes) =>
        this.#withCount(member, member.deltaAfter(start, { reset, maxBytes }) ?? emptyDelta(member, start)),
    };
  }
}

function emptyDelta({ id, incarnation }: MemberState, after: number): MemberDelta {
  return { id, incarnation, after, reset: false, entries: [] };
}

/** The number of a peer's reported version. Numbers of an unversioned member show no prefix. */
function numberOf(reported: KnownVersion | undefined, member: MemberState): number {
  return reported?.incarnation === member.incarnation && !member.isUnversioned ? reported.number : 0;
}
