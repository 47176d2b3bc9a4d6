/**
 * The active members at one moment, in an order that all members with the same set share. So a message can name a member
 * by its index.
 *
 * @module
 */

import { digitAt, DIGITS } from "../liveness/base64_digits.ts";
import type { ChangeLog } from "./change_log.ts";
import type { MemberState } from "./member_state.ts";
import { byCodePoint } from "./murmur3.ts";
import type { MemberSet } from "../types.ts";

/** Active members in order. Made once for every change of the set. */
export class SortedMembers {
  /** The ids in the order of their UTF-8 bytes. */
  readonly ids: readonly string[];
  /** The state at each index; `undefined` for an active member without stored state. */
  readonly states: readonly (MemberState | undefined)[];
  #indices: Map<string, number> | undefined;
  readonly #order: ChangeLog;
  #byTag: Map<string, MemberState | undefined> | undefined;

  constructor(active: Iterable<string>, log: ChangeLog) {
    // The built-in order is fast and nearly right, so the second sort has little to do.
    this.ids = [...active].sort().sort(byCodePoint);
    this.states = this.ids.map((id) => log.get(id));
    this.#order = log;
  }

  /** The ids of at least `from` and below `until`. */
  idsFrom(from: string, until: string | undefined): readonly string[] {
    return this.ids.slice(this.#indexFrom(from), until === undefined ? undefined : this.#indexFrom(until));
  }

  /** The index of the first id that is not below this text. */
  #indexFrom(text: string): number {
    let low = 0;
    for (let high = this.ids.length; low < high;) {
      const middle = (low + high) >> 1;
      if (byCodePoint(this.ids[middle]!, text) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The index of a member. */
  indexOf(id: string): number | undefined {
    this.#indices ??= new Map(this.ids.map((each, index) => [each, index]));
    return this.#indices.get(id);
  }

  /**
   * The only member with a tag; `undefined` if two members share the tag. It may be inactive, because a newer heartbeat
   * frees a blocked member (E10).
   */
  withTag(tag: string): MemberState | undefined {
    if (!this.#byTag) {
      this.#byTag = new Map();
      for (const state of this.#order.members()) {
        this.#byTag.set(state.tag, this.#byTag.has(state.tag) ? undefined : state);
      }
    }
    return this.#byTag.get(tag);
  }

  /** Encodes the set of the members for which `isIn` is true. */
  encode(isIn: (id: string) => boolean): MemberSet {
    let text = "";
    for (let at = 0; 6 * at < this.ids.length; at++) text += this.#digit(at, isIn);
    return text;
  }

  /** Encodes an encoded set again, after `isIn` has changed for one member. */
  encodeAnew(set: MemberSet, id: string, isIn: (id: string) => boolean): MemberSet {
    const index = this.#find(id);
    if (index === undefined) return set;
    const at = Math.floor(index / 6);
    const digit = this.#digit(at, isIn);
    return digit === set[at] ? set : set.slice(0, at) + digit + set.slice(at + 1);
  }

  #digit(at: number, isIn: (id: string) => boolean): string {
    let bits = 0;
    for (let bit = 0; bit < 6; bit++) {
      const id = this.ids[6 * at + bit];
      if (id !== undefined && isIn(id)) bits |= 32 >> bit;
    }
    return DIGITS[bits]!;
  }

  /** The index of a member by binary search: a map of all ids would take more memory than the list does. */
  #find(id: string): number | undefined {
    let [low, high] = [0, this.ids.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (byCodePoint(this.ids[middle]!, id) < 0) low = middle + 1;
      else high = middle;
    }
    return this.ids[low] === id ? low : undefined;
  }

  /**
   * The ids of a set that a peer encoded for the same members. A set of another length has no ids. Ids whose bits are
   * set in `before` are left out, and the bits of the set are added to `before`.
   */
  *decode(set: MemberSet, before: number[] = []): Iterable<string> {
    if (set.length !== Math.ceil(this.ids.length / 6)) return;
    for (let at = 0; at < set.length; at++) {
      const known = before[at] ?? 0;
      const value = Math.max(0, digitAt(set, at)) & ~known;
      before[at] = known | value;
      if (value === 0) continue;
      for (let bit = 0; bit < 6; bit++) {
        const id = this.ids[6 * at + bit];
        if (id !== undefined && (value & (32 >> bit)) !== 0) yield id;
      }
    }
  }
}
