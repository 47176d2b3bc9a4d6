/**
 * The record of a member: where it is, as it says itself.
 *
 * @module
 */

/** A member as others see it: protoactor-go's `cluster.Member`. */
export interface Member {
  /** Unique in the cluster; new for every life unless pinned. */
  readonly id: string;
  /** The host: a name or an address. */
  readonly host: string;
  /** The port; 0 where the member cannot be dialled, and is reached only over the connections that it opens. */
  readonly port: number;
  /** The kinds of actors that it hosts; informative. */
  readonly kinds: readonly string[];
  /**
   * Where others reach it, if host and port do not say all: with a path, where several members are behind one proxy, or
   * with another scheme. A `ws:` or `wss:` URL.
   */
  readonly url?: string;
}

/** Where a member is that cannot be dialled; the host's name is protoactor-go's for such an actor system. */
export const NOWHERE: { readonly host: string; readonly port: number } = { host: "nonhost", port: 0 };

/** Whether others can open a connection to a member. */
export function isDialable({ port }: Member): boolean {
  return port !== 0;
}
