/**
 * All stored members in the order of their last change here. A search for the changes since a moment costs time in
 * proportion to these changes, not to the members (rule E6).
 *
 * @module
 */

import { LinkedList } from "./linked_list.ts";
import type { MemberState } from "./member_state.ts";

/** Members by their last change. */
export class ChangeList {
  readonly #members = new LinkedList<MemberState>();

  /** The members with a change after a serial, the latest change first. */
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

/** The stored members, by id and by last change. */
export class ChangeLog {
  /** By their last change. */
  readonly changes: ChangeList = new ChangeList();
  /** The members with changes since the last {@linkcode ChangeLog.takeRecent}. */
  #recent = new Set<string>();
  readonly #byId = new Map<string, MemberState>();
  /** The order of the round-robin. A removal moves only the last member, into the free slot. */
  readonly #slots: MemberState[] = [];
  #serial = 0;

  /** The serial of the latest change. */
  get serial(): number {
    return this.#serial;
  }

  /** The number of stored members. */
  get size(): number {
    return this.#byId.size;
  }

  get(id: string): MemberState | undefined {
    return this.#byId.get(id);
  }

  /** Every stored member. */
  members(): IterableIterator<MemberState> {
    return this.#byId.values();
  }

  /** The member of a slot. Slots start over after the last member. */
  atSlot(turn: number): MemberState {
    return this.#slots[turn % this.#slots.length]!;
  }

  /** Takes the serial for the next change. */
  nextSerial(): number {
    return ++this.#serial;
  }

  /** Adds a member, in place of an earlier incarnation. */
  add(member: MemberState): void {
    this.remove(member.id);
    this.#byId.set(member.id, member);
    member.slot = this.#slots.push(member) - 1;
  }

  /** Records the latest change of a member. */
  recordChange(member: MemberState): void {
    this.changes.moveToNewest(member, this.#serial);
    this.#recent.add(member.id);
  }

  /** The members with changes since the last call. */
  takeRecent(): ReadonlySet<string> {
    const recent = this.#recent;
    if (recent.size > 0) this.#recent = new Set();
    return recent;
  }

  /** Removes a member. The last member takes its slot. */
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
