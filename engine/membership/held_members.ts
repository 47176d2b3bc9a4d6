/**
 * The size of the other members' state, and the members that shook hands (rule E15). Each step has constant cost: the
 * sums are updated with each change, and large states are found by their order of magnitude.
 *
 * @module
 */

import { MEMBER_HEAP_BYTES } from "../state/heap_estimate.ts";
import type { MemberState } from "../state/member_state.ts";

/** One bucket for each power of two: sizes are below 2^48 bytes. */
const BUCKETS = 48;

interface Holding {
  bytes: number;
  bucket: Set<string> | undefined;
}

/** The other members with stored state, by size and trust. */
export class HeldMembers {
  /** By member id; the state stored first is first. */
  readonly #holdings = new Map<string, Holding>();
  readonly #met = new Set<string>();
  /** The ids of each order of magnitude: members known only by hearsay, and members that shook hands. */
  readonly #ofHearsay = bucketsOf();
  readonly #ofMet = bucketsOf();
  #bytes = 0;

  /** The estimated heap bytes of all states. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True if a member shook hands with this member, or is named by a topology that does not come from peers. */
  hasMet(id: string): boolean {
    return this.#met.has(id);
  }

  /** Records a handshake. */
  meet(id: string): void {
    this.#met.add(id);
    this.#sort(id);
  }

  /** Records the present size of a state. */
  update({ id, size }: MemberState): void {
    const bytes = MEMBER_HEAP_BYTES + size.heapBytes;
    let holding = this.#holdings.get(id);
    if (!holding) this.#holdings.set(id, holding = { bytes: 0, bucket: undefined });
    this.#bytes += bytes - holding.bytes;
    holding.bytes = bytes;
    this.#sort(id);
  }

  /** Removes a state; the handshake stays recorded. */
  remove(id: string): void {
    const holding = this.#holdings.get(id);
    if (!holding) return;
    this.#bytes -= holding.bytes;
    holding.bucket?.delete(id);
    this.#holdings.delete(id);
  }

  /** Removes the handshake of a forgotten member. */
  forget(id: string): void {
    this.#met.delete(id);
    this.#sort(id);
  }

  /** The heap bytes of a member's state; 0 without state. */
  bytesOf(id: string): number {
    return this.#holdings.get(id)?.bytes ?? 0;
  }

  /** The members with stored state for which `hasMet` is false, the first stored first. */
  *byHearsay(): Iterable<string> {
    for (const id of this.#holdings.keys()) if (!this.#met.has(id)) yield id;
  }

  /**
   * A member with a state of the largest order of magnitude, among members that shook hands (`met`) or among the
   * others. `undefined` unless that order is above the order of `above` bytes.
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
    const bucket = (this.#met.has(id) ? this.#ofMet : this.#ofHearsay)[orderOf(holding.bytes)]!;
    if (bucket === holding.bucket) return;
    holding.bucket?.delete(id);
    bucket.add(id);
    holding.bucket = bucket;
  }
}

function bucketsOf(): readonly Set<string>[] {
  return Array.from({ length: BUCKETS }, () => new Set<string>());
}

/** The exponent of the highest power of two up to a size; -1 for 0 bytes. */
function orderOf(bytes: number): number {
  return bytes < 1 ? -1 : Math.min(BUCKETS - 1, Math.floor(Math.log2(bytes)));
}
