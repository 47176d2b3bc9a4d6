/**
 * The rule of an option for a discovery.
 *
 * @module
 */

import { type Rule, rule } from "../options/rules.ts";
import type { Discovery } from "./cluster.ts";

/** A discovery. */
export const DISCOVERY: Rule = rule((given) => {
  const { openMembership, run } = Object(given) as Partial<Discovery>;
  return typeof openMembership === "boolean" && typeof run === "function";
}, { allowed: 'a source of members, such as `seeds(["ws://127.0.0.1:7001"])`' });
