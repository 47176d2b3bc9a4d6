/**
 * How much is held of other members, and of whom this member knows more than others say (rule E15). Every step costs the
 * same, however much is held: sizes are sums that follow each change, and the largest state is found by its order of
 * magnitude.
 *
 * @module
 */

import { MEMBER_HEAP_BYTES } from "../state/heap_estimate.ts";
import type { MemberState } from "../state/member_state.ts";

/** One bucket for each power of two: sizes are below 2^48 bytes. */
const BUCKETS = 48;

interface Holding {
  bytes: number;
  bucket: Set<string>;
}

/** The members of which something is held, but for this one, and those that shook hands with it. */
export class HeldMembers {
  /** In the order in which they began to be held. */
  readonly #holdings = new Map<string, Holding>();
  readonly #met = new Set<string>();
  /** By the order of magnitude of their size: those known by hearsay alone, and those that shook hands. */
  readonly #ofHearsay = bucketsOf();
  readonly #ofMet = bucketsOf();
  #bytes = 0;

  /** About how many bytes of the heap all states take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a member shook hands with this one, or is named by a topology that does not come from peers. */
  hasMet(id: string): boolean {
    return this.#met.has(id);
  }

  /** A member shook hands. */
  meet(id: string): void {
    this.#met.add(id);
    this.#sort(id);
  }

  /** Notes how large a state is now. */
  update({ id, size }: MemberState): void {
    const bytes = MEMBER_HEAP_BYTES + size.heapBytes;
    const before = this.#holdings.get(id);
    this.#bytes += bytes - (before?.bytes ?? 0);
    if (before) before.bytes = bytes;
    else this.#holdings.set(id, { bytes, bucket: this.#bucketFor(id, bytes) });
    this.#sort(id);
  }

  /** Nothing is held of a member any more. */
  remove(id: string): void {
    const holding = this.#holdings.get(id);
    if (!holding) return;
    this.#bytes -= holding.bytes;
    holding.bucket.delete(id);
    this.#holdings.delete(id);
  }

  /** A member is forgotten, its handshake too. */
  forget(id: string): void {
    this.#met.delete(id);
    this.#sort(id);
  }

  /** What is held of a member takes so much. */
  bytesOf(id: string): number {
    return this.#holdings.get(id)?.bytes ?? 0;
  }

  /** The members that are known by hearsay alone, those held for longest first. */
  *byHearsay(): Iterable<string> {
    for (const id of this.#holdings.keys()) if (!this.#met.has(id)) yield id;
  }

  /**
   * One of the largest states but that of one member: of those known by hearsay alone, or of those that shook hands;
   * only one that is of a higher order of magnitude than so many bytes.
   */
  largest(
    { met, above, except }: { readonly met: boolean; readonly above: number; readonly except: string },
  ): string | undefined {
    const buckets = met ? this.#ofMet : this.#ofHearsay;
    for (let log = BUCKETS - 1; log > orderOf(above); log--) {
      for (const id of buckets[log]!) if (id !== except) return id;
    }
    return undefined;
  }

  #sort(id: string): void {
    const holding = this.#holdings.get(id);
    if (!holding) return;
    const bucket = this.#bucketFor(id, holding.bytes);
    if (bucket !== holding.bucket) holding.bucket.delete(id);
    bucket.add(id);
    holding.bucket = bucket;
  }

  #bucketFor(id: string, bytes: number): Set<string> {
    return (this.#met.has(id) ? this.#ofMet : this.#ofHearsay)[orderOf(bytes)]!;
  }
}

function bucketsOf(): readonly Set<string>[] {
  return Array.from({ length: BUCKETS }, () => new Set<string>());
}

/** The power of two at or below a size; -1 where every size is above. */
function orderOf(bytes: number): number {
  return bytes < 1 ? -1 : Math.min(BUCKETS - 1, Math.floor(Math.log2(bytes)));
}
