/**
 * The rules of the settings, and the problems of a setting that breaks one.
 *
 * @module
 */

import type { GossiperConfig } from "./configuration.ts";
import type { ConfigurationProblem } from "./configuration_error.ts";
import { isFormedAsKey } from "../common/key_material.ts";
import { describe, nameOf, nearestOf } from "./rules.ts";

/** The rule of one setting. */
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
  heartbeatExpiration: { kind: "endless", min: 100, max: DAY, unit: "milliseconds" },
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

/** A problem of a setting, with the allowed values. */
export type Fault =
  & Pick<ConfigurationProblem, "problem" | "allowed">
  & Partial<Pick<ConfigurationProblem, "field" | "given">>;

/** True for a name that is no setting. */
export function isUnknown(field: string): boolean {
  return !Object.hasOwn(RULES, field);
}

/** The fault of a name that is no setting. `others` are more allowed names. */
export function unknownFault(field: string, value: unknown, others: readonly string[] = []): Fault {
  const known = [...others, ...FIELDS];
  const nearest = nearestOf(field, known);
  // The value is not shown: a misspelled name may be that of a secret.
  const given = typeof value === "string" ? { given: "a text" } : {};
  return nearest === undefined
    ? { problem: "is not a setting", allowed: known.join(", "), field: nameOf(field), ...given }
    : { problem: `is not a setting (did you mean ${nearest}?)`, allowed: nearest, ...given };
}

/** Checks one setting alone; returns `undefined` for a valid one. */
export function faultOf(field: string, value: unknown): Fault | undefined {
  if (isUnknown(field)) return unknownFault(field, value);
  const rule = RULES[field as keyof GossiperConfig];
  if (rule.kind === "segment") {
    const fits = typeof value === "string" && value.length <= rule.max &&
      /^[A-Za-z0-9._~-]+$/.test(value) && value !== "." && value !== ".." && !isFormedAsKey(value);
    if (fits) return undefined;
    const allowed =
      `one segment of a URL path: 1 to ${rule.max} of A–Z a–z 0–9 . _ ~ -, but not ".", ".." or a key`;
    return { problem: `must be ${allowed}`, allowed };
  }
  if (rule.kind === "flag") {
    const allowed = "true or false";
    return typeof value === "boolean" ? undefined : { problem: `must be ${allowed}`, allowed };
  }
  if (rule.kind === "word") {
    if (rule.words.includes(value as string)) return undefined;
    const allowed = rule.words.map(describe).join(" or ");
    return { problem: `must be ${allowed}`, allowed };
  }
  if (rule.kind === "endless" && value === Infinity) return undefined;
  if (Number.isInteger(value) && (value as number) >= rule.min && (value as number) <= rule.max) {
    return undefined;
  }
  const range = `a whole number of ${rule.unit} from ${rule.min} to ${rule.max}`;
  const allowed = rule.kind === "endless" ? `${range}, or Infinity` : range;
  return { problem: `must be ${allowed}`, allowed };
}

/** A rule between settings: the lower limit of a setting depends on other settings. */
interface LeastRule {
  readonly field: keyof GossiperConfig;
  readonly depends: readonly (keyof GossiperConfig)[];
  least(config: GossiperConfig): number;
  readonly is: string;
  /** The effect of a lower value. */
  readonly otherwise: string;
}

const LEAST: readonly LeastRule[] = [
  {
    field: "heartbeatExpiration",
    depends: ["gossipInterval", "gossipRequestTimeout"],
    least: (config) => 2 * (config.gossipInterval + config.gossipRequestTimeout),
    is: "twice gossipInterval and gossipRequestTimeout together",
    otherwise: "one lost request would block a live member",
  },
  {
    field: "departedRetention",
    depends: ["heartbeatExpiration"],
    // Without expiration no member is ever blocked for its silence, so any retention is allowed.
    least: ({ heartbeatExpiration: each }) => each === Infinity ? 0 : each,
    is: "heartbeatExpiration",
    otherwise: "some members would forget a member before others notice its failure",
  },
  {
    field: "maxConnections",
    depends: ["gossipFanOut"],
    least: (config) => config.gossipFanOut,
    is: "gossipFanOut",
    otherwise: "one round would close connections that it needs",
  },
  {
    field: "maxMessagesPerSecond",
    depends: ["gossipInterval"],
    least: (config) => Math.ceil(8_000 / config.gossipInterval),
    is: "8 for every gossipInterval",
    otherwise: "an honest peer would be disconnected",
  },
];

/** Checks the rules between settings. Skips the rules of a setting that is invalid by itself. */
export function conflicts(config: GossiperConfig, { wrong, places }: {
  readonly wrong: ReadonlySet<string>;
  /** The source of each given setting; `undefined` with a single source. */
  readonly places: ReadonlyMap<string, string | undefined>;
}): ConfigurationProblem[] {
  const found: ConfigurationProblem[] = [];
  for (const { field, depends, least, is, otherwise } of LEAST) {
    if ([field, ...depends].some((name) => wrong.has(name))) continue;
    const value = config[field] as number;
    if (value >= least(config)) continue;
    const source = places.get(field);
    const allowed = `at least ${least(config)} (${is})`;
    found.push({
      field,
      problem: `must be ${allowed}, or ${otherwise}`,
      given: places.has(field) ? `${value}` : `${value} (the default)`,
      allowed,
      ...(source === undefined ? {} : { source }),
    });
  }
  return found;
}
