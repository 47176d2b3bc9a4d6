/**
 * The entries of users, without the gossiper's own entries.
 *
 * @module
 */

import type { Entry } from "../engine/types.ts";
import type { EngineView } from "../engine/view.ts";
import { isPlainObject } from "../options/configuration.ts";
import { assertOptions, type Rules } from "../options/rules.ts";
import type { PrefixOptions, WaitOptions } from "./contract.ts";
import { WAIT } from "./call_options.ts";
import { assertKey, isReservedKey } from "./validation.ts";

/** The keys of a watch. */
export interface Watched {
  /** A key, or a prefix. */
  readonly key: string;
  readonly byPrefix?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly untilLeaving?: boolean;
}

/** The prefix itself is checked as a key. */
const WATCH_PREFIX: Rules<PrefixOptions> = { ...WAIT, prefix: () => [] };

/** A JavaScript caller may pass anything. */
function isPrefix(given: unknown): given is PrefixOptions {
  return isPlainObject(given);
}

/** Returns the keys of a watch, as the user gives them. */
export function watched(key: string | PrefixOptions, options: WaitOptions = {}): Watched {
  assertOptions(options, WAIT);
  if (isPrefix(key)) {
    assertOptions(key, WATCH_PREFIX);
    const { prefix, signal = options.signal } = key;
    // The empty prefix stands for all keys; the empty text itself is no valid key.
    if (prefix !== "") assertKey(prefix);
    return { key: prefix, byPrefix: true, signal };
  }
  assertKey(key);
  return { key, signal: options.signal };
}

/** True for a key of users with this prefix. */
export function hasPrefix({ key }: { readonly key: string }, prefix: string): boolean {
  return key.startsWith(prefix) && !isReservedKey(key);
}

/**
 * The entries of users with this prefix, each with its member's id; from all members, or only from the given members.
 */
export function entriesWith(
  prefix: string,
  view: EngineView,
  ids: Iterable<string> = view.memberIds(),
): [string, Entry][] {
  return [...ids].flatMap((id) =>
    view.entriesOf(id).filter((entry) => hasPrefix(entry, prefix)).map((
      entry,
    ): [string, Entry] => [id, entry])
  );
}
