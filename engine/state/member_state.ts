/**
 * The stored state of one incarnation of one member: a prefix of its sets and deletes (rule E4), or, for an unversioned
 * member, all entries that arrived.
 *
 * @module
 */

import { DIGITS } from "../liveness/base64_digits.ts";
import { type Link, LinkedList } from "./linked_list.ts";
import { ExpiringEntry, isPresent, PackedEntry, StoredEntry, UnversionedEntry } from "./stored_entry.ts";
import { SetHash } from "./digest.ts";
import { entryHeapBytes } from "./heap_estimate.ts";
import { isUnversioned } from "../incarnation.ts";
import { murmur32Pair } from "./murmur3.ts";
import { entryBytes, memberBytes, sizeWith, type StateSize, storedBytes } from "./size.ts";
import {
  type Entry,
  HEARTBEAT_KEY,
  type Incarnation,
  isTombstone,
  type MemberDelta,
  type SentEntry,
  type SignedState,
  TYPE,
} from "../types.ts";

/** The serials of a peer's known changes. */
export interface KnownChanges {
  readonly changes: {
    has(serial: number): boolean;
    add(after: number, upTo: number): void;
  };
}

/** Up to 8 keys are found by a walk: a map would take more memory than the entries. */
// mutant replace-value: the walk and the map find the same entry.
const FEW_KEYS = 8;
// mutant replace-value 2: a floor of 0 is below every number, so its serial has no effect.
const NO_FLOOR = { number: 0, serial: 0 };
const NO_DELETIONS: ReadonlySet<StoredEntry> = new Set();

/** This member's state at one moment, to be signed. Later changes do not touch it. */
export interface UnsignedSnapshot {
  readonly state: SignedState;
  /** The entries to send with the signature, including tombstones. */
  readonly entries: readonly Entry[];
  /** The most bytes of these entries in a message. */
  readonly sentBytes: number;
}

/** The stored state of one incarnation of one member. */
export class MemberState implements Link<MemberState> {
  readonly id: string;
  readonly incarnation: Incarnation;
  /** True for a member of protoactor-go, which knows neither incarnations nor versions. */
  readonly isUnversioned: boolean;
  /** The end of the stored prefix; for an unversioned member, the position of the last arrival. */
  version = 0;
  /** The highest number of any entry. It differs from `version` for an unversioned member only. */
  highestNumber = 0;
  /** The latest known heartbeat count in this incarnation (rule L1). */
  heartbeatCount = 0;
  /** The highest count in a handshake that the member began. It is no heartbeat, and is not passed on (rule L1). */
  helloCount = 0;
  /** The time of the count's arrival, by this member's wall clock. */
  heartbeatWallMs = 0;
  /** The time of the count's arrival, by the monotonic clock; `-Infinity` before the first count. */
  heartbeatMonotonicMs: number = -Infinity;
  /** The peer whose message brought the count: the member itself, or a relay. */
  heartbeatPeerId: string | undefined = undefined;
  /** The member's own signature over its state up to `version`, if it signs. */
  receivedSignature: string | undefined;
  /** The end of the state from which the last merged part of a reset was taken. */
  partEnd = 0;
  /** The monotonic time at which that part arrived. */
  partMs: number = -Infinity;
  /** All active members are known to have this state up to this number (rule E8). */
  ackedByAll = 0;
  /** The serial of the last change, 0 before the first, and the neighbors in the order of changes: see `ChangeList`. */
  changedSerial = 0;
  older: MemberState | undefined = undefined;
  newer: MemberState | undefined = undefined;
  slot = 0;

  #keys = 0;
  /** The sum of `storedBytes` over all entries. */
  #bytes = 0;
  /** The most bytes of all entries in a message. */
  #sentBytes = 0;
  #heapBytes = 0;
  /** The tombstones, the oldest first. */
  #deletions: Set<StoredEntry> | undefined;
  /** Every entry in rising order of position. */
  readonly #entries = new LinkedList<StoredEntry>();
  /** The entries by key, if there are many. */
  #byKey: Map<string, StoredEntry> | undefined;
  /** The signed part of this member's own state. With signing on, peers refuse unsigned entries. */
  #signed:
    | {
      readonly number: number;
      readonly signature: string;
      readonly entries: readonly Entry[];
      readonly sentBytes: number;
    }
    | undefined;
  #floor = NO_FLOOR;
  #tag: string | undefined;
  readonly #sum = new SetHash();
  /** The number whose hash is in `#sum`. After many puts in a row, only the hash of the last number is needed. */
  #summed = 0;

