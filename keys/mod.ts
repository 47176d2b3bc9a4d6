/**
 * Keys whose values have a type, checked by any schema of Standard Schema: `@hearsay/gossip/keys`.
 *
 * @module
 */

export type { Consensus, ConsensusOptions } from "../consensus/agreement.ts";
export type { CheckedNode, KeyConsensus } from "../consensus/consensus.ts";
export type { Reading } from "../consensus/reading.ts";
export { key, type KeyNode, type PartOptions, TypedKey } from "./typed_key.ts";
export type {
  InputOf,
  OutputOf,
  StandardIssue,
  StandardProperties,
  StandardResult,
  StandardSchema,
} from "./standard_schema.ts";
