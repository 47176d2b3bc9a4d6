/**
 * Merges deltas of other members into the store (rules E1 to E4, E8, E11).
 *
 * An unversioned member has no prefix: its entries are merged key by key, the higher number wins, and a missing entry
 * deletes nothing.
 *
 * @module
 */

import type { EngineEvent } from "../events.ts";
import { isFarAhead, isUnversioned } from "../incarnation.ts";
import type { Heartbeats } from "../liveness/heartbeats.ts";
import type { MemberState } from "../state/member_state.ts";
import type { Membership } from "../membership/membership.ts";
import type { Room } from "../membership/room.ts";
import { Allowance } from "./allowance.ts";
import { spanOf } from "./span.ts";
import { MEMBER_HEAP_BYTES } from "../state/heap_estimate.ts";
import { ENVELOPE_BYTES, memberBytes, sizeWith, type StateSize } from "../state/size.ts";
import { withValues } from "../state/expiries.ts";
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
 * The multiple of the owner's limits that a copy of a state may reach. 1.5: the owner does not count the keys that it
 * publishes about itself. A copy may also have deletions that the owner has dropped.
 */
const MARGIN = 1.5;

/**
 * The largest state, in estimated heap bytes, that any reset may rebuild. 64 KiB: such a reset costs no more than other
 * messages. Lower: a hostile peer that rebuilds a large state repeatedly delays honest repairs of small states.
 */
const SMALL_REPAIR = 65_536;

/**
 * In each second, renewals may stand for `maxStateBytes` divided by this. 8: by default a mebibyte, enough for a
 * thousand members with a small value each. Lower: a hostile peer takes more of the processor. Higher: more values are
 * sent again as a whole.
 */
const RENEWALS_DIVISOR = 8;

/** The message of a delta. */
export interface MergeContext {
  readonly peerId: string;
  /** Versions to report, because they differ from the peer's assumption. */
  readonly versions: Map<string, KnownVersion>;
  readonly now: Instant;
}

/** The limits of a member's state. */
export interface MergeSettings {
  readonly maxKeysPerMember: number;
  readonly maxStateBytes: number;
  readonly maxMessageBytes: number;
  readonly maxHeldBytes: number;
  readonly heartbeatExpiration: number;
}

