/**
 * The record of a member: its address, as the member itself states it.
 *
 * @module
 */

/** A member as others see it: protoactor-go's `cluster.Member`. */
export interface Member {
  /** Unique in the cluster; a new one for every process unless pinned. */
  readonly id: string;
  /** The host: a name or an address. */
  readonly host: string;
  /** The port; 0 if the member cannot be dialled, and is reached only over the connections that it opens. */
  readonly port: number;
  /** The kinds of actors that it hosts; informative. */
  readonly kinds: readonly string[];
  /**
   * Its address, if host and port are not enough: with a path, if several members are behind one proxy, or with another
   * scheme. A `ws:` or `wss:` URL.
   */
  readonly url?: string;
}

/** The address of a member that cannot be dialled; the host is protoactor-go's for such an actor system. */
export const NOWHERE: { readonly host: string; readonly port: number } = { host: "nonhost", port: 0 };

/** True if others can open a connection to a member. */
export function isDialable({ port }: Member): boolean {
  return port !== 0;
}
