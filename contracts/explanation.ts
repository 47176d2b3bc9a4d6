/**
 * Explanations of a member's status, and of the spread of a value.
 *
 * @module
 */

import type { SeedStatus } from "./cluster.ts";

/** A kind of decision about a member. */
export type DecisionKind =
  /** It became alive. */
  | "joined"
  /** The discovery no longer names it, or it left. */
  | "left"
  /** This member blocked it; the reason is the block's. */
  | "blocked"
  /** Its block ended. */
  | "unblocked"
  /** Its connection broke, and its address refuses new connections. */
  | "suspected"
  /** It answered, or a newer heartbeat arrived. */
  | "suspicionEnded"
  /** A peer suspects it. */
  | "suspectedByPeer"
  /** A peer answered a suspicion with a newer heartbeat of the member. */
  | "heardByPeer"
  /** Its state was dropped. */
  | "forgotten"
  /** This member refused its handshake. */
  | "refused"
  /** It refused a message of this member. */
  | "refusedByPeer"
  /** A request or dial to it failed. */
  | "requestFailed"
  /** Another process seems to use its id. */
  | "conflict"
  /** This member heard no other for a third of `heartbeatExpiration` or more (rule L5). */
  | "isolated"
  /** This member hears others again. */
  | "rejoined"
  /** This member began a new incarnation. */
  | "renewed"
  /** A peer or the discovery blocks this member, or another process has its id and key. */
  | "selfBlocked";

/**
 * A decision about a member. Equal decisions in a row are stored as a single decision with a count. Equal reports of a
 * peer (`suspectedByPeer`, `heardByPeer`) are in a row until the next decision of another kind.
 */
export interface Decision {
  /** The kind. */
  readonly kind: DecisionKind;
  /** This member's wall clock at the first decision of the row, in Unix milliseconds. */
  readonly atUnixMilliseconds: number;
  /** This member's wall clock at the last decision of the row, in Unix milliseconds. */
  readonly lastAtUnixMilliseconds: number;
  /** The number of equal decisions in a row. */
  readonly times: number;
  /** The peer that caused it, if another than the member. */
  readonly peerId?: string;
  /**
   * The reason: a code, a sentence or both, safe to print in a terminal. It may quote a peer. A longer reason is cut
   * after 256 characters, and ends with `…`.
   */
  readonly reason?: string;
}

/** The latest heartbeat of a member, as it arrived here. */
export interface HeartbeatExplanation {
  /** Its count. */
  readonly count: number;
  /** The time since it arrived, in milliseconds by the monotonic clock. */
  readonly ageMilliseconds: number;
  /** The peer whose message brought it: the member itself or a relay; `null` if unknown. */
  readonly peerId: string | null;
}

/** Why a member has its status, as this member sees it. Plain data for `JSON.stringify`. */
export interface Explanation {
  /** The member. */
  readonly memberId: string;
  /** Its status; `unknown` if it is not in this member's topology, has no known state, and is not blocked. */
  readonly status: "alive" | "suspected" | "failed" | "left" | "unknown";
  /**
   * This member's wall clock at the decision that led to the status, in Unix milliseconds; `null` if no such decision
   * is kept.
   */
  readonly sinceUnixMilliseconds: number | null;
  /** How the status came about, in sentences. */
  readonly summary: string;
  /** The end of the status: the events that would cause it, in sentences. */
  readonly endsWhen: string;
  /** Its latest heartbeat; `null` if no heartbeat was heard. */
  readonly heartbeat: HeartbeatExplanation | null;
  /** True if this member has an open connection with it. */
  readonly isConnected: boolean;
  /**
   * The number of this member's entries that the other has not acknowledged, as far as known here; 0 for this member
   * itself. `null` if the other is neither alive nor suspected, because no exchange shows it.
   */
  readonly lacks: number | null;
  /** The latest decisions about it, at most 16, with at most 8 reports of peers. The oldest is the first. */
  readonly decisions: readonly Decision[];
  /** For this member itself: the addresses of its discovery. */
  readonly seeds?: readonly SeedStatus[];
}

/** A living member without the latest value of a key, as far as known here. */
export interface Lacking {
  /** The member. */
  readonly memberId: string;
  /**
   * `unconnected`: there is no open connection, so the value goes through other members, or waits. `unacknowledged`: the
   * value is to be sent, under way, or not yet acknowledged.
   */
  readonly reason: "unconnected" | "unacknowledged";
  /** The last failure of a request or dial to it, as a sentence; `null` if no failure is kept. */
  readonly lastFailure: string | null;
}

/** The spread of this member's latest value of a key. A deleted or unset key is seen by no member. */
export interface Spreading {
  /** The key. */
  readonly key: string;
  /** The number of its last set; `null` if the key has no value. */
  readonly sequenceNumber: number | null;
  /** The living members that acknowledged it, including this member. */
  readonly seenBy: readonly string[];
  /** The other living members. */
  readonly lacking: readonly Lacking[];
}
