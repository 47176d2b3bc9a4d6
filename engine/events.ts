/**
 * The events of the engine: plain data with a `type`.
 *
 * @module
 */

import type { BlockReason, Incarnation, JsonValue, Phase } from "./types.ts";

/** A key of a member was set or deleted. */
export interface GossipUpdate<T = JsonValue> {
  /** The type of the event. */
  readonly type: "GossipUpdate";
  /** The member's id. */
  readonly memberId: string;
  /** The key. */
  readonly key: string;
  /** The new value; `undefined` with `deleted`. */
  readonly value: T | undefined;
  /**
   * The member's number of this set or delete. If the value expired or was dropped and no delete arrived, the number of
   * its last set.
   */
  readonly sequenceNumber: number;
  /** True if the key was deleted. */
  readonly deleted: boolean;
  /** True, with `deleted`, if the value's time was over (`expiresAfter`); absent otherwise. */
  readonly expired?: boolean;
}

/** A delta for a peer is about to be sent. */
export interface Disseminated {
  /** The type of the event. */
  readonly type: "Disseminated";
  /** The peer's id. */
  readonly peerId: string;
  /** The number of member states in the delta. */
  readonly members: number;
  /** The number of entries in the delta. */
  readonly entries: number;
}

/** A full comparison begins: the digests differed twice in a row with nothing left to send (rule E12). */
export interface ReconcilingRequested {
  /** The type of the event. */
  readonly type: "ReconcilingRequested";
  /** The peer's id. */
  readonly peerId: string;
}

/** Two claims about a member cannot both be true, or a member's state exceeds a limit. */
export interface ConflictDetected {
  /** The type of the event. */
  readonly type: "ConflictDetected";
  /** The member's id. */
  readonly memberId: string;
  /**
   * `value`: one number has two values. `identity`: peers repeatedly know later incarnations of this member, as if
   * another process had its id; emitted at most once in `heartbeatExpiration`. `digest`: a full comparison did not make
   * the states equal. `limit`: a state was refused, because it would exceed its limit or the room that other states
   * leave. If the event has a `key`, a map under this key was not sent to members of protoactor-go.
   */
  readonly reason: "value" | "identity" | "digest" | "limit";
  /** The key. */
  readonly key?: string;
  /** The member's number of this set or delete. */
  readonly sequenceNumber?: number;
  /** The peer that made the other claim. */
  readonly peerId?: string;
}

/** Every active peer is known to have all state of this member. */
export interface Confirmed {
  /** The type of the event. */
  readonly type: "Confirmed";
  /** The digest of the state of all active members. */
  readonly digest: string;
}

/** A member is alive now: it is new, or back after it left or failed. Never emitted for this member. */
export interface MemberJoined {
  /** The type of the event. */
  readonly type: "MemberJoined";
  /** The member's id. */
  readonly memberId: string;
}

/** A living member left gracefully, or the discovery no longer names it. */
export interface MemberLeft {
  /** The type of the event. */
  readonly type: "MemberLeft";
  /** The member's id. */
  readonly memberId: string;
}

/** A living member crashed, sent no heartbeat for `heartbeatExpiration`, or is blocked by the topology. */
export interface MemberFailed {
  /** The type of the event. */
  readonly type: "MemberFailed";
  /** The member's id. */
  readonly memberId: string;
  /** The reason of the block. */
  readonly reason: Exclude<BlockReason, "left">;
}

/** A member was blocked. */
export interface MemberBlocked {
  /** The type of the event. */
  readonly type: "MemberBlocked";
  /** The member's id. */
  readonly memberId: string;
  /** The reason of the block. */
  readonly reason: BlockReason;
}

/** A member may have crashed: its connection broke, and its address refuses new connections (rule C2). */
export interface MemberSuspected {
  /** The type of the event. */
  readonly type: "MemberSuspected";
  /** The member's id. */
  readonly memberId: string;
}

/** A suspected member answered: it is alive (rule C4). */
export interface SuspicionEnded {
  /** The type of the event. */
  readonly type: "SuspicionEnded";
  /** The member's id. */
  readonly memberId: string;
}

/**
 * This member has heard no other member for a third of `heartbeatExpiration` or more, although the topology has others
 * (rule L5).
 */
export interface Isolated {
  /** The type of the event. */
  readonly type: "Isolated";
}

/** The isolation is over: this member hears another member, or no other member is left in its topology. */
export interface Rejoined {
  /** The type of the event. */
  readonly type: "Rejoined";
}

/** A block ended: the member proved that it lives, began a new incarnation, or was unblocked by the user. */
export interface MemberUnblocked {
  /** The type of the event. */
  readonly type: "MemberUnblocked";
  /** The member's id. */
  readonly memberId: string;
}

/** This member is blocked by a peer, by the topology, or by another process with the same id and key. */
export interface SelfBlocked {
  /** The type of the event. */
  readonly type: "SelfBlocked";
  /** The peer's id; absent if no peer is the cause. */
  readonly peerId?: string;
  /** The reason of the block. */
  readonly reason: BlockReason | "identity";
}

/** All state of a member was dropped: it departed (rule E11), or made room for another (rule E15). */
export interface MemberForgotten {
  /** The type of the event. */
  readonly type: "MemberForgotten";
  /** The member's id. */
  readonly memberId: string;
  /** The reason of its block; absent if it was not blocked. */
  readonly reason?: BlockReason;
}

/**
 * The state of a member was dropped to make room (rule E15). Members known only by hearsay go first. Emitted at once
 * for the first member, and then at most once in `heartbeatExpiration` for all later members.
 */
export interface StateDropped {
  /** The type of the event. */
  readonly type: "StateDropped";
  /** The member's id. If several states were dropped, the id of the last. */
  readonly memberId: string;
  /** The setting of the limit. */
  readonly limit: "maxHeldBytes" | "maxMembers";
  /** The number of states dropped since the last event of this type. */
  readonly count: number;
}

/**
 * This member began a new incarnation, because a peer knew a later incarnation of its id (rule E1), or because its own
 * was more than a year ahead of its corrected clock (rule E2).
 */
export interface IncarnationRenewed {
  /** The type of the event. */
  readonly type: "IncarnationRenewed";
  /** The new incarnation. */
  readonly incarnation: Incarnation;
}

/** The phase changed. */
export interface PhaseChanged {
  /** The type of the event. */
  readonly type: "PhaseChanged";
  /** The former phase. */
  readonly from: Phase;
  /** The present phase. */
  readonly to: Phase;
}

/** All active members have the same value, as the check reads it. */
export interface ConsensusReached {
  /** The type of the event. */
  readonly type: "ConsensusReached";
  /** The id of the check, as in its handle. */
  readonly checkId: string;
  /** The key. */
  readonly key: string;
  /** The value. */
  readonly value: JsonValue;
}

/** A former consensus was lost. */
export interface ConsensusLost {
  /** The type of the event. */
  readonly type: "ConsensusLost";
  /** The id of the check, as in its handle. */
  readonly checkId: string;
  /** The key. */
  readonly key: string;
}

/** Every event of the engine. */
export type EngineEvent =
  | ConflictDetected
  | Confirmed
  | ConsensusLost
  | ConsensusReached
  | Disseminated
  | GossipUpdate
  | IncarnationRenewed
  | MemberBlocked
  | MemberFailed
  | MemberForgotten
  | MemberJoined
  | MemberLeft
  | Isolated
  | MemberSuspected
  | MemberUnblocked
  | PhaseChanged
  | ReconcilingRequested
  | Rejoined
  | SelfBlocked
  | StateDropped
  | SuspicionEnded;
