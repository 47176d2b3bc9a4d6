/**
 * A heartbeat in the form of an entry, for readers of the state and for unversioned peers.
 *
 * @module
 */

import type { MemberState } from "../state/member_state.ts";
import { type Entry, HEARTBEAT_KEY, TYPE } from "../types.ts";

const NO_STATISTICS = { json: "{}", value: Object.freeze({}) };

/** A heartbeat as an entry: the statistics as value, and the count as number. */
export function heartbeatEntry(state: MemberState): Entry {
  const { json, value } = state.live(HEARTBEAT_KEY) ?? NO_STATISTICS;
  const { heartbeatCount: number, heartbeatWallMs: timestampMs } = state;
  return { key: HEARTBEAT_KEY, number, type: TYPE.heartbeat, value, json, timestampMs };
}
