/**
 * What a transport asks of whoever knows the cluster's keys: what to say when dialling, who a client is, and what
 * proves the accepting side.
 *
 * @module
 */

import type { Message } from "../gossiper/message.ts";

/** A key that the members of a cluster share: base64, base64url, or the bytes themselves; 32 bytes at least. */
export type ClusterKey = string | Uint8Array;

/**
 * What every message of a connection passes. It may take its time: what comes after waits, and so does the end of
 * the connection.
 */
export interface Guard {
  /** What the peer said, to be believed; throws, or rejects with, a `ConnectionClosed` to close the connection. */
  incoming(message: Message): Message | Promise<Message>;
  /** What is to be said to the peer, with whatever proves this side. */
  outgoing(message: Message): Message | Promise<Message>;
  /** Closes the connection with its reason, a `ConnectionClosed`, when aborted. */
  readonly signal: AbortSignal;
}

/** What a dialler says before the upgrade, and how it then holds its peer to the answer. */
export interface Credentials {
  /** The token, good for one connection. */
  readonly token: string;
  /** Lets nothing through on the connection until the peer has proved itself. */
  readonly guard: Guard;
}

/** A client that may come in. */
export interface Admitted {
  /** The member that it speaks for. */
  readonly id: string;
  /** Lets it speak for no other on the connection, and proves this side. */
  readonly guard: Guard;
}

/** A client that may not come in. */
export interface NotAdmitted {
  /** Why, for the log of this side and the client's. */
  readonly refused: string;
  /** 401 where a better token would help; 503 where a later one would. */
  readonly status: 401 | 503;
}

/** Authentication of connections in both directions, before any state flows. */
export interface Authentication {
  /** What to say to whoever is dialled at that authority (`host:port`). */
  credentials(options: { readonly authority: string }): Promise<Credentials>;
  /**
   * Who a client is by its token; `authorities` are those under which this side is dialled, `address` is where the
   * client comes from, where that is known. Say so at once, without a promise, where that can be: of a client that goes
   * away meanwhile Deno keeps the socket open for ever.
   */
  admit(
    token: string,
    options: { readonly authorities: ReadonlySet<string>; readonly address?: string },
  ): Admitted | NotAdmitted | Promise<Admitted | NotAdmitted>;
  /**
   * Takes other keys from now on: the first signs, all verify. Connections that were opened under a key that is
   * no longer among them are closed with 4401.
   *
   * @throws {ConfigurationError} where a key is weak; nothing is changed then.
   */
  setKeys(keys: readonly ClusterKey[]): void;
}
