/**
 * State that a Go member sent and this member has not merged yet. A Go member sends each entry once, so a
 * lost entry would be missing until its next set. The inbox keeps entries until they are merged. It keeps one
 * entry for each key, so it never outgrows a whole state.
 *
 * @module
 */

import { entryBytes, memberBytes } from "../../engine/state/size.ts";
import { NO_INCARNATION } from "../../engine/incarnation.ts";
import type { MemberDelta, SentEntry } from "../../engine/types.ts";
import type { Pid } from "./definitions.ts";

/** The most requests that wait for an answer. The oldest is dropped and never answered. */
const MAX_ASKERS = 16;

/** Entries to merge at once, and the senders that wait for an answer. */
export interface GoBatch {
  readonly members: readonly MemberDelta[];
  readonly askers: readonly Pid[];
}

/** The entries and requests of one Go member. */
export class GoInbox {
  readonly #maxBytes: number;
  readonly #members = new Map<string, Map<string, SentEntry>>();
  #askers: Pid[] = [];
  #bytes = 0;

  /** Creates an inbox for at most `maxBytes` of entries. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** True if it has no entries and no request waits for an answer. */
  get isEmpty(): boolean {
    return this.#members.size === 0 && this.#askers.length === 0;
  }

  /** Adds entries and the senders of their requests. Entries without room are dropped. */
  add({ members, askers }: GoBatch): void {
    for (const { id, entries } of members) for (const entry of entries) this.#put(id, entry);
    this.#askers = [...this.#askers, ...askers].slice(-MAX_ASKERS);
  }

  /** Removes and returns everything. */
  take(): GoBatch {
    const members = [...this.#members].map(([id, byKey]): MemberDelta => {
      const entries = [...byKey.values()].sort((one, other) => one.number - other.number);
      return { id, incarnation: NO_INCARNATION, after: 0, reset: false, entries };
    });
    const batch = { members, askers: this.#askers };
    this.#members.clear();
    this.#askers = [];
    this.#bytes = 0;
    return batch;
  }

  #put(id: string, entry: SentEntry): void {
    const known = this.#members.get(id);
    const before = known?.get(entry.key);
    if (before && before.number >= entry.number) return;
    const added = entryBytes(entry) - (before ? entryBytes(before) : 0) + (known ? 0 : memberBytes(id));
    if (this.#bytes + added > this.#maxBytes) return;
    this.#bytes += added;
    if (known) known.set(entry.key, entry);
    else this.#members.set(id, new Map([[entry.key, entry]]));
  }
}
