/**
 * The members, as the latest `ClusterTopology` names them.
 *
 * @module
 */

import type { Member } from "../contracts/cluster.ts";

/** Where members can be reached. */
export class Topology {
  #byId: ReadonlyMap<string, Member>;

  /** Begins with this member alone. */
  constructor(self: Member) {
    this.#byId = new Map([[self.id, self]]);
  }

  /** Takes over who the members are. Of two records with one id, the later is taken. */
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
}
