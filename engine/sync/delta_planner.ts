/**
 * What there is to tell a peer: what changed here that it is not known to hold, the latest first, so that finding
 * it costs as much as is told (rules E6, E7).
 *
 * @module
 */

import type { Membership } from "../membership/membership.ts";
import type { MemberState } from "../state/member_state.ts";
import { NOT_REFUSED, type PeerMemories, type PeerMemory } from "./peer_memory.ts";
import { askedOf, type Candidate, type Candidates, quarterOf } from "./selection.ts";
import type { Store } from "../state/store.ts";
import { HEARTBEAT_KEY, type Hold, type Holds, type MemberDelta } from "../types.ts";

/** How many members are looked at for news of them in their turn, at most, for each place of a message. */
const LOOKED_AT_PER_PLACE = 4;

/** A range of serials: above one, up to another. */
export type Range = readonly [after: number, upTo: number];

/** A member of which there is news. */
interface Item extends Candidate {
  readonly member: MemberState;
}

/** One whose turn it is. */
interface ItemInTurn extends Item {
  readonly turn: number;
}

/** All that may be told in one message. */
export interface News extends Candidates {
  readonly own: Item | undefined;
  readonly changed: readonly Item[];
  /** The same without the members that wait. */
  readonly found: readonly Item[];
  readonly inTurn: readonly ItemInTurn[];
  /** Whose turn it is where all of those have had theirs; `undefined` where nobody was asked. */
  readonly turn: number | undefined;
  /** The latest change. */
  readonly serial: number;
}

/** What a message that was put together leaves to be told. */
export interface Outcome {
  /** Whose turn it is once the peer has taken the message. */
  readonly turn: number | undefined;
  /** Whether the one whose turn it was found no room, and is then to come first. */
  readonly turnFirst: boolean;
  /** Whether something had to be left out. */
  readonly partial: boolean;
  /** The changes of which the peer holds all once it has taken the message, but for members that wait. */
  readonly changes: Range;
}

