/**
 * The order in which a member reaches its peers, for programs that prefer some peers.
 *
 * @module
 */

import type { Changes } from "../engine/transactions.ts";
import type { Session } from "../protocol/session.ts";

/** Pushes the state of members to a peer. With `relay` the peer passes new entries on. */
export type PushTo = (
  session: Session,
  ids: Iterable<string>,
  options: { readonly relay: boolean },
) => void;

/**
 * The preferences of a member among its peers, such as those of `members/`. Without preferences all peers are equal.
 */
export interface Routes {
  /** The peers of the next turn, out of all `ids`. Rounds draw each peer of a turn once before the next turn begins. */
  turn(ids: readonly string[]): readonly string[];
  /** True for a peer that this member reaches seldom: an idle member does not wait for an exchange with it. */
  isFar(peerId: string): boolean;
  /** True if a heartbeat is enough for a far peer now, although the two have not exchanged their present states. */
  isAtRest(peerId: string): boolean;
  /**
   * Pushes changes over open connections to active peers, in place of pushes to all peers or to random peers (rule S4).
   */
  push(changes: Changes, sessions: readonly Session[], pushTo: PushTo): void;
}
