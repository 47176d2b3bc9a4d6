/**
 * What is checked of a source's options, which types alone do not say.
 *
 * @module
 */

import { isPlainAddress } from "../gossiper/host_names.ts";
import { listOf, optionsOf, PORT, type Rule, rule, type Rules, TEXT } from "../gossiper/options.ts";
import type { NameServer } from "./dns_lookup.ts";

/**
 * A number of milliseconds that lets something else happen meanwhile: a source that asked without pause would take
 * the whole process.
 */
export function duration({ leastMs = 1 }: { readonly leastMs?: number } = {}): Rule {
  return rule((given) => typeof given === "number" && given >= leastMs && given < Infinity, {
    problem: "is no duration",
    allowed: `a number of at least ${leastMs} milliseconds`,
  });
}

/** Addresses of members, of whatever transport. */
export const ADDRESSES: Rule = listOf(
  rule((given) => {
    return typeof given === "string" && /^[a-z][a-z\d+.-]*:\/\/[^/]/i.test(given) && isPlainAddress(given);
  }, {
    problem: "is no address of a member",
    allowed: 'an address such as "ws://127.0.0.1:7001", without a user, a query and a fragment',
  }),
  'a list of addresses such as "ws://127.0.0.1:7001"',
);

/** Who is asked for names. */
export const NAME_SERVER: Rule = optionsOf<NameServer>(
  { ipAddr: TEXT, port: PORT } satisfies Rules<NameServer>,
  ["ipAddr"],
);
