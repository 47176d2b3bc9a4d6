/**
 * The keys of a map's entries: `<key>␟<mapKey>`. Each entry of a map is one entry of the state, so that entries are set,
 * deleted, expired, merged and sent one by one.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { utf8Length } from "../engine/json.ts";
import { assertOwnKey, isReservedKey } from "../gossiper/validation.ts";
import { MAX_KEY_BYTES } from "../options/member_rules.ts";
import { describe } from "../options/rules.ts";

/**
 * Stands between the key of a map and the key within it: U+241F, the picture of the unit separator. Unlike U+001F it is
 * a single character in JSON and can be typed. The key of a map never contains it, so the first U+241F of a text is
 * always the separator.
 */
export const SEPARATOR = "\u241F";

const SEPARATOR_BYTES = utf8Length(SEPARATOR);

/** The key of a map, and a key within it. */
export interface MapKeys {
  readonly key: string;
  readonly mapKey: string;
}

/** Refuses a key that no map can have. */
export function assertMapName(key: unknown): asserts key is string {
  assertOwnKey(key);
  if (!key.includes(SEPARATOR)) return;
  throw new HearsayError(
    "invalid_key",
    `The key of a map must not contain ${SEPARATOR} (U+241F), which stands between it and the keys in the map; ` +
      `got ${describe(key)}. Nothing was changed.`,
  );
}

/** The key of an entry of a map, in the state. The key of the map was checked by {@linkcode assertMapName}. */
export function composedKey({ key, mapKey }: MapKeys): string {
  // A JavaScript caller may pass anything.
  const given: unknown = mapKey;
  if (typeof given !== "string" || !given.isWellFormed()) {
    throw new HearsayError(
      "invalid_key",
      `\`mapKey\` must be a well-formed text; got ${describe(given)}. Nothing was changed.`,
    );
  }
  const bytes = utf8Length(key) + utf8Length(given);
  if (bytes > MAX_KEY_BYTES - SEPARATOR_BYTES) {
    throw new HearsayError(
      "invalid_key",
      `\`key\` and \`mapKey\` must have at most ${
        MAX_KEY_BYTES - SEPARATOR_BYTES
      } bytes together; got ${bytes}. ` +
        "Nothing was changed.",
    );
  }
  return `${key}${SEPARATOR}${given}`;
}

/** The two keys in the key of an entry; `undefined` if the entry belongs to no map. */
export function mapKeysOf(composed: string): MapKeys | undefined {
  const at = composed.indexOf(SEPARATOR);
  if (at < 1) return undefined;
  const key = composed.slice(0, at);
  return isReservedKey(key) ? undefined : { key, mapKey: composed.slice(at + SEPARATOR.length) };
}
