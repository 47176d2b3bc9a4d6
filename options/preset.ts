/**
 * Which settings serve up to how many members (rule E7).
 *
 * @module
 */

import { ConfigurationError, DEFAULT_CONFIG, type PartialConfig } from "./configuration.ts";
import { describe } from "./rules.ts";

/** Up to so many members the defaults serve. */
const DEFAULT_MEMBERS = 2_000;
/**
 * One place in a message for so many members. 40: with the default fan-out, six messages a round bring the state of every
 * seventh member, so that a cluster that starts all at once knows itself within some tens of rounds.
 */
const MEMBERS_PER_PLACE = 40;

/**
 * The settings that differ from the defaults in a cluster of so many members; an empty object up to 2,000. Members of
 * one cluster should all use the preset of the same number: take the largest expected.
 *
 * Heartbeats need no other settings. With the defaults a member sends one vector of heartbeats a round, and a vector has
 * those of all members. A count then reaches all of `n` members in about `log2(n) + ln(n)` rounds; with a margin of 25
 * rounds, a living member is taken for dead less than once a year among the 100 million pairs of 10,000 members. That is
 * 48 of the 66 rounds in `heartbeatExpiration`.
 *
 * State needs places in messages. Pushes bring a change to everybody at any size; a newcomer, and a cluster that starts
 * all at once, get what they lack by rounds, `gossipMaxSend` members a message.
 *
 * @example
 * ```ts
 * import { configure, presetFor } from "@hearsay/gossip";
 *
 * const config = configure({ ...presetFor(10_000), gossipActorName: "orders" });
 * console.assert(config.gossipMaxSend === 250);
 * ```
 *
 * @throws {ConfigurationError} if the number is not a whole one from 1 to 10,000.
 */
export function presetFor(members: number): PartialConfig {
  if (!Number.isInteger(members) || members < 1 || members > 10_000) {
    const allowed = "a whole number from 1 to 10,000";
    const problem = "is no number of members";
    throw new ConfigurationError([{ field: "members", problem, given: describe(members), allowed }]);
  }
  if (members <= DEFAULT_MEMBERS) return {};
  const maxMembers = Math.max(DEFAULT_CONFIG.maxMembers, 2 * members);
  return {
    gossipMaxSend: Math.max(DEFAULT_CONFIG.gossipMaxSend, Math.ceil(members / MEMBERS_PER_PLACE)),
    // A member that starts anew counts twice until its former life is forgotten.
    ...(maxMembers > DEFAULT_CONFIG.maxMembers && { maxMembers }),
  };
}
