/**
 * Discovery by a fixed list.
 *
 * @module
 */

import type { Discovery, DiscoveryContext, ListedMember } from "../contracts/cluster.ts";
import { assertNone, LISTENING_PORT } from "../options/rules.ts";
import { topologyOf } from "./member_list.ts";
import { memberProblems } from "../options/member_rules.ts";

/**
 * The listed members and this member form the cluster. A peer that is not in the list is refused with `unknown_member`.
 *
 * @example
 * ```ts
 * import { fixedMembers } from "@hearsay/gossip";
 *
 * const discovery = fixedMembers([
 *   { id: "a", host: "127.0.0.1", port: 7001 },
 *   { id: "b", host: "127.0.0.1", port: 7002 },
 * ]);
 * console.assert(!discovery.openMembership);
 * ```
 *
 * @throws {ConfigurationError} naming every invalid member and every duplicate id.
 */
export function fixedMembers(members: readonly ListedMember[]): Discovery {
  assertNone(memberProblems(members, { port: LISTENING_PORT }));
  const byId = new Map(
    members.map((member) => [member.id, Object.freeze({ ...member, kinds: [...member.kinds ?? []] })]),
  );
  return {
    openMembership: false,
    members: [...byId.values()],
    // The list never changes, so one topology is enough.
    run({ self, eventStream }: DiscoveryContext): Promise<void> {
      const all = [...byId.values()].filter(({ id }) => id !== self.id);
      eventStream.publish(topologyOf([self, ...all]));
      return Promise.resolve();
    },
  };
}
