/**
 * Consensus over the topology.
 *
 * @module
 */

import { TOPOLOGY_KEY } from "../engine/types.ts";
import { type CheckedNode, consensusAcross, type KeyConsensus } from "./consensus.ts";
import type { ConsensusOptions } from "./agreement.ts";
import { reading } from "./reading.ts";

/**
 * Watches for all active members to see the same active members. The value is the hash of their ids, as in
 * `ClusterTopology`.
 *
 * @throws {HearsayError} with code `stopped` after the end of the member.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { topologyConsensus } from "@hearsay/gossip/consensus";
 *
 * await using one = await join({ cluster: "shop", listen: { port: 0 } });
 * await using two = await join({ cluster: "shop", listen: { port: 0 }, seeds: [one.address] });
 * using check = topologyConsensus(two);
 * await check.reached({ signal: AbortSignal.timeout(5_000) });
 * ```
 */
export function topologyConsensus(
  node: CheckedNode,
  options: ConsensusOptions<string> = {},
): KeyConsensus<string> {
  return consensusAcross(node, [HASH], options);
}

/** A peer may publish anything under the key: without a hash it has no value. */
const HASH = reading(TOPOLOGY_KEY, (value) => Object(value).topologyHash as string);
