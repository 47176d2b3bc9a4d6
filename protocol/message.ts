/**
 * The messages between members, as values. The transport defines their wire format.
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
  MemberDeltas,
  SummaryPart,
} from "../engine/types.ts";
import type { Member } from "./member.ts";
import type { SharedSettings } from "./shared_settings.ts";

/** The latest supported version of the protocol. */
export const PROTOCOL_VERSION = 2;
/** The oldest supported version. Two members use the latest common version. */
export const OLDEST_VERSION = 2;

/**
 * The handshake. The dialer begins the first handshake; either side may begin a later handshake. The answer is a
 * `hello` with the same `id`.
 */
export interface Hello {
  /** The message's type. */
  readonly type: "hello";
  /** The id of the request; an answer has the same. */
  readonly id: string;
  /** The cluster's name. */
  readonly cluster: string;
  /** The sender. */
  readonly member: Member;
  /** The sender's incarnation. */
  readonly incarnation: Incarnation;
  /** The sender's heartbeat count. */
  readonly count: number;
  /** The latest version of the protocol of the sender. */
  readonly version: number;
  /** The oldest version of the protocol of the sender. */
  readonly oldestVersion: number;
  /** The sender's capabilities beyond the version. */
  readonly capabilities: readonly string[];
  /**
   * The settings to compare; missing if the sender is not a member of this library. The lower `maxMessageBytes` applies
   * to the connection.
   */
  readonly settings?: SharedSettings;
  /** The digest of the active members' state. */
  readonly digest: string;
  /** The hash of the active ids of the sender. */
  readonly active: string;
  /** With keys, in the first message of the acceptor: proves that it has a key too. */
  readonly proof?: string;
  /** The sender's public key, if members sign. */
  readonly publicKey?: string;
  /** Proves, for this connection, that the sender owns the public key. */
  readonly signature?: string;
}

/** Entries that the receiver has not acknowledged. A request: the receiver sends a {@linkcode Reply}. */
export interface Gossip {
  /** The message's type. */
  readonly type: "gossip";
  /** The id of the request. */
  readonly id: string;
  /** The id of the sender. */
  readonly memberId: string;
  /** The entries. */
  readonly delta: Delta;
  /** The heartbeat counts known to the sender. */
  readonly liveness: Liveness;
  /** The members to pull, each with the sender's version; with the lowest incarnation if the sender has no version. */
  readonly holds?: KnownVersions;
}

/** A heartbeat alone, if the receiver needs no entries. It has no reply. */
export interface HeartbeatMessage {
  /** The message's type. */
  readonly type: "heartbeat";
  /** The heartbeat counts known to the sender. */
  readonly liveness: Liveness;
}

/** A suspicion of a crash, or the reply from a peer with a newer heartbeat (rule C2). Neither has a reply. */
export interface Suspect {
  /** The message's type. */
  readonly type: "suspect";
  /** The suspected member. */
  readonly memberId: string;
  /** The suspected incarnation. */
  readonly incarnation: Incarnation;
  /** The suspect's latest heartbeat count known to the sender. */
  readonly count: number;
  /** True in the reply to a suspicion, with a newer heartbeat. */
  readonly isAlive: boolean;
}

/**
 * Entries that have just changed, sent between rounds. It has no id and no reply: the next round finds out whether it
 * arrived (rule E5).
 */
export interface Push {
  /** The message's type. */
  readonly type: "push";
  /** The members whose state changed. */
  readonly delta: MemberDeltas;
  /** True if the receiver must relay new entries. */
  readonly relay: boolean;
}

/** Acknowledges a gossip, and carries the entries that its sender lacks. */
export interface Reply {
  /** The message's type. */
  readonly type: "reply";
  /** The id of the gossip. */
  readonly id: string;
  /** The entries. */
  readonly delta: Delta;
  /** The heartbeat counts known to the sender. */
  readonly liveness: Liveness;
  /** The sender's versions, as far as they differ from the result of the delta. */
  readonly holds: KnownVersions;
}

/** Acknowledges a reply. */
export interface Ack {
  /** The message's type. */
  readonly type: "ack";
  /** The id of the gossip. */
  readonly id: string;
  /** The sender's versions, as far as they differ from the result of the delta. */
  readonly holds: KnownVersions;
}

/** A comparison of states by member (rule E12); request and reply have the same form. */
export interface Reconcile {
  /** The message's type. */
  readonly type: "reconcile";
  /** The id of the request; an answer has the same. */
  readonly id: string;
  /** The part of the comparison. */
  readonly part: SummaryPart;
}

/** The reason of a refusal. */
export type RefusalCode =
  /** An unknown code, of a later version of the protocol. */
  | "other"
  | "blocked"
  | "busy"
  | "id_conflict"
  | "incompatible"
  | "invalid"
  | "stopped"
  | "unknown_member"
  | "wrong_cluster";

/** A refusal of the request with this id, or of the connection. */
export interface Refusal {
  /** The message's type. */
  readonly type: "error";
  /** The id of the refused request; missing if the connection is refused. */
  readonly id?: string;
  /** The reason, as a stable word. */
  readonly code: RefusalCode;
  /** A sentence for people. */
  readonly message: string;
  /** With `blocked`: the reason of the block. */
  readonly reason?: BlockReason;
  /** With `incompatible`: the settings of the refusing member. */
  readonly settings?: SharedSettings;
  /** With `id_conflict`: the latest known incarnation of the refused id. The peer begins an incarnation above it. */
  readonly incarnation?: Incarnation;
  /** With `id_conflict`, if members sign: the state of that incarnation with its owner's signature. */
  readonly state?: MemberDelta;
  /** With keys, in the first message of the acceptor: proves that it has a key too. */
  readonly proof?: string;
}

/** A message of a type outside this protocol: of a later version, or of an extension with a capability. */
export interface UnknownMessage {
  /** The message's type. */
  readonly type: "unknown";
  /** The type on the wire. */
  readonly name: string;
  /** All fields of a received message, unchecked: an extension checks the fields that it reads. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** The whole JSON text of a message to send; without it only the type is sent. */
  readonly text?: string;
}

/** Any message except `ping` and `pong`, which stay in the transport. */
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
