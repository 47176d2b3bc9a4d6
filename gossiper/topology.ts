/**
 * The members, as the latest `ClusterTopology` names them.
 *
 * @module
 */

import type { ClusterTopology, Member } from "./cluster.ts";

/** Where members can be reached. */
export class Topology {
  #byId: ReadonlyMap<string, Member>;

  /** Begins with this member alone. */
  constructor(self: Member) {
    this.#byId = new Map([[self.id, self]]);
  }

  /** Takes over a topology. Of two records with one id, the later is taken. */
  set({ members }: ClusterTopology): void {
    this.#byId = new Map(members.map((member) => [member.id, member]));
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
