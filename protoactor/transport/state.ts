/**
 * Converts between `cluster.GossipState`, which Go members send, and a delta.
 *
 * @module
 */

import { utf8Length } from "../../engine/json.ts";
import { isUnversioned, NO_INCARNATION } from "../../engine/incarnation.ts";
import {
  type Delta,
  HEARTBEAT_KEY,
  type MemberDelta,
  type MemberDeltas,
  type SentEntry,
  TYPE,
} from "../../engine/types.ts";
import { MAX_ID_BYTES, MAX_KEY_BYTES } from "../../protocol/check.ts";
import type { GossipState, KeyEntry, MemberEntry } from "./definitions.ts";
import { countedNumber, numberInIncarnation } from "./numbers.ts";
import { anyOf, type Decoders, readBinaryAny } from "./values.ts";

/** Placeholder digest of Go members, which have none. Their deltas are `partial`, so it is never compared. */
export const NO_DIGEST = "0000000000000000";

/**
 * The key of heartbeats in protoactor-go since 2024; before, it was `heathbeat`, as here. A member cannot ask
 * which key a Go member uses. So a heartbeat is sent under both keys and accepted under either.
 */
export const NEW_HEARTBEAT_KEY = "heartbeat";

/** Makes a delta for a sender without digests. */
export function deltaOf(members: readonly MemberDelta[]): Delta {
  return { members, digest: NO_DIGEST, active: NO_DIGEST, partial: true };
}

/**
 * Converts a delta for a Go member. Members without entries are left out: protoactor-go would store one with
 * a nil map of values and panic at the next entry.
 */
export function stateOf(delta: MemberDeltas): GossipState {
  const members: MemberEntry[] = [];
  for (const { id, incarnation, entries } of delta.members) {
    const values = entries.flatMap((entry): KeyEntry[] => {
      const { key, number } = entry;
      const sequenceNumber = isUnversioned(incarnation) ? number : numberInIncarnation(incarnation, number);
      const value = { sequenceNumber, ...(entry.value !== undefined && { value: anyOf(entry) }) };
      const isHeartbeat = key === HEARTBEAT_KEY && entry.type === TYPE.heartbeat;
      return isHeartbeat ? [{ key, value }, { key: NEW_HEARTBEAT_KEY, value }] : [{ key, value }];
    });
    if (values.length > 0) members.push({ key: id, value: { values } });
  }
  return { members };
}

/**
 * Converts the state that a Go member sent. Only entries of Go members are returned. An entry of a Hearsay
 * member that a Go member passes on names no prefix (E4), so Hearsay members get it from each other instead.
 * Entries with an invalid id, key or type are dropped, because this member could not send them on.
 */
export function readState(state: GossipState, decoders: Decoders): MemberDelta[] {
  const members: MemberDelta[] = [];
  for (const { key: id, value } of state.members) {
    if (!isName(id, MAX_ID_BYTES)) continue;
    const entries = (value?.values ?? []).flatMap((entry) => readEntry(entry, decoders));
    if (entries.length === 0) continue;
    members.push({ id, incarnation: NO_INCARNATION, after: 0, reset: false, entries: newestOfEach(entries) });
  }
  return members;
}

function readEntry({ key, value }: KeyEntry, decoders: Decoders): SentEntry[] {
  const number = value ? countedNumber(value.sequenceNumber) : undefined;
  if (number === undefined || !isName(key, MAX_KEY_BYTES)) return [];
  if (!value!.value) return [{ key, number, type: "", value: undefined, json: "" }];
  try {
    const read = readBinaryAny(value!.value, decoders);
    const isHeartbeat = key === NEW_HEARTBEAT_KEY && read.type === TYPE.heartbeat;
    return [{ key: isHeartbeat ? HEARTBEAT_KEY : key, number, ...read }];
  } catch {
    // Even the name of its type is invalid.
    return [];
  }
}

/** Keeps the entry with the highest number for each key, in ascending order of number. */
function newestOfEach(entries: SentEntry[]): SentEntry[] {
  entries.sort((one, other) => one.number - other.number);
  return [...new Map(entries.map((entry) => [entry.key, entry])).values()].sort((one, other) =>
    one.number - other.number
  );
}

function isName(text: string, maxBytes: number): boolean {
  return text.length > 0 && text.isWellFormed() && utf8Length(text) <= maxBytes;
}