  constructor(id: string, incarnation: Incarnation) {
    this.id = id;
    this.incarnation = incarnation;
    this.isUnversioned = isUnversioned(incarnation);
  }

  /**
   * This member's share of the digest (rule E12). The hash of the number is added at the first read after a change. If
   * each `put` added it, a merge of many entries would compute many needless hashes.
   */
  get sum(): SetHash {
    if (this.#summed !== this.highestNumber) {
      if (this.#summed > 0) this.#sum.remove(this.id, this.incarnation, `${this.#summed}`);
      this.#sum.add(this.id, this.incarnation, `${this.highestNumber}`);
      this.#summed = this.highestNumber;
    }
    return this.#sum;
  }

  /** The highest dropped number, or the last number of a merged reset: a peer below it gets a reset (rule E8). */
  get floor(): number {
    return this.#floor.number;
  }

  /** Raises the floor to a number. `serial` is the serial of the change that dropped or left out entries. */
  raiseFloor(floor: typeof NO_FLOOR): void {
    if (floor.number > this.floor) this.#floor = floor;
  }

  /**
   * Four base64url digits for id and incarnation, for two members without a common order. Among 10,000 members about
   * three pairs share a tag.
   */
  get tag(): string {
    if (this.#tag === undefined) {
      // mutant replace-value 2: the seed of the second hash, which is not used.
      const [hash] = murmur32Pair(`${this.id}\0${this.incarnation}`, 0, 1);
      this.#tag = [18, 12, 6, 0].map((shift) => DIGITS[(hash >>> shift) & 63]).join("");
    }
    return this.#tag;
  }

  /** The entry of a key; it may be a tombstone. */
  get(key: string): StoredEntry | undefined {
    // mutant delete-statement: the walk finds the same entry, only slower.
    if (this.#byKey) return this.#byKey.get(key);
    let held = this.#entries.newest;
    while (held && held.key !== key) held = held.older;
    return held;
  }

  /** The entry of a key with a value; `undefined` after a delete. */
  live(key: string): Entry | undefined {
    const entry = this.get(key);
    return entry === undefined || isTombstone(entry) ? undefined : entry;
  }

  /** The entry of a key with a value to read; `undefined` after a delete, and once it has expired. */
  present(key: string): Entry | undefined {
    const entry = this.get(key);
    return isPresent(entry) ? entry : undefined;
  }

  /** Every entry, tombstones included, in rising order of position. */
  entries(): Iterable<Entry> {
    return this.#entries.oldestFirst();
  }

  /** The entries above a position, tombstones included, the newest first. */
  *entriesAbove(position: number): Iterable<Entry> {
    for (let held = this.#entries.newest; held && held.position > position; held = held.older) yield held;
  }

  /** True if a peer's entries include every stored entry above a position, in the same or a later version. */
  isCoveredBy(delta: readonly SentEntry[], after: number): boolean {
    const numbers = new Map(delta.map(({ key, number }) => [key, number]));
    for (let held = this.#entries.newest; held && held.position > after; held = held.older) {
      if ((numbers.get(held.key) ?? 0) < held.number) return false;
    }
    return true;
  }

  /** The last number of the part with a signature. */
  get signedUpTo(): number {
    return this.#signed?.number ?? (this.receivedSignature === undefined ? 0 : this.version);
  }

  /** The signature over the signed part. */
  get signature(): string | undefined {
    return this.#signed?.signature ?? this.receivedSignature;
  }

  /** The most bytes of the signed entries in a message, tombstones included. */
  get signedBytes(): number {
    return this.#signed?.sentBytes ?? this.#sentBytes;
  }

  /** The present state in the form for signing and verifying. */
  signedState(): SignedState {
    const entries = [...this.entries()].filter((entry) => !isTombstone(entry));
    const { id, incarnation } = this;
    return { id, incarnation, number: this.version, entries };
  }

  /** The present state for signing, to be handed back with the signature. */
  unsignedSnapshot(): UnsignedSnapshot {
    return { state: this.signedState(), entries: [...this.entries()], sentBytes: this.#sentBytes };
  }

  /** Sends this snapshot under this signature from now on. */
  attachSignature({ state: { number }, entries, sentBytes }: UnsignedSnapshot, signature: string): void {
    this.#signed = { number, signature, entries, sentBytes };
  }

  /** The size of this state, tombstones included. */
  get size(): StateSize {
    return { keys: this.#keys, bytes: this.#bytes, sentBytes: this.#sentBytes, heapBytes: this.#heapBytes };
  }

  /** The size of this state after a put of this entry. */
  sizeWith(entry: SentEntry): StateSize {
    return sizeWith(this.size, entry, this.get(entry.key));
  }

  /** The tombstones, the oldest first. */
  get deletions(): ReadonlySet<StoredEntry> {
    return this.#deletions ?? NO_DELETIONS;
  }

  /** True if a part of a reset shows that a stored entry must be removed. Otherwise the part is merged like any delta. */
  isWrongBy({ after, entries }: MemberDelta): boolean {
    const last = entries.at(-1)?.number ?? after;
    const delta = new Map(entries.map((entry) => [entry.key, entry]));
    for (const entry of this.#entries.oldestFirst()) {
      if (entry.number > last) break;
      if (entry.number > after && !isTombstone(entry) && !isSame(entry, delta.get(entry.key))) return true;
    }
    return entries.some((entry) => {
      // A stored entry above the part is newer than the state from which the part was taken.
      if (isTombstone(entry) || entry.number > this.version) return false;
      return (this.get(entry.key)?.number ?? 0) <= last && !isSame(entry, this.live(entry.key));
    });
  }

  /** All entries of this state once it is corrected by a part of a reset: see {@linkcode MemberState.isWrongBy}. */
  repairedBy({ after, entries }: MemberDelta): SentEntry[] {
    const last = entries.at(-1)?.number ?? after;
    const listed = new Map(entries.map((entry) => [entry.key, entry]));
    const kept: Entry[] = [];
    for (const entry of this.entries()) {
      if (entry.number > last) {
        listed.delete(entry.key);
        kept.push(entry);
      } else if (entry.number <= after && !listed.has(entry.key)) kept.push(entry);
    }
    return [...kept, ...listed.values()].sort((one, other) => one.number - other.number);
  }

  /**
   * Puts an entry above all others, in place of the entry with the same key. `dueMs` is the end of an expiring entry.
   */
  put(entry: Entry, serial: number, dueMs?: number): StoredEntry {
    const before = this.get(entry.key);
    if (before) this.#drop(before);
    const held = this.#placed(entry, serial, { dueMs, before });
    this.#entries.put(held);
    this.#byKey?.set(held.key, held);
    // mutant negate-condition, move-bound, delete-statement: the walk and the map find the same entry.
    if (++this.#keys > FEW_KEYS) this.#byKey ??= this.#keyed();
    this.version = held.position;
    if (this.#isCompared(held)) this.highestNumber = Math.max(this.highestNumber, held.number);
    this.#bytes += storedBytes(held);
    this.#sentBytes += entryBytes(held);
    this.#heapBytes += entryHeapBytes(held);
    if (isTombstone(held)) (this.#deletions ??= new Set()).add(held);
    else if (this.#isCompared(held)) this.#sum.add(...this.#share(held));
    return held;
  }

  /** Drops a tombstone (rule E8). */
  dropTombstone(tombstone: StoredEntry): void {
    this.#drop(tombstone);
    this.raiseFloor({ number: tombstone.number, serial: tombstone.serial });
  }

  /**
   * The position up to which a peer is known to have this state: the position of the latest known change. For an
   * unversioned member, the position before the first unknown change. 0 without such a position.
   */
  ackedVersion(known: KnownChanges): number {
    if (this.isUnversioned) return this.#ackedOfUnversioned(known);
    const { number, serial } = this.#floor;
    // The peer has the change that raised the floor, so it needs no reset. Without this, every later change would cost one.
    const least = known.changes.has(serial) ? number : 0;
    // mutant move-bound: an entry at the floor has the floor's position, which is returned anyway.
    for (let held = this.#entries.newest; held && held.position > least; held = held.older) {
      if (known.changes.has(held.serial)) return held.position;
    }
    return least;
  }

  /** True if a peer is known to have all of this state. */
  isAckedBy(known: KnownChanges): boolean {
    if (this.version === 0) return true;
    if (!this.isUnversioned) return known.changes.has(this.changedSerial);
    for (const { serial } of this.#entries.oldestFirst()) if (!known.changes.has(serial)) return false;
    return true;
  }

  /** A peer has this state up to a position. */
  recordAck(known: KnownChanges, position: number): void {
    if (position < this.version) return;
    // For an unversioned member, a known entry is no evidence that the peer has other entries.
    const serials = this.isUnversioned
      ? [...this.#entries.oldestFirst()].map(({ serial }) => serial)
      : [this.changedSerial];
    for (const serial of serials) known.changes.add(serial - 1, serial);
  }

  /**
   * The delta for a peer that has everything up to the position `after`; a reset if entries above it were dropped.
   * `undefined` if there is nothing to send. With `reset` the parts of a reset up to `after` arrived, and the next part
   * is returned. A delta larger than `maxBytes` is cut after an entry: the rest is a prefix too, or a part of a reset
   * (rules E7, E8). A signed state cannot be cut, nor the state of an unversioned member.
   */
  deltaAfter(
    after: number,
    options: { readonly reset?: boolean; readonly maxBytes?: number } = {},
  ): MemberDelta | undefined {
    const { maxBytes = Infinity } = options;
    const reset = options.reset === true || after < this.floor;
    const isWhole = this.#signed !== undefined || this.receivedSignature !== undefined || this.isUnversioned;
    const start = reset && (isWhole || options.reset !== true) ? 0 : after;
    const entries = isWhole
      ? this.#wholeAfter(start)
      : this.#firstAfter(start, maxBytes - memberBytes(this.id));
    if (entries.length === 0) return undefined;
    const end = this.#signed?.number ?? this.version;
    const signature = this.#signed?.signature ??
      (entries.at(-1)!.number === end ? this.receivedSignature : undefined);
    return {
      id: this.id,
      incarnation: this.incarnation,
      after: this.isUnversioned ? 0 : start,
      reset,
      ...(reset && !this.isUnversioned && { end }),
      entries,
      ...(signature !== undefined && { signature }),
    };
  }

  #wholeAfter(start: number): readonly Entry[] {
    if (this.#signed) return this.#signed.entries.filter(({ number }) => number > start);
    const entries = [...this.#newerThan(start)];
    return this.isUnversioned ? entries.sort((one, other) => one.number - other.number) : entries;
  }

  /** The first entries above a position, up to a number of bytes, but at least one entry. */
  #firstAfter(start: number, maxBytes: number): readonly Entry[] {
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of this.#newerThan(start)) {
      bytes += entryBytes(entry);
      if (bytes > maxBytes && entries.length > 0) break;
      entries.push(entry);
    }
    return entries;
  }

  /** The entries above a position, in rising order. */
  *#newerThan(position: number): Iterable<StoredEntry> {
    // mutant delete-statement: the walk back from the newest finds the same.
    if (position === 0) return yield* this.#entries.oldestFirst();
    let first: StoredEntry | undefined;
    for (let held = this.#entries.newest; held && held.position > position; held = held.older) first = held;
    for (let held = first; held; held = held.newer) yield held;
  }

  #ackedOfUnversioned(known: KnownChanges): number {
    for (const held of this.#entries.oldestFirst()) {
      if (!known.changes.has(held.serial)) return held.position - 1;
    }
    return this.version;
  }

  #placed(
    entry: Entry,
    serial: number,
    { dueMs, before }: { readonly dueMs: number | undefined; readonly before: StoredEntry | undefined },
  ): StoredEntry {
    const { expiresAfter } = entry;
    if (expiresAfter !== undefined && dueMs !== undefined && !this.isUnversioned) {
      return new ExpiringEntry({ ...entry, expiresAfter }, { serial, dueMs, before });
    }
    if (entry.type === TYPE.packed) {
      const position = this.isUnversioned ? serial : entry.number;
      return new PackedEntry(entry, { serial, position });
    }
    return this.isUnversioned ? new UnversionedEntry(entry, serial) : new StoredEntry(entry, serial);
  }

  /**
   * False for the heartbeat of an unversioned member: its number differs between members, because it is the number at
   * which each first got the statistics.
   */
  #isCompared({ key }: Entry): boolean {
    return !this.isUnversioned || key !== HEARTBEAT_KEY;
  }

  #share(entry: Entry): [string, string, string, string] {
    return [this.id, this.incarnation, entry.key, `${entry.number}`];
  }

  #keyed(): Map<string, StoredEntry> {
    const byKey = new Map<string, StoredEntry>();
    for (const held of this.#entries.oldestFirst()) byKey.set(held.key, held);
    // mutant delete-statement: the walk and the map find the same entry.
    return byKey;
  }

  #drop(held: StoredEntry): void {
    this.#keys--;
    this.#entries.remove(held);
    this.#byKey?.delete(held.key);
    this.#bytes -= storedBytes(held);
    this.#sentBytes -= entryBytes(held);
    this.#heapBytes -= entryHeapBytes(held);
    if (isTombstone(held)) this.#deletions?.delete(held);
    else if (this.#isCompared(held)) this.#sum.remove(...this.#share(held));
  }
}

function isSame(one: SentEntry, other: SentEntry | undefined): boolean {
  return one.number === other?.number && one.json === other.json && one.type === other.type;
}
