/**
 * Discovery by a list that does not change.
 *
 * @module
 */

import type { Discovery, DiscoverySite, Member } from "../gossiper/cluster.ts";
import { assertNone, LISTENING_PORT } from "../gossiper/options.ts";
import { memberProblems } from "../gossiper/validation.ts";

/**
 * The members are those listed, and this one. Whoever is not on the list is refused with `unknown_member`.
 *
 * @example
 * ```ts
 * import { fixedMembers } from "./fixed.ts";
 *
 * const discovery = fixedMembers([
 *   { id: "a", host: "127.0.0.1", port: 7001, kinds: [] },
 *   { id: "b", host: "127.0.0.1", port: 7002, kinds: [] },
 * ]);
 * console.assert(!discovery.byGreeting);
 * ```
 *
 * @throws {ConfigurationError} naming every member that is none, or that has the id of another.
 */
export function fixedMembers(members: readonly Member[]): Discovery {
  assertNone(memberProblems(members, { port: LISTENING_PORT }));
  const byId = new Map(
    members.map((member) => [member.id, Object.freeze({ ...member, kinds: [...member.kinds] })]),
  );
  return {
    byGreeting: false,
    members: [...byId.values()],
    // There is nothing to wait for: who belongs to the cluster is told once.
    run({ self, eventStream }: DiscoverySite): Promise<void> {
      const all = [...byId.values()].filter(({ id }) => id !== self.id);
      eventStream.publish({ type: "ClusterTopology", members: [self, ...all], blocked: [] });
      return Promise.resolve();
    },
  };
}
