/**
 * Members of one cluster with keys, over real connections.
 *
 * @module
 */

import { join, type JoinOptions, type Node } from "../../mod.ts";
import type { ClusterKey } from "../../security/cluster_keys.ts";

/** Joins a member with an id; the options come last. */
export type MakeMember = (id: string, options?: Partial<JoinOptions>) => Promise<Node>;

/** Returns a function that joins members with these keys and settings. */
export function keyedMembers(
  keys: readonly ClusterKey[],
  config: NonNullable<JoinOptions["config"]>,
): MakeMember {
  return (id, options = {}) =>
    join({ cluster: "orders", id, listen: { port: 0 }, config, authentication: { keys }, ...options });
}
