/**
 * The rules of the options of a gossiper's calls.
 *
 * @module
 */

import { MAX_EXPIRES_AFTER } from "../options/member_rules.ts";
import { integer, rule, type Rules, SIGNAL, wholeNumber } from "../options/rules.ts";
import type { MembersOptions, SetStateOptions, WaitOptions } from "./contract.ts";

/** The options of a call that waits, or of a stream. */
export const WAIT: Rules<WaitOptions> = { signal: SIGNAL };
/** The options of `whenMembers`. */
export const WHEN_MEMBERS: Rules<MembersOptions> = {
  ...WAIT,
  stableFor: wholeNumber({ least: 0, unit: "milliseconds" }),
};
/** The options of `setState`. */
export const EXPIRY: Rules<Pick<SetStateOptions, "expiresAfter">> = {
  expiresAfter: integer({ least: 1, most: MAX_EXPIRES_AFTER, unit: "milliseconds" }),
};
/** The options of `setStateRequest`. */
export const SET_STATE: Rules<SetStateOptions> = {
  ...WAIT,
  ...EXPIRY,
  acknowledgedBy: rule((given) => given === "all" || (Number.isInteger(given) && (given as number) >= 0), {
    allowed: '"all" or a whole number of at least 0',
  }),
};
