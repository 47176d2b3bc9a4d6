/**
 * The tags, zone and kinds of members, read from their records and descriptions.
 *
 * @module
 */

import type { Entry } from "../engine/types.ts";
import { areKinds, NAME } from "../options/member_rules.ts";

/** The key of the description in the member's state. */
export const DESCRIPTION_KEY = "members.description";
/** The most tags. 64: more than a person reads; each tag costs memory at every other member. */
export const MAX_TAGS = 64;
/** The kind of a member that names its zone. */
const ZONE_PREFIX = "zone:";

/** The descriptions that were read, by entry: an entry never changes, and parses its value at each read. */
const READ = new WeakMap<Entry, Partial<Described>>();

/** A member as its record and its description show it. */
export interface Described {
  readonly kinds: readonly string[];
  readonly tags: readonly string[];
  readonly zone: string | undefined;
  readonly nearFirst: boolean;
}

/** Combines the kinds of a member's record with the entry of its description. */
export function described(recorded: readonly string[], entry: Entry | undefined): Described {
  const { kinds = recorded, tags = [], zone, nearFirst = false } = entry ? read(entry) : {};
  return { kinds, tags, zone: zone ?? zoneAmong(kinds), nearFirst };
}

function zoneAmong(kinds: readonly string[]): string | undefined {
  const kind = kinds.find((each) => each.startsWith(ZONE_PREFIX) && each !== ZONE_PREFIX);
  return kind?.slice(ZONE_PREFIX.length);
}

/** Reads an entry that a peer may have set. Fields of a wrong type are left out. */
function read(entry: Entry): Partial<Described> {
  const known = READ.get(entry);
  if (known) return known;
  const { value } = entry;
  const isObject = typeof value === "object" && value !== null;
  const { tags, zone, kinds, nearFirst } = (isObject ? value : {}) as Readonly<Record<string, unknown>>;
  const description: Partial<Described> = {
    ...(areTags(tags) && { tags }),
    ...(NAME("zone", zone).length === 0 && { zone: zone as string }),
    ...(areKinds(kinds) && { kinds }),
    ...(nearFirst === true && { nearFirst }),
  };
  READ.set(entry, description);
  return description;
}

/** True for a list of texts that may be the tags of a member. */
export function areTags(given: unknown): given is readonly string[] {
  return Array.isArray(given) && given.length <= MAX_TAGS &&
    given.every((tag) => NAME("tags", tag).length === 0);
}
