/**
 * How what a peer tells of other members becomes what is held (rules E1 to E4, E8, E11).
 *
 * Of a foreign member no prefix is told: what comes is merged key by key, the higher number wins, and nothing that
 * is held is dropped for not being listed.
 *
 * @module
 */

import type { EngineEvent } from "../events.ts";
import { spanOf } from "./peer_sync.ts";
import { isForeign } from "../incarnation.ts";
import type { Heartbeats } from "../liveness/heartbeats.ts";
import type { MemberState } from "../state/member_state.ts";
import type { Membership } from "../membership/membership.ts";
import type { Room } from "../membership/room.ts";
import { MEMBER_HEAP_BYTES } from "../state/heap_estimate.ts";
import { ENVELOPE_BYTES, memberBytes, sizeWith, type StateSize } from "../state/size.ts";
import type { Store } from "../state/store.ts";
import {
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  type Hold,
  type Instant,
  isTombstone,
  type Life,
  type MemberDelta,
  type SentEntry,
} from "../types.ts";

/**
 * How much more than its owner may set is held of a member: what the owner sets by itself, and deletions that the owner
 * has dropped already.
 */
const MARGIN = 1.5;

/** What came with a delta of a member. */
export interface Telling {
  readonly peerId: string;
  /** Where to note what is held, if that is not what the peer supposes. */
  readonly holds: Map<string, Hold>;
  readonly now: Instant;
}

/** The limits of what is taken. */
export interface MergeSettings {
  readonly maxKeysPerMember: number;
  readonly maxStateBytes: number;
  readonly maxMessageBytes: number;
}

/** Merges what is told of members other than this one. */
export class Merge {
  readonly #settings: MergeSettings;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #room: Room;
  readonly #emit: (event: EngineEvent) => void;
  readonly #signs: boolean;
  readonly #heartbeats: Heartbeats;

  constructor(
    settings: MergeSettings,
    context: {
      readonly store: Store;
      readonly membership: Membership;
      readonly room: Room;
      readonly emit: (event: EngineEvent) => void;
      readonly signs: boolean;
      readonly heartbeats: Heartbeats;
    },
  ) {
    this.#settings = settings;
    this.#heartbeats = context.heartbeats;
    this.#signs = context.signs;
    this.#store = context.store;
    this.#membership = context.membership;
    this.#room = context.room;
    this.#emit = context.emit;
  }