/** Merges deltas of other members. */
export class Merge {
  readonly #settings: MergeSettings;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #room: Room;
  readonly #emit: (event: EngineEvent) => void;
  readonly #signs: boolean;
  readonly #heartbeats: Heartbeats;
  /** In characters of the values that renewals stand for. */
  readonly #renewals: Allowance;
  /** In estimated heap bytes of the states that resets rebuild. */
  readonly #repairs: Allowance;

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
    const { maxStateBytes, maxHeldBytes } = settings;
    this.#renewals = new Allowance(maxStateBytes / RENEWALS_DIVISOR);
    // Each part of a reset may rebuild the whole state, also for an honest peer.
    this.#repairs = new Allowance(maxStateBytes, { most: maxHeldBytes });
    this.#heartbeats = context.heartbeats;
    this.#signs = context.signs;
    this.#store = context.store;
    this.#membership = context.membership;
    this.#room = context.room;
    this.#emit = context.emit;
  }

  /**
   * Merges the newer entries of one member, or reports the stored version. An incarnation more than a year ahead gives
   * way to any other: this member accepted it while its own clock was wrong (E2). With signing on, only a handshake ends
   * it, because the signature of an earlier incarnation is not verified.
   */
  merge(sent: MemberDelta, context: MergeContext): void {
    const { incarnation, last: number } = spanOf(sent);
    const held = this.#store.log.get(sent.id);
    if (held && held.incarnation > incarnation && !this.#isFalse(held.incarnation, context)) {
      return reportVersion(held, context);
    }
    const remembered = this.#membership.departures.rememberedVersion(sent.id);
    const isRefused = remembered &&
      this.#membership.refuses(sent.id, { incarnation, number }, context.peerId);
    if (isRefused && !this.#isFalse(remembered.incarnation, context)) {
      // A forgotten member has no version to report. But the owner of an id must learn of a later incarnation under it
      // (E1).
      if (remembered.incarnation > incarnation) {
        context.versions.set(sent.id, { incarnation: remembered.incarnation, number: 0 });
      }
      return;
    }
    const mine = held?.incarnation === incarnation ? held : undefined;
    // An unversioned member cannot sign.
    if (isUnversioned(incarnation) && this.#signs) return this.refuse(sent, context);
    if (isUnversioned(incarnation)) return this.#mergeUnversioned(sent, mine, context);
    if (mine && !this.#signs) this.#store.recordAckedByAll(mine, sent.ackedByAll ?? 0);
    // A gap: the entries between are unknown, so the entries after them cannot be merged (E4).
    if ((mine?.version ?? 0) < sent.after) {
      return reportVersion(mine ?? { ...sent, version: 0 }, context);
    }
    const { monotonicMs } = context.now;
    const delta = withValues(sent, mine, (length) => this.#renewals.take(length, monotonicMs));
    // This member lacks a value that a renewal names. Version 0 makes the peer send all entries with their values.
    if (!delta) return reportVersion({ ...sent, version: 0 }, context);
    const isCut = spanOf(delta).last < number && (mine?.version ?? 0) < number;
    this.#mergeVersioned(delta, { held, mine, context });
    // The report makes the member pending at the peer, so that the peer sends the other entries with their values.
    if (isCut) this.refuse(sent, context);
  }

  /** True if an incarnation is more than a year ahead, and gives way to a lower one. */
  #isFalse(incarnation: Incarnation, { now }: MergeContext): boolean {
    return !this.#signs && isFarAhead(incarnation, now.wallMs);
  }

  #mergeVersioned(
    delta: MemberDelta,
    { held, mine, context }: {
      readonly held: MemberState | undefined;
      readonly mine: MemberState | undefined;
      readonly context: MergeContext;
    },
  ): void {
    const { last: number } = spanOf(delta);
    if (delta.entries.length === 0) {
      if (mine) this.#applyCounts(mine, delta, context);
      return;
    }
    // A signature covers a whole state, so a part of a reset cannot be verified.
    if (this.#signs && delta.reset && delta.after > 0) return this.refuse(delta, context);
    const end = delta.reset && !this.#signs ? delta.end ?? number : number;
    if (mine && delta.reset && this.#isOlder(mine, end, context)) return reportVersion(mine, context);
    const { taken, forgotten } = this.#signs
      ? withoutIdleDeletions(delta, mine)
      : { taken: delta, forgotten: 0 };
    const { fitting, repaired } = this.#fitting(taken, mine, context);
    if (fitting.entries.length === 0) return this.refuse(delta, context);
    // With signing on, only a reset was verified as a whole, so only a reset can prove a conflict.
    if (mine && (delta.reset || !this.#signs)) this.#emitConflicts(mine, delta.entries, context);
    const isNewer = number > (mine?.version ?? 0);
    const after = this.#mergeEntries(fitting, { held, repaired, context });
    if (fitting !== taken) reportVersion(after, context);
    if (number < end) {
      after.partEnd = end;
      after.partMs = context.now.monotonicMs;
    }
    // Older entries were not verified.
    if (isNewer) after.raiseFloor({ number: forgotten, serial: after.changedSerial });
    this.#applyCounts(after, delta, context);
    // The sender reports a lower version of its own state than it once sent.
    if (delta.id === context.peerId && end < after.version) reportVersion(after, context);
  }

  /**
   * True if a reset of a state up to `end` is older than the stored state, or than a part of a reset that was merged
   * lately. The peer that sent the part counts on it, and sends the next part. The older reset could bring a key back
   * whose deletion is in neither part. The owner's reset is not older than a part.
   */
  #isOlder(mine: MemberState, end: number, { now, peerId }: MergeContext): boolean {
    const isUnderWay = now.monotonicMs - mine.partMs < this.#settings.heartbeatExpiration;
    return end < mine.version || isUnderWay && end < mine.partEnd && mine.id !== peerId;
  }

  /** Merges the counts beside a member's entries. With signing on, no member speaks for another (rule L4). */
  #applyCounts(
    member: MemberState,
    { count = 0, ackedByAll = 0 }: MemberDelta,
    { now, peerId }: MergeContext,
  ): void {
    if (this.#signs) return;
    this.#heartbeats.applyCount(member, count, now, peerId);
    this.#store.recordAckedByAll(member, ackedByAll);
  }

  #mergeUnversioned(delta: MemberDelta, held: MemberState | undefined, context: MergeContext): void {
    if (held) this.#emitConflicts(held, delta.entries, context);
    const news = delta.entries.filter((entry) => {
      const mine = held?.get(entry.key);
      // An unversioned member numbers its heartbeats like entries, so a heartbeat is a change of state only if the
      // statistics differ.
      if (entry.key === HEARTBEAT_KEY && mine && mine.json === entry.json) return false;
      return entry.number > (mine?.number ?? 0);
    });
    const { fitting } = this.#fitting({ ...delta, entries: news }, held, context);
    if (fitting.entries.length < news.length) return this.refuse(delta, context);
    if (held) this.#store.put(held, news, context.now);
    else if (news.length > 0) this.#addMember({ ...delta, entries: news }, { floor: 0, context });
    this.#applyLeft(delta.id, context.now);
    const heartbeat = delta.entries.find((entry) => entry.key === HEARTBEAT_KEY && !isTombstone(entry));
    const state = this.#store.log.get(delta.id);
    if (state && heartbeat) {
      this.#heartbeats.applyCount(state, heartbeat.number, context.now, context.peerId);
    }
  }

  /** Refuses a delta, and reports the stored version instead. */
  refuse({ id, incarnation }: MemberDelta, context: Pick<MergeContext, "versions">): void {
    reportVersion(this.#store.log.get(id) ?? { id, incarnation, version: 0 }, context);
  }

  /** Replaces a member's earlier incarnation after a handshake in a later incarnation. */
  beginIncarnation(id: string, incarnation: Incarnation, now: Instant): void {
    const member = this.#store.log.get(id);
    // A block may have outlasted the state of the earlier incarnation.
    const known = this.#membership.latestIncarnation(id);
    if (known !== undefined && known >= incarnation) return;
    if (member) this.#store.replace(member, [], { incarnation, floor: 0, now });
    this.#membership.newerIncarnation(id, now);
  }

  /** Drops a later incarnation after a signed handshake in an earlier incarnation. */
  forgetIncarnation(id: string, incarnation: Incarnation, now: Instant): void {
    const member = this.#store.log.get(id);
    if (member) this.#store.replace(member, [], { incarnation, floor: 0, now });
    this.#membership.departures.forget(id);
    this.#membership.newerIncarnation(id, now);
  }

  #mergeEntries(delta: MemberDelta, { held, repaired, context }: {
    readonly held: MemberState | undefined;
    /** All entries of the stored state after this reset, if the reset removes or changes entries. */
    readonly repaired: readonly SentEntry[] | undefined;
    readonly context: MergeContext;
  }): MemberState {
    const { now } = context;
    const { incarnation, last } = spanOf(delta);
    // A part keeps the entries above it, among which deletions may have been dropped.
    const mine = held?.incarnation === incarnation ? held : undefined;
    const floor = delta.reset ? Math.max(last, mine?.floor ?? 0) : 0;
    if (mine && repaired === undefined) {
      const news = delta.entries.filter((entry) => entry.number > mine.version);
      this.#store.put(mine, news, now);
      if (news.length > 0) {
        mine.receivedSignature = delta.signature;
        mine.raiseFloor({ number: floor, serial: mine.changedSerial });
      }
      this.#applyLeft(delta.id, now);
      return mine;
    }
    const before = held?.incarnation ?? this.#membership.departures.rememberedVersion(delta.id)?.incarnation;
    const member = held
      ? this.#store.replace(held, repaired ?? delta.entries, { incarnation, floor, now })
      : this.#addMember(delta, { floor, context });
    member.receivedSignature = delta.signature;
    // The block may still be there after the state and the version of the incarnation that left were dropped. With
    // signing on, a state may be an old state that a peer sends again, so only a handshake shows that its owner runs.
    const { blocks } = this.#membership;
    const isLater = before === undefined ? blocks.reason(delta.id) === "left" : before !== incarnation;
    if (isLater && !this.#signs) {
      this.#membership.newerIncarnation(delta.id, now);
    }
    this.#applyLeft(delta.id, now);
    return member;
  }

  #addMember(
    delta: MemberDelta,
    { floor, context: { now, peerId } }: { readonly floor: number; readonly context: MergeContext },
  ): MemberState {
    const member = this.#store.addMember(delta.id, delta.incarnation);
    this.#store.put(member, delta.entries, now);
    member.raiseFloor({ number: floor, serial: member.changedSerial });
    const isForgotten = this.#membership.departures.rememberedVersion(delta.id) !== undefined;
    this.#membership.recordState(delta.id, now);
    // A signed state of a forgotten member may be an old state that a peer sends again.
    const isProven = delta.id === peerId || this.#store.active.has(delta.id);
    if (this.#signs && isForgotten && !isProven) this.#membership.block(delta.id, "expired", now);
    return member;
  }

  /** Blocks a member with the key `left`, and frees a member without it. */
  #applyLeft(id: string, now: Instant): void {
    const left = this.#store.log.get(id)?.live(GRACEFULLY_LEFT_KEY) !== undefined;
    this.#membership.setLeft(id, left, now);
  }

  /** One number has two values, but the owner set at most one of these (E3). */
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

  /**
   * The part of a delta that finds room: all entries, the first entries, or no entries. If a reset removes or changes
   * stored entries, `repaired` has all entries after the reset.
   */
  #fitting(
    delta: MemberDelta,
    mine: MemberState | undefined,
    context: MergeContext,
  ): { readonly fitting: MemberDelta; readonly repaired: readonly SentEntry[] | undefined } {
    const none = { fitting: { ...delta, entries: [] }, repaired: undefined };
    const isRepair = mine !== undefined && delta.reset && mine.isWrongBy(delta);
    const { heapBytes = 0 } = mine?.size ?? {};
    const { monotonicMs } = context.now;
    if (isRepair && heapBytes > SMALL_REPAIR && !this.#repairs.take(heapBytes, monotonicMs)) return none;
    const repaired = isRepair ? mine.repairedBy(delta) : undefined;
    const into = repaired ? undefined : mine;
    const added = repaired ?? delta.entries.filter(({ number, key }) => {
      const before = mine?.isUnversioned ? mine.get(key)?.number : mine?.version;
      return number > (before ?? 0);
    });
    const count = this.#countFitting(added, into, { delta, context });
    if (count === added.length) return { fitting: delta, repaired };
    // A repair or a signed state cannot be cut.
    if (repaired || this.#signs) return none;
    const last = added[count - 1]?.number ?? 0;
    return { fitting: { ...delta, entries: delta.entries.filter(({ number }) => number <= last) }, repaired };
  }

  /** The number of these entries that find room beside the member's state and the states of others. */
  #countFitting(
    entries: readonly SentEntry[],
    mine: MemberState | undefined,
    { delta, context }: { readonly delta: MemberDelta; readonly context: MergeContext },
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

  /** The most entries within the limits of one member, and the heap bytes of the state with them. */
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
 * The delta without deletions of unknown keys, which are dropped at once. A signature covers only entries with a value,
 * so a relay could add any number of deletions.
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

function reportVersion(
  { id, incarnation, version: number }: Pick<MemberState, "id" | "incarnation" | "version">,
  { versions }: Pick<MergeContext, "versions">,
): void {
  versions.set(id, { incarnation, number });
}
