/**
 * The members of the latest `ClusterTopology`, those that a handshake let in since, without those dropped for room.
 *
 * @module
 */

import { isDialable, type Member } from "../contracts/cluster.ts";

/** The records of all members, by id. */
export class Topology {
  #byId: ReadonlyMap<string, Member>;

  /** Starts with this member alone. */
  constructor(self: Member) {
    this.#byId = new Map([[self.id, self]]);
  }

  /** Replaces all records. The later of two with one id stays. */
  set(members: Iterable<Member>): void {
    this.#byId = new Map([...members].map((member) => [member.id, member]));
  }

  /** The number of members. */
  get size(): number {
    return this.#byId.size;
  }

  /** The records of all members. */
  members(): Iterable<Member> {
    return this.#byId.values();
  }

  /** The record of a member. */
  get(id: string): Member | undefined {
    return this.#byId.get(id);
  }

  /** The ids of all members. */
  ids(): ReadonlySet<string> {
    return new Set(this.#byId.keys());
  }

  /** The ids of the members that this one can neither dial nor be dialed by: none of the two has an address. */
  unreachableFrom(selfId: string): ReadonlySet<string> {
    const self = this.#byId.get(selfId);
    if (!self || isDialable(self)) return new Set();
    const others = [...this.#byId.values()].filter((member) => member.id !== selfId && !isDialable(member));
    return new Set(others.map(({ id }) => id));
  }
}
