/**
 * What the engine says has happened. Every event is plain data with a `type`.
 *
 * @module
 */

import type { BlockReason, Incarnation, JsonValue, Phase } from "./types.ts";

/** A key of a member has a new value, or none any more. */
export interface GossipUpdate {
  /** Tells this kind from the others. */
  readonly type: "GossipUpdate";
  /** The member that it is about. */
  readonly memberId: string;
  /** The key. */
  readonly key: string;
  /** The new value; `undefined` with `deleted`. */
  readonly value: JsonValue | undefined;
  /** The member's number of this set or delete. */
  readonly sequenceNumber: number;
  /** Whether the key was deleted. */
  readonly deleted: boolean;
}

/** A delta was handed out to be sent to a peer. */
export interface Disseminated {
  /** Tells this kind from the others. */
  readonly type: "Disseminated";
  /** The peer that it is about. */
  readonly peerId: string;
  /** The number of member states in it. */
  readonly members: number;
  /** The number of entries in it. */
  readonly entries: number;
}

/** Digests differed twice in a row with nothing left to send: a full comparison begins (rule E12). */
export interface ReconcilingRequested {
  /** Tells this kind from the others. */
  readonly type: "ReconcilingRequested";
  /** The peer that it is about. */
  readonly peerId: string;
}

/** Two claims that cannot both be true, and which. */
export interface ConflictDetected {
  /** Tells this kind from the others. */
  readonly type: "ConflictDetected";
  /** The member that it is about. */
  readonly memberId: string;
  /**
   * `value`: one number, two values. `identity`: later lives of this member's id are heard of again and again, as if
   * another process lived under it; emitted at most once in `heartbeatExpiration`.
   * `digest`: a full comparison did not make the states equal. `limit`: a member's state would exceed
   * its limit, or there was no room for it beside the states of others, so that it was not taken.
   */
  readonly reason: "value" | "identity" | "digest" | "limit";
  /** The key. */
  readonly key?: string;
  /** The member's number of this set or delete. */
  readonly sequenceNumber?: number;
  /** The peer that made the other claim. */
  readonly peerId?: string;
}

/** Every active peer is known to hold all that this member holds. */
export interface Confirmed {
  /** Tells this kind from the others. */
  readonly type: "Confirmed";
  /** The digest of all active state. */
  readonly digest: string;
}

/** A member is alive that was not: it is new, or it is back after it left or failed. Never emitted for this member. */
export interface MemberJoined {
  /** Tells this kind from the others. */
  readonly type: "MemberJoined";
  /** The member's id. */
  readonly memberId: string;
}

/** A member that was alive left in good order, or the discovery no longer names it. */
export interface MemberLeft {
  /** Tells this kind from the others. */
  readonly type: "MemberLeft";
  /** The member's id. */
  readonly memberId: string;
}

/** A member that was alive crashed, sent no heartbeat for `heartbeatExpiration`, or is blocked by the topology. */
export interface MemberFailed {
  /** Tells this kind from the others. */
  readonly type: "MemberFailed";
  /** The member's id. */
  readonly memberId: string;
  /** Why the member is taken to have failed. */
  readonly reason: Exclude<BlockReason, "left">;
}

/** A member was blocked. */
export interface MemberBlocked {
  /** Tells this kind from the others. */
  readonly type: "MemberBlocked";
  /** The member that it is about. */
  readonly memberId: string;
  /** Why. */
  readonly reason: BlockReason;
}

/** A member may have crashed: its connection broke and its address refuses new ones (rule C2). */
export interface MemberSuspected {
  /** Tells this kind from the others. */
  readonly type: "MemberSuspected";
  /** The member that it is about. */
  readonly memberId: string;
}

/** A suspected member answered: it is alive (rule C4). */
export interface SuspicionEnded {
  /** Tells this kind from the others. */
  readonly type: "SuspicionEnded";
  /** The member's id. */
  readonly memberId: string;
}

/** This member has heard no other for a third of `heartbeatExpiration`, although the topology has others (rule L5). */
export interface Isolated {
  /** Tells this kind from the others. */
  readonly type: "Isolated";
}

/** This member hears others again. */
export interface Rejoined {
  /** Tells this kind from the others. */
  readonly type: "Rejoined";
}

/** A block ended: the member gave proof of life, lives anew, or was freed by hand. */
export interface MemberUnblocked {
  /** Tells this kind from the others. */
  readonly type: "MemberUnblocked";
  /** The member that it is about. */
  readonly memberId: string;
}

/** A peer, a topology, or another process with the same id and key says that this member is not to take part. */
export interface SelfBlocked {
  /** Tells this kind from the others. */
  readonly type: "SelfBlocked";
  /** The peer that said so, where it was one. */
  readonly peerId?: string;
  /** Why. */
  readonly reason: BlockReason | "identity";
}

/** All that was kept about a member has been dropped: it departed (rule E11), or made room for another (rule E15). */
export interface MemberForgotten {
  /** Tells this kind from the others. */
  readonly type: "MemberForgotten";
  /** The member that it is about. */
  readonly memberId: string;
}

/**
 * The state of a member was dropped to make room (rule E15): that of members known by hearsay alone first. Emitted for the
 * first, and then at most once in `heartbeatExpiration` for all since.
 */
export interface StateDropped {
  /** Tells this kind from the others. */
  readonly type: "StateDropped";
  /** The member that it is about; of several, the last. */
  readonly memberId: string;
  /** The setting that says how much may be held. */
  readonly limit: "maxHeldBytes" | "maxMembers";
  /** How many states were dropped since the last event of this type. */
  readonly count: number;
}

/** This member began a new life, because another under its id was heard of (rule E1). */
export interface IncarnationRenewed {
  /** Tells this kind from the others. */
  readonly type: "IncarnationRenewed";
  /** The life. */
  readonly incarnation: Incarnation;
}

/** The spreading reached another phase. */
export interface PhaseChanged {
  /** Tells this kind from the others. */
  readonly type: "PhaseChanged";
  /** The phase before. */
  readonly from: Phase;
  /** The phase now. */
  readonly to: Phase;
}

/** All active members have the same value, as one check reads it. */
export interface ConsensusReached {
  /** Tells this kind from the others. */
  readonly type: "ConsensusReached";
  /** The check, as its handle names it. */
  readonly checkId: string;
  /** The key. */
  readonly key: string;
  /** The value. */
  readonly value: JsonValue;
}

/** A consensus that stood stands no more. */
export interface ConsensusLost {
  /** Tells this kind from the others. */
  readonly type: "ConsensusLost";
  /** The check, as its handle names it. */
  readonly checkId: string;
  /** The key. */
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
