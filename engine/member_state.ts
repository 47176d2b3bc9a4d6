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

import { Sum } from "./digest.ts";
import { isForeign } from "./life.ts";
import type { Waiting } from "./peer_memory.ts";
import { entryBytes } from "./size.ts";
import {
  type Claim,
  DIGEST_KEY,
  type Entry,
  HEARTBEAT_KEY,
  type Life,
  type MemberDelta,
  type SentEntry,
} from "./types.ts";

/** An entry in its place: when, in the holder's own order of change, it was set or merged here. */
export interface HeldEntry {
  readonly entry: Entry;
  readonly serial: number;
  /** Where it stands: see the module. */
  readonly position: number;
  /** Whether a later entry of the same key has taken its place. */
  superseded: boolean;
}

/** Whether a key changes by itself at every interval, so that it says nothing about agreement (rule E12). */
export function isRestless(key: string): boolean {
  return key === HEARTBEAT_KEY || key === DIGEST_KEY;
}

/** One's own state at one moment, to be signed: later changes do not touch it. */
export interface Draft {
  readonly claim: Claim;
  /** Everything that is to be told with it. */
  readonly entries: readonly Entry[];
}

/** What is held of one life of one member. */
export class MemberState {
  readonly id: string;
  readonly life: Life;
  /** The serial at which something of this life was first held. */
  readonly bornSerial: number;
  /** Whether it knows nothing of lives and prefixes. */
  readonly isForeign: boolean;
  /** The position up to which everything is held; of a foreign member, that of what came last. */
  held = 0;
  /** The highest number of any entry: of all but a foreign member, the same. */
  highest = 0;
  /** The highest number forgotten, or the last of a reset taken: who holds less gets a reset (rule E8). */
  floor = 0;
  /** The position of the last set or delete, heartbeats and digests left out. */
  lastLasting = 0;
  /** The highest number of these: of all but a foreign member, the same. */
  highestLasting = 0;
  /** The number of the last heartbeat. */
  lastHeartbeat = 0;
  /** The member's own signature over everything up to `held`, where it signs. */
  proof: string | undefined;
  /** An upper bound of the bytes of all entries in a message. */
  bytes = 0;
  /** The member's place in its holder's order of change: see `ChangeOrder`. */
  changedSerial = 0;
  older: MemberState | undefined;
  newer: MemberState | undefined;

  readonly #byKey = new Map<string, HeldEntry>();
  /** Of one's own state, as much as is signed: only that is told where what is not signed would not be taken. */
  #certified:
    | { readonly number: number; readonly proof: string; readonly entries: readonly Entry[] }
    | undefined;
  /** Every entry in rising order of position, superseded ones among them until they are swept out. */
  #log: HeldEntry[] = [];
  #supposed: Waiting | undefined;
  readonly #sum = new Sum();
  /** The number whose hash is in `#sum`: of many puts in a row only the last is ever asked for. */
  #summedLasting = 0;

  constructor(id: string, life: Life, serial: number) {
    this.id = id;
    this.life = life;
    this.bornSerial = serial;
    this.isForeign = isForeign(life);
  }

