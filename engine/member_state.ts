/**
 * What one holder holds of one life of one member: a prefix of its sets and deletes (rule E4).
 *
 * @module
 */

import { Sum } from "./digest.ts";
import type { Waiting } from "./peer_memory.ts";
import { entryBytes } from "./size.ts";
import {
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
  /** Whether a later entry of the same key has taken its place. */
  superseded: boolean;
}

/** Whether a key changes by itself at every interval, so that it says nothing about agreement (rule E12). */
export function isRestless(key: string): boolean {
  return key === HEARTBEAT_KEY || key === DIGEST_KEY;
}

/** What is held of one life of one member. */
export class MemberState {
  readonly id: string;
  readonly life: Life;
  /** The serial at which something of this life was first held. */
  readonly bornSerial: number;
  /** Everything up to this number is held. */
  held = 0;
  /** The highest number forgotten, or the last of a reset taken: who holds less gets a reset (rule E8). */
  floor = 0;
  /** The number of the last set or delete, heartbeats and digests left out. */
  lastLasting = 0;
  /** The number of the last heartbeat. */
  lastHeartbeat = 0;
  /** An upper bound of the bytes of all entries in a message. */
  bytes = 0;
  /** The member's place in its holder's order of change: see `ChangeOrder`. */
  changedSerial = 0;
  older: MemberState | undefined;
  newer: MemberState | undefined;

  readonly #byKey = new Map<string, HeldEntry>();
  /** Every entry in rising order of number, superseded ones among them until they are swept out. */
  #log: HeldEntry[] = [];
  #supposed: Waiting | undefined;
  readonly #sum = new Sum();
  /** The number whose hash is in `#sum`: of many puts in a row only the last is ever asked for. */
  #summedLasting = 0;

  constructor(id: string, life: Life, serial: number) {
    this.id = id;
    this.life = life;
    this.bornSerial = serial;
  }

  /** This member's share of the digest (rule E12). */
  get sum(): Sum {
    if (this.#summedLasting !== this.lastLasting) {
      if (this.#summedLasting > 0) this.#sum.remove(this.id, this.life, `${this.#summedLasting}`);
      this.#sum.add(this.id, this.life, `${this.lastLasting}`);
      this.#summedLasting = this.lastLasting;
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

  /** Every entry, tombstones included, in rising order of number. */
  *entries(): Iterable<Entry> {
    for (const held of this.#log) if (!held.superseded) yield held.entry;
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

  /** Puts an entry above all others; returns the one of the same key that it takes the place of. */
  put(entry: Entry, serial: number): HeldEntry {
    const before = this.#byKey.get(entry.key);
    if (before) this.#supersede(before);
    const held: HeldEntry = { entry, serial, superseded: false };
    this.#byKey.set(entry.key, held);
    this.#log.push(held);
    this.held = entry.number;
    this.bytes += entryBytes(entry);
    if (entry.key === HEARTBEAT_KEY) this.lastHeartbeat = entry.number;
    if (!isRestless(entry.key)) {
      if (entry.value !== undefined) this.#sum.add(...this.#share(entry));
      this.lastLasting = entry.number;
    }
    return held;
  }

  /** Forgets a tombstone that every peer has had time to learn of (rule E8). */
  forget(tombstone: HeldEntry): void {
    this.#byKey.delete(tombstone.entry.key);
    this.#supersede(tombstone);
    this.floor = Math.max(this.floor, tombstone.entry.number);
  }

  /** The highest number known to have been held here at the serial; 0 where nothing was. */
  numberAt(serial: number): number {
    if (this.bornSerial > serial) return 0;
    for (let index = this.#log.length - 1; index >= 0; index--) {
      const held = this.#log[index]!;
      if (held.superseded || held.serial > serial) continue;
      // Else, once a tombstone was forgotten or a reset taken, every later change would cost a reset.
      return Math.max(held.entry.number, this.floor);
    }
    return this.floor;
  }

  /** What waits for a peer that is taken to hold this up to a number. Of most peers the same is supposed. */
  supposed(after: number): Waiting {
    if (this.#supposed?.after !== after) {
      this.#supposed = { life: this.life, after, gap: false, reset: false };
    }
    return this.#supposed;
  }

  /**
   * What someone lacks who holds everything up to `after`: a delta, or the whole state where what lies
   * between is partly forgotten. `below` ends it before an entry that is not to be passed on. Undefined
   * where nothing is lacking.
   */
  deltaAfter(
    after: number,
    options: { readonly below?: number; readonly reset?: boolean } = {},
  ): MemberDelta | undefined {
    const { below = Infinity } = options;
    const reset = options.reset === true || after < this.floor;
    const start = reset ? 0 : after;
    const entries: Entry[] = [];
    for (let index = this.#log.length - 1; index >= 0; index--) {
      const held = this.#log[index]!;
      if (held.entry.number <= start) break;
      if (!held.superseded && held.entry.number < below) entries.push(held.entry);
    }
    if (entries.length === 0) return undefined;
    return { id: this.id, life: this.life, after: start, reset, entries: entries.reverse() };
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
