/**
 * Settings for a number of members (rule E7).
 *
 * @module
 */

import { DEFAULT_CONFIG, type PartialConfig } from "./configuration.ts";
import { assertNone, describe } from "./rules.ts";

/** The most members that the defaults serve. */
const DEFAULT_MEMBERS = 2_000;
/**
 * One member state per message for this number of members. 40: with the default fan-out, the six messages of a round
 * carry the state of every seventh member. So a cluster whose members all start at once converges within some tens of
 * rounds.
 */
const MEMBERS_PER_STATE = 40;

/**
 * Returns the settings that differ from the defaults in a cluster of `members` members; an empty object up to 2,000.
 * Use one preset for all members of a cluster: the preset for the largest number of members that you expect.
 *
 * Heartbeats need no other settings. With the defaults a member sends one vector with the heartbeats of all members per
 * round. A count then reaches all `n` members in about `log2(n) + ln(n)` rounds. 10,000 members form 100 million pairs.
 * With a margin of 25 rounds, a live member is taken for dead in any of these pairs less than once a year. The sum is
 * 48 of the 66 rounds in `heartbeatExpiration`.
 *
 * State needs larger messages. Pushes bring a change to all members of a cluster of any size. But a new member, or a
 * cluster whose members all start at once, gets state only by rounds, with `gossipMaxSend` members per message.
 *
 * @example
 * ```ts
 * import { configure, presetFor } from "@hearsay/gossip";
 *
 * const config = configure({ ...presetFor(10_000), gossipActorName: "orders" });
 * console.assert(config.gossipMaxSend === 250);
 * ```
 *
 * @throws {ConfigurationError} if the number is not a whole number from 1 to 10,000.
 */
export function presetFor(members: number): PartialConfig {
  if (!Number.isInteger(members) || members < 1 || members > 10_000) {
    const allowed = "a whole number from 1 to 10,000";
    const problem = `must be ${allowed}`;
    assertNone([{ field: "members", problem, given: describe(members), allowed }]);
  }
  if (members <= DEFAULT_MEMBERS) return {};
  const maxMembers = Math.max(DEFAULT_CONFIG.maxMembers, 2 * members);
  return {
    gossipMaxSend: Math.max(DEFAULT_CONFIG.gossipMaxSend, Math.ceil(members / MEMBERS_PER_STATE)),
    // A restarted member counts twice until its former id is forgotten.
    ...(maxMembers > DEFAULT_CONFIG.maxMembers && { maxMembers }),
  };
}
