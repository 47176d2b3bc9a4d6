/**
 * Tags, zone and kinds that a member sets for itself while it runs.
 *
 * @module
 */

import type { Entry } from "../engine/types.ts";
import { type Gossiper, insightOf } from "../gossiper/gossiper.ts";
import { areKinds, KINDS, NAME } from "../options/member_rules.ts";
import { assertOptions, rule, type Rules } from "../options/rules.ts";

/** A member's description of itself. */
export interface MemberDescription {
  /** Words for the choice of members, such as `gpu`: at most 64, each of 1 to 256 bytes. */
  readonly tags?: readonly string[];
  /** The zone, such as `eu-1`: 1 to 256 bytes. Without it, the zone is that of the kind `zone:<zone>`, if there is one. */
  readonly zone?: string;
  /**
   * The kinds of actors, in place of those of the option `kinds` of `join`: at most 256, each of 1 to 256 bytes, together at
   * most 16 KiB. Only this entry reads them.
   */
  readonly kinds?: readonly string[];
}

/** The key of the description in the member's state. */
export const DESCRIPTION_KEY = "members.description";
/** The most tags. 64: more than a person reads; each costs every other member its bytes. */
const MAX_TAGS = 64;
/** The kind of a member that names its zone. */
const ZONE_PREFIX = "zone:";

const TAGS = rule(areTags, { allowed: `a list of at most ${MAX_TAGS} texts of 1 to 256 bytes` });
const DESCRIPTION: Rules<MemberDescription> = { tags: TAGS, zone: NAME, kinds: KINDS };

/**
 * The descriptions that were read, by their entry, which never changes. Its value is parsed at each use, and a peer may have
 * set a mebibyte, so without this each choice of a member would parse all of that.
 */
const READ = new WeakMap<Entry, MemberDescription>();

/**
 * Describes this member to all others. Each call replaces the whole description, and one without fields removes it. An equal
 * description sends nothing. It is the key `members.description` of the state, so that it spreads as a value of `setState`
 * does, with its limits; do not set this key otherwise.
 *
 * The kinds that roles, `MemberView.member` and members of protoactor-go see stay those of `join`.
 *
 * @throws {ConfigurationError} if a field is invalid or unknown.
 * @throws {HearsayError} with code `too_large` or `stopped`, as `setState` does. Nothing is changed then.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { describeMember, memberInfo, membersInZone } from "@hearsay/gossip/members";
 *
 * await using node = await join({ cluster: "orders", listen: { port: 0 } });
 * describeMember(node, { tags: ["gpu"], zone: "eu-1" });
 * console.assert(memberInfo(node, node.id)?.tags[0] === "gpu");
 * console.assert(membersInZone(node, "eu-1").length === 1);
 * ```
 */
export function describeMember(node: Gossiper, description: MemberDescription): void {
  assertOptions(description, DESCRIPTION);
  const { tags, zone, kinds } = description;
  const value = { ...(tags && { tags }), ...(zone !== undefined && { zone }), ...(kinds && { kinds }) };
  if (Object.keys(value).length === 0) {
    node.deleteState(DESCRIPTION_KEY);
    return;
  }
  const json = insightOf(node).host.view.get(node.id, DESCRIPTION_KEY)?.json;
  if (json !== JSON.stringify(value)) node.setState(DESCRIPTION_KEY, value);
}

/** A member as its record and its description show it. */
export interface Described {
  readonly kinds: readonly string[];
  readonly tags: readonly string[];
  readonly zone: string | undefined;
}

/** Combines the kinds of a member's record with the entry of its description. */
export function described(recorded: readonly string[], entry: Entry | undefined): Described {
  const { kinds = recorded, tags = [], zone } = entry ? read(entry) : {};
  return { kinds, tags, zone: zone ?? zoneAmong(kinds) };
}

function zoneAmong(kinds: readonly string[]): string | undefined {
  const kind = kinds.find((each) => each.startsWith(ZONE_PREFIX) && each !== ZONE_PREFIX);
  return kind?.slice(ZONE_PREFIX.length);
}

/** Reads an entry that a peer may have set: a field of another form is left out. */
function read(entry: Entry): MemberDescription {
  const known = READ.get(entry);
  if (known) return known; // mutant delete-statement: read again, it is the same.
  const { tags, zone, kinds }: { readonly tags?: unknown; zone?: unknown; kinds?: unknown } = Object(
    entry.value,
  );
  const description: MemberDescription = {
    ...(areTags(tags) && { tags }),
    ...(NAME("zone", zone).length === 0 && { zone: zone as string }),
    ...(areKinds(kinds) && { kinds }),
  };
  READ.set(entry, description); // mutant delete-statement: read again, it is the same.
  return description;
}

function areTags(given: unknown): given is readonly string[] {
  return Array.isArray(given) && given.length <= MAX_TAGS &&
    given.every((tag) => NAME("tags", tag).length === 0);
}
