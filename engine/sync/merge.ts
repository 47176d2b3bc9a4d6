/**
 * How what a peer tells of other members becomes what is held (rules E1 to E4, E8, E11).
 *
 * Of a foreign member no prefix is told: what comes is merged key by key, the higher number wins, and nothing that
 * is held is dropped for not being listed.
 *
 * @module
 */

import type { EngineEvent } from "../events.ts";
import { isUnversioned } from "../incarnation.ts";
import type { Heartbeats } from "../liveness/heartbeats.ts";
import type { MemberState } from "../state/member_state.ts";
import type { Membership } from "../membership/membership.ts";
import type { Room } from "../membership/room.ts";
import { spanOf } from "./span.ts";
import { MEMBER_HEAP_BYTES } from "../state/heap_estimate.ts";
import { ENVELOPE_BYTES, memberBytes, sizeWith, type StateSize } from "../state/size.ts";
import type { Store } from "../state/store.ts";
import {
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  type Incarnation,
  type Instant,
  isTombstone,
  type KnownVersion,
  type MemberDelta,
  type SentEntry,
} from "../types.ts";

/**
 * How much more than its owner may set is held of a member: what the owner sets by itself, and deletions that the owner
 * has dropped already.
 */
const MARGIN = 1.5;

/** What came with a delta of a member. */
export interface MergeContext {
  readonly peerId: string;
  /** Where to note what is held, if that is not what the peer supposes. */
  readonly holds: Map<string, KnownVersion>;
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
  merge(delta: MemberDelta, context: MergeContext): void {
    const { incarnation, last: number } = spanOf(delta);
    const held = this.#store.log.get(delta.id);
    if (held && held.incarnation > incarnation) return reportVersion(held, context);
    if (this.#membership.refuses(delta.id, { incarnation, number }, context.peerId)) {
      const memory = this.#membership.departures.memory(delta.id)!;
      // What was forgotten is not held; but an owner must learn of a later life of its id (E1).
      if (memory.incarnation > incarnation) {
        context.holds.set(delta.id, { incarnation: memory.incarnation, number: 0 });
      }
      return;
    }
    const mine = held?.incarnation === incarnation ? held : undefined;
    // Who knows nothing of lives signs nothing either.
    if (isUnversioned(incarnation) && this.#signs) return this.refuse(delta, context);
    if (isUnversioned(incarnation)) return this.#mergeUnversioned(delta, mine, context);
    if (mine && !this.#signs) this.#store.recordAckedByAll(mine, delta.ackedByAll ?? 0);
    // A gap: what lies between is unknown, so that nothing after it can be taken (E4).
    if ((mine?.version ?? 0) < delta.after) {
      return void context.holds.set(delta.id, { incarnation, number: mine?.version ?? 0 });
    }
    if (delta.entries.length === 0) {
      if (mine) this.#applyCounts(mine, delta, context);
      return;
    }
    // Where members sign, a state is signed, and told anew, as a whole.
    if (this.#signs && delta.reset && delta.after > 0) return this.refuse(delta, context);
    // A reset of a state that ended below what is held is older than that.
    const end = delta.reset && !this.#signs ? delta.end ?? number : number;
    if (mine && delta.reset && end < mine.version) return reportVersion(mine, context);
    const { taken, forgotten } = this.#signs
      ? withoutIdleDeletions(delta, mine)
      : { taken: delta, forgotten: 0 };
    const fitting = this.#fitting(taken, mine, context);
    if (fitting.entries.length === 0) return this.refuse(delta, context);
    // Where members sign, what was signed is the whole state that would be held; what was known before is talk.
    if (mine && (delta.reset || !this.#signs)) this.#emitConflicts(mine, delta.entries, context);
    const isNews = number > (mine?.version ?? 0);
    const after = this.#mergeEntries(fitting, held, context);
    if (fitting !== taken) reportVersion(after, context);
    // What is no news was not verified.
    if (isNews) after.raiseFloor({ number: forgotten, serial: after.changedSerial });
    this.#applyCounts(after, delta, context);
    // Of itself the sender says less than it once gave out.
    if (delta.id === context.peerId && end < after.version) reportVersion(after, context);
  }

  /** Takes what is said of a member beside its entries. Where members sign, nobody speaks for another (rule L4). */
  #applyCounts(
    member: MemberState,
    { count = 0, ackedByAll: settled = 0 }: MemberDelta,
    { now }: MergeContext,
  ): void {
    if (this.#signs) return;
    this.#heartbeats.applyCount(member, count, now);
    this.#store.recordAckedByAll(member, settled);
  }

  #mergeUnversioned(delta: MemberDelta, held: MemberState | undefined, context: MergeContext): void {
    if (held) this.#emitConflicts(held, delta.entries, context);
    const news = delta.entries.filter((entry) => {
      const mine = held?.get(entry.key);
      // An unversioned member numbers its heartbeats like entries: only other statistics are a change of state.
      if (entry.key === HEARTBEAT_KEY && mine && mine.json === entry.json) return false;
      return entry.number > (mine?.number ?? 0);
    });
    const fitting = this.#fitting({ ...delta, entries: news }, held, context);
    if (fitting.entries.length < news.length) return this.refuse(delta, context);
    if (held) this.#store.put(held, news, context.now);
    else if (news.length > 0) this.#addMember({ ...delta, entries: news }, { floor: 0, telling: context });
    this.#applyLeft(delta.id, context.now);
    const heartbeat = delta.entries.find((entry) => entry.key === HEARTBEAT_KEY && !isTombstone(entry));
    const state = this.#store.log.get(delta.id);
    if (state && heartbeat) this.#heartbeats.applyCount(state, heartbeat.number, context.now);
  }

  /** Takes nothing of what is told of a member that cannot have said so; the peer is told what is held instead. */
  refuse({ id, incarnation }: MemberDelta, { holds: versions }: Pick<MergeContext, "holds">): void {
    const held = this.#store.log.get(id);
    versions.set(
      id,
      held ? { incarnation: held.incarnation, number: held.version } : { incarnation, number: 0 },
    );
  }

  /** A greeting told of a later life of a member: what is held of the earlier one is over. */
  beginIncarnation(id: string, incarnation: Incarnation, now: Instant): void {
    const member = this.#store.log.get(id);
    // Where nothing is known of the one that is over, a block may have outlasted all that was.
    const known = member?.incarnation ?? this.#membership.departures.memory(id)?.incarnation;
    if (known !== undefined && known >= incarnation) return;
    if (member) this.#store.replace(member, [], { incarnation, floor: 0, now });
    this.#membership.newerIncarnation(id, now);
  }

  /** A greeting is of an earlier life than what is known of a member, and counts for more: that is dropped. */
  forgetIncarnation(id: string, incarnation: Incarnation, now: Instant): void {
    const member = this.#store.log.get(id);
    if (member) this.#store.replace(member, [], { incarnation, floor: 0, now });
    this.#membership.departures.forget(id);
    this.#membership.newerIncarnation(id, now);
  }

  #mergeEntries(delta: MemberDelta, held: MemberState | undefined, context: MergeContext): MemberState {
    const { now } = context;
    const { incarnation, last } = spanOf(delta);
    const floor = delta.reset ? last : 0;
    const entries = held?.incarnation === incarnation && delta.reset ? held.repairedBy(delta) : undefined;
    if (held?.incarnation === incarnation && entries === undefined) {
      const news = delta.entries.filter((entry) => entry.number > held.version);
      this.#store.put(held, news, now);
      if (news.length > 0) {
        held.receivedSignature = delta.signature;
        held.raiseFloor({ number: floor, serial: held.changedSerial });
      }
      this.#applyLeft(delta.id, now);
      return held;
    }
    const before = held?.incarnation ?? this.#membership.departures.memory(delta.id)?.incarnation;
    const member = held
      ? this.#store.replace(held, entries ?? delta.entries, { incarnation, floor, now })
      : this.#addMember(delta, { floor, telling: context });
    member.receivedSignature = delta.signature;
    // A block may have outlasted the state, and the memory too, of the life that left. Where members sign, a state may be
    // an old one that was played back: only a greeting shows that its owner lives.
    const { blocks } = this.#membership;
    const isLater = before === undefined ? blocks.reason(delta.id) === "left" : before < incarnation;
    if (isLater && !this.#signs) {
      this.#membership.newerIncarnation(delta.id, now);
    }
    this.#applyLeft(delta.id, now);
    return member;
  }

  #addMember(
    delta: MemberDelta,
    how: { readonly floor: number; readonly telling: MergeContext },
  ): MemberState {
    const { floor, telling: { now, peerId } } = how;
    const member = this.#store.addMember(delta.id, delta.incarnation);
    this.#store.put(member, delta.entries, now);
    member.raiseFloor({ number: floor, serial: member.changedSerial });
    const isForgotten = this.#membership.departures.memory(delta.id) !== undefined;
    this.#membership.heard(delta.id, now);
    // A signed state of one that was forgotten may be an old one that was played back.
    const isProven = delta.id === peerId || this.#store.active.has(delta.id);
    if (this.#signs && isForgotten && !isProven) this.#membership.block(delta.id, "expired", now);
    return member;
  }

  /** Blocks a member whose state says that it left, and no longer one whose state does not. */
  #applyLeft(id: string, now: Instant): void {
    const left = this.#store.log.get(id)?.live(GRACEFULLY_LEFT_KEY) !== undefined;
    this.#membership.setLeft(id, left, now);
  }

  /** One number with two values: at most one of them was ever set (E3). */
  #emitConflicts(mine: MemberState, entries: readonly SentEntry[], context: MergeContext): void {
    for (const entry of entries) {
      if (entry.number > mine.highestNumber) return;
      const held = mine.get(entry.key);
      if (held?.number !== entry.number || (held.json === entry.json && held.type === entry.type)) continue;
      this.#emit({
        type: "ConflictDetected",
        memberId: mine.id,
        reason: "value",
        key: entry.key,
        sequenceNumber: entry.number,
        peerId: context.peerId,
      });
    }
  }

  /** As much of what is told as finds room: all of it, or the first entries, or none. */
  #fitting(delta: MemberDelta, mine: MemberState | undefined, context: MergeContext): MemberDelta {
    const none = { ...delta, entries: [] };
    const repaired = mine && delta.reset ? mine.repairedBy(delta) : undefined;
    const into = repaired ? undefined : mine;
    const added = repaired ?? delta.entries.filter(({ number, key }) => {
      const before = mine?.isUnversioned ? mine.get(key)?.number : mine?.version;
      return number > (before ?? 0);
    });
    const count = this.#countFitting(added, into, { told: delta, telling: context });
    if (count === added.length) return delta;
    // What cannot be cut is taken whole or not at all.
    if (repaired || this.#signs) return none;
    const last = added[count - 1]?.number ?? 0;
    return { ...delta, entries: delta.entries.filter(({ number }) => number <= last) };
  }

  /** How many of these entries find room beside what is held of the member, and beside what is held of the others. */
  #countFitting(
    entries: readonly SentEntry[],
    mine: MemberState | undefined,
    { told: delta, telling: context }: { readonly told: MemberDelta; readonly telling: MergeContext },
  ): number {
    const most = this.#countWithin(entries, mine, delta);
    if (most.count < entries.length) this.#emitLimit(delta, context);
    if (most.count === 0) return 0;
    const { peerId, now } = context;
    const wanted = MEMBER_HEAP_BYTES + most.heapBytes;
    const room = this.#room.makePlace(delta.id, now) ? this.#room.makeBytes(delta.id, wanted, now) : 0;
    if (room === wanted) return most.count;
    this.#room.noteRefused(delta.id, peerId, now);
    return this.#countWithin(entries, mine, delta, room - MEMBER_HEAP_BYTES).count;
  }

  /** The most entries after which the state is within the limits of one member, and what it takes then. */
  #countWithin(
    entries: readonly SentEntry[],
    mine: MemberState | undefined,
    { id, incarnation }: MemberDelta,
    maxHeapBytes: number = Infinity,
  ): { readonly count: number; readonly heapBytes: number } {
    const { maxKeysPerMember, maxStateBytes, maxMessageBytes } = this.#settings;
    const isCut = !this.#signs && !isUnversioned(incarnation);
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

  #emitLimit({ id }: MemberDelta, { peerId }: MergeContext): void {
    this.#emit({ type: "ConflictDetected", memberId: id, reason: "limit", peerId });
  }
}

/**
 * What is told without the deletions of keys that are not held: these are forgotten at once. A signature is over what
 * has a value, so that somebody in between could add as many of them as find room.
 */
function withoutIdleDeletions(
  delta: MemberDelta,
  mine: MemberState | undefined,
): { readonly taken: MemberDelta; readonly forgotten: number } {
  const before = delta.reset ? undefined : mine;
  const isIdle = (entry: SentEntry) =>
    isTombstone(entry) && !before?.live(entry.key) && entry !== delta.entries.at(-1);
  const forgotten = delta.entries.findLast(isIdle)?.number ?? 0;
  return { taken: { ...delta, entries: delta.entries.filter((entry) => !isIdle(entry)) }, forgotten };
}

function reportVersion(held: MemberState, context: MergeContext): void {
  context.holds.set(held.id, { incarnation: held.incarnation, number: held.version });
}
