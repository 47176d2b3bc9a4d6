/**
 * Which settings serve up to how many members (rule E7).
 *
 * @module
 */

import { ConfigurationError, DEFAULT_CONFIG, type PartialConfig } from "./configuration.ts";
import { describe } from "./options.ts";

/** Half of how many newer heartbeats of a member would come in, by chance, while one expires. */
const MARGIN = 30;
const MOST_PLACES = 1_000;

/**
 * The settings that differ from the defaults in a cluster of so many members; an empty object up to 333.
 * Members of one cluster must all use the preset of the same number: take the largest expected.
 *
 * The formula. In a round a member gives to, and takes from, about `gossipFanOut` peers each way, and each
 * message has room for `gossipMaxSend` of the `members` states. So a newer heartbeat of a given member
 * comes in by chance, at a rate of `2 × gossipFanOut × gossipMaxSend ÷ members` a round, and the
 * probability that none came for `n` rounds falls as e to the power of minus that rate times `n`. What
 * has to hold is
 *
 * ```text
 * heartbeatExpiration ÷ gossipInterval  ≥  30 × members ÷ (gossipFanOut × gossipMaxSend)
 * ```
 *
 * Then the exponent is 60. Of that, the order in which members wait and the first rounds of a cluster that
 * starts all at once take about a third (measured with 200 and 350 members); with what is left a living
 * member is taken for dead less than once a year, also among the 100 million pairs of 10,000 members. The
 * defaults satisfy it up to 333 members. Above that `gossipMaxSend` is three twentieths of the members, up
 * to 1,000, which fill half of the default `maxMessageBytes` at under 512 bytes for a heartbeat's state;
 * and above 2,000 members the interval grows, and all that is timed with it, so that no member takes in
 * more than 6,000 states a second.
 *
 * Where at every moment more than `gossipMaxSend` members change other things than heartbeats, the quiet
 * ones keep only a quarter of the places: then pass four times the number of members.
 *
 * @example
 * ```ts
 * import { configure, presetFor } from "@hearsay/gossip";
 *
 * const config = configure({ ...presetFor(2_000), gossipActorName: "orders" });
 * console.assert(config.gossipMaxSend === 300);
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
  const { gossipFanOut, gossipInterval, gossipMaxSend, gossipRequestTimeout, heartbeatExpiration } =
    DEFAULT_CONFIG;
  const places = Math.min(MOST_PLACES, Math.max(gossipMaxSend, Math.ceil(members * 3 / 20)));
  // Six messages an interval bring so many states each: at one a millisecond, 6,000 a second.
  const interval = Math.max(gossipInterval, places);
  const expiration = Math.ceil(MARGIN * members * interval / (gossipFanOut * places));
  const preset = {
    gossipInterval: interval,
    gossipRequestTimeout: Math.max(gossipRequestTimeout, interval),
    gossipMaxSend: places,
    heartbeatExpiration: Math.max(heartbeatExpiration, expiration),
    // A member that starts anew counts twice until its former life is forgotten.
    maxMembers: Math.max(DEFAULT_CONFIG.maxMembers, 2 * members),
  };
  const differs = ([field, value]: [string, number]) =>
    value !== DEFAULT_CONFIG[field as keyof typeof preset];
  return Object.fromEntries(Object.entries(preset).filter(differs));
}
