/**
 * What there is to tell a peer: what changed here that it is not known to hold, the latest first, so that finding
 * it costs as much as is told (rules E6, E7).
 *
 * @module
 */

import type { Membership } from "../membership/membership.ts";
import type { MemberState } from "../state/member_state.ts";
import { NOT_REFUSED, type PeerMemories, type PeerMemory } from "./peer_memory.ts";
import { type Candidate, type Candidates, maxPulled, roundRobinSlots } from "./selection.ts";
import type { Store } from "../state/store.ts";
import { HEARTBEAT_KEY, type KnownVersion, type KnownVersions, type MemberDelta } from "../types.ts";

/** How many members are looked at for news of them in their turn, at most, for each place of a message. */
const SLOTS_PER_MEMBER = 4;

/** A range of serials: above one, up to another. */
export type Range = readonly [after: number, upTo: number];

/** A member of which there is news. */
interface Item extends Candidate {
  readonly member: MemberState;
}

/** One whose turn it is. */
interface SlotItem extends Item {
  readonly slot: number;
}

/** All that may be told in one message. */
export interface Plan extends Candidates {
  readonly own: Item | undefined;
  readonly changed: readonly Item[];
  /** The same without the members that wait. */
  readonly found: readonly Item[];
  readonly roundRobin: readonly SlotItem[];
  /** Whose turn it is where all of those have had theirs; `undefined` where nobody was asked. */
  readonly slot: number | undefined;
  /** The latest change. */
  readonly serial: number;
}

/** What a message that was put together leaves to be told. */
export interface SendRecord {
  /** Whose turn it is once the peer has taken the message. */
  readonly slot: number | undefined;
  /** Whether the one whose turn it was found no room, and is then to come first. */
  readonly roundRobinFirst: boolean;
  /** Whether something had to be left out. */
  readonly partial: boolean;
  /** The changes of which the peer holds all once it has taken the message, but for members that wait. */
  readonly changes: Range;
}

/** Finds what there is to tell. */
export class DeltaPlanner {
  readonly #selfId: string;
  readonly #maxMembers: number;
  readonly #signs: boolean;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #memories: PeerMemories;
  /** Whose turn it is with a peer that was never told of anybody in turn. */
  #slot = 0;

  constructor(context: {
    readonly selfId: string;
    /** How many members a message may tell of. */
    readonly places: number;
    /** Whether only what is signed is told. */
    readonly signs: boolean;
    readonly store: Store;
    readonly membership: Membership;
    readonly memories: PeerMemories;
  }) {
    this.#selfId = context.selfId;
    this.#maxMembers = context.places;
    this.#signs = context.signs;
    this.#store = context.store;
    this.#membership = context.membership;
    this.#memories = context.memories;
  }

  /** What there is to tell a peer now. */
  plan(peer: PeerMemory, { asked, nowMs }: { readonly asked: KnownVersions; readonly nowMs: number }): Plan {
    const { log } = this.#store;
    peer.heldBack = false;
    const own = this.#item(peer, log.get(this.#selfId)!, nowMs);
    const pending = this.#pending(peer, nowMs);
    const found = this.#changed(peer, nowMs);
    const count = (own ? 1 : 0) + pending.length + found.length;
    const isCrowded = peer.lastMessageWasFull || count > this.#maxMembers;
    return {
      own,
      // What the peer is known to lack goes before what it may have heard elsewhere.
      changed: [...pending, ...found],
      pulled: isCrowded ? this.#pulled(peer, asked, nowMs) : [],
      found,
      serial: log.serial,
      ...(isCrowded ? this.#roundRobin(peer, nowMs) : { roundRobin: [], slot: undefined }),
    };
  }

  /** Notes whom a message left out, so that each has its turn, and says what it tells all of. */
  recordSent(
    peer: PeerMemory,
    news: Plan,
    delta: ReadonlyMap<string, { readonly last: number }>,
  ): SendRecord {
    const isLeft = ({ id, member }: Item) => (delta.get(id)?.last ?? 0) < this.#end(member);
    const { own, found, roundRobin: inTurn, serial } = news;
    const owns = own ? [own] : [];
    const [next] = inTurn;
    peer.lastMessageWasFull = [...owns, ...news.changed].some(isLeft);
    // Of more than have places one is left, and those that were not looked at changed before it.
    const left = [...owns, ...found].filter((each) => isLeft(each) && !peer.pending.has(each.id));
    return {
      slot: inTurn.find(isLeft)?.slot ?? news.slot,
      roundRobinFirst: peer.lastMessageWasFull && (next === undefined || isLeft(next)),
      partial: peer.lastMessageWasFull || peer.heldBack,
      changes: [Math.max(0, ...left.map(({ member }) => member.changedSerial)), serial],
    };
  }

  /** What of these members may be pushed to a peer, leaving out what it has or was already sent. */
  toPush(peer: PeerMemory, ids: Iterable<string>, nowMs: number): Candidate[] {
    const items: Candidate[] = [];
    for (const id of ids) {
      const member = this.#store.log.get(id);
      const item = member && this.#item(peer, member, nowMs);
      // A member that waits has a gap or needs a reset: that is for a round, which gets an answer.
      if (item && !peer.pending.has(id) && peer.pushedAfter(member, 0) < member.version) items.push(item);
    }
    return items;
  }

  /** Up to where a member can be sent. */
  #end(member: MemberState): number {
    return this.#signs ? member.signedUpTo : member.version;
  }

