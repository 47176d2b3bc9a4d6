/**
 * The members of the latest `ClusterTopology`, plus members that a handshake let in since, minus members dropped for
 * room.
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

  /** Replaces all records. If two records have the same id, the later record stays. */
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

  /**
   * The ids of the members without a possible connection to this member: neither this member nor the other has an
   * address.
   */
  unreachableFrom(selfId: string): ReadonlySet<string> {
    const self = this.#byId.get(selfId);
    if (!self || isDialable(self)) return new Set();
    const others = [...this.#byId.values()].filter((member) => member.id !== selfId && !isDialable(member));
    return new Set(others.map(({ id }) => id));
  }
}
