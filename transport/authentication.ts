/**
 * What a transport asks of whoever knows the cluster's keys: what to say when dialling, who a client is, and what
 * proves the accepting side.
 *
 * @module
 */

import type { Connection } from "../gossiper/cluster.ts";

/** A key that the members of a cluster share: base64, base64url, or the bytes themselves; 32 bytes at least. */
export type ClusterKey = string | Uint8Array;

/** What a dialler says before the upgrade, and how it then holds its peer to the answer. */
export interface Credentials {
  /** The token, good for one connection. */
  readonly token: string;
  /** The open connection, on which nothing comes through until the peer has proved itself. */
  guard(connection: Connection): Connection;
}

/** A client that may come in. */
export interface Admitted {
  /** The member that it speaks for. */
  readonly id: string;
  /** The open connection, on which it speaks for no other, and this side proves itself. */
  guard(connection: Connection): Connection;
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
  /** Who a client is by its token; `authorities` are those under which this side is dialled. */
  admit(
    token: string,
    options: { readonly authorities: ReadonlySet<string> },
  ): Promise<Admitted | NotAdmitted>;
  /**
   * Takes other keys from now on: the first signs, all verify. Connections that were opened under a key that is
   * no longer among them are closed with 4401.
   *
   * @throws {ConfigurationError} where a key is weak; nothing is changed then.
   */
  setKeys(keys: readonly ClusterKey[]): void;
}

/**
 * The authority of an address in one form, with its port; `localhost` is 127.0.0.1, because both name this very
 * machine. `undefined` where it is no address.
 */
export function authorityOf(address: string): string | undefined {
  const url = URL.parse(address);
  if (!url || url.hostname === "") return undefined;
  const host = url.hostname === "localhost" ? "127.0.0.1" : url.hostname;
  const port = url.port || (["wss:", "https:"].includes(url.protocol) ? "443" : "80");
  return `${host}:${port}`;
}
