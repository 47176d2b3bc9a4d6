/**
 * Serves one connection by its session, until it is closed.
 *
 * @module
 */

import type { CloseInfo, Connection } from "../contracts/cluster.ts";
import { ConnectionClosed } from "../common/errors.ts";
import type { Session } from "../protocol/session.ts";

/** True if a connection ended without a close frame: Deno reports code 0, browsers 1006. */
export function isBroken(code: number): boolean {
  return code === 0 || code === 1006;
}

/** Serves one connection until it is closed; an error in it ends this connection only. */
export async function pump(connection: Connection, session: Session): Promise<CloseInfo> {
  try {
    await connection.readable.pipeThrough(session).pipeTo(connection.writable);
  } catch {
    // The session has rejected the requests that were under way.
  }
  const closed = await connection.closed;
  session.over(new ConnectionClosed(closed.code, closed.reason));
  return closed;
}
