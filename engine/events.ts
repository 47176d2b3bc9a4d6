/**
 * What the engine says has happened. Every event is plain data with a `type`.
 *
 * @module
 */

import type { BlockReason, JsonValue, Life, Phase } from "./types.ts";

/** A key of a member has a new value, or none any more. */
export interface GossipUpdate {
  readonly type: "GossipUpdate";
  readonly memberId: string;
  readonly key: string;
  /** The new value; `undefined` with `deleted`. */
  readonly value: JsonValue | undefined;
  readonly sequenceNumber: number;
  readonly deleted: boolean;
}

/** A delta was handed out to be sent to a peer. */
export interface Disseminated {
  readonly type: "Disseminated";
  readonly peerId: string;
  /** The number of member states in it. */
  readonly members: number;
  /** The number of entries in it. */
  readonly entries: number;
}

/** Digests differed twice in a row with nothing left to send: a full comparison begins (rule E12). */
export interface ReconcilingRequested {
  readonly type: "ReconcilingRequested";
  readonly peerId: string;
}

/** Two claims that cannot both be true, and which. */
export interface ConflictDetected {
  readonly type: "ConflictDetected";
  readonly memberId: string;
  /**
   * `value`: one number, two values. `identity`: another process lives under this member's id.
   * `digest`: a full comparison did not make the states equal. `limit`: a member's state would exceed
   * its limit, or there would be too many members, so that it was not taken.
   */
  readonly reason: "value" | "identity" | "digest" | "limit";
  readonly key?: string;
  readonly sequenceNumber?: number;
  /** The peer that made the other claim. */
  readonly peerId?: string;
}

/** Every active peer is known to hold all that this member holds. */
export interface Confirmed {
  readonly type: "Confirmed";
  readonly digest: string;
}

/** A member was blocked. */
export interface MemberBlocked {
  readonly type: "MemberBlocked";
  readonly memberId: string;
  readonly reason: BlockReason;
}

/** A block ended: the member gave proof of life, lives anew, or was freed by hand. */
export interface MemberUnblocked {
  readonly type: "MemberUnblocked";
  readonly memberId: string;
}

/** A peer, a topology, or a twin with the same id says that this member is not to take part. */
export interface SelfBlocked {
  readonly type: "SelfBlocked";
  /** The peer that said so, where it was one. */
  readonly peerId?: string;
  readonly reason: BlockReason | "identity";
}

/** All that was kept about a departed member has been dropped (rule E11). */
export interface MemberForgotten {
  readonly type: "MemberForgotten";
  readonly memberId: string;
}

/** This member began a new life, because another under its id was heard of (rule E1). */
export interface LifeRenewed {
  readonly type: "LifeRenewed";
  readonly life: Life;
}

/** The spreading reached another phase. */
export interface PhaseChanged {
  readonly type: "PhaseChanged";
  readonly from: Phase;
  readonly to: Phase;
}

/** All active members have the same value, as one check reads it. */
export interface ConsensusReached {
  readonly type: "ConsensusReached";
  readonly checkId: string;
  readonly key: string;
  readonly value: JsonValue;
}

/** A consensus that stood stands no more. */
export interface ConsensusLost {
  readonly type: "ConsensusLost";
  readonly checkId: string;
  readonly key: string;
}

/** Everything that the engine can say has happened. */
export type EngineEvent =
  | ConflictDetected
  | Confirmed
  | ConsensusLost
  | ConsensusReached
  | Disseminated
  | GossipUpdate
  | LifeRenewed
  | MemberBlocked
  | MemberForgotten
  | MemberUnblocked
  | PhaseChanged
  | ReconcilingRequested
  | SelfBlocked;
