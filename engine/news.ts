/**
 * What there is to tell a peer: what changed here that it is not known to hold, the latest first, so that finding
 * it costs as much as is told (rules E6, E7).
 *
 * @module
 */

import type { Recency } from "./change_order.ts";
import type { Membership } from "./membership.ts";
import type { MemberState } from "./member_state.ts";
import type { PeerMemories, PeerMemory } from "./peer_memory.ts";
import { askedOf, type Candidate, type Candidates, quarterOf } from "./selection.ts";
import type { Serials } from "./serials.ts";
import type { Store } from "./store.ts";
import type { Hold, Holds, MemberDelta } from "./types.ts";

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
  /** What changed, without the members that wait. */
  readonly changed: { readonly lasting: readonly Item[]; readonly restless: readonly Item[] };
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
  /** Whether something that lasts had to be left out. */
  readonly partial: boolean;
  /** The changes of which the peer holds all once it has taken the message, but for members that wait. */
  readonly changes: Range;
  /** The same of changes that are not heartbeats or digests. */
  readonly lasting: Range;
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
    const own = this.#item(peer, order.get(this.#selfId)!, nowMs);
    const waiting = this.#waiting(peer, nowMs);
    const lasting = this.#changed(peer, {
      nowMs,
      among: order.lasting,
      known: peer.lasting,
      most: this.#places + 1,
      isOld: (member) => member.isLastingHeldBy(peer),
    });
    const found = new Set(lasting.map(({ id }) => id));
    const restless = this.#changed(peer, {
      nowMs,
      among: order.changes,
      known: peer.changes,
      most: Math.max(0, this.#places - lasting.length) + 1,
      isOld: ({ id }) => found.has(id),
    });
    const count = (own ? 1 : 0) + waiting.length + lasting.length + restless.length;
    const isCrowded = peer.crowded || count > this.#places;
    return {
      own,
      // What the peer is known to lack goes before what it may have heard elsewhere.
      lasting: [...waiting.filter((each) => each.lasting), ...lasting],
      restless: [...waiting.filter((each) => !each.lasting), ...restless],
      asked: isCrowded ? this.#asked(peer, asked, nowMs) : [],
      changed: { lasting, restless },
      serial: order.serial,
      ...(isCrowded ? this.#inTurn(peer, nowMs) : { inTurn: [], turn: undefined }),
    };
  }

  /** Notes whom a message left out, so that each has its turn, and says what it tells all of. */
  noteTold(peer: PeerMemory, news: News, told: ReadonlySet<string>): Outcome {
    const isLeft = ({ id }: Candidate) => !told.has(id);
    const { own, changed, inTurn, serial } = news;
    const owns = own ? [own] : [];
    const [next] = inTurn;
    peer.crowded = [...owns, ...news.lasting, ...news.restless].some(isLeft);
    // Beyond as many as have places nobody looked.
    const isCut = changed.lasting.length > this.#places;
    const isChangesCut = changed.restless.length > Math.max(0, this.#places - changed.lasting.length);
    const left = (items: readonly Item[]) =>
      items.filter((each) => isLeft(each) && !peer.waiting.has(each.id)).map(({ member }) => member);
    const leftChanged = left([...owns, ...changed.lasting, ...changed.restless]);
    const leftLasting = left([...owns.filter((each) => each.lasting), ...changed.lasting]);
    if (isChangesCut) leftChanged.push(changed.restless.at(-1)!.member);
    if (isCut) leftLasting.push(changed.lasting.at(-1)!.member);
    return {
      turn: inTurn.find(isLeft)?.turn ?? news.turn,
      turnFirst: peer.crowded && (next === undefined || isLeft(next)),
      partial: isCut || [...owns, ...news.lasting].some((each) => each.lasting && isLeft(each)),
      changes: [Math.max(0, ...leftChanged.map((member) => member.changed.serial)), serial],
      lasting: [Math.max(0, ...leftLasting.map((member) => member.changedLasting.serial)), serial],
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
  #changed(
    peer: PeerMemory,
    options: {
      readonly among: Recency;
      readonly known: Serials;
      readonly most: number;
      readonly nowMs: number;
      readonly isOld: (member: MemberState) => boolean;
    },
  ): Item[] {
    const { among, known, most, nowMs, isOld } = options;
    const items: Item[] = [];
    for (const member of among.newestFirst(known.upTo)) {
      if (items.length === most) break;
      if (peer.waiting.has(member.id) || isOld(member)) continue;
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

  #otherItem(peer: PeerMemory, member: MemberState, nowMs: number, said?: Hold): Item | undefined {
    return member.id === this.#selfId ? undefined : this.#item(peer, member, nowMs, said);
  }

  /** What there is to tell a peer of a member, if anything is to be told now; it may have said what it holds. */
  #item(peer: PeerMemory, member: MemberState, nowMs: number, said?: Hold): Item | undefined {
    const { id } = member;
    // Of itself a peer knows best (E1).
    if (id === peer.id) return undefined;
    const { after: supposed, reset } = peer.supposed(member);
    if (supposed >= member.held && !reset) return void this.#memories.settle(peer, id);
    const after = reset ? supposed : Math.max(supposed, numberOf(said, member));
    if (after >= member.held && !reset) return undefined;
    const below = this.#membership.passableBelow(id, nowMs);
    const isWhole = below === Infinity && (!this.#signs || member.certified >= member.held);
    if (!isWhole && !peer.waiting.has(id)) {
      this.#memories.wait(peer, id, { life: member.life, after: supposed, reset, gap: false });
    }
    // What is told without a signature over it would not be taken.
    if (this.#signs && (member.certified === 0 || (after >= member.certified && !reset))) return undefined;
    if (below !== Infinity) {
      const delta = member.deltaAfter(after, { below, reset });
      // A whole state that ends early would take away what lies behind its end.
      if (!delta || (delta.reset && !member.isForeign)) return undefined;
      if (this.#signs && delta.proof === undefined) return undefined;
    }
    const start = reset ? after : peer.pushedAfter(member, after);
    return {
      id,
      member,
      lasting: member.lastLasting > after,
      // All of it was pushed: a delta without entries asks whether it arrived.
      delta: () => member.deltaAfter(start, { below, reset }) ?? emptyDelta(member, start),
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
