/**
 * All stored state, and the running values over its active part: digest, convergence, consensus (rules E6, E12, E13).
 * Every change of entries goes through this class, so that it updates every running value. Heartbeat counts, signatures
 * and floors do not affect these values; other classes set them in `MemberState` directly.
 *
 * @module
 */

import { ConvergenceTracker } from "../convergence.ts";
import { ChangeLog } from "./change_log.ts";
import type { ConsensusCheck } from "../consensus.ts";
import { SetHash } from "./digest.ts";
import type { EngineEvent } from "../events.ts";
import { HeldMembers } from "../membership/held_members.ts";
import { MemberState } from "./member_state.ts";
import { Expiries } from "./expiries.ts";
import { ExpiringEntry, isDue, isPresent, type StoredEntry } from "./stored_entry.ts";
import { SortedMembers } from "./sorted_members.ts";
import {
  type Entry,
  HEARTBEAT_KEY,
  type Incarnation,
  type Instant,
  isTombstone,
  type JsonValue,
  type SentEntry,
} from "../types.ts";

/**
 * A delete within the last second of a value's lifetime counts as its expiry, because the owner's clock may be slightly
 * ahead.
 */
const EARLY_MS = 1_000;

/** The name of a state, for comparisons: its digest and the hash of the active ids. */
export function nameOfState(digest: string, active: string): string {
  return `${digest}/${active}`;
}

/** All state held by one member. */
export class Store {
  readonly log: ChangeLog = new ChangeLog();
  readonly convergence: ConvergenceTracker = new ConvergenceTracker();
  readonly checks: Map<string, ConsensusCheck> = new Map();
  /** The other stored members, by size and by trust. */
  readonly held: HeldMembers = new HeldMembers();
  /** The entries whose time is not over yet. */
  readonly expiries: Expiries = new Expiries();

  readonly #selfId: string;
  readonly #emit: (event: EngineEvent) => void;
  readonly #active = new Set<string>();
  /** Stored inactive members. */
  readonly #inactive = new Set<string>();
  /** Active members without stored state. The member that was pulled longest ago comes first. */
  readonly #unknown = new Set<string>();
  /** The active ids without this member's own, for random draws without a copy (rule E6). */
  readonly #peers: string[] = [];
  readonly #peerIndex = new Map<string, number>();
  readonly #digest = new SetHash();
  readonly #activeHash = new SetHash();
  readonly #incarnationsHash = new SetHash();
  #named = { digest: "", activeHash: "", name: "" };
  #sorted: SortedMembers | undefined;
  /** All tombstones, the oldest first. */
  readonly #tombstones = new Map<StoredEntry, { readonly member: MemberState; readonly sinceMs: number }>();

  constructor(selfId: string, emit: (event: EngineEvent) => void) {
    this.#selfId = selfId;
    this.#emit = emit;
  }

  /** The digest of rule E12. */
  get digest(): string {
    return this.#digest.toString();
  }

  /** The hash of the active ids. */
  get activeHash(): string {
    return this.#activeHash.toString();
  }

  /** The name of this member's state. Cached, because every received message is compared with it. */
  get stateName(): string {
    const { digest, activeHash } = this;
    const named = this.#named;
    if (named.digest === digest && named.activeHash === activeHash) return named.name;
    const name = nameOfState(digest, activeHash);
    this.#named = { digest, activeHash, name };
    return name;
  }

  /**
   * The hash of the active ids and their incarnations. If two members have equal hashes, an index names the same member
   * at both.
   */
  get incarnationsHash(): string {
    return this.#incarnationsHash.toString();
  }

  /** The active members in the order of their ids' bytes. Cached until the set changes. */
  get sorted(): SortedMembers {
    return this.#sorted ??= new SortedMembers(this.#active, this.log);
  }

  /** The active ids, this member's own among them. */
  get active(): ReadonlySet<string> {
    return this.#active;
  }

  /** The ids of stored inactive members. */
  get inactive(): ReadonlySet<string> {
    return this.#inactive;
  }

