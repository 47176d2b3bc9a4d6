/**
 * The range of one delta in a member's state.
 *
 * @module
 */

import type { Incarnation, MemberDelta } from "../types.ts";

/** The range of a delta in one incarnation: from above `after` up to `last`. */
export interface Span {
  readonly incarnation: Incarnation;
  readonly after: number;
  readonly last: number;
}

/** The span of a delta on its way to a peer, as positions in this member's copy. */
export interface SentSpan extends Span {
  /** The end of this member's copy when the delta was sent. If `last` is below it, entries are left to send. */
  readonly end: number;
  readonly reset: boolean;
  /** The floor when the delta was sent: a peer below it needs a reset. */
  readonly floor: number;
}

/** The span of a delta. For an unversioned member `last` is the highest number. */
export function spanOf(delta: MemberDelta): Span {
  return {
    incarnation: delta.incarnation,
    after: delta.after,
    last: delta.entries.at(-1)?.number ?? delta.after,
  };
}
