/**
 * The entries that expire, in the order of their times (rule E16).
 *
 * @module
 */

import type { MemberState } from "./member_state.ts";
import { ExpiringEntry } from "./stored_entry.ts";
import type { MemberDelta, SentEntry } from "../types.ts";

/** A queued entry. Its index in the heap is in the entry. */
interface Item {
  readonly member: MemberState;
  readonly entry: ExpiringEntry;
}

/** A binary heap of expiring entries: the next to expire is the first. */
export class Expiries {
  readonly #heap: Item[] = [];
  #isUsed = false;

  /** True if an entry has ever been added; also one that has expired is sent with its age. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Adds an entry; one that is due has expired already. */
  add(member: MemberState, entry: ExpiringEntry, nowMs: number): void {
    this.#isUsed = true;
    entry.isExpired = entry.dueMs <= nowMs;
    if (entry.isExpired) return;
    this.#put({ member, entry }, this.#heap.length);
    this.#rise(entry.index);
  }

  /** Removes an entry that was replaced or dropped; does nothing if it is not queued. */
  remove(entry: ExpiringEntry): void {
    const { index } = entry;
    if (index < 0) return;
    entry.index = -1;
    const last = this.#heap.pop()!;
    if (last.entry === entry) return;
    this.#put(last, index);
    this.#rise(index);
    this.#sink(last.entry.index);
  }

  /** Removes and returns the next entry that is due. */
  takeDue(nowMs: number): Item | undefined {
    const next = this.#heap[0];
    if (!next || next.entry.dueMs > nowMs) return undefined;
    this.remove(next.entry);
    return next;
  }

  #rise(start: number): void {
    const item = this.#heap[start]!;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#dueAt(parent) <= item.entry.dueMs) break;
      this.#put(this.#heap[parent]!, index);
      index = parent;
    }
    this.#put(item, index);
  }

  #sink(start: number): void {
    const item = this.#heap[start]!;
    let index = start;
    for (;;) {
      const left = 2 * index + 1;
      const child = this.#dueAt(left + 1) < this.#dueAt(left) ? left + 1 : left;
      if (this.#dueAt(child) >= item.entry.dueMs) break;
      this.#put(this.#heap[child]!, index);
      index = child;
    }
    this.#put(item, index);
  }

  #dueAt(index: number): number {
    return this.#heap[index]?.entry.dueMs ?? Infinity;
  }

  #put(item: Item, index: number): void {
    this.#heap[index] = item;
    item.entry.index = index;
  }
}

/**
 * The deltas with the present age of each expiring entry, so that the receiver needs no clock of the sender. By
 * `isKnown` a value is left out if the receiver is known to have the change of that serial, which brought it.
 */
export function withAges<T extends MemberDelta>(
  deltas: readonly T[],
  { nowMs, isKnown }: {
    readonly nowMs: number;
    readonly isKnown: (memberId: string, serial: number) => boolean;
  },
): T[] {
  return deltas.map((delta) => {
    if (!delta.entries.some((entry) => entry instanceof ExpiringEntry)) return delta;
    // A reset is for a peer whose copy may be wrong.
    const isHad = (serial: number) => !delta.reset && isKnown(delta.id, serial);
    return { ...delta, entries: withEntryAges(delta.entries, { nowMs, isKnown: isHad }) };
  });
}

/** The entries with the present age of each that expires; those whose value is known to the receiver are renewals. */
export function withEntryAges(
  entries: readonly SentEntry[],
  { nowMs, isKnown = () => false }: {
    readonly nowMs: number;
    readonly isKnown?: (serial: number) => boolean;
  },
): readonly SentEntry[] {
  return entries.map((entry) => {
    if (!(entry instanceof ExpiringEntry)) return entry;
    const ageMs = Math.max(0, entry.expiresAfter - (entry.dueMs - nowMs));
    const sent = { ...entry.toJSON(), ageMs };
    if (entry.valueSerial === entry.serial || !isKnown(entry.valueSerial)) return sent;
    return { ...sent, type: "", value: undefined, json: "", isRenewal: true };
  });
}

/** The delta with the values of its renewals; undefined if this member does not have one of them. */
export function withValues(delta: MemberDelta, held: MemberState | undefined): MemberDelta | undefined {
  if (!delta.entries.some(({ isRenewal }) => isRenewal)) return delta;
  const entries: SentEntry[] = [];
  for (const entry of delta.entries) {
    const before = entry.isRenewal ? held?.live(entry.key) : undefined;
    if (entry.isRenewal && !before) return undefined;
    entries.push(before ? { ...entry, type: before.type, value: before.value, json: before.json } : entry);
  }
  return { ...delta, entries };
}
