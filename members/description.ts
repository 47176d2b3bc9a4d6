/**
 * Tags, zone and kinds that a member sets for itself while it runs.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { type Gossiper, insightOf } from "../gossiper/gossiper.ts";
import { KINDS, NAME } from "../options/member_rules.ts";
import { assertOptions, describeList, FLAG, rule, type Rules } from "../options/rules.ts";
import { areTags, DESCRIPTION_KEY, MAX_TAGS } from "./reading.ts";
import { NearFirst } from "./near_first.ts";

/** A member's description of itself. */
export interface MemberDescription {
  /** Words for the choice of members, such as `gpu`: at most 64, each of 1 to 256 bytes. */
  readonly tags?: readonly string[];
  /** The zone, such as `eu-1`: 1 to 256 bytes. Without it, the zone is that of the kind `zone:<zone>`, if there is one. */
  readonly zone?: string;
  /**
   * The kinds of actors, in place of the option `kinds` of `join`: at most 256, each of 1 to 256 bytes, together at
   * most 16 KiB. Only this entry reads them.
   */
  readonly kinds?: readonly string[];
  /**
   * True if this member gossips mostly within its own zone (rule S4). It has an effect only towards members of other
   * zones that set it too. Fewer bytes cross zones, and all members agree a little later. False by default.
   */
  readonly nearFirst?: boolean;
}

const TAGS = rule(areTags, {
  allowed: `a list of at most ${MAX_TAGS} texts of 1 to 256 bytes`,
  show: describeList,
});
const DESCRIPTION: Rules<MemberDescription> = { tags: TAGS, zone: NAME, kinds: KINDS, nearFirst: FLAG };

/**
 * Describes this member to all others. Each call replaces the whole description, and a call without fields removes it.
 * An equal description sends nothing. The description is the key `members.description` of the state: it spreads like a
 * value of `setState`, with the same limits. Do not set this key in another way.
 *
 * Roles, `MemberView.member` and members of protoactor-go still see the kinds of `join`.
 *
 * @throws {ConfigurationError} if a field is invalid or unknown.
 * @throws {HearsayError} with code `too_large` or `stopped`, as `setState` does, and with code `not_started` if
 * `nearFirst` is true before the member's start. Then nothing is changed.
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
  const insight = insightOf(node);
  const { tags, zone, kinds, nearFirst } = description;
  if (nearFirst && !insight.running) {
    throw new HearsayError("not_started", "This member was not started; nothing was changed.");
  }
  const value = {
    ...(tags && { tags }),
    ...(zone !== undefined && { zone }),
    ...(kinds && { kinds }),
    ...(nearFirst && { nearFirst }),
  };
  if (Object.keys(value).length === 0) {
    node.deleteState(DESCRIPTION_KEY);
    return;
  }
  const json = insight.host.view.get(node.id, DESCRIPTION_KEY)?.json;
  if (json !== JSON.stringify(value)) node.setState(DESCRIPTION_KEY, value);
  // It stays after a later description. Without `nearFirst` it treats all peers alike.
  if (nearFirst) insight.running!.peers.routes ??= new NearFirst(insight, insight.running!.peers);
}
