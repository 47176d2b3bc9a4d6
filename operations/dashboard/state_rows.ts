/**
 * The state in a dashboard's data, by key.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import { type Entry, GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../../engine/types.ts";
import type { EngineView } from "../../engine/view.ts";
import type { MemberView } from "../../gossiper/contract.ts";
import { MAX_ENTRIES, MAX_ID_LENGTH, MAX_SCANNED, MAX_SEARCHED_LENGTH, MAX_VALUE_LENGTH } from "./limits.ts";

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
  /** The value as JSON text, printable and cut. */
  readonly value: string;
  readonly number: number;
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
  /** The values, as many as the limit of all entries leaves. */
  readonly entries: readonly EntryRow[];
}

/** The matching state. */
export interface StateRows {
  readonly keys: readonly KeyRow[];
  /** The number of entries in `keys`. */
  readonly shown: number;
  /** The number of matching entries. */
  readonly matching: number;
  /** False if the state is too large to be read as a whole: entries may be missing. */
  readonly isWhole: boolean;
}

interface Match {
  readonly id: string;
  readonly entry: Entry;
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
  for (const { id } of members) {
    if (scanned >= MAX_SCANNED) break;
    for (const entry of view.entriesOf(id)) {
      if (++scanned > MAX_SCANNED) break;
      if (!isMatch({ id, entry }, query)) continue;
      matching++;
      const matches = byKey.get(entry.key);
      if (matches) matches.push({ id, entry });
      else byKey.set(entry.key, [{ id, entry }]);
    }
  }
  let left = MAX_ENTRIES;
  const keys: KeyRow[] = [];
  for (const [key, matches] of [...byKey].sort(([one], [other]) => one < other ? -1 : 1)) {
    if (left === 0) break;
    const entries = matches.slice(0, left).map(entryRow);
    left -= entries.length;
    keys.push({
      key: printable(key, MAX_ID_LENGTH),
      members: matches.length,
      values: new Set(matches.map(({ entry }) => entry.json)).size,
      entries,
    });
  }
  return { keys, shown: MAX_ENTRIES - left, matching, isWhole: scanned <= MAX_SCANNED };
}

function isMatch({ id, entry: { key, json } }: Match, { search, internal }: StateQuery): boolean {
  if (!internal && (INTERNAL.has(key) || key.startsWith("hearsay."))) return false;
  if (search === "") return true;
  return [key, id, json.slice(0, MAX_SEARCHED_LENGTH)].some((text) => text.toLowerCase().includes(search));
}

function entryRow({ id, entry: { json, number, timestampMs } }: Match): EntryRow {
  return {
    id: printable(id, MAX_ID_LENGTH),
    value: printable(json, MAX_VALUE_LENGTH),
    number,
    atMs: timestampMs,
  };
}
