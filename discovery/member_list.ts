/**
 * Publishes topologies.
 *
 * @module
 */

import { topologyHash } from "../engine/state/murmur3.ts";
import type { ClusterTopology, DiscoveryContext, Member } from "../contracts/cluster.ts";

/** An event with these members, and with the differences to the members `before`: joined and left ones. */
export function topologyOf(
  members: readonly Member[],
  { before = [], blocked = [] }: {
    readonly before?: readonly Member[];
    readonly blocked?: readonly string[];
  } = {},
): ClusterTopology {
  const [ids, idsBefore] = [members, before].map((each) => new Set(each.map(({ id }) => id)));
  return {
    type: "ClusterTopology",
    members,
    blocked,
    joined: members.filter(({ id }) => !idsBefore!.has(id)),
    left: before.filter(({ id }) => !ids!.has(id)),
    topologyHash: topologyHash(ids!),
  };
}

/** The last published topology of a discovery. */
export class MemberList {
  readonly #context: Pick<DiscoveryContext, "self" | "eventStream">;
  #published: { readonly members: readonly Member[]; readonly blocked: readonly string[] } | undefined;

  constructor(context: Pick<DiscoveryContext, "self" | "eventStream">) {
    this.#context = context;
  }

  /** Publishes a topology of these members and this member. Does nothing if it equals the last topology. */
  publish(others: Iterable<Member>): void {
    const { self } = this.#context;
    const byId = new Map([...others].map((member) => [member.id, member]));
    // This member's own record is always right.
    byId.set(self.id, self);
    this.publishOnly(byId.values());
  }

  /** Publishes a topology of only these members, and of blocked ids. Does nothing if it equals the last topology. */
  publishOnly(unsorted: Iterable<Member>, blockedIds: Iterable<string> = []): void {
    const members = [...unsorted].sort((one, other) => one.id < other.id ? -1 : 1);
    const blocked = [...blockedIds].sort();
    const before = this.#published;
    // Compared before an event is made: its hash costs more than the comparison.
    if (before && areSameMembers(members, before.members) && areSameTexts(blocked, before.blocked)) return;
    this.#published = { members, blocked };
    this.#context.eventStream.publish(topologyOf(members, { before: before?.members ?? [], blocked }));
  }
}

/**
 * True if two lists have the same records in the same order. They are compared field by field, because the JSON of all
 * records could exceed the longest string.
 */
export function areSameMembers(some: readonly Member[], others: readonly Member[]): boolean {
  return some.length === others.length && some.every((member, at) => isSameMember(member, others[at]!));
}

/** True if two records are equal. */
export function isSameMember(one: Member, other: Member): boolean {
  return one === other ||
    one.id === other.id && one.host === other.host && one.port === other.port && one.url === other.url &&
      areSameTexts(one.kinds, other.kinds);
}

function areSameTexts(some: readonly string[], others: readonly string[]): boolean {
  return some === others || some.length === others.length && some.every((each, at) => each === others[at]);
}
