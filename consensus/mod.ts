/**
 * Consensus over several keys, over the whole state and over the topology, and a barrier:
 * `@hearsay/gossip/consensus`.
 *
 * @module
 */

export type { Consensus, ConsensusOptions } from "./agreement.ts";
export { barrier, type BarrierNode, type BarrierOptions, BarrierTimeout } from "./barrier.ts";
export { type CheckedNode, consensusAcross, consensusOf, type KeyConsensus } from "./consensus.ts";
export { type Reading, reading, type ValueOf } from "./reading.ts";
export { topologyConsensus } from "./topology.ts";
export { consensusBy, type MemberState, type StateOptions, type WatchedNode } from "./whole_state.ts";
