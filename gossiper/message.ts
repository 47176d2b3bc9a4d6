/**
 * What members say to each other, as values. How it looks on the wire is the transport's affair.
 *
 * @module
 */

import type { BlockReason, Delta, Holds, Life, SummaryPart } from "../engine/types.ts";
import type { Member } from "./cluster.ts";

/** The version of the protocol that a `hello` states. */
export const PROTOCOL_VERSION = 1;

/**
 * First from both sides, and again whenever one greets the other anew. The dialler greets, with an id of
 * its own; the accepting side answers with its own hello under that id.
 */
export interface Hello {
  readonly type: "hello";
  readonly id: string;
  readonly cluster: string;
  readonly member: Member;
  readonly life: Life;
  readonly version: number;
  readonly capabilities: readonly string[];
  readonly maxMessageBytes: number;
  readonly digest: string;
  readonly active: string;
}

/** What the sender has that the receiver is not known to hold. */
export interface Gossip {
  readonly type: "gossip";
  readonly id: string;
  /** The sender. */
  readonly memberId: string;
  readonly delta: Delta;
}

/** Acknowledges a gossip, and brings what its sender lacks. */
export interface Reply {
  readonly type: "reply";
  /** The id of the gossip that it answers. */
  readonly id: string;
  readonly delta: Delta;
  readonly holds: Holds;
}

/** Acknowledges a reply. */
export interface Ack {
  readonly type: "ack";
  readonly id: string;
  readonly holds: Holds;
}

/** A comparison member by member (rule E12), asked and answered in the same form. */
export interface Reconcile {
  readonly type: "reconcile";
  readonly id: string;
  readonly part: SummaryPart;
}

/** Why a peer was refused. */
export type RefusalCode =
  | "blocked"
  | "busy"
  | "id_conflict"
  | "incompatible"
  | "invalid"
  | "stopped"
  | "too_large"
  | "unknown_member"
  | "wrong_cluster";

/** A refusal: of the request with this id, or of the connection. */
export interface Refusal {
  readonly type: "error";
  readonly id?: string;
  readonly code: RefusalCode;
  readonly message: string;
  /** With `blocked`: why. */
  readonly reason?: BlockReason;
}

/** A message of a type that this version does not know. */
export interface UnknownMessage {
  readonly type: "unknown";
  readonly name: string;
}

/** Everything that one member can say to another. */
export type Message = Ack | Gossip | Hello | Reconcile | Refusal | Reply | UnknownMessage;