  /** This member's share of the digest (rule E12). */
  get sum(): Sum {
    if (this.#summedLasting !== this.highestLasting) {
      if (this.#summedLasting > 0) this.#sum.remove(this.id, this.life, `${this.#summedLasting}`);
      this.#sum.add(this.id, this.life, `${this.highestLasting}`);
      this.#summedLasting = this.highestLasting;
    }
    return this.#sum;
  }

  /** The entry of a key, a tombstone included. */
  get(key: string): HeldEntry | undefined {
    return this.#byKey.get(key);
  }

  /** The value's entry under a key; none where it was deleted. */
  live(key: string): Entry | undefined {
    const entry = this.#byKey.get(key)?.entry;
    return entry?.value === undefined ? undefined : entry;
  }

  /** Every entry, tombstones included, in rising order of position. */
  *entries(): Iterable<Entry> {
    for (const held of this.#log) if (!held.superseded) yield held.entry;
  }

  /** Whether entries that someone told are all, and no older than, what is held here above a position. */
  isCoveredBy(told: readonly SentEntry[], after: number): boolean {
    const numbers = new Map(told.map(({ key, number }) => [key, number]));
    for (let index = this.#log.length - 1; index >= 0; index--) {
      const { entry, position, superseded } = this.#log[index]!;
      if (position <= after) return true;
      if (!superseded && (numbers.get(entry.key) ?? 0) < entry.number) return false;
    }
    return true;
  }

  /** Up to where it can be told with a signature. */
  get certified(): number {
    return this.#certified?.number ?? (this.proof === undefined ? 0 : this.held);
  }

  /** What is held now, as something to sign or to verify. */
  claim(): Claim {
    const entries = [...this.entries()].filter(({ value }) => value !== undefined);
    const { id, life, lastLasting } = this;
    return { id, life, number: this.held, lastLasting, entries };
  }

  /** As much as is to be signed, deletions included: to be handed back with the signature. */
  draft(): Draft {
    return { claim: this.claim(), entries: [...this.entries()] };
  }

  /** From now on this much is told, under this signature. */
  certify({ claim, entries }: Draft, proof: string): void {
    this.#certified = { number: claim.number, proof, entries };
  }

  /** The bytes of keys that were deleted and are still told of. */
  get deletedBytes(): number {
    let bytes = 0;
    for (const entry of this.entries()) if (entry.value === undefined) bytes += entryBytes(entry);
    return bytes;
  }

  /** The bytes that this state would have if these entries were added. */
  bytesWith(entries: readonly SentEntry[]): number {
    let bytes = this.bytes;
    for (const entry of entries) {
      const before = this.#byKey.get(entry.key);
      bytes += entryBytes(entry) - (before ? entryBytes(before.entry) : 0);
    }
    return bytes;
  }

  /** The number of keys, deleted ones that are still told of among them, if these entries were added. */
  keysWith(entries: readonly SentEntry[]): number {
    let keys = this.#byKey.size;
    for (const { key } of entries) if (!this.#byKey.has(key)) keys++;
    return keys;
  }

  /** Puts an entry above all others; of a foreign member, above the one of the same key, whose place it takes. */
  put(entry: Entry, serial: number): HeldEntry {
    const before = this.#byKey.get(entry.key);
    if (before) this.#supersede(before);
    const position = this.isForeign ? serial : entry.number;
    const held: HeldEntry = { entry, serial, position, superseded: false };
    this.#byKey.set(entry.key, held);
    this.#log.push(held);
    this.held = position;
    this.highest = Math.max(this.highest, entry.number);
    this.bytes += entryBytes(entry);
    if (entry.key === HEARTBEAT_KEY) this.lastHeartbeat = entry.number;
    if (!isRestless(entry.key)) {
      if (entry.value !== undefined) this.#sum.add(...this.#share(entry));
      this.lastLasting = position;
      this.highestLasting = Math.max(this.highestLasting, entry.number);
    }
    return held;
  }

  /** Forgets a tombstone that every peer has had time to learn of (rule E8). */
  forget(tombstone: HeldEntry): void {
    this.#byKey.delete(tombstone.entry.key);
    this.#supersede(tombstone);
    this.floor = Math.max(this.floor, tombstone.entry.number);
  }

  /** The highest position known to have been held here at the serial; 0 where nothing was. */
  positionAt(serial: number): number {
    if (this.bornSerial > serial) return 0;
    if (this.isForeign) return serial;
    for (let index = this.#log.length - 1; index >= 0; index--) {
      const held = this.#log[index]!;
      if (held.superseded || held.serial > serial) continue;
      // Else, once a tombstone was forgotten or a reset taken, every later change would cost a reset.
      return Math.max(held.position, this.floor);
    }
    return this.floor;
  }

  /** What waits for a peer that is taken to hold this up to a position. Of most peers the same is supposed. */
  supposed(after: number): Waiting {
    if (this.#supposed?.after !== after) {
      this.#supposed = { life: this.life, after, gap: false, reset: false };
    }
    return this.#supposed;
  }

  /**
   * What someone lacks who holds everything up to the position `after`: a delta, or the whole state where what
   * lies between is partly forgotten. `below` ends it before the heartbeat of that number, which is not to be
   * passed on. Undefined where nothing is lacking.
   */
  deltaAfter(
    after: number,
    options: { readonly below?: number; readonly reset?: boolean } = {},
  ): MemberDelta | undefined {
    const { below = Infinity } = options;
    const reset = options.reset === true || after < this.floor;
    const start = reset ? 0 : after;
    const { id, life } = this;
    if (this.#certified) {
      const { proof } = this.#certified;
      const entries = this.#certified.entries.filter(({ number }) => number > start);
      return entries.length === 0 ? undefined : { id, life, after: start, reset, entries, proof };
    }
    const entries: Entry[] = [];
    for (let index = this.#log.length - 1; index >= 0; index--) {
      const held = this.#log[index]!;
      if (held.position <= start) break;
      if (!held.superseded && this.#isPassable(held.entry, below)) entries.push(held.entry);
    }
    if (entries.length === 0) return undefined;
    if (this.isForeign) {
      return { id, life, after: 0, reset, entries: entries.sort((one, other) => one.number - other.number) };
    }
    // The signature is over all that is held, and no less.
    const isWhole = entries[0]!.number === this.held && this.proof !== undefined;
    return {
      id,
      life,
      after: start,
      reset,
      entries: entries.reverse(),
      ...(isWhole && { proof: this.proof! }),
    };
  }

  /** A delta that leaves one out would be no prefix; a foreign member's is none anyway. */
  #isPassable({ key, number }: Entry, below: number): boolean {
    return this.isForeign ? key !== HEARTBEAT_KEY || below === Infinity : number < below;
  }

  #share(entry: Entry): [string, string, string, string] {
    return [this.id, this.life, entry.key, `${entry.number}`];
  }

  #supersede(held: HeldEntry): void {
    held.superseded = true;
    this.bytes -= entryBytes(held.entry);
    if (held.entry.value !== undefined && !isRestless(held.entry.key)) {
      this.#sum.remove(...this.#share(held.entry));
    }
    // One heartbeat after another takes no room at all.
    if (this.#log.at(-1) === held) this.#log.pop();
    // Sweeping at twice the size costs a constant for each put, and keeps walks as short as what changed.
    if (this.#log.length > 2 * this.#byKey.size + 8) this.#log = this.#log.filter((each) => !each.superseded);
  }
}
