/**
 * What a member of protoactor has told and this member has not yet taken. Such a member tells everything once: what
 * was lost would stay lost until it is set anew. So it is kept until it was taken, merged key by key so that it
 * never grows beyond a state.
 *
 * @module
 */

import { entryBytes, memberBytes } from "../../engine/size.ts";
import { FOREIGN_LIFE } from "../../engine/life.ts";
import type { MemberDelta, SentEntry } from "../../engine/types.ts";
import type { Pid } from "./definitions.ts";

/** How many requests may wait to be answered; the oldest goes, and whoever asked hears nothing. */
const MAX_ASKERS = 16;

/** What is taken at once: what was told, and who waits for an answer. */
export interface GoBatch {
  readonly members: readonly MemberDelta[];
  readonly askers: readonly Pid[];
}

/** What one member of protoactor has told, until it is taken. */
export class GoInbox {
  readonly #maxBytes: number;
  readonly #members = new Map<string, Map<string, SentEntry>>();
  #askers: Pid[] = [];
  #bytes = 0;

  /** Makes an empty inbox for so many bytes. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether there is nothing to take, and nobody to answer. */
  get isEmpty(): boolean {
    return this.#members.size === 0 && this.#askers.length === 0;
  }

  /** Adds what was told, and who waits for an answer to that. What finds no room is lost. */
  add({ members, askers }: GoBatch): void {
    for (const { id, entries } of members) for (const entry of entries) this.#put(id, entry);
    this.#askers = [...this.#askers, ...askers].slice(-MAX_ASKERS);
  }

  /** Takes everything out. */
  take(): GoBatch {
    const members = [...this.#members].map(([id, byKey]): MemberDelta => {
      const entries = [...byKey.values()].sort((one, other) => one.number - other.number);
      return { id, life: FOREIGN_LIFE, after: 0, reset: false, entries };
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
