/**
 * What members say to each other, as values. How it looks on the wire is the transport's affair.
 *
 * @module
 */

import type {
  BlockReason,
  Delta,
  Incarnation,
  KnownVersions,
  Liveness,
  MemberDelta,
  PartialDelta,
  SummaryPart,
} from "../engine/types.ts";
import type { Member } from "./member.ts";
import type { SharedSettings } from "./shared_settings.ts";

/** The latest version of the protocol that is spoken here. */
export const PROTOCOL_VERSION = 2;
/** The oldest version that is spoken here. Two members use the latest that both speak. */
export const OLDEST_VERSION = 2;

/**
 * First from both sides, and again whenever one greets the other anew. The dialler greets, with an id of
 * its own; the accepting side answers with its own hello under that id.
 */
export interface Hello {
  /** Tells this kind from the others. */
  readonly type: "hello";
  /** Names the request, or the request that this answers. */
  readonly id: string;
  /** The cluster's name. */
  readonly cluster: string;
  /** Who says so. */
  readonly member: Member;
  /** The sender's life. */
  readonly incarnation: Incarnation;
  /** The sender's heartbeat. */
  readonly count: number;
  /** The latest version of the protocol that the sender speaks. */
  readonly version: number;
  /** The oldest version that it speaks. */
  readonly oldestVersion: number;
  /** What the sender can do beyond the version. */
  readonly capabilities: readonly string[];
  /**
   * The settings that both have to agree on; a member that is not Hearsay's has none. The lower `maxMessageBytes` holds
   * for the connection.
   */
  readonly settings?: SharedSettings;
  /** The digest of all active state. */
  readonly digest: string;
  /** The hash of the ids that the sender takes to be active. */
  readonly active: string;
  /** With keys, in the first message of the accepting side: proves that it has them too. */
  readonly proof?: string;
  /** Where members sign what they set: the sender's public key. */
  readonly publicKey?: string;
  /** Proves, for this connection, that the public key is the sender's own. */
  readonly signature?: string;
}

/** What the sender has that the receiver is not known to hold. */
export interface Gossip {
  /** Tells this kind from the others. */
  readonly type: "gossip";
  /** Names the request, or the request that this answers. */
  readonly id: string;
  /** The sender. */
  readonly memberId: string;
  /** What is told. */
  readonly delta: Delta;
  /** Who is alive, as far as the sender knows. */
  readonly liveness: Liveness;
  /** Whom the sender asks for, and what it holds of each; the lowest life there is where that is nothing. */
  readonly holds?: KnownVersions;
}

/** Says that the sender is alive and that nothing else is to be said. It has no answer. */
export interface HeartbeatMessage {
  /** Tells this kind from the others. */
  readonly type: "heartbeat";
  /** Who is alive, as far as the sender knows. */
  readonly liveness: Liveness;
}

/** The sender suspects a member of having crashed, or answers that it has heard it since (rule C2). It has no answer. */
export interface Suspect {
  /** Tells this kind from the others. */
  readonly type: "suspect";
  /** The suspected member. */
  readonly memberId: string;
  /** Its life that is meant. */
  readonly incarnation: Incarnation;
  /** Its heartbeat, as far as the sender knows. */
  readonly count: number;
  /** Whether this answers a suspicion with a newer heartbeat. */
  readonly isAlive: boolean;
}

/**
 * Entries that have just changed, sent between rounds. It has no id and no answer: the next round finds out
 * whether it arrived (rule E5).
 */
export interface Push {
  /** Tells this kind from the others. */
  readonly type: "push";
  /** The members whose state changed. */
  readonly delta: PartialDelta;
  /** Whether the receiver passes on what is news to it. */
  readonly relay: boolean;
}

/** Acknowledges a gossip, and brings what its sender lacks. */
export interface Reply {
  /** Tells this kind from the others. */
  readonly type: "reply";
  /** The id of the gossip that it answers. */
  readonly id: string;
  /** What is told. */
  readonly delta: Delta;
  /** Who is alive, as far as the sender knows. */
  readonly liveness: Liveness;
  /** What the sender holds where that is not what was supposed. */
  readonly holds: KnownVersions;
}

/** Acknowledges a reply. */
export interface Ack {
  /** Tells this kind from the others. */
  readonly type: "ack";
  /** Names the request, or the request that this answers. */
  readonly id: string;
  /** What the sender holds where that is not what was supposed. */
  readonly holds: KnownVersions;
}

/** A comparison member by member (rule E12), asked and answered in the same form. */
export interface Reconcile {
  /** Tells this kind from the others. */
  readonly type: "reconcile";
  /** Names the request, or the request that this answers. */
  readonly id: string;
  /** The part of the comparison. */
  readonly part: SummaryPart;
}

/** Why a peer was refused. */
export type RefusalCode =
  /** A code of a later version of the protocol. */
  | "other"
  | "blocked"
  | "busy"
  | "id_conflict"
  | "incompatible"
  | "invalid"
  | "stopped"
  | "unknown_member"
  | "wrong_cluster";

/** A refusal: of the request with this id, or of the connection. */
export interface Refusal {
  /** Tells this kind from the others. */
  readonly type: "error";
  /** Names the request, or the request that this answers. */
  readonly id?: string;
  /** What is refused, as a stable word. */
  readonly code: RefusalCode;
  /** A sentence for people. */
  readonly message: string;
  /** With `blocked`: why. */
  readonly reason?: BlockReason;
  /** With `incompatible`: the settings of the member that refuses. */
  readonly settings?: SharedSettings;
  /** With `id_conflict`: the latest life that is known of the id refused, to begin another above. */
  readonly incarnation?: Incarnation;
  /** The same where members sign: the state of that life, with its owner's signature. */
  readonly state?: MemberDelta;
  /** With keys, in the first message of the accepting side: proves that it has them too. */
  readonly proof?: string;
}

/** A message of a type that this version does not know. */
export interface UnknownMessage {
  /** Tells this kind from the others. */
  readonly type: "unknown";
  /** The type that was named. */
  readonly name: string;
}

/** Everything that one member can say to another. */
export type Message =
  | Ack
  | Gossip
  | HeartbeatMessage
  | Hello
  | Push
  | Reconcile
  | Refusal
  | Reply
  | Suspect
  | UnknownMessage;