/** Finds what there is to tell. */
export class Newsroom {
  readonly #selfId: string;
  readonly #places: number;
  readonly #signs: boolean;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #memories: PeerMemories;
  /** Whose turn it is with a peer that was never told of anybody in turn. */
  #turn = 0;

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
    this.#places = context.places;
    this.#signs = context.signs;
    this.#store = context.store;
    this.#membership = context.membership;
    this.#memories = context.memories;
  }

  /** What there is to tell a peer now. */
  of(peer: PeerMemory, { asked, nowMs }: { readonly asked: Holds; readonly nowMs: number }): News {
    const { order } = this.#store;
    peer.heldBack = false;
    const own = this.#item(peer, order.get(this.#selfId)!, nowMs);
    const waiting = this.#waiting(peer, nowMs);
    const found = this.#changed(peer, nowMs);
    const count = (own ? 1 : 0) + waiting.length + found.length;
    const isCrowded = peer.crowded || count > this.#places;
    return {
      own,
      // What the peer is known to lack goes before what it may have heard elsewhere.
      changed: [...waiting, ...found],
      asked: isCrowded ? this.#asked(peer, asked, nowMs) : [],
      found,
      serial: order.serial,
      ...(isCrowded ? this.#inTurn(peer, nowMs) : { inTurn: [], turn: undefined }),
    };
  }

  /** Notes whom a message left out, so that each has its turn, and says what it tells all of. */
  noteTold(peer: PeerMemory, news: News, told: ReadonlyMap<string, { readonly last: number }>): Outcome {
    const isLeft = ({ id, member }: Item) => (told.get(id)?.last ?? 0) < this.#end(member);
    const { own, found, inTurn, serial } = news;
    const owns = own ? [own] : [];
    const [next] = inTurn;
    peer.crowded = [...owns, ...news.changed].some(isLeft);
    // Of more than have places one is left, and those that were not looked at changed before it.
    const left = [...owns, ...found].filter((each) => isLeft(each) && !peer.waiting.has(each.id));
    return {
      turn: inTurn.find(isLeft)?.turn ?? news.turn,
      turnFirst: peer.crowded && (next === undefined || isLeft(next)),
      partial: peer.crowded || peer.heldBack,
      changes: [Math.max(0, ...left.map(({ member }) => member.changedSerial)), serial],
    };
  }

  /** What of these members may be pushed to a peer, leaving out what it has or was already sent. */
  toPush(peer: PeerMemory, ids: Iterable<string>, nowMs: number): Candidate[] {
    const items: Candidate[] = [];
    for (const id of ids) {
      const member = this.#store.order.get(id);
      const item = member && this.#item(peer, member, nowMs);
      // A member that waits has a gap or needs a reset: that is for a round, which gets an answer.
      if (item && !peer.waiting.has(id) && peer.pushedAfter(member, 0) < member.held) items.push(item);
    }
    return items;
  }

  /** Up to where a member can be sent. */
  #end(member: MemberState): number {
    return this.#signs ? member.certified : member.held;
  }

  /** Those that are an exception to what the peer is known to hold. */
  #waiting(peer: PeerMemory, nowMs: number): Item[] {
    const items: Item[] = [];
    for (const [id, waiting] of peer.waiting) {
      if (id === this.#selfId) continue;
      const member = this.#store.order.get(id);
      const item = member && this.#item(peer, member, nowMs);
      if (item) items.push(item);
      else if (!member) this.#memories.settle(peer, id);
      // A gap that must not be filled is no repair under way.
      else if (waiting.gap && peer.waiting.has(id)) this.#memories.wait(peer, id, { ...waiting, gap: false });
    }
    return items;
  }

  /** Whoever changed and does not wait, the latest first. */
  #changed(peer: PeerMemory, nowMs: number): Item[] {
    const items: Item[] = [];
    for (const member of this.#store.order.changes.newestFirst(peer.changes.upTo)) {
      if (items.length > this.#places) break;
      if (peer.waiting.has(member.id) || member.isHeldBy(peer)) continue;
      const item = this.#otherItem(peer, member, nowMs);
      if (item) items.push(item);
    }
    return items;
  }

  /** Whoever's turn it is: each in the end, whatever changes meanwhile. */
  #inTurn(peer: PeerMemory, nowMs: number): Pick<News, "inTurn" | "turn"> {
    const { order } = this.#store;
    let turn = peer.turn ?? this.#turn;
    const inTurn: ItemInTurn[] = [];
    const most = Math.min(order.size, LOOKED_AT_PER_PLACE * this.#places);
    for (const end = turn + most; turn < end && inTurn.length < quarterOf(this.#places); turn++) {
      const item = this.#otherItem(peer, order.inTurn(turn), nowMs);
      if (item) inTurn.push({ ...item, turn });
    }
    this.#turn = turn;
    return { inTurn, turn };
  }

  /** Those that the peer asks for, by what it says it holds of each. */
  #asked(peer: PeerMemory, asked: Holds, nowMs: number): Item[] {
    const items: Item[] = [];
    for (const [id, hold] of asked) {
      if (items.length === askedOf(this.#places)) break;
      const member = this.#store.order.get(id);
      const item = member && this.#otherItem(peer, member, nowMs, hold);
      if (item) items.push(item);
    }
    return items;
  }

  /** The heartbeat of a blocked member is not passed on: it would free the member elsewhere (E10). */
  #withCount(
    { id, heartbeatCount: count, settled, isForeign }: MemberState,
    delta: MemberDelta,
  ): MemberDelta {
    if (this.#store.active.has(id)) {
      return {
        ...delta,
        ...(count > 0 && { count }),
        ...(settled > 0 && !this.#signs && { settled }),
      };
    }
    // The entry of an unversioned member has its count.
    return isForeign
      ? { ...delta, entries: delta.entries.filter(({ key }) => key !== HEARTBEAT_KEY) }
      : delta;
  }

  /**
   * Up to where an active peer holds a member by its owner's word, unless it said itself what it holds. Without that it
   * would be sent a reset whenever a deletion was forgotten that somebody else had told it of. If the word is wrong, the
   * peer reports a gap.
   */
  #settledFor(peer: PeerMemory, { id, settled }: MemberState): number {
    const isBelieved = this.#store.active.has(peer.id) && !peer.waiting.has(id);
    return isBelieved ? settled : 0;
  }

  #otherItem(peer: PeerMemory, member: MemberState, nowMs: number, said?: Hold): Item | undefined {
    return member.id === this.#selfId ? undefined : this.#item(peer, member, nowMs, said);
  }

  /** What there is to tell a peer of a member, if anything is to be told now; it may have said what it holds. */
  #item(peer: PeerMemory, member: MemberState, nowMs: number, said?: Hold): Item | undefined {
    const { id } = member;
    // Of itself a peer knows best (E1).
    if (id === peer.id) return undefined;
    if ((peer.waiting.get(id)?.notBeforeMs ?? nowMs) > nowMs) {
      peer.heldBack = true;
      return undefined;
    }
    const { after: supposed, reset } = peer.supposed(member);
    if (supposed >= member.held && !reset) return void this.#memories.settle(peer, id);
    const after = reset ? supposed : Math.max(supposed, numberOf(said, member));
    if (after >= member.held && !reset) return undefined;
    const passesOn = this.#membership.passesOn(id, nowMs);
    const isWhole = passesOn && (!this.#signs || member.certified >= member.held);
    if (!isWhole && !peer.waiting.has(id)) {
      this.#memories.wait(peer, id, {
        life: member.life,
        after: supposed,
        reset,
        floor: member.floor,
        gap: false,
        ...NOT_REFUSED,
      });
    }
    // What is told without a signature over it would not be taken.
    if (this.#signs && (member.certified === 0 || (after >= member.certified && !reset))) return undefined;
    if (!passesOn) return undefined;
    const start = reset ? after : Math.max(peer.pushedAfter(member, after), this.#settledFor(peer, member));
    return {
      id,
      member,
      // All of it was pushed: a delta without entries asks whether it arrived.
      delta: (maxBytes) =>
        this.#withCount(member, member.deltaAfter(start, { reset, maxBytes }) ?? emptyDelta(member, start)),
    };
  }
}

function emptyDelta({ id, life }: MemberState, after: number): MemberDelta {
  return { id, life, after, reset: false, entries: [] };
}

/** Up to where someone holds a member who says so; of a foreign member numbers say nothing of what lies below. */
function numberOf(said: Hold | undefined, member: MemberState): number {
  return said?.life === member.life && !member.isForeign ? said.number : 0;
}
