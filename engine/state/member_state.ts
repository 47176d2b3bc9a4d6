/**
 * What one holder holds of one life of one member: a prefix of its sets and deletes (rule E4), or of a foreign
 * member, which tells of no prefix, whatever came.
 *
 * Where something stands in it is its *position*: the entry's own number, and of a foreign member, whose entries
 * come in any order and with holes, the holder's serial when it came. Positions are compared with one holder's
 * own and never travel.
 *
 * @module
 */

import { DIGITS } from "../liveness/base64_digits.ts";
import { Chain, type Link } from "./linked_list.ts";
import { Sum } from "./digest.ts";
import { entryHeapBytes } from "./heap_estimate.ts";
import { isForeign } from "../incarnation.ts";
import { murmur32Pair } from "./murmur3.ts";
import type { Serials } from "../sync/change_ranges.ts";
import { entryBytes, heldBytes, memberBytes, sizeWith, type StateSize } from "./size.ts";
import {
  type Claim,
  type Entry,
  HEARTBEAT_KEY,
  isTombstone,
  type JsonValue,
  type Life,
  type MemberDelta,
  type SentEntry,
  TYPE,
} from "../types.ts";

/**
 * An entry in its place: when, in the holder's own order of change, it was set or merged here. One object for both, and
 * only the text of the value: there are as many of these as members times keys.
 */
export class HeldEntry implements Entry, Link<HeldEntry> {
  readonly key: string;
  readonly number: number;
  readonly type: string;
  readonly json: string;
  readonly timestampMs: number;
  readonly serial: number;
  older: HeldEntry | undefined = undefined;
  newer: HeldEntry | undefined = undefined;

  constructor({ key, number, type, json, timestampMs }: Omit<Entry, "value">, serial: number) {
    this.key = key;
    this.number = number;
    this.type = type;
    this.json = json;
    this.timestampMs = timestampMs;
    this.serial = serial;
  }

  /** Made anew from its text each time: most values are passed on more often than they are read. */
  get value(): JsonValue | undefined {
    return isTombstone(this) ? undefined : JSON.parse(this.json);
  }

  /** Where it stands: see the module. */
  get position(): number {
    return this.number;
  }

  /** The entry without its neighbours, which lead back to it. */
  toJSON(): Entry {
    const { key, number, type, value, json, timestampMs } = this;
    return { key, number, type, value, json, timestampMs };
  }
}

/** An entry of a foreign member. */
class ForeignEntry extends HeldEntry {
  override get position(): number {
    return this.serial;
  }
}

/** An entry in a form that nobody here can read: a decoder of this member's may have made another value of it. */
class PackedEntry extends HeldEntry {
  readonly #position: number;
  readonly #value: JsonValue | undefined;

  constructor(entry: Entry, options: { readonly serial: number; readonly position: number }) {
    super(entry, options.serial);
    this.#position = options.position;
    this.#value = entry.value;
  }

  override get value(): JsonValue | undefined {
    return this.#value;
  }

  override get position(): number {
    return this.#position;
  }
}

/** The changes made here that someone is known to hold. */
export interface Known {
  readonly changes: Serials;
}

/** Of so few keys each is found by looking at all: a map of them would take more room than they do. */
// mutant replace-value: with and without the map the same is found.
const FEW_KEYS = 8;
// mutant replace-value 2: a floor of 0 is below everything, whoever knows of it.
const NO_FLOOR = { number: 0, serial: 0 };
const NO_DELETIONS: ReadonlySet<HeldEntry> = new Set();

/** One's own state at one moment, to be signed: later changes do not touch it. */
export interface Draft {
  readonly claim: Claim;
  /** Everything that is to be told with it. */
  readonly entries: readonly Entry[];
  /** The most bytes that these entries take in a message. */
  readonly sentBytes: number;
}

/** What is held of one life of one member. */
export class MemberState implements Link<MemberState> {
  readonly id: string;
  readonly life: Life;
  /** Whether it knows nothing of lives and prefixes. */
  readonly isForeign: boolean;
  /** The position up to which everything is held; of a foreign member, that of what came last. */
  held = 0;
  /** The highest number of any entry: of all but a foreign member, the same. */
  highest = 0;
  /** How often the member has counted in this life, as far as is known (rule L1). */
  heartbeatCount = 0;
  /** When that was learned, by this member's wall clock. */
  heartbeatWallMs = 0;
  /** The same by its monotonic clock; `-Infinity` where nothing was ever heard. */
  heartbeatMonotonicMs: number = -Infinity;
  /** The member's own signature over everything up to `held`, where it signs. */
  proof: string | undefined;
  /** Up to where all active members are known to hold it (rule E8). */
  settled = 0;
  /** The serial of the member's last change, 0 where there was none, and its neighbours by that: see `ChangeOrder`. */
  changedSerial = 0;
  older: MemberState | undefined = undefined;
  newer: MemberState | undefined = undefined;
  turn = 0;

