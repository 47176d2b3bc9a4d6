/**
 * All members held, in the order in which they last changed here, so that finding what changed since a moment
 * costs as much as has changed, not as much as is held (rule E6).
 *
 * @module
 */

import { LinkedList } from "./linked_list.ts";
import type { MemberState } from "./member_state.ts";

/** Members by their last change. */
export class ChangeList {
  readonly #members = new LinkedList<MemberState>();

  /** The members that changed after a serial, the one that changed last before the others. */
  *newestFirst(after: number): Iterable<MemberState> {
    for (let member = this.#members.newest; member && member.changedSerial > after; member = member.older) {
      yield member;
    }
  }

  moveToNewest(member: MemberState, serial: number): void {
    member.changedSerial = serial;
    this.#members.put(member);
  }

  remove(member: MemberState): void {
    this.#members.remove(member);
  }
}

/** The members held, by id and by last change. */
export class ChangeLog {
  /** By their last change. */
  readonly changes: ChangeList = new ChangeList();
  /** The members that changed since the last {@linkcode ChangeLog.takeRecent}. */
  #recent = new Set<string>();
  readonly #byId = new Map<string, MemberState>();
  /** In no order but that each keeps its turn, unless another goes. */
  readonly #slots: MemberState[] = [];
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

  /** The member whose turn it is; turns begin anew where there are no more members. */
  atSlot(turn: number): MemberState {
    return this.#slots[turn % this.#slots.length]!;
  }

  /** The serial of a change that is about to be made. */
  nextSerial(): number {
    return ++this.#serial;
  }

  /** Holds a member, in place of an earlier life of it. */
  add(member: MemberState): void {
    this.remove(member.id);
    this.#byId.set(member.id, member);
    member.slot = this.#slots.push(member) - 1;
  }

  /** Notes that a member has just changed. */
  recordChange(member: MemberState): void {
    this.changes.moveToNewest(member, this.#serial);
    this.#recent.add(member.id);
  }

  /** The members that changed since the last call. */
  takeRecent(): ReadonlySet<string> {
    const recent = this.#recent;
    if (recent.size > 0) this.#recent = new Set();
    return recent;
  }

  /** No longer holds a member. The last takes its turn. */
  remove(id: string): void {
    const member = this.#byId.get(id);
    if (!member) return;
    this.changes.remove(member);
    this.#byId.delete(id);
    const last = this.#slots.pop()!;
    if (last === member) return;
    this.#slots[member.slot] = last;
    last.slot = member.slot;
  }
}
