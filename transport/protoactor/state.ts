/**
 * What members of protoactor tell of members, and what is told them: a `cluster.GossipState` and a delta.
 *
 * @module
 */

import { utf8Length } from "../../engine/json.ts";
import { FOREIGN_LIFE, isForeign } from "../../engine/life.ts";
import {
  type Delta,
  HEARTBEAT_KEY,
  type MemberDelta,
  type PartialDelta,
  type SentEntry,
  TYPE,
} from "../../engine/types.ts";
import { MAX_ID_BYTES, MAX_KEY_BYTES } from "../wire_check.ts";
import type { GossipState, KeyEntry, MemberEntry } from "./definitions.ts";
import { countedNumber, numberInLife } from "./numbers.ts";
import { anyOf, type Decoders, readBinaryAny } from "./values.ts";

/** A digest that is nobody's. Members of protoactor have none; what they tell says it is `partial`. */
export const NO_DIGEST = "0000000000000000";

/**
 * The key of heartbeats in protoactor-go since 2024; before, it was `heathbeat`, as it is here. Which one a member
 * knows cannot be asked, so that it is told under both, and what comes under either is taken for one.
 */
export const NEW_HEARTBEAT_KEY = "heartbeat";

/** A delta of these members by a member that has no digest. */
export function deltaOf(members: readonly MemberDelta[]): Delta {
  return { members, digest: NO_DIGEST, active: NO_DIGEST, partial: true };
}

/**
 * A delta as a member of protoactor takes it. Members of which nothing is told are left out: protoactor-go would
 * keep one without values as one that can have none, and break at the next.
 */
export function stateOf(delta: PartialDelta): GossipState {
  const members: MemberEntry[] = [];
  for (const { id, life, entries } of delta.members) {
    const values = entries.flatMap((entry): KeyEntry[] => {
      const { key, number } = entry;
      const sequenceNumber = isForeign(life) ? number : numberInLife(life, number);
      const value = { sequenceNumber, ...(entry.value !== undefined && { value: anyOf(entry) }) };
      const isHeartbeat = key === HEARTBEAT_KEY && entry.type === TYPE.heartbeat;
      return isHeartbeat ? [{ key, value }, { key: NEW_HEARTBEAT_KEY, value }] : [{ key, value }];
    });
    if (values.length > 0) members.push({ key: id, value: { values } });
  }
  return { members };
}

/**
 * What a member of protoactor tells of others of its kind. Entries with the number of a life are a Hearsay
 * member's, passed on: they say nothing of what lies between, so that they are of no use to others of its kind,
 * which hear of it from each other. Nor is anything taken that could not go on to these.
 */
export function readState(state: GossipState, decoders: Decoders): MemberDelta[] {
  const members: MemberDelta[] = [];
  for (const { key: id, value } of state.members) {
    if (!isName(id, MAX_ID_BYTES)) continue;
    const entries = (value?.values ?? []).flatMap((entry) => readEntry(entry, decoders));
    if (entries.length === 0) continue;
    members.push({ id, life: FOREIGN_LIFE, after: 0, reset: false, entries: newestOfEach(entries) });
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
    // Not even its type has a name that could go on.
    return [];
  }
}

/** Of each key the entry with the highest number, in rising order of number. */
function newestOfEach(entries: SentEntry[]): SentEntry[] {
  entries.sort((one, other) => one.number - other.number);
  return [...new Map(entries.map((entry) => [entry.key, entry])).values()].sort((one, other) =>
    one.number - other.number
  );
}

function isName(text: string, maxBytes: number): boolean {
  return text.length > 0 && text.isWellFormed() && utf8Length(text) <= maxBytes;
}