  #keys = 0;
  /** What all entries count for where they are held. */
  #bytes = 0;
  /** The most bytes that all entries take in a message. */
  #sentBytes = 0;
  #heapBytes = 0;
  /** The deletions that are still told of, the first deleted first. */
  #deletions: Set<HeldEntry> | undefined;
  /** Every entry in rising order of position. */
  readonly #entries = new Chain<HeldEntry>();
  /** The same by key, where there are many. */
  #byKey: Map<string, HeldEntry> | undefined;
  /** Of one's own state, as much as is signed: only that is told where what is not signed would not be taken. */
  #certified:
    | {
      readonly number: number;
      readonly proof: string;
      readonly entries: readonly Entry[];
      readonly sentBytes: number;
    }
    | undefined;
  #floor = NO_FLOOR;
  #tag: string | undefined;
  readonly #sum = new Sum();
  /** The number whose hash is in `#sum`: of many puts in a row only the last is ever asked for. */
  #summed = 0;

  constructor(id: string, life: Life) {
    this.id = id;
    this.life = life;
    this.isForeign = isForeign(life);
  }

  /** This member's share of the digest (rule E12). */
  get sum(): Sum {
    if (this.#summed !== this.highest) {
      if (this.#summed > 0) this.#sum.remove(this.id, this.life, `${this.#summed}`);
      this.#sum.add(this.id, this.life, `${this.highest}`);
      this.#summed = this.highest;
    }
    return this.#sum;
  }

  /** The highest number forgotten, or the last of a reset taken: who holds less gets a reset (rule E8). */
  get floor(): number {
    return this.#floor.number;
  }

  /** Up to a number something is forgotten that was held, or left out, by the change of that serial. */
  raiseFloor(floor: typeof NO_FLOOR): void {
    if (floor.number > this.floor) this.#floor = floor;
  }

  /**
   * Four base64url digits that stand for id and life where two members share no order. Among 10,000 members about three
   * pairs have one tag in common.
   */
  get tag(): string {
    if (this.#tag === undefined) {
      // mutant replace-value 2: the seed of the second hash, which is not used.
      const [hash] = murmur32Pair(`${this.id}\0${this.life}`, 0, 1);
      this.#tag = [18, 12, 6, 0].map((shift) => DIGITS[(hash >>> shift) & 63]).join("");
    }
    return this.#tag;
  }

  /** The entry of a key, a tombstone included. */
  get(key: string): HeldEntry | undefined {
    // mutant delete-statement: the walk finds the same, only slower.
    if (this.#byKey) return this.#byKey.get(key);
    let held = this.#entries.newest;
    while (held && held.key !== key) held = held.older;
    return held;
  }

  /** The value's entry under a key; none where it was deleted. */
  live(key: string): Entry | undefined {
    const entry = this.get(key);
    return entry === undefined || isTombstone(entry) ? undefined : entry;
  }

  /** Every entry, tombstones included, in rising order of position. */
  entries(): Iterable<Entry> {
    return this.#entries.oldestFirst();
  }

  /** Whether entries that someone told are all, and no older than, what is held here above a position. */
  isCoveredBy(told: readonly SentEntry[], after: number): boolean {
    const numbers = new Map(told.map(({ key, number }) => [key, number]));
    for (let held = this.#entries.newest; held && held.position > after; held = held.older) {
      if ((numbers.get(held.key) ?? 0) < held.number) return false;
    }
    return true;
  }

  /** Up to where it can be told with a signature. */
  get certified(): number {
    return this.#certified?.number ?? (this.proof === undefined ? 0 : this.held);
  }

  /** The signature over all that can be told. */
  get signature(): string | undefined {
    return this.#certified?.proof ?? this.proof;
  }

  /** The most bytes that the entries take in a message that the signature is over, deletions included. */
  get signedBytes(): number {
    return this.#certified?.sentBytes ?? this.#sentBytes;
  }

  /** What is held now, as something to sign or to verify. */
  claim(): Claim {
    const entries = [...this.entries()].filter((entry) => !isTombstone(entry));
    const { id, life } = this;
    return { id, life, number: this.held, entries };
  }

  /** As much as is to be signed, deletions included: to be handed back with the signature. */
  draft(): Draft {
    return { claim: this.claim(), entries: [...this.entries()], sentBytes: this.#sentBytes };
  }

  /** From now on this much is told, under this signature. */
  certify({ claim, entries, sentBytes }: Draft, proof: string): void {
    this.#certified = { number: claim.number, proof, entries, sentBytes };
  }

  /** How large this state is, deletions that are still told of included. */
  get size(): StateSize {
    return { keys: this.#keys, bytes: this.#bytes, sentBytes: this.#sentBytes, heapBytes: this.#heapBytes };
  }

  /** How large this state would be with an entry. */
  sizeWith(entry: SentEntry): StateSize {
    return sizeWith(this.size, entry, this.get(entry.key));
  }

  /** The deletions that are still told of, the first deleted first. */
  get deletions(): ReadonlySet<HeldEntry> {
    return this.#deletions ?? NO_DELETIONS;
  }

  /**
   * What would be held instead after a part of a reset; undefined where nothing of what is held has to go, so that
   * entries above all others are all that it brings.
   */
  repairedBy({ after, entries }: MemberDelta): SentEntry[] | undefined {
    const last = entries.at(-1)?.number ?? after;
    const told = new Map(entries.map((entry) => [entry.key, entry]));
    const kept: Entry[] = [];
    let isWrong = false;
    for (const entry of this.entries()) {
      const inPart = told.get(entry.key);
      if (entry.number > last) {
        // It was set later than the state of which this is a part.
        told.delete(entry.key);
        kept.push(entry);
      } else if (entry.number > after) {
        isWrong ||= !isTombstone(entry) && !isSame(entry, inPart);
      } else if (!inPart) kept.push(entry);
    }
    for (const entry of told.values()) {
      isWrong ||= !isTombstone(entry) && entry.number <= this.held &&
        !isSame(entry, this.live(entry.key));
    }
    if (!isWrong) return undefined;
    return [...kept, ...told.values()].sort((one, other) => one.number - other.number);
  }

  /** Puts an entry above all others; of a foreign member, above the one of the same key, whose place it takes. */
  put(entry: Entry, serial: number): HeldEntry {
    const before = this.get(entry.key);
    if (before) this.#drop(before);
    const held = this.#placed(entry, serial);
    this.#entries.put(held);
    this.#byKey?.set(held.key, held);
    // mutant negate-condition, move-bound, delete-statement: with and without the map the same is found.
    if (++this.#keys > FEW_KEYS) this.#byKey ??= this.#keyed();
    this.held = held.position;
    if (this.#isCompared(held)) this.highest = Math.max(this.highest, held.number);
    this.#bytes += heldBytes(held);
    this.#sentBytes += entryBytes(held);
    this.#heapBytes += entryHeapBytes(held);
    if (isTombstone(held)) (this.#deletions ??= new Set()).add(held);
    else if (this.#isCompared(held)) this.#sum.add(...this.#share(held));
    return held;
  }

  /** Forgets a tombstone that every peer has had time to learn of (rule E8). */
  forget(tombstone: HeldEntry): void {
    this.#drop(tombstone);
    this.raiseFloor({ number: tombstone.number, serial: tombstone.serial });
  }

  /**
   * Up to which position someone is known to hold this, by the changes that they are known to hold: up to the
   * latest of these; of a foreign member, up to the first that they are not known to hold. 0 where that is none.
   */
  heldBy(known: Known): number {
    if (this.isForeign) return this.#heldOfForeign(known);
    const { number, serial } = this.#floor;
    // Else, once a tombstone was forgotten or a reset taken, every later change would cost a reset.
    const least = known.changes.has(serial) ? number : 0;
    // mutant move-bound: an entry at the floor would give the floor.
    for (let held = this.#entries.newest; held && held.position > least; held = held.older) {
      if (known.changes.has(held.serial)) return held.position;
    }
    return least;
  }

  /** Whether someone is known to hold everything here. */
  isHeldBy(known: Known): boolean {
    if (this.held === 0) return true;
    if (!this.isForeign) return known.changes.has(this.changedSerial);
    for (const { serial } of this.#entries.oldestFirst()) if (!known.changes.has(serial)) return false;
    return true;
  }

  /** Someone holds everything here up to a position. */
  noteHeldBy(known: Known, position: number): void {
    if (position < this.held) return;
    // Of a foreign member one entry says nothing of another.
    const serials = this.isForeign
      ? [...this.#entries.oldestFirst()].map(({ serial }) => serial)
      : [this.changedSerial];
    for (const serial of serials) known.changes.add(serial - 1, serial);
  }

  /**
   * What someone lacks who holds everything up to the position `after`: a delta, or a reset where what lies between is
   * partly forgotten. Undefined where nothing is lacking. With `reset` the parts of a reset up to `after` arrived, and
   * the next is returned. What is larger than `maxBytes` is cut after an entry: what is left is a prefix too, or a part
   * of a reset (rules E7, E8). A signed state and that of an unversioned member cannot be cut.
   */
  deltaAfter(
    after: number,
    options: { readonly reset?: boolean; readonly maxBytes?: number } = {},
  ): MemberDelta | undefined {
    const { maxBytes = Infinity } = options;
    const reset = options.reset === true || after < this.floor;
    const isWhole = this.#certified !== undefined || this.proof !== undefined || this.isForeign;
    const start = reset && (isWhole || options.reset !== true) ? 0 : after;
    const entries = isWhole
      ? this.#wholeAfter(start)
      : this.#firstAfter(start, maxBytes - memberBytes(this.id));
    if (entries.length === 0) return undefined;
    const end = this.#certified?.number ?? this.held;
    const proof = this.#certified?.proof ?? (entries.at(-1)!.number === end ? this.proof : undefined);
    return {
      id: this.id,
      life: this.life,
      after: this.isForeign ? 0 : start,
      reset,
      ...(reset && !this.isForeign && { end }),
      entries,
      ...(proof !== undefined && { proof }),
    };
  }

  #wholeAfter(start: number): readonly Entry[] {
    if (this.#certified) return this.#certified.entries.filter(({ number }) => number > start);
    const entries = [...this.#newerThan(start)];
    return this.isForeign ? entries.sort((one, other) => one.number - other.number) : entries;
  }

  /** The first entries above a position up to a number of bytes, and one at least. */
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

  /** What stands above a position, in rising order. */
  *#newerThan(position: number): Iterable<HeldEntry> {
    // mutant delete-statement: the walk back from the newest finds the same.
    if (position === 0) return yield* this.#entries.oldestFirst();
    let first: HeldEntry | undefined;
    for (let held = this.#entries.newest; held && held.position > position; held = held.older) first = held;
    for (let held = first; held; held = held.newer) yield held;
  }

  #heldOfForeign(known: Known): number {
    for (const held of this.#entries.oldestFirst()) {
      if (!known.changes.has(held.serial)) return held.position - 1;
    }
    return this.held;
  }

  #placed(entry: Entry, serial: number): HeldEntry {
    if (entry.type === TYPE.packed) {
      const position = this.isForeign ? serial : entry.number;
      return new PackedEntry(entry, { serial, position });
    }
    return this.isForeign ? new ForeignEntry(entry, serial) : new HeldEntry(entry, serial);
  }

  /** The heartbeat of an unversioned member has the number under which each holder first heard its statistics. */
  #isCompared({ key }: Entry): boolean {
    return !this.isForeign || key !== HEARTBEAT_KEY;
  }

  #share(entry: Entry): [string, string, string, string] {
    return [this.id, this.life, entry.key, `${entry.number}`];
  }

  #keyed(): Map<string, HeldEntry> {
    const byKey = new Map<string, HeldEntry>();
    for (const held of this.#entries.oldestFirst()) byKey.set(held.key, held);
    // mutant delete-statement: with and without the map the same is found.
    return byKey;
  }

  #drop(held: HeldEntry): void {
    this.#keys--;
    this.#entries.drop(held);
    this.#byKey?.delete(held.key);
    this.#bytes -= heldBytes(held);
    this.#sentBytes -= entryBytes(held);
    this.#heapBytes -= entryHeapBytes(held);
    if (isTombstone(held)) this.#deletions?.delete(held);
    else if (this.#isCompared(held)) this.#sum.remove(...this.#share(held));
  }
}

function isSame(one: SentEntry, other: SentEntry | undefined): boolean {
  return one.number === other?.number && one.json === other.json && one.type === other.type;
}
