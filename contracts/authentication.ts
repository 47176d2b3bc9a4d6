/**
 * The interface between a transport and authentication: tokens of dialers, identities of clients, and proofs
 * of the acceptor.
 *
 * @module
 */

import type { Message } from "../protocol/message.ts";

/** A key that the members of a cluster share: base64, base64url, or bytes; at least 32 bytes. */
export type ClusterKey = string | Uint8Array;

/**
 * Checks every message of a connection. It may be asynchronous; then later messages, and the end of the
 * connection, wait.
 */
export interface Guard {
  /** Checks a received message. Throws or rejects with a `ConnectionClosed` to close the connection. */
  incoming(message: Message): Message | Promise<Message>;
  /** Prepares a message to send, with this side's proof if needed. */
  outgoing(message: Message): Message | Promise<Message>;
  /** Closes the connection with its reason, a `ConnectionClosed`, when aborted. */
  readonly signal: AbortSignal;
}

/** A dialer's token, and the guard of its connection. */
export interface Credentials {
  /** The token, valid for one connection. */
  readonly token: string;
  /** Refuses every message until the peer has proved its identity. */
  readonly guard: Guard;
}

/** A client that is accepted. */
export interface Admitted {
  /** The id of the member that the client may speak for. */
  readonly id: string;
  /** True if the client may only read: it is no member. */
  readonly isReader?: boolean;
  /** Refuses messages in another member's name, and proves this side's identity. */
  readonly guard: Guard;
}

/** A client that is refused. */
export interface Rejection {
  /** The reason, for the logs of both sides. */
  readonly refused: string;
  /** 401 if another token may be accepted; 503 if a later attempt may be. */
  readonly status: 401 | 503;
}

/** Authenticates connections in both directions, before they carry any state. */
export interface Authentication {
  /** Creates the credentials for a dial of `authority` (`host:port`). */
  credentials(options: { readonly authority: string }): Promise<Credentials>;
  /**
   * Identifies a client by its token. `authorities` are the addresses of this side, as `host:port`. `address` is the
   * client's address, if known. For public IPv6 it is the network (/64), because one machine may have a whole network.
   * Return the result synchronously if possible: if the client disconnects during an await, Deno keeps the socket open
   * forever.
   */
  admit(
    token: string,
    options: { readonly authorities: ReadonlySet<string>; readonly address?: string },
  ): Admitted | Rejection | Promise<Admitted | Rejection>;
  /**
   * Replaces the keys: the first signs, all verify. Connections that were opened with a removed key are
   * closed with 4401.
   *
   * @throws {ConfigurationError} if a key is weak; then no key is replaced.
   */
  setKeys(keys: readonly ClusterKey[]): void;
}
