/**
 * The state in a dashboard's data, by key.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import { type Entry, GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../../engine/types.ts";
import type { EngineView } from "../../engine/view.ts";
import type { MemberView } from "../../gossiper/contract.ts";
import {
  MAX_ENTRIES,
  MAX_ID_LENGTH,
  MAX_KEYS,
  MAX_SCANNED,
  MAX_SEARCHED_LENGTH,
  MAX_VALUE_LENGTH,
  MIN_ENTRIES_PER_KEY,
  VALUES_SHOWN_AT_FIRST,
} from "./limits.ts";

/** The choice of entries. */
export interface StateQuery {
  /** A text in the key, the value or the member's id, in lower case; an empty one matches all. */
  readonly search: string;
  /** True if the keys of the library itself are shown. */
  readonly internal: boolean;
}

/** One member's value of a key. */
export interface EntryRow {
  /** The member's id, printable. */
  readonly id: string;
  /** The member's status: the value of one that failed or left may be out of date. */
  readonly status: MemberView["status"];
  /** The value as JSON text, printable and cut. */
  readonly value: string;
  readonly number: number;
  /** True for this member's own value, if the others acknowledge it: `seen` names those that have it. */
  readonly isOwn: boolean;
  /** This member's wall clock at the set or merge, in Unix milliseconds. */
  readonly atMs: number;
}

/** A key with its values. */
export interface KeyRow {
  /** The key, printable. */
  readonly key: string;
  /** The number of matching members with a value. */
  readonly members: number;
  /** The number of different values among them. */
  readonly values: number;
  /** The values, up to a limit; rare ones first if there are many. */
  readonly entries: readonly EntryRow[];
}

/** The matching state. */
export interface StateRows {
  readonly keys: readonly KeyRow[];
  /** The number of matching keys. */
  readonly keyCount: number;
  /** The number of entries in `keys`. */
  readonly shown: number;
  /** The number of matching entries. */
  readonly matching: number;
  /** False if the state is too large to be read as a whole: entries may be missing. */
  readonly isWhole: boolean;
}

interface Match extends Pick<MemberView, "id" | "status"> {
  readonly entry: Entry;
  readonly isOwn: boolean;
}

const INTERNAL: ReadonlySet<string> = new Set([GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY]);

/** The entries of these members that match. */
export function stateRows(
  view: EngineView,
  members: readonly MemberView[],
  query: StateQuery,
): StateRows {
  const byKey = new Map<string, Match[]>();
  let scanned = 0;
  let matching = 0;
  for (const { id, status } of members) {
    if (scanned >= MAX_SCANNED) break;
    for (const entry of view.entriesOf(id)) {
      if (++scanned > MAX_SCANNED) break;
      const isOwn = id === view.id && view.ownNumber(entry.key) === entry.number;
      const match = { id, status, entry, isOwn };
      if (!isMatch(match, query)) continue;
      matching++;
      const matches = byKey.get(entry.key);
      if (matches) matches.push(match);
      else byKey.set(entry.key, [match]);
    }
  }
  const listed = [...byKey].sort(([one], [other]) => one < other ? -1 : 1).slice(0, MAX_KEYS);
  const most = Math.max(MIN_ENTRIES_PER_KEY, Math.floor(MAX_ENTRIES / Math.max(1, listed.length)));
  const keys = listed.map(([key, matches]) => keyRow(key, matches, most));
  return {
    keys,
    keyCount: byKey.size,
    shown: keys.reduce((sum, { entries }) => sum + entries.length, 0),
    matching,
    isWhole: scanned <= MAX_SCANNED,
  };
}

/** A key with its first values. If not all are listed, rare values come first, because they are the unexpected ones. */
function keyRow(key: string, matches: readonly Match[], most: number): KeyRow {
  const counts = new Map<string, number>();
  for (const { entry: { json } } of matches) counts.set(json, (counts.get(json) ?? 0) + 1);
  const countOf = ({ entry }: Match) => counts.get(entry.json)!;
  const hasMore = matches.length > VALUES_SHOWN_AT_FIRST;
  const ordered = hasMore ? matches.toSorted((one, other) => countOf(one) - countOf(other)) : matches;
  return {
    key: printable(key, MAX_ID_LENGTH),
    members: matches.length,
    values: counts.size,
    entries: ordered.slice(0, most).map(entryRow),
  };
}

function isMatch({ id, entry: { key, json } }: Match, { search, internal }: StateQuery): boolean {
  if (!internal && (INTERNAL.has(key) || key.startsWith("hearsay."))) return false;
  if (search === "") return true;
  return [key, id, json.slice(0, MAX_SEARCHED_LENGTH)].some((text) => text.toLowerCase().includes(search));
}

function entryRow({ id, status, entry: { json, number, timestampMs }, isOwn }: Match): EntryRow {
  return {
    id: printable(id, MAX_ID_LENGTH),
    status,
    value: printable(json, MAX_VALUE_LENGTH),
    number,
    isOwn,
    atMs: timestampMs,
  };
}
