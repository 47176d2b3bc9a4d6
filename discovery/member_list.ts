/**
 * Publishes topologies.
 *
 * @module
 */

import type { DiscoverySite, Member } from "../gossiper/cluster.ts";

/** The last published topology of a discovery. */
export class MemberList {
  readonly #site: Pick<DiscoverySite, "self" | "eventStream">;
  #published = "";

  constructor(site: Pick<DiscoverySite, "self" | "eventStream">) {
    this.#site = site;
  }

  /** Publishes a topology of these members and this one. Does nothing if it equals the last one. */
  publish(others: Iterable<Member>): void {
    const { self, eventStream } = this.#site;
    const byId = new Map([...others].map((member) => [member.id, member]));
    // This member's own record is always right.
    byId.set(self.id, self);
    const members = [...byId.values()].sort((one, other) => one.id < other.id ? -1 : 1);
    const published = JSON.stringify(members);
    if (published === this.#published) return;
    this.#published = published;
    eventStream.publish({ type: "ClusterTopology", members, blocked: [] });
  }
}
