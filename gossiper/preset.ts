/**
 * Which settings serve up to how many members (rule E7).
 *
 * @module
 */

import { DEFAULT_CONFIG, type PartialConfig } from "./configuration.ts";

/**
 * The settings that differ from the defaults in a cluster of so many members; an empty object up to 500.
 * Members of one cluster must all use the preset of the same number: take the largest expected.
 *
 * The formula. In a round a member gives to, and takes from, about `gossipFanOut` peers each way, and each
 * message has room for `gossipMaxSend` of the `members` states. So a newer heartbeat of a given member
 * comes in by chance, at a rate of `2 × gossipFanOut × gossipMaxSend ÷ members` a round, and the
 * probability that none came for `n` rounds falls as e to the power of minus that rate times `n`. What
 * has to hold is
 *
 * ```text
 * heartbeatExpiration ÷ gossipInterval  ≥  20 × members ÷ (gossipFanOut × gossipMaxSend)
 * ```
 *
 * Then the exponent is 40: also among the 100 million pairs of 10,000 members, a living one is taken for
 * dead less than once a year. The defaults satisfy it up to 500 members. Above that `gossipMaxSend`
 * is a tenth of the members, which keeps both sides equal; and above 3,000 the interval grows with the
 * members, and everything timed with it, so that no member takes in more than 6,000 states a second.
 * A heartbeat's state is under 512 bytes, so that 1,000 fill half of the default `maxMessageBytes`.
 *
 * Where at every moment more than `gossipMaxSend` members change other things than heartbeats, the quiet
 * ones keep only a quarter of the places: then pass four times the number of members.
 *
 * @example
 * ```ts
 * import { configure, presetFor } from "@hearsay/gossip";
 *
 * const config = configure({ ...presetFor(2_000), gossipActorName: "orders" });
 * console.assert(config.gossipMaxSend === 200);
 * ```
 *
 * @throws {RangeError} if the number is not a whole one from 1 to 10,000.
 */
export function presetFor(members: number): PartialConfig {
  if (!Number.isInteger(members) || members < 1 || members > 10_000) {
    throw new RangeError(`members must be a whole number from 1 to 10,000: given ${String(members)}.`);
  }
  const { gossipFanOut, gossipInterval, gossipRequestTimeout, heartbeatExpiration, maxMembers } =
    DEFAULT_CONFIG;
  const places = Math.max(DEFAULT_CONFIG.gossipMaxSend, Math.ceil(members / 10));
  const interval = Math.max(gossipInterval, Math.ceil(members / 10));
  const preset = {
    gossipInterval: interval,
    gossipRequestTimeout: Math.max(gossipRequestTimeout, interval),
    gossipMaxSend: places,
    heartbeatExpiration: Math.max(
      heartbeatExpiration,
      Math.ceil(20 * members * interval / (gossipFanOut * places)),
    ),
    // A member that starts anew counts twice until its former life is forgotten.
    maxMembers: Math.max(maxMembers, 2 * members),
  };
  const differs = ([field, value]: [string, number]) =>
    value !== DEFAULT_CONFIG[field as keyof typeof preset];
  return Object.fromEntries(Object.entries(preset).filter(differs));
}
