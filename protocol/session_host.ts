/**
 * The interface of a session's host, and the options of a session.
 *
 * @module
 */

import type { Sent } from "../engine/engine.ts";
import type { Delta, KnownVersions, Liveness, MemberDeltas, SummaryPart } from "../engine/types.ts";
import type { Runtime } from "../common/runtime.ts";
import type { Verification } from "./verification.ts";
import type { Gossip, Hello, Message, Push, Refusal, Reply, Suspect, UnknownMessage } from "./message.ts";
import type { Session } from "./session.ts";

/** The content of a gossip or reply, and the record of its entries. */
export interface GossipContent {
  readonly delta: Delta;
  readonly liveness: Liveness;
  /** In a gossip: the members to pull. In a reply: the versions to acknowledge. */
  readonly holds: KnownVersions;
  readonly sent: Sent;
}

/** The content of a session's messages. The session itself only knows their order. */
export interface SessionHost {
  /** This member's id. */
  readonly id: string;
  /** This member's `hello`, without the request's id. */
  hello(): Omit<Hello, "type" | "id" | "capabilities">;
  /**
   * Called for a peer's `hello`; `answering` is true if it answers a `hello` of this member. Returns a refusal,
   * `"self"` if the peer is this gossiper itself, or `undefined` if the peer is let in.
   */
  onHello(hello: Hello, options: { readonly answering: boolean }): Refusal | "self" | undefined;
  /** Verifies the entries of a message before they are merged; present if members sign. */
  readonly verify?: (session: Session, message: Gossip | Push | Reply | Refusal) => Promise<Verification>;
  /** Returns the entries to push to the peer; `undefined` if the peer needs no entries of these members. */
  toPush(session: Session, ids: Iterable<string>): MemberDeltas | undefined;
  /** Called for a suspicion, or for the reply to a suspicion. */
  suspected(session: Session, suspect: Suspect): void;
  /** Called for a heartbeat. */
  heartbeat(session: Session, liveness: Liveness): void;
  /** Merges a push; returns a refusal if it is invalid. */
  pushed(session: Session, push: Push, verification?: Verification): Refusal | undefined;
  gossiped(session: Session, gossip: Gossip, verification?: Verification): GossipContent | Refusal;
  /** Merges a reply. Returns the versions to acknowledge, `undefined` if it was ignored, a refusal if it is invalid. */
  replied(
    session: Session,
    sent: Sent,
    received: { readonly reply: Reply; readonly verification: Verification | undefined },
  ): KnownVersions | Refusal | undefined;
  acknowledged(session: Session, sent: Sent, versions: KnownVersions): void;
  compare(session: Session, part: SummaryPart): SummaryPart | Refusal;
  compared(session: Session, part: SummaryPart, options: { readonly last: boolean }): void;
  /** Called when the peer refused a request or the connection; returns a refusal if its message is invalid. */
  refused(session: Session, refusal: Refusal, verification?: Verification): Refusal | undefined;
  /** Called if the host itself threw: an invariant is broken. */
  failed(error: unknown): void;
}

/** The owner of a session: the pool of connections. */
export interface SessionOwner {
  /** The capabilities in this member's `hello`; none by default. */
  capabilities?(): readonly string[];
  /** Called after the first handshake. */
  opened(session: Session): void;
  /** Called for a message of a type that the protocol leaves to extensions. */
  extra?(session: Session, message: UnknownMessage): void;
  /** Called at the end of the session. */
  ended(session: Session): void;
}

/** Options of a {@linkcode Session}. */
export interface SessionOptions {
  /** The side of this member: `dialer` if it opened the connection. */
  readonly role: "dialer" | "acceptor";
  readonly host: SessionHost;
  readonly owner: SessionOwner;
  readonly runtime: Runtime;
  /** The time limit of a request, in milliseconds. A close may take half of it. */
  readonly requestTimeout: number;
  /** The time limit of the acceptor for the first `hello`, in milliseconds. */
  readonly handshakeTimeout: number;
  /** The id of the dialed member, if known; another member may answer. */
  readonly dialedId?: string | undefined;
}

/** Options of a request. */
export interface RequestOptions {
  /** Ends the wait; a later reply still counts. */
  readonly signal: AbortSignal;
}

/**
 * Verifies a message's signatures. Returns `undefined` if there is nothing to verify, so that such messages need no
 * wait.
 */
export function verify(
  message: Message,
  session: Session,
  host: SessionHost,
): Promise<Verification> | undefined {
  if (message.type === "error") return message.state && host.verify?.(session, message);
  const hasEntries = message.type === "gossip" || message.type === "push" || message.type === "reply";
  return hasEntries && session.peer ? host.verify?.(session, message) : undefined;
}