  /** Those that are an exception to what the peer is known to hold. */
  #pending(peer: PeerMemory, nowMs: number): Item[] {
    const items: Item[] = [];
    for (const [id, pending] of peer.pending) {
      if (id === this.#selfId) continue;
      const member = this.#store.log.get(id);
      const item = member && this.#item(peer, member, nowMs);
      if (item) items.push(item);
      else if (!member) this.#memories.clearPending(peer, id);
      // A gap that must not be filled is no repair under way.
      else if (pending.gap && peer.pending.has(id)) {
        this.#memories.addPending(peer, id, { ...pending, gap: false });
      }
    }
    return items;
  }

  /** Whoever changed and does not wait, the latest first. */
  #changed(peer: PeerMemory, nowMs: number): Item[] {
    const items: Item[] = [];
    for (const member of this.#store.log.changes.newestFirst(peer.changes.upTo)) {
      if (items.length > this.#maxMembers) break;
      if (peer.pending.has(member.id) || member.isAckedBy(peer)) continue;
      const item = this.#otherItem(peer, member, nowMs);
      if (item) items.push(item);
    }
    return items;
  }

  /** Whoever's turn it is: each in the end, whatever changes meanwhile. */
  #roundRobin(peer: PeerMemory, nowMs: number): Pick<Plan, "roundRobin" | "slot"> {
    const { log } = this.#store;
    let turn = peer.slot ?? this.#slot;
    const inTurn: SlotItem[] = [];
    const most = Math.min(log.size, SLOTS_PER_MEMBER * this.#maxMembers);
    for (const end = turn + most; turn < end && inTurn.length < roundRobinSlots(this.#maxMembers); turn++) {
      const item = this.#otherItem(peer, log.atSlot(turn), nowMs);
      if (item) inTurn.push({ ...item, slot: turn });
    }
    this.#slot = turn;
    return { roundRobin: inTurn, slot: turn };
  }

  /** Those that the peer asks for, by what it says it holds of each. */
  #pulled(peer: PeerMemory, asked: KnownVersions, nowMs: number): Item[] {
    const items: Item[] = [];
    for (const [id, version] of asked) {
      if (items.length === maxPulled(this.#maxMembers)) break;
      const member = this.#store.log.get(id);
      const item = member && this.#otherItem(peer, member, nowMs, version);
      if (item) items.push(item);
    }
    return items;
  }

  /** The heartbeat of a blocked member is not passed on: it would free the member elsewhere (E10). */
  #withCount(
    { id, heartbeatCount: count, ackedByAll: settled, isUnversioned }: MemberState,
    delta: MemberDelta,
  ): MemberDelta {
    if (this.#store.active.has(id)) {
      return {
        ...delta,
        ...(count > 0 && { count }),
        ...(settled > 0 && !this.#signs && { ackedByAll: settled }),
      };
    }
    // The entry of an unversioned member has its count.
    return isUnversioned
      ? { ...delta, entries: delta.entries.filter(({ key }) => key !== HEARTBEAT_KEY) }
      : delta;
  }

  /**
   * Up to where an active peer holds a member by its owner's word, unless it said itself what it holds. Without that it
   * would be sent a reset whenever a deletion was forgotten that somebody else had told it of. If the word is wrong, the
   * peer reports a gap.
   */
  #ackedByAllFor(peer: PeerMemory, { id, ackedByAll: settled }: MemberState): number {
    const isBelieved = this.#store.active.has(peer.id) && !peer.pending.has(id);
    return isBelieved ? settled : 0;
  }

  #otherItem(peer: PeerMemory, member: MemberState, nowMs: number, said?: KnownVersion): Item | undefined {
    return member.id === this.#selfId ? undefined : this.#item(peer, member, nowMs, said);
  }

  /** What there is to tell a peer of a member, if anything is to be told now; it may have said what it holds. */
  #item(peer: PeerMemory, member: MemberState, nowMs: number, said?: KnownVersion): Item | undefined {
    const { id } = member;
    // Of itself a peer knows best (E1).
    if (id === peer.id) return undefined;
    if ((peer.pending.get(id)?.notBeforeMs ?? nowMs) > nowMs) {
      peer.heldBack = true;
      return undefined;
    }
    const { after: supposed, reset } = peer.assumedVersion(member);
    if (supposed >= member.version && !reset) return void this.#memories.clearPending(peer, id);
    const after = reset ? supposed : Math.max(supposed, numberOf(said, member));
    if (after >= member.version && !reset) return undefined;
    // A peer with a part of it needs the rest: the key that says that the member left is the last one.
    const hasPart = supposed > 0 && supposed < member.version;
    const passesOn = hasPart || this.#membership.passesOn(id, nowMs);
    const isWhole = passesOn && (!this.#signs || member.signedUpTo >= member.version);
    if (!isWhole && !peer.pending.has(id)) {
      this.#memories.addPending(peer, id, {
        incarnation: member.incarnation,
        after: supposed,
        reset,
        floor: member.floor,
        gap: false,
        ...NOT_REFUSED,
      });
    }
    // What is told without a signature over it would not be taken.
    if (this.#signs && (member.signedUpTo === 0 || (after >= member.signedUpTo && !reset))) return undefined;
    if (!passesOn) return undefined;
    const start = reset
      ? after
      : Math.max(peer.pushedAfter(member, after), this.#ackedByAllFor(peer, member));
    return {
      id,
      member,
      // All of it was pushed: a delta without entries asks whether it arrived.
      delta: (maxBytes) =>
        this.#withCount(member, member.deltaAfter(start, { reset, maxBytes }) ?? emptyDelta(member, start)),
    };
  }
}

function emptyDelta({ id, incarnation }: MemberState, after: number): MemberDelta {
  return { id, incarnation, after, reset: false, entries: [] };
}

/** Up to where someone holds a member who says so; of a foreign member numbers say nothing of what lies below. */
function numberOf(said: KnownVersion | undefined, member: MemberState): number {
  return said?.incarnation === member.incarnation && !member.isUnversioned ? said.number : 0;
}
