/**
 * Makes sure that other members know of this member's departure before it ends (R9.2).
 *
 * @module
 */

import { PeerRefused } from "../protocol/refusal.ts";
import type { Rounds } from "./rounds.ts";
import { isStopRefusal } from "./rounds.ts";
import { abortable, type Runtime, sleep } from "../common/runtime.ts";

/** The most exchanges with one peer. A member's entries may need several messages. */
const MAX_EXCHANGES = 4;

/** The result of sending this member's departure. */
export interface FlushResult {
  /** The number of peers that acknowledged it, are leaving themselves, or are gone. */
  readonly acknowledgedBy: number;
  /** The number of peers that should get it: `gossipFanOut`, or all reachable active peers if there are fewer. */
  readonly wanted: number;
  /** True if `wanted` peers acknowledged it in time. */
  readonly flushed: boolean;
}

/** The result where no departure was sent. */
export const NOTHING_SENT: FlushResult = Object.freeze({ acknowledgedBy: 0, wanted: 0, flushed: false });

/** Options of {@linkcode flushDeparture}. */
export interface DepartureOptions {
  readonly rounds: Rounds;
  readonly runtime: Runtime;
  readonly fanOut: number;
  /** True if a peer is known to hold the entry of the departure. */
  readonly isAcknowledgedBy: (id: string) => boolean;
  /** Resolves once the dials that are under way have ended. */
  readonly whenDialed: () => Promise<void>;
  /** The wait before failed peers are tried again, in milliseconds. */
  readonly retryAfter: number;
  /** Ends the attempt early. */
  readonly signal: AbortSignal;
}

/** Sends the departure to `wanted` peers in parallel. If a peer fails, another peer takes its place. */
export async function flushDeparture(options: DepartureOptions): Promise<FlushResult> {
  const { rounds, runtime, fanOut, isAcknowledgedBy, whenDialed, retryAfter, signal } = options;
  let ids = rounds.shuffledPeers();
  if (ids.length === 0) {
    // A peer that is being dialed may list this member already. It would keep this member until expiration, because the
    // end of the connection is no evidence of a crash.
    await abortable(whenDialed(), signal).catch(() => {});
    ids = rounds.shuffledPeers();
  }
  const wanted = Math.min(fanOut, ids.length);
  const informed = new Set<string>();
  const isInformed = (id: string) => isAcknowledgedBy(id) || informed.has(id);
  const informedCount = () => ids.filter(isInformed).length;

  const inform = async (id: string): Promise<void> => {
    try {
      for (let count = 0; count < MAX_EXCHANGES && !isInformed(id) && !signal.aborted; count++) {
        await rounds.whenIdle(id, { signal });
        await rounds.exchange(id, { signal });
      }
    } catch (error) {
      // A peer that refuses this member because it left knows of the departure from others.
      const knows = error instanceof PeerRefused && error.reason === "left";
      // A peer that is gone needs no message: likely both members leave at once.
      if (knows || isStopRefusal(error) || rounds.isGone(id, error)) informed.add(id);
    }
  };
  const informOneOf = async (queue: string[]): Promise<void> => {
    for (let id = queue.shift(); id !== undefined && !signal.aborted; id = queue.shift()) {
      await inform(id);
      if (isInformed(id)) return;
    }
  };
  while (informedCount() < wanted && !signal.aborted) {
    const queue = ids.filter((id) => !isInformed(id));
    await Promise.all(Array.from({ length: wanted - informedCount() }, () => informOneOf(queue)));
    if (informedCount() < wanted) await sleep(runtime, retryAfter, { signal }).catch(() => {});
  }
  return { acknowledgedBy: informedCount(), wanted, flushed: informedCount() >= wanted };
}
