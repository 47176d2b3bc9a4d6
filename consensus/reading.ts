/**
 * A key, and the part of its values that members compare.
 *
 * @module
 */

import type { EventStream } from "../contracts/event_stream.ts";
import type { JsonValue } from "../engine/types.ts";
import type { ConsensusExtractor } from "../gossiper/consensus.ts";
import { assertKey } from "../gossiper/validation.ts";
import { assertNone, FUNCTION, rule } from "../options/rules.ts";

/** A key, and the part of its values to compare. {@linkcode reading} makes one; a typed key is one too. */
export interface Reading<T> {
  /** The key. */
  readonly key: string;
  /** Returns the extractor of a check at a member, whose event stream gets reports. */
  extractorFor(node: { readonly events: EventStream }): ConsensusExtractor;
  /** Returns the value that all members have, from its JSON. */
  agreed(value: JsonValue): T;
}

/** The agreed value of a key: that of its reading, or any JSON value. */
export type ValueOf<R> = R extends Reading<infer T> ? T : JsonValue;

/**
 * Reads a part of the values under a key, for `consensusOf` and `consensusAcross`. The extractor must return a JSON
 * value, or `undefined` if the member has none. Its result must depend on the arguments alone.
 *
 * @throws {HearsayError} with code `invalid_key` for an invalid key.
 * @throws {ConfigurationError} if the extractor is no function.
 *
 * @example
 * ```ts
 * import { reading } from "@hearsay/gossip/consensus";
 *
 * const zone = reading("place", (value) => (value as { readonly zone: string }).zone);
 * console.assert(zone.key === "place");
 * ```
 */
export function reading<T>(key: string, extractor: (value: JsonValue, memberId: string) => T): Reading<T> {
  assertKey(key);
  assertNone(FUNCTION("extractor", extractor));
  return Object.freeze({ key, extractorFor: () => extractor, agreed: (value: JsonValue) => value as T });
}

/** The reading of a key, or the given one, which is the item of a list at the index. */
export function readingOf(given: string | Reading<unknown>, index: number): Reading<unknown> {
  if (typeof given !== "object" || given === null) return reading(given, (value) => value);
  assertNone(READING(`keys[${index}]`, given));
  return given;
}

const READING = rule((given) => {
  const { extractorFor, agreed } = Object(given);
  return typeof extractorFor === "function" && typeof agreed === "function";
}, { allowed: "a key or a reading" });
