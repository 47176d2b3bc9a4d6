/**
 * The record of a member, as the member itself publishes it.
 *
 * @module
 */

/** A member as others see it: protoactor-go's `cluster.Member`. */
export interface Member {
  /** Unique in the cluster; new for every incarnation unless the user sets it. */
  readonly id: string;
  /** The host: a name or an address. */
  readonly host: string;
  /** The port; 0 if the member cannot be dialed, and is reached only over connections that it dialed itself. */
  readonly port: number;
  /** The kinds of actors that it hosts; informative. */
  readonly kinds: readonly string[];
  /**
   * The member's URL (`ws:` or `wss:`), if host and port are not enough: several members behind one proxy need a path,
   * and a TLS proxy needs `wss:`.
   */
  readonly url?: string;
}

/** The host and port of a member that cannot be dialed; protoactor-go uses this host name for the same purpose. */
export const NOWHERE: { readonly host: string; readonly port: number } = { host: "nonhost", port: 0 };

/** True if other members can dial this member. */
export function isDialable({ port }: Member): boolean {
  return port !== 0;
}
