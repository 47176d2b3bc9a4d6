/**
 * All members held, in the order in which they last changed here, so that finding what changed since a
 * moment costs as much as has changed, not as much as is held (rule E6).
 *
 * @module
 */

import type { MemberState } from "./member_state.ts";

/** The members held, by id and by last change. */
export class ChangeOrder {
  readonly #byId = new Map<string, MemberState>();
  #newest: MemberState | undefined;
  #serial = 0;

  /** The serial of the latest change. */
  get serial(): number {
    return this.#serial;
  }

  /** The number of members held. */
  get size(): number {
    return this.#byId.size;
  }

  get(id: string): MemberState | undefined {
    return this.#byId.get(id);
  }

  /** Every member held. */
  members(): IterableIterator<MemberState> {
    return this.#byId.values();
  }

  /** The serial of a change that is about to be made. */
  next(): number {
    return ++this.#serial;
  }

  /** Holds a member, in place of an earlier life of it. */
  hold(member: MemberState): void {
    this.drop(member.id);
    this.#byId.set(member.id, member);
  }

  /** Notes that a member has just changed. */
  changed(member: MemberState): void {
    member.changedSerial = this.#serial;
    if (this.#newest === member) return;
    this.#unlink(member);
    member.older = this.#newest;
    if (this.#newest) this.#newest.newer = member;
    this.#newest = member;
  }

  /** No longer holds a member. */
  drop(id: string): void {
    const member = this.#byId.get(id);
    if (!member) return;
    this.#unlink(member);
    this.#byId.delete(id);
  }

  /** The members that changed after a serial, the one that changed first before the others. */
  changedAfter(serial: number): MemberState[] {
    const changed: MemberState[] = [];
    for (let each = this.#newest; each && each.changedSerial > serial; each = each.older) changed.push(each);
    return changed.reverse();
  }

  #unlink(member: MemberState): void {
    if (this.#newest === member) this.#newest = member.older;
    if (member.older) member.older.newer = member.newer;
    if (member.newer) member.newer.older = member.older;
    member.older = member.newer = undefined;
  }
}
