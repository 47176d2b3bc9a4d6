/**
 * The rule of an option that takes a source of members.
 *
 * @module
 */

import { type Rule, rule } from "../options/rules.ts";
import type { Discovery } from "./cluster.ts";

/** A source of members. */
export const DISCOVERY: Rule = rule((given) => {
  const { openMembership, run } = Object(given) as Partial<Discovery>;
  return typeof openMembership === "boolean" && typeof run === "function";
}, { problem: "is no discovery", allowed: 'a source of members, such as `seeds(["ws://127.0.0.1:7001"])`' });
