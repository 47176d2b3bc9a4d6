/**
 * The entries that expire, in the order of their times (rule E16).
 *
 * @module
 */

import type { MemberState } from "./member_state.ts";
import { ExpiringEntry } from "./stored_entry.ts";
import type { MemberDelta, SentEntry } from "../types.ts";

/** The width of a slot, in milliseconds: less than an interval, so that few entries of a slot wait for their time. */
const SLOT_MS = 64;

/** Expiring entries in slots of time. To add, remove or take an entry has a constant cost. */
export class Expiries {
  readonly #slots = new Map<number, Map<ExpiringEntry, MemberState>>();
  #isUsed = false;
  /** The slot of the last call of {@linkcode Expiries.takeDue}. */
  #last = 0;

  /** True if an entry was ever added: even an expired entry is sent with its age. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Adds an entry. An entry that is due counts as expired at once. */
  add(member: MemberState, entry: ExpiringEntry, nowMs: number): void {
    this.#isUsed = true;
    entry.isExpired = entry.dueMs <= nowMs;
    if (entry.isExpired) return;
    const slot = slotOf(entry.dueMs);
    const entries = this.#slots.get(slot);
    if (entries) entries.set(entry, member);
    else this.#slots.set(slot, new Map([[entry, member]]));
  }

  /** Removes an entry that was replaced or dropped; does nothing for an unknown entry. */
  remove(entry: ExpiringEntry): void {
    const slot = slotOf(entry.dueMs);
    const entries = this.#slots.get(slot);
    entries?.delete(entry);
    if (entries?.size === 0) this.#slots.delete(slot);
  }

  /** Removes and returns the entries that are due, with their members. */
  takeDue(nowMs: number): (readonly [ExpiringEntry, MemberState])[] {
    const due: (readonly [ExpiringEntry, MemberState])[] = [];
    const now = slotOf(nowMs);
    // After a long suspension there may be more slots than entries.
    const slots = now - this.#last > this.#slots.size
      ? [...this.#slots.keys()].filter((slot) => slot <= now)
      : Array.from({ length: now - this.#last + 1 }, (_, index) => this.#last + index);
    this.#last = now;
    for (const slot of slots) {
      for (const item of this.#slots.get(slot) ?? []) if (item[0].dueMs <= nowMs) due.push(item);
    }
    for (const [entry] of due) this.remove(entry);
    return due;
  }
}

function slotOf(timeMs: number): number {
  return Math.floor(timeMs / SLOT_MS);
}

/**
 * The deltas with the present age of each expiring entry, so that the receiver does not depend on the sender's clock. A
 * value is left out if `isKnown` says that the receiver has the earlier change with the same value.
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

/** The entries, each expiring entry with its present age. An entry whose value the receiver knows becomes a renewal. */
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
    if (entry.renewsSerial === 0 || !isKnown(entry.renewsSerial)) return sent;
    return { ...sent, type: "", value: undefined, json: "", renews: entry.renewsNumber };
  });
}

/**
 * The delta with the values of its renewals; `undefined` if this member lacks a value. It ends before the first renewal
 * that `mayRenew` refuses because of the length of the value.
 */
export function withValues(
  delta: MemberDelta,
  held: MemberState | undefined,
  mayRenew: (length: number) => boolean,
): MemberDelta | undefined {
  if (!delta.entries.some(({ renews }) => renews !== undefined)) return delta;
  const entries: SentEntry[] = [];
  for (const entry of delta.entries) {
    const { renews, ...rest } = entry;
    const before = renews === undefined ? undefined : held?.live(entry.key);
    // An entry at or below the stored version is not merged again.
    const isLate = entry.number <= (held?.version ?? 0);
    if (before && (before.number === renews || before.number === entry.number)) {
      if (!isLate && !mayRenew(before.json.length)) break;
      // Only the JSON text is copied: a copy of `value` would parse it.
      entries.push({ ...rest, type: before.type, json: before.json });
    } else if (renews === undefined) entries.push(entry);
    // The state here may have come in parts, and may lack a value that the sender replaced meanwhile.
    else if (!isLate) return undefined;
  }
  return { ...delta, entries };
}