  /** Takes what is news of one member, or notes what is held instead. */
  take(told: MemberDelta, telling: Telling): void {
    const { life, last: number } = spanOf(told);
    const held = this.#store.order.get(told.id);
    if (held && held.life > life) return note(held, telling);
    if (this.#membership.refuses(told.id, { life, number }, telling.peerId)) {
      const memory = this.#membership.departures.memory(told.id)!;
      // What was forgotten is not held; but an owner must learn of a later life of its id (E1).
      if (memory.life > life) telling.holds.set(told.id, { life: memory.life, number: 0 });
      return;
    }
    const mine = held?.life === life ? held : undefined;
    // Who knows nothing of lives signs nothing either.
    if (isForeign(life) && this.#signs) return this.refuse(told, telling);
    if (isForeign(life)) return this.#takeForeign(told, mine, telling);
    if (mine && !this.#signs) this.#store.settle(mine, told.settled ?? 0);
    // A gap: what lies between is unknown, so that nothing after it can be taken (E4).
    if ((mine?.held ?? 0) < told.after) {
      return void telling.holds.set(told.id, { life, number: mine?.held ?? 0 });
    }
    if (told.entries.length === 0) {
      if (mine) this.#learn(mine, told, telling);
      return;
    }
    // Where members sign, a state is signed, and told anew, as a whole.
    if (this.#signs && told.reset && told.after > 0) return this.refuse(told, telling);
    // A reset of a state that ended below what is held is older than that.
    const end = told.reset && !this.#signs ? told.end ?? number : number;
    if (mine && told.reset && end < mine.held) return note(mine, telling);
    const { taken, forgotten } = this.#signs
      ? withoutIdleDeletions(told, mine)
      : { taken: told, forgotten: 0 };
    const fitting = this.#fitting(taken, mine, telling);
    if (fitting.entries.length === 0) return this.refuse(told, telling);
    // Where members sign, what was signed is the whole state that would be held; what was known before is talk.
    if (mine && (told.reset || !this.#signs)) this.#noteConflicts(mine, told.entries, telling);
    const isNews = number > (mine?.held ?? 0);
    const after = this.#takeEntries(fitting, held, telling);
    if (fitting !== taken) note(after, telling);
    // What is no news was not verified.
    if (isNews) after.raiseFloor({ number: forgotten, serial: after.changedSerial });
    this.#learn(after, told, telling);
    // Of itself the sender says less than it once gave out.
    if (told.id === telling.peerId && end < after.held) note(after, telling);
  }

  /** Takes what is said of a member beside its entries. Where members sign, nobody speaks for another (rule L4). */
  #learn(member: MemberState, { count = 0, settled = 0 }: MemberDelta, { now }: Telling): void {
    if (this.#signs) return;
    this.#heartbeats.learn(member, count, now);
    this.#store.settle(member, settled);
  }

  #takeForeign(told: MemberDelta, held: MemberState | undefined, telling: Telling): void {
    if (held) this.#noteConflicts(held, told.entries, telling);
    const news = told.entries.filter((entry) => {
      const mine = held?.get(entry.key);
      // An unversioned member numbers its heartbeats like entries: only other statistics are a change of state.
      if (entry.key === HEARTBEAT_KEY && mine && mine.json === entry.json) return false;
      return entry.number > (mine?.number ?? 0);
    });
    const fitting = this.#fitting({ ...told, entries: news }, held, telling);
    if (fitting.entries.length < news.length) return this.refuse(told, telling);
    if (held) this.#store.put(held, news, telling.now);
    else if (news.length > 0) this.#begin({ ...told, entries: news }, { floor: 0, telling });
    this.#applyLeft(told.id, telling.now);
    const heartbeat = told.entries.find((entry) => entry.key === HEARTBEAT_KEY && !isTombstone(entry));
    const state = this.#store.order.get(told.id);
    if (state && heartbeat) this.#heartbeats.learn(state, heartbeat.number, telling.now);
  }

  /** Takes nothing of what is told of a member that cannot have said so; the peer is told what is held instead. */
  refuse({ id, life }: MemberDelta, { holds }: Pick<Telling, "holds">): void {
    const held = this.#store.order.get(id);
    holds.set(id, held ? { life: held.life, number: held.held } : { life, number: 0 });
  }

  /** A greeting told of a later life of a member: what is held of the earlier one is over. */
  beginLife(id: string, life: Life, now: Instant): void {
    const member = this.#store.order.get(id);
    // Where nothing is known of the one that is over, a block may have outlasted all that was.
    const known = member?.life ?? this.#membership.departures.memory(id)?.life;
    if (known !== undefined && known >= life) return;
    if (member) this.#store.replace(member, [], { life, floor: 0, now });
    this.#membership.laterLife(id, now);
  }

  /** A greeting is of an earlier life than what is known of a member, and counts for more: that is dropped. */
  forgetLife(id: string, life: Life, now: Instant): void {
    const member = this.#store.order.get(id);
    if (member) this.#store.replace(member, [], { life, floor: 0, now });
    this.#membership.departures.recall(id);
    this.#membership.laterLife(id, now);
  }

  #takeEntries(told: MemberDelta, held: MemberState | undefined, telling: Telling): MemberState {
    const { now } = telling;
    const { life, last } = spanOf(told);
    const floor = told.reset ? last : 0;
    const entries = held?.life === life && told.reset ? held.repairedBy(told) : undefined;
    if (held?.life === life && entries === undefined) {
      const news = told.entries.filter((entry) => entry.number > held.held);
      this.#store.put(held, news, now);
      if (news.length > 0) {
        held.proof = told.proof;
        held.raiseFloor({ number: floor, serial: held.changedSerial });
      }
      this.#applyLeft(told.id, now);
      return held;
    }
    const before = held?.life ?? this.#membership.departures.memory(told.id)?.life;
    const member = held
      ? this.#store.replace(held, entries ?? told.entries, { life, floor, now })
      : this.#begin(told, { floor, telling });
    member.proof = told.proof;
    // A block may have outlasted the state, and the memory too, of the life that left. Where members sign, a state may be
    // an old one that was played back: only a greeting shows that its owner lives.
    const { blocks } = this.#membership;
    const isLater = before === undefined ? blocks.reason(told.id) === "left" : before < life;
    if (isLater && !this.#signs) {
      this.#membership.laterLife(told.id, now);
    }
    this.#applyLeft(told.id, now);
    return member;
  }

  #begin(told: MemberDelta, how: { readonly floor: number; readonly telling: Telling }): MemberState {
    const { floor, telling: { now, peerId } } = how;
    const member = this.#store.hold(told.id, told.life);
    this.#store.put(member, told.entries, now);
    member.raiseFloor({ number: floor, serial: member.changedSerial });
    const isForgotten = this.#membership.departures.memory(told.id) !== undefined;
    this.#membership.heard(told.id, now);
    // A signed state of one that was forgotten may be an old one that was played back.
    const isProven = told.id === peerId || this.#store.active.has(told.id);
    if (this.#signs && isForgotten && !isProven) this.#membership.block(told.id, "expired", now);
    return member;
  }

  /** Blocks a member whose state says that it left, and no longer one whose state does not. */
  #applyLeft(id: string, now: Instant): void {
    const left = this.#store.order.get(id)?.live(GRACEFULLY_LEFT_KEY) !== undefined;
    this.#membership.setLeft(id, left, now);
  }

  /** One number with two values: at most one of them was ever set (E3). */
  #noteConflicts(mine: MemberState, entries: readonly SentEntry[], telling: Telling): void {
    for (const entry of entries) {
      if (entry.number > mine.highest) return;
      const held = mine.get(entry.key);
      if (held?.number !== entry.number || (held.json === entry.json && held.type === entry.type)) continue;
      this.#emit({
        type: "ConflictDetected",
        memberId: mine.id,
        reason: "value",
        key: entry.key,
        sequenceNumber: entry.number,
        peerId: telling.peerId,
      });
    }
  }

  /** As much of what is told as finds room: all of it, or the first entries, or none. */
  #fitting(told: MemberDelta, mine: MemberState | undefined, telling: Telling): MemberDelta {
    const none = { ...told, entries: [] };
    const repaired = mine && told.reset ? mine.repairedBy(told) : undefined;
    const into = repaired ? undefined : mine;
    const added = repaired ?? told.entries.filter(({ number, key }) => {
      const before = mine?.isForeign ? mine.get(key)?.number : mine?.held;
      return number > (before ?? 0);
    });
    const count = this.#countFitting(added, into, { told, telling });
    if (count === added.length) return told;
    // What cannot be cut is taken whole or not at all.
    if (repaired || this.#signs) return none;
    const last = added[count - 1]?.number ?? 0;
    return { ...told, entries: told.entries.filter(({ number }) => number <= last) };
  }

  /** How many of these entries find room beside what is held of the member, and beside what is held of the others. */
  #countFitting(
    entries: readonly SentEntry[],
    mine: MemberState | undefined,
    { told, telling }: { readonly told: MemberDelta; readonly telling: Telling },
  ): number {
    const most = this.#countWithin(entries, mine, told);
    if (most.count < entries.length) this.#noteLimit(told, telling);
    if (most.count === 0) return 0;
    const { peerId, now } = telling;
    const wanted = MEMBER_HEAP_BYTES + most.heapBytes;
    const room = this.#room.makePlace(told.id, now) ? this.#room.makeBytes(told.id, wanted, now) : 0;
    if (room === wanted) return most.count;
    this.#room.noteRefused(told.id, peerId, now);
    return this.#countWithin(entries, mine, told, room - MEMBER_HEAP_BYTES).count;
  }

  /** The most entries after which the state is within the limits of one member, and what it takes then. */
  #countWithin(
    entries: readonly SentEntry[],
    mine: MemberState | undefined,
    { id, life }: MemberDelta,
    maxHeapBytes: number = Infinity,
  ): { readonly count: number; readonly heapBytes: number } {
    const { maxKeysPerMember, maxStateBytes, maxMessageBytes } = this.#settings;
    const isCut = !this.#signs && !isForeign(life);
    const maxSentBytes = isCut ? Infinity : maxMessageBytes - 2 * ENVELOPE_BYTES - memberBytes(id);
    let size: StateSize = mine?.size ?? { keys: 0, bytes: 0, sentBytes: 0, heapBytes: 0 };
    let fitting = { count: 0, heapBytes: 0 };
    for (const [index, entry] of entries.entries()) {
      size = sizeWith(size, entry, mine?.get(entry.key));
      const isWithin = size.keys <= MARGIN * maxKeysPerMember && size.bytes <= MARGIN * maxStateBytes &&
        size.sentBytes <= maxSentBytes && size.heapBytes <= maxHeapBytes;
      if (isWithin) fitting = { count: index + 1, heapBytes: size.heapBytes };
    }
    return fitting;
  }

  #noteLimit({ id }: MemberDelta, { peerId }: Telling): void {
    this.#emit({ type: "ConflictDetected", memberId: id, reason: "limit", peerId });
  }
}

/**
 * What is told without the deletions of keys that are not held: these are forgotten at once. A signature is over what
 * has a value, so that somebody in between could add as many of them as find room.
 */
function withoutIdleDeletions(
  told: MemberDelta,
  mine: MemberState | undefined,
): { readonly taken: MemberDelta; readonly forgotten: number } {
  const before = told.reset ? undefined : mine;
  const isIdle = (entry: SentEntry) =>
    isTombstone(entry) && !before?.live(entry.key) && entry !== told.entries.at(-1);
  const forgotten = told.entries.findLast(isIdle)?.number ?? 0;
  return { taken: { ...told, entries: told.entries.filter((entry) => !isIdle(entry)) }, forgotten };
}

function note(held: MemberState, telling: Telling): void {
  telling.holds.set(held.id, { life: held.life, number: held.held });
}
