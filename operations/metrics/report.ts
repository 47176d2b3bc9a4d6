/**
 * The work of a member in short, for an observer.
 *
 * @module
 */

import { BoundedMap } from "../../common/bounded_map.ts";
import type { Counted, Counts, Durations, ExchangeEnd, ExchangeOutcome } from "../../contracts/meters.ts";
import type { Histogram } from "./histogram.ts";
import type { MemberMeters } from "./member_meters.ts";

/** The most peers with a time. 1,024: each takes some 100 bytes. */
const MAX_PEERS = 1_024;
/** The most peers in a report. */
const MAX_REPORTED = 64;

/** The last exchange with each peer. */
export class PeerTimes {
  readonly #byPeer = new BoundedMap<string, ExchangeEnd>(MAX_PEERS);

  /** Records an exchange. An exchange that was not begun says nothing about its peer. */
  record(exchange: ExchangeEnd): void {
    if (exchange.outcome !== "busy" && exchange.outcome !== "stopped") {
      this.#byPeer.set(exchange.peerId, exchange);
    }
  }

  /** The slowest peers. */
  get slowest(): Counts["peers"] {
    return [...this.#byPeer.values()].sort((one, other) => other.durationMs - one.durationMs)
      .slice(0, MAX_REPORTED)
      .map(({ peerId, outcome, durationMs }) => ({ peerId, outcome, lastMs: Number(durationMs.toFixed(1)) }));
  }
}

/** The counts of meters. */
export function countsOf(meters: MemberMeters, peers: PeerTimes): Counts {
  const outcomes = Object.entries(meters.exchanges).map(([outcome, each]) =>
    [outcome, each.cumulated().at(-1)!] as const
  );
  return {
    sent: sum(meters.sentTraffic),
    received: sum(meters.receivedTraffic),
    exchanges: Object.fromEntries(outcomes) as { readonly [outcome in ExchangeOutcome]: number },
    lag: {
      half: durations(meters.lags[0.5]),
      most: durations(meters.lags[0.95]),
      all: durations(meters.lags[1]),
    },
    eventLoopDelay: durations(meters.eventLoopDelays),
    falseBlocks: meters.falseBlocks.crashed + meters.falseBlocks.expired,
    peers: peers.slowest,
  };
}

function sum(traffic: ReadonlyMap<string, Counted>): Counted {
  let [messages, bytes] = [0, 0];
  for (const each of traffic.values()) {
    messages += each.messages;
    bytes += each.bytes;
  }
  return { messages, bytes };
}

function durations(histogram: Histogram): Durations {
  const cumulated = histogram.cumulated();
  const count = cumulated.at(-1)!;
  /**
   * The upper bound of the bucket in which the share is reached. The last bucket has no bound, so it gets that of the
   * bucket before it.
   */
  const bound = (share: number) => {
    if (count === 0) return null;
    const index = cumulated.findIndex((below) => below >= share * count);
    return 1_000 * histogram.bounds[Math.min(index, histogram.bounds.length - 1)]!;
  };
  return { count, halfMs: bound(0.5), mostMs: bound(0.95) };
}
