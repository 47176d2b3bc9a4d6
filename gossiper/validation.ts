/**
 * What is checked when a gossiper is made and when a key is set.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../engine/types.ts";
import type { Cluster, Member } from "./cluster.ts";
import {
  ConfigurationError,
  type ConfigurationProblem,
  configure,
  type GossiperConfig,
  type PartialConfig,
} from "./configuration.ts";
import { HearsayError } from "./errors.ts";
import { describe } from "./options.ts";

/** The longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;
/** The longest id of a member, and the longest name of a cluster or host, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 256;
/** The most kinds of actors that a member may host. */
export const MAX_KINDS = 256;

const RESERVED_KEYS: ReadonlySet<string> = new Set([TOPOLOGY_KEY, HEARTBEAT_KEY, GRACEFULLY_LEFT_KEY]);

/**
 * The whole configuration.
 *
 * @throws {ConfigurationError} naming everything that is wrong with the settings and with the cluster.
 */
export function validated(config: PartialConfig, cluster: Cluster): GossiperConfig {
  const problems: ConfigurationProblem[] = [];
  let complete: GossiperConfig | undefined;
  try {
    complete = configure(config);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    problems.push(...error.problems);
  }
  problems.push(...clusterProblems(cluster));
  if (complete && problems.length === 0) problems.push(...recordProblem(cluster.self, complete));
  if (!complete || problems.length > 0) throw new ConfigurationError(problems);
  return complete;
}

/** Refuses what is no key: nobody can have set it. */
export function assertKey(key: unknown): asserts key is string {
  if (typeof key !== "string" || key === "" || !key.isWellFormed()) {
    const text = `A key must be a well-formed text that is not empty, and not ${describe(key)}`;
    throw new HearsayError("invalid_key", `${text}; nothing was changed.`);
  }
  if (utf8Length(key) > MAX_KEY_BYTES) {
    throw new HearsayError(
      "invalid_key",
      `A key may have ${MAX_KEY_BYTES} bytes, and this one has ${utf8Length(key)}; nothing was changed.`,
    );
  }
}

/** Refuses keys that cannot be set by the user. */
export function assertOwnKey(key: unknown): asserts key is string {
  assertKey(key);
  if (RESERVED_KEYS.has(key) || key.startsWith("hearsay.")) {
    throw new HearsayError(
      "invalid_key",
      `The key ${describe(key)} is set by the gossiper alone; nothing was changed.`,
    );
  }
}

function clusterProblems(given: Cluster): ConfigurationProblem[] {
  if (typeof given !== "object" || given === null) {
    return [{ field: "cluster", problem: "is missing", given: describe(given), allowed: "a cluster" }];
  }
  // Types say what is there; what was passed from JavaScript may be anything.
  const cluster = given as { readonly [field in keyof Cluster]?: unknown };
  const self = (cluster.self ?? {}) as {
    readonly id?: unknown;
    host?: unknown;
    port?: unknown;
    kinds?: unknown;
  };
  return [
    ...nameProblem("cluster.name", cluster.name),
    ...nameProblem("cluster.self.id", self.id),
    ...nameProblem("cluster.self.host", self.host),
    ...portProblem(self.port),
    ...kindsProblem(self.kinds),
    ...objectProblem("cluster.eventStream", cluster.eventStream),
    ...objectProblem("cluster.transport", cluster.transport),
  ];
}

function nameProblem(field: string, given: unknown): ConfigurationProblem[] {
  const allowed = `a text of 1 to ${MAX_NAME_BYTES} bytes`;
  return isName(given) ? [] : [{ field, problem: "is no name", given: describe(given), allowed }];
}

function isName(given: unknown): given is string {
  return typeof given === "string" && given !== "" && given.isWellFormed() &&
    utf8Length(given) <= MAX_NAME_BYTES;
}

function portProblem(given: unknown): ConfigurationProblem[] {
  if (Number.isInteger(given) && (given as number) >= 0 && (given as number) <= 65_535) return [];
  const allowed = "a whole number from 0 to 65535";
  return [{ field: "cluster.self.port", problem: "is no port", given: describe(given), allowed }];
}

function kindsProblem(given: unknown): ConfigurationProblem[] {
  // A peer refuses the greeting of a member whose kinds it would not read.
  if (Array.isArray(given) && given.length <= MAX_KINDS && given.every(isName)) return [];
  const allowed = `a list of at most ${MAX_KINDS} texts of 1 to ${MAX_NAME_BYTES} bytes`;
  return [{ field: "cluster.self.kinds", problem: "is no list of kinds", given: describe(given), allowed }];
}

/** A member's own record is in its greeting and in its state, and must leave room for what its user sets. */
function recordProblem(self: Member, { maxMessageBytes }: GossiperConfig): ConfigurationProblem[] {
  const bytes = utf8Length(JSON.stringify([self.id, self.host, self.port, self.kinds]));
  const most = maxMessageBytes / 16;
  if (bytes <= most) return [];
  const problem = "make this member's record larger than a sixteenth of maxMessageBytes";
  const allowed = `a record of at most ${most} bytes`;
  return [{ field: "cluster.self.kinds", problem, given: `${bytes} bytes`, allowed }];
}

function objectProblem(field: string, given: unknown): ConfigurationProblem[] {
  if (typeof given === "object" && given !== null) return [];
  return [{ field, problem: "is missing", given: describe(given), allowed: "an object" }];
}
