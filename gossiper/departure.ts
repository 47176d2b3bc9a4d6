/**
 * How a member sees to it that others know of its leaving before it is gone (R9.2).
 *
 * @module
 */

import { PeerRefused } from "../protocol/refusal.ts";
import type { Rounds } from "./rounds.ts";
import { isStopRefusal } from "./rounds.ts";
import { type Runtime, sleep } from "../common/runtime.ts";

/** The most exchanges with one peer in a row: what was left out of one message is in one of the next. */
const MAX_EXCHANGES = 4;

/** What became of the news that this member leaves. */
export interface FlushResult {
  /** The number of peers that have acknowledged it, or are leaving themselves, or are gone: nobody is left there. */
  readonly acknowledgedBy: number;
  /** The number of peers that were to: `gossipFanOut`, or all active ones within reach where there are fewer. */
  readonly wanted: number;
  /** Whether as many as were wanted have acknowledged it within the bound. */
  readonly flushed: boolean;
}

/** What {@linkcode flushDeparture} needs. */
export interface DepartureOptions {
  readonly rounds: Rounds;
  readonly runtime: Runtime;
  readonly fanOut: number;
  /** Whether a peer is known to hold what says that this member leaves. */
  readonly isAcknowledgedBy: (id: string) => boolean;
  /** How long to wait, in milliseconds, before those that could not be told are tried again. */
  readonly retryAfter: number;
  /** Ends it, whatever has been reached. */
  readonly signal: AbortSignal;
}

/** Tells as many peers as are wanted, in parallel; another takes the place of one that cannot be told. */
export async function flushDeparture(options: DepartureOptions): Promise<FlushResult> {
  const { rounds, runtime, fanOut, isAcknowledgedBy, retryAfter, signal } = options;
  const ids = rounds.shuffledPeers();
  const wanted = Math.min(fanOut, ids.length);
  const knowing = new Set<string>();
  const isTold = (id: string) => isAcknowledgedBy(id) || knowing.has(id);
  const told = () => ids.filter(isTold).length;

  const tell = async (id: string): Promise<void> => {
    try {
      for (let count = 0; count < MAX_EXCHANGES && !isTold(id) && !signal.aborted; count++) {
        await rounds.whenIdle(id, { signal });
        await rounds.exchange(id, { signal });
      }
    } catch (error) {
      // One that blocks this member because it left has heard of it from others.
      const knows = error instanceof PeerRefused && error.reason === "left";
      // One that has gone needs not be told: likely it left at the same time.
      if (knows || isStopRefusal(error) || rounds.isGone(id, error)) knowing.add(id);
    }
  };
  const tellOneOf = async (queue: string[]): Promise<void> => {
    for (let id = queue.shift(); id !== undefined && !signal.aborted; id = queue.shift()) {
      await tell(id);
      if (isTold(id)) return;
    }
  };
  while (told() < wanted && !signal.aborted) {
    const queue = ids.filter((id) => !isTold(id));
    await Promise.all(Array.from({ length: wanted - told() }, () => tellOneOf(queue)));
    if (told() < wanted) await sleep(runtime, retryAfter, { signal }).catch(() => {});
  }
  return { acknowledgedBy: told(), wanted, flushed: told() >= wanted };
}
