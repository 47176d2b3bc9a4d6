/**
 * Publishing who the members are.
 *
 * @module
 */

import type { DiscoverySite, Member } from "../gossiper/cluster.ts";

/** The members as a discovery last published them. */
export class MemberList {
  readonly #site: Pick<DiscoverySite, "self" | "eventStream">;
  #published = "";

  /** Nothing is published yet. */
  constructor(site: Pick<DiscoverySite, "self" | "eventStream">) {
    this.#site = site;
  }

  /** Publishes these members and this one, unless they are those published last. */
  publish(others: Iterable<Member>): void {
    const { self, eventStream } = this.#site;
    const byId = new Map([...others].map((member) => [member.id, member]));
    // Nobody knows better than this member where it is.
    byId.set(self.id, self);
    const members = [...byId.values()].sort((one, other) => one.id < other.id ? -1 : 1);
    const published = JSON.stringify(members);
    if (published === this.#published) return;
    this.#published = published;
    eventStream.publish({ type: "ClusterTopology", members, blocked: [] });
  }
}