  /** Takes ids of active members without stored state, in round-robin order. */
  takeUnknown(most: number): string[] {
    const ids = [...this.#unknown.values().take(most)];
    for (const id of ids) this.#unknown.delete(id);
    for (const id of ids) this.#unknown.add(id);
    return ids;
  }

  /** The ids of the active peers, in an arbitrary order. The next call of the engine may change the array. */
  get peers(): readonly string[] {
    return this.#peers;
  }

  /** The number of tombstones kept. */
  get tombstones(): number {
    return this.#tombstones.size;
  }

  /** Counts a member as active from now on. */
  activate(id: string): void {
    if (this.#active.has(id)) return;
    this.#active.add(id);
    this.#inactive.delete(id);
    this.#activeHash.add(id);
    this.#changeIncarnation(id, { add: true });
    if (id !== this.#selfId) {
      this.convergence.add(id);
      this.#peerIndex.set(id, this.#peers.push(id) - 1);
    }
    const member = this.log.get(id);
    if (!member) return void this.#unknown.add(id);
    this.#digest.addSum(member.sum);
    for (const check of this.checks.values()) check.recordValue(id, member.present(check.key)?.value);
  }

  /** No longer counts a member as active. */
  deactivate(id: string): void {
    if (!this.#active.delete(id)) return;
    this.#unknown.delete(id);
    this.#activeHash.remove(id);
    this.#changeIncarnation(id, { add: false });
    this.convergence.remove(id);
    this.#removePeer(id);
    const member = this.log.get(id);
    if (member) this.#digest.removeSum(member.sum);
    if (member) this.#inactive.add(id);
    for (const check of this.checks.values()) check.recordValue(id, undefined);
  }

  /** Begins to evaluate a check. */
  addCheck(check: ConsensusCheck): void {
    this.checks.set(check.id, check);
    for (const id of this.#active) check.recordValue(id, this.log.get(id)?.present(check.key)?.value);
  }

  /** Adds an incarnation of a member, without entries. */
  addMember(id: string, incarnation: Incarnation): MemberState {
    const member = new MemberState(id, incarnation);
    const isActive = this.#active.has(id);
    if (isActive) this.#changeIncarnation(id, { add: false });
    this.log.add(member);
    // mutant delete-statement: only active members are sorted, and #changeIncarnation() does the same for these.
    this.#sorted = undefined;
    if (isActive) this.#changeIncarnation(id, { add: true });
    this.#unknown.delete(id);
    if (!isActive) this.#inactive.add(id);
    return member;
  }

  /**
   * Sets or deletes keys of a stored member, in rising order of number. All numbers must be above the stored numbers.
   * For an unversioned member, each number must be above the number of the same key.
   */
  put(member: MemberState, entries: readonly SentEntry[], now: Instant): void {
    const active = this.#active.has(member.id);
    // The digest is updated once for all entries, because an update costs as much as a put.
    if (active) this.#digest.removeSum(member.sum);
    for (const entry of entries) {
      const before = member.present(entry.key);
      this.#reportChange(member.id, before, this.#putEntry(member, entry, now), now);
    }
    if (active) this.#digest.addSum(member.sum);
    this.#noteSize(member);
  }

  /**
   * Stores these entries of a member in place of all others: for another incarnation, or a reset of the same
   * incarnation. Other keys are removed, with an event for each.
   */
  replace(
    before: MemberState,
    entries: readonly SentEntry[],
    options: { readonly incarnation: Incarnation; readonly floor: number; readonly now: Instant },
  ): MemberState {
    const { incarnation, floor, now } = options;
    const active = this.#active.has(before.id);
    if (active) this.#digest.removeSum(before.sum);
    const member = this.addMember(before.id, incarnation);
    for (const entry of entries) {
      const old = before.live(entry.key);
      const unchanged = incarnation === before.incarnation && old?.number === entry.number &&
        old.json === entry.json &&
        old.type === entry.type;
      // An unchanged entry keeps the time of its merge (R5.4).
      const held = this.#putEntry(
        member,
        unchanged ? old : entry,
        unchanged ? { ...now, wallMs: old.timestampMs } : now,
      );
      const shown = before.present(entry.key);
      // The value may have expired since the last tick. No later tick would find it.
      const isShownAsBefore = unchanged && isPresent(held) === (shown !== undefined);
      if (isShownAsBefore) this.#noteValue(member.id, held.key, shown?.value);
      else this.#reportChange(member.id, shown, held, now);
    }
    // Each entry took a serial. Without entries, the change itself needs a serial.
    if (entries.length === 0) this.log.nextSerial();
    member.raiseFloor({ number: floor, serial: this.log.serial });
    if (incarnation === before.incarnation) {
      member.heartbeatCount = before.heartbeatCount;
      member.helloCount = before.helloCount;
      member.heartbeatWallMs = before.heartbeatWallMs;
      member.heartbeatMonotonicMs = before.heartbeatMonotonicMs;
      member.ackedByAll = before.ackedByAll;
    }
    if (active) this.#digest.addSum(member.sum);
    this.#noteSize(member);
    this.#dropEntries(before);
    this.log.recordChange(member);
    for (const old of before.entries()) {
      if (!isPresent(old) || member.get(old.key)) continue;
      this.#emitUpdate(member.id, old, undefined, isDue(old, now));
      this.#noteValue(member.id, old.key, undefined);
    }
    return member;
  }

  /** Drops all state of a member. */
  removeMember(id: string): void {
    const member = this.log.get(id);
    if (!member) return;
    const isActive = this.#active.has(id);
    if (isActive) this.#digest.removeSum(member.sum);
    if (isActive) this.#changeIncarnation(id, { add: false });
    this.log.remove(id);
    // mutant delete-statement: as in addMember().
    this.#sorted = undefined;
    if (isActive) this.#changeIncarnation(id, { add: true });
    this.#inactive.delete(id);
    if (isActive) this.#unknown.add(id);
    this.held.remove(id);
    this.#dropEntries(member);
    for (const entry of member.entries()) {
      if (!isPresent(entry)) continue;
      this.#emitUpdate(id, entry, undefined);
      this.#noteValue(id, entry.key, undefined);
    }
  }

  /** Drops the old tombstones (rule E8). */
  dropExpiredTombstones(nowMs: number, retentionMs: number): void {
    for (const [tombstone, { member, sinceMs }] of this.#tombstones) {
      if (nowMs - sinceMs < retentionMs) return;
      this.#tombstones.delete(tombstone);
      // The latest entry of a member carries its version, so it stays and is checked again later. For an unversioned
      // member, the tombstone is the only protection against the return of an older value.
      const isLatest = tombstone.number === member.version;
      if (isLatest || member.isUnversioned) this.#tombstones.set(tombstone, { member, sinceMs: nowMs });
      else member.dropTombstone(tombstone);
    }
  }

  /** All active members have a member's state up to a number, so older tombstones need no more sending (rule E8). */
  recordAckedByAll(member: MemberState, number: number): void {
    const ackedByAll = Math.min(number, member.version);
    // mutant move-bound: with an equal number, the tombstone that was the latest entry before may be dropped a little sooner.
    if (member.isUnversioned || ackedByAll <= member.ackedByAll) return;
    member.ackedByAll = ackedByAll;
    for (const tombstone of member.deletions) {
      if (tombstone.number > ackedByAll) return;
      // The latest entry carries the member's version.
      if (tombstone.number === member.version) return;
      this.#tombstones.delete(tombstone);
      member.dropTombstone(tombstone);
    }
  }

  /** All active members have the same state. */
  recordAllAcked(): void {
    const members = new Set([...this.#tombstones.values()].map(({ member }) => member));
    for (const member of members) {
      if (this.#active.has(member.id)) this.recordAckedByAll(member, member.version);
    }
  }

  #putEntry(member: MemberState, entry: SentEntry, now: Instant): StoredEntry {
    const { key, number, type, value, json, expiresAfter } = entry;
    const serial = this.log.nextSerial();
    const before = member.get(key);
    // Otherwise a key that is set and deleted repeatedly would leave a tombstone for each deletion.
    if (before) this.#tombstones.delete(before);
    if (before instanceof ExpiringEntry) this.expiries.remove(before);
    const stored = {
      ...{ key, number, type, value, json, timestampMs: now.wallMs },
      ...(expiresAfter !== undefined && { expiresAfter }),
    };
    const held = member.put(stored, serial, dueMsOf(entry, now.monotonicMs));
    if (isTombstone(held)) this.#tombstones.set(held, { member, sinceMs: now.monotonicMs });
    if (held instanceof ExpiringEntry) this.expiries.add(member, held, now.monotonicMs);
    this.log.recordChange(member);
    return held;
  }

  /** Ends the values of other members whose time is over; returns the keys of this member's own (rule E16). */
  expire(now: Instant): readonly string[] {
    const own: string[] = [];
    for (const [entry, member] of this.expiries.takeDue(now.monotonicMs)) {
      if (member.id === this.#selfId) own.push(entry.key);
      else {
        entry.isExpired = true;
        this.#reportChange(member.id, entry, entry, now);
      }
    }
    return own;
  }

  /** Emits the update for an entry in place of the entry `before`. If `before` is given, it had a value to read. */
  #reportChange(id: string, before: Entry | undefined, entry: StoredEntry, now: Instant): void {
    const value = isPresent(entry) ? entry.value : undefined;
    if (value !== undefined || before) this.#emitUpdate(id, entry, value, isExpiry(before, entry, now));
    this.#noteValue(id, entry.key, value);
  }

  /**
   * This member's own state has its own limits, so it is left out here. Dropped tombstones count until the next change.
   */
  #noteSize(member: MemberState): void {
    if (member.id !== this.#selfId) this.held.update(member);
  }

  /** Forgets the tombstones and the times of dropped state. */
  #dropEntries(member: MemberState): void {
    for (const entry of member.entries()) {
      if (isTombstone(entry)) this.#tombstones.delete(member.get(entry.key)!);
      else if (entry instanceof ExpiringEntry) this.expiries.remove(entry);
    }
  }

  #noteValue(id: string, key: string, value: JsonValue | undefined): void {
    if (this.checks.size === 0 || !this.#active.has(id)) return;
    for (const check of this.checks.values()) if (check.key === key) check.recordValue(id, value);
  }

  /** A member became active or inactive, or has another incarnation. */
  #changeIncarnation(id: string, { add }: { readonly add: boolean }): void {
    // mutant drop-fallback: join() writes undefined as "", too; the type needs the fallback.
    const fields = [id, this.log.get(id)?.incarnation ?? ""];
    if (add) this.#incarnationsHash.add(...fields);
    else this.#incarnationsHash.remove(...fields);
    this.#sorted = undefined;
  }

  /** The heartbeat entry has only the statistics. Its events follow the count instead: see `Heartbeats`. */
  #emitUpdate(memberId: string, entry: SentEntry, value: JsonValue | undefined, expired = false): void {
    if (entry.key === HEARTBEAT_KEY && value !== undefined) return;
    const { key, number: sequenceNumber } = entry;
    const deleted = value === undefined;
    this.#emit({
      ...{ type: "GossipUpdate", memberId, key, value, sequenceNumber, deleted },
      ...(deleted && expired && { expired }),
    });
  }

