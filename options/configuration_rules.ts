/**
 * What values a configuration may have, and what is said of those that it may not.
 *
 * @module
 */

import type { GossiperConfig } from "./configuration.ts";
import type { ConfigurationProblem } from "./configuration_error.ts";
import { isFormedAsKey } from "../common/key_material.ts";
import { describe, nameOf, nearestOf } from "./rules.ts";

/** What one setting may be. */
type Rule =
  | { readonly kind: "whole"; readonly min: number; readonly max: number; readonly unit: string }
  | { readonly kind: "endless"; readonly min: number; readonly max: number; readonly unit: string }
  | { readonly kind: "segment"; readonly max: number }
  | { readonly kind: "flag" }
  | { readonly kind: "word"; readonly words: readonly string[] };

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const RULES: { readonly [field in keyof GossiperConfig]: Rule } = {
  gossipInterval: { kind: "whole", min: 10, max: HOUR, unit: "milliseconds" },
  gossipRequestTimeout: { kind: "whole", min: 10, max: 600_000, unit: "milliseconds" },
  gossipFanOut: { kind: "whole", min: 1, max: 1_000, unit: "peers" },
  gossipMaxSend: { kind: "whole", min: 1, max: 10_000, unit: "member states" },
  heartbeatExpiration: { kind: "whole", min: 100, max: DAY, unit: "milliseconds" },
  detectCrashes: { kind: "flag" },
  spread: { kind: "word", words: ["immediate", "interval"] },
  gossipActorName: { kind: "segment", max: 64 },
  blockedProbeInterval: { kind: "endless", min: 100, max: DAY, unit: "milliseconds" },
  tombstoneRetention: { kind: "whole", min: 100, max: 30 * DAY, unit: "milliseconds" },
  departedRetention: { kind: "whole", min: 100, max: 30 * DAY, unit: "milliseconds" },
  maxMessageBytes: { kind: "whole", min: 2 ** 14, max: 2 ** 25, unit: "bytes" },
  maxConnections: { kind: "whole", min: 1, max: 100_000, unit: "connections" },
  maxMembers: { kind: "whole", min: 1, max: 100_000, unit: "members" },
  maxKeysPerMember: { kind: "whole", min: 16, max: 1_000_000, unit: "keys" },
  maxStateBytes: { kind: "whole", min: 2 ** 14, max: 2 ** 30, unit: "bytes" },
  maxHeldBytes: { kind: "whole", min: 2 ** 20, max: 2 ** 40, unit: "bytes" },
  maxConnectionsPerAddress: { kind: "whole", min: 1, max: 100_000, unit: "connections" },
  maxHandshakes: { kind: "whole", min: 1, max: 100_000, unit: "connections" },
  maxMessagesPerSecond: { kind: "whole", min: 10, max: 1_000_000, unit: "messages" },
  eventCapacity: { kind: "whole", min: 1, max: 1_000_000, unit: "events" },
  maxBackoff: { kind: "whole", min: 10, max: HOUR, unit: "milliseconds" },
};

const FIELDS = Object.keys(RULES) as readonly (keyof GossiperConfig)[];

/** What is wrong with a value, and what is allowed. */
export type Fault =
  & Pick<ConfigurationProblem, "problem" | "allowed">
  & Partial<Pick<ConfigurationProblem, "field" | "given">>;

/** What is wrong with a setting's value alone; `undefined` where it is valid. */
export function faultOf(field: string, value: unknown): Fault | undefined {
  if (!Object.hasOwn(RULES, field)) {
    const nearest = nearestOf(field, FIELDS);
    // Not which text it is: what was misspelt may be a secret.
    const given = typeof value === "string" ? { given: "a text" } : {};
    return nearest === undefined
      ? { problem: "is no setting", allowed: FIELDS.join(", "), field: nameOf(field), ...given }
      : { problem: `is no setting; did you mean ${nearest}?`, allowed: nearest, ...given };
  }
  const rule = RULES[field as keyof GossiperConfig];
  if (rule.kind === "segment") {
    const fits = typeof value === "string" && value.length <= rule.max &&
      /^[A-Za-z0-9._~-]+$/.test(value) && value !== "." && value !== ".." && !isFormedAsKey(value);
    return fits ? undefined : {
      problem: "is not a single URL path segment",
      allowed: `1 to ${rule.max} of the characters A–Z a–z 0–9 . _ ~ - (and neither . nor .., nor a key)`,
    };
  }
  if (rule.kind === "flag") {
    return typeof value === "boolean" ? undefined : { problem: "is no yes or no", allowed: "true or false" };
  }
  if (rule.kind === "word") {
    if (rule.words.includes(value as string)) return undefined;
    return { problem: "is none of its values", allowed: rule.words.map(describe).join(" or ") };
  }
  if (rule.kind === "endless" && value === Infinity) return undefined;
  if (Number.isInteger(value) && (value as number) >= rule.min && (value as number) <= rule.max) {
    return undefined;
  }
  const range = `a whole number of ${rule.unit} from ${rule.min} to ${rule.max}`;
  return {
    problem: Number.isInteger(value) ? "is out of range" : "is not a whole number",
    allowed: rule.kind === "endless" ? `${range}, or Infinity` : range,
  };
}

/** A rule between settings: one is at least what others make it. */
interface LeastRule {
  readonly field: keyof GossiperConfig;
  readonly depends: readonly (keyof GossiperConfig)[];
  least(config: GossiperConfig): number;
  readonly is: string;
  readonly because: string;
}

const LEAST: readonly LeastRule[] = [
  {
    field: "heartbeatExpiration",
    depends: ["gossipInterval", "gossipRequestTimeout"],
    least: (config) => 2 * (config.gossipInterval + config.gossipRequestTimeout),
    is: "twice gossipInterval and gossipRequestTimeout together",
    because: "is so short that one lost request would block a living member",
  },
  {
    field: "departedRetention",
    depends: ["heartbeatExpiration"],
    least: (config) => config.heartbeatExpiration,
    is: "heartbeatExpiration",
    because: "is so short that some would forget a member before others have missed it",
  },
  {
    field: "maxConnections",
    depends: ["gossipFanOut"],
    least: (config) => config.gossipFanOut,
    is: "gossipFanOut",
    because: "is less than one round uses at once",
  },
  {
    field: "maxMessagesPerSecond",
    depends: ["gossipInterval"],
    least: (config) => Math.ceil(8_000 / config.gossipInterval),
    is: "8 for every gossipInterval",
    because: "is less than a peer that keeps to the protocol may send",
  },
];

/** What is wrong between settings; those that are wrong alone are left out. */
export function conflicts(config: GossiperConfig, { wrong, places }: {
  readonly wrong: ReadonlySet<string>;
  /** Where each setting that was given came from; `undefined` where there is but one place. */
  readonly places: ReadonlyMap<string, string | undefined>;
}): ConfigurationProblem[] {
  const found: ConfigurationProblem[] = [];
  for (const { field, depends, least, is, because } of LEAST) {
    if ([field, ...depends].some((name) => wrong.has(name))) continue;
    const value = config[field] as number;
    if (value >= least(config)) continue;
    const source = places.get(field);
    found.push({
      field,
      problem: because,
      given: places.has(field) ? `${value}` : `${value} (the default)`,
      allowed: `at least ${least(config)} (${is})`,
      ...(source === undefined ? {} : { source }),
    });
  }
  return found;
}
