/**
 * Rules for the options of sources, beyond their types.
 *
 * @module
 */

import { isPlainAddress } from "../common/host_names.ts";
import {
  isDialableUrl,
  listOf,
  optionsOf,
  PORT,
  type Rule,
  rule,
  type Rules,
  TEXT,
} from "../options/rules.ts";
import type { NameServer } from "./dns_lookup.ts";

/** A positive number of milliseconds. A source that asks without a pause would block the whole process. */
export function duration({ leastMs = 1 }: { readonly leastMs?: number } = {}): Rule {
  return rule((given) => typeof given === "number" && given >= leastMs && given < Infinity, {
    problem: "must be a duration",
    allowed: `a number of at least ${leastMs} milliseconds`,
  });
}

/** Member addresses for any transport. */
export const ADDRESSES: Rule = listOf(
  rule((given) => {
    if (typeof given !== "string" || !/^[a-z][a-z\d+.-]*:\/\/[^/]/i.test(given)) return false;
    const url = URL.parse(given);
    return url !== null && isDialableUrl(url) && isPlainAddress(given);
  }, {
    problem: "must be a member's address",
    allowed:
      'an address to dial such as "ws://127.0.0.1:7001" (not port 0, not 0.0.0.0), without credentials, query or fragment',
  }),
  'a list of addresses such as "ws://127.0.0.1:7001"',
);

/** The name server to query. */
export const NAME_SERVER: Rule = optionsOf<NameServer>(
  { ipAddr: TEXT, port: PORT } satisfies Rules<NameServer>,
  ["ipAddr"],
);
