/**
 * The connection to close when there are too many.
 *
 * @module
 */

import type { Session } from "../protocol/session.ts";

/** The session that was unused for longest, other than `except`. */
export function longestUnused(sessions: Iterable<Session>, except: Session): Session | undefined {
  let longest: Session | undefined;
  for (const session of sessions) {
    if (session === except) continue;
    if (!longest || session.usedMs < longest.usedMs) longest = session;
  }
  return longest;
}
