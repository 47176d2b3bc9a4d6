/**
 * The entries of a member's stored state.
 *
 * The *position* of an entry is its number. Entries of an unversioned member come in any order and with holes, so their
 * position is the local serial of their arrival. Positions are never sent.
 *
 * @module
 */

import type { Link } from "./linked_list.ts";
import { type Entry, type Instant, isTombstone, type JsonValue } from "../types.ts";

/**
 * A stored entry with the serial of its merge. It is its own list node. It keeps only the text of the value, because
 * there are many entries: members times keys.
 */
export class StoredEntry implements Entry, Link<StoredEntry> {
  readonly key: string;
  readonly number: number;
  readonly type: string;
  readonly json: string;
  readonly timestampMs: number;
  readonly serial: number;
  declare readonly expiresAfter?: number;
  older: StoredEntry | undefined = undefined;
  newer: StoredEntry | undefined = undefined;

  constructor({ key, number, type, json, timestampMs }: Omit<Entry, "value">, serial: number) {
    this.key = key;
    this.number = number;
    this.type = type;
    this.json = json;
    this.timestampMs = timestampMs;
    this.serial = serial;
  }

  /** Parsed at each call, because most values are sent more often than they are read. */
  get value(): JsonValue | undefined {
    return isTombstone(this) ? undefined : JSON.parse(this.json);
  }

  /** The position in the member's state. */
  get position(): number {
    return this.number;
  }

  /** The entry without its neighbors, which lead back to it. */
  toJSON(): Entry {
    const { key, number, type, value, json, timestampMs } = this;
    return { key, number, type, value, json, timestampMs };
  }
}

/** An entry whose value expires. It stays part of the state, so that all copies agree, until its owner deletes it. */
export class ExpiringEntry extends StoredEntry {
  override readonly expiresAfter: number;
  /** The end of its time on this member's monotonic clock. */
  readonly dueMs: number;
  /** The number and the serial of the former entry if it has the same value; otherwise 0. */
  readonly renewsNumber: number;
  readonly renewsSerial: number;
  /** True once its time is over here: reads skip it. */
  isExpired = false;

  constructor(entry: Entry & { readonly expiresAfter: number }, options: {
    readonly serial: number;
    readonly dueMs: number;
    /** The entry before it. */
    readonly before?: StoredEntry | undefined;
  }) {
    super(entry, options.serial);
    const { before } = options;
    const isRenewal = before instanceof ExpiringEntry && before.json === entry.json &&
      before.type === entry.type;
    this.expiresAfter = entry.expiresAfter;
    this.dueMs = options.dueMs;
    this.renewsNumber = isRenewal ? before.number : 0;
    this.renewsSerial = isRenewal ? before.serial : 0;
  }

  override toJSON(): Entry {
    return { ...super.toJSON(), expiresAfter: this.expiresAfter };
  }
}

/** True if an entry has a value to read: it is no tombstone, and has not expired. */
export function isPresent(entry: Entry | undefined): entry is Entry {
  return entry !== undefined && !isTombstone(entry) && !(entry instanceof ExpiringEntry && entry.isExpired);
}

/** True if the time of an entry is over, even if the store has not noticed it yet. */
export function isDue(entry: Entry, { monotonicMs }: Instant): boolean {
  return entry instanceof ExpiringEntry && entry.dueMs <= monotonicMs;
}

/** An entry of an unversioned member. */
export class UnversionedEntry extends StoredEntry {
  override get position(): number {
    return this.serial;
  }
}

/** An entry of an unknown protobuf type. A decoder of the user may have given it a value that its text does not have. */
export class PackedEntry extends StoredEntry {
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
