/**
 * In place of `options/configuration_rules.ts`: a page's settings are checked for their types and signs alone.
 *
 * @module
 */

import { DEFAULT_CONFIG, type GossiperConfig } from "../../options/configuration.ts";
import type { ConfigurationProblem } from "../../options/configuration_error.ts";

/** A problem of a setting, with the allowed values. */
export type Fault =
  & Pick<ConfigurationProblem, "problem" | "allowed">
  & Partial<Pick<ConfigurationProblem, "field" | "given">>;

/** Checks one setting alone; returns `undefined` for a valid one. */
export function faultOf(field: string, value: unknown): Fault | undefined {
  if (!Object.hasOwn(DEFAULT_CONFIG, field)) return { problem: "is not a setting", allowed: "a setting" };
  const usual = DEFAULT_CONFIG[field as keyof GossiperConfig];
  if (typeof value === typeof usual && (typeof value !== "number" || value > 0)) return undefined;
  const allowed = `a ${typeof usual}`;
  return { problem: `must be ${allowed}`, allowed };
}

/** A page's settings are not compared with each other. */
export function conflicts(): ConfigurationProblem[] {
  return [];
}