  /** Removes a peer. The last peer takes its index. */
  #removePeer(id: string): void {
    const place = this.#peerIndex.get(id);
    if (place === undefined) return;
    // mutant delete-statement: no code reads an index that stays behind; it only takes memory.
    this.#peerIndex.delete(id);
    const last = this.#peers.pop()!;
    if (last === id) return;
    this.#peers[place] = last;
    this.#peerIndex.set(last, place);
  }
}

/** The end of an entry's time here; `undefined` if it does not expire. */
function dueMsOf(entry: SentEntry, nowMs: number): number | undefined {
  const { expiresAfter, ageMs = 0 } = entry;
  if (expiresAfter === undefined) return undefined;
  // For a value whose time is over, the result is exactly `nowMs`. A rounded sum could be later, and the value would
  // appear again.
  return entry instanceof ExpiringEntry ? entry.dueMs : nowMs + Math.max(0, expiresAfter - ageMs);
}

/** True if a value ends because its time is over: here, or at its owner, which then deletes it. */
function isExpiry(before: Entry | undefined, entry: StoredEntry, { monotonicMs }: Instant): boolean {
  if (entry instanceof ExpiringEntry) return true;
  return before instanceof ExpiringEntry && before.dueMs <= monotonicMs + EARLY_MS;
}
