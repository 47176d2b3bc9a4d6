/**
 * Checks the configuration and cluster of a gossiper, and the keys of calls.
 *
 * @module
 */

import { copyJson, type JsonCopy, JsonValueError, utf8Length } from "../engine/json.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../engine/types.ts";
import { errorText } from "../common/error_text.ts";
import type { Cluster } from "../contracts/cluster.ts";
import {
  ConfigurationError,
  type ConfigurationProblem,
  configure,
  type GossiperConfig,
  isPlainObject,
  type PartialConfig,
} from "../options/configuration.ts";
import { HearsayError } from "../common/errors.ts";
import {
  CLUSTER_NAME,
  KINDS,
  MAX_KEY_BYTES,
  MEMBER_URL,
  NAME,
  recordProblem,
} from "../options/member_rules.ts";
import { assertNone, describe, FUNCTION, HOST, LISTENING_PORT, optionsOf, rule } from "../options/rules.ts";
import type { ConsensusCallbacks } from "./consensus.ts";

const CALLBACKS = optionsOf<ConsensusCallbacks>({ onReached: FUNCTION, onLost: FUNCTION });

const RESERVED_KEYS: ReadonlySet<string> = new Set([TOPOLOGY_KEY, HEARTBEAT_KEY, GRACEFULLY_LEFT_KEY]);

/**
 * Returns the complete configuration.
 *
 * @throws {ConfigurationError} with every problem of the settings and the cluster.
 */
export function validated(config: PartialConfig, cluster: Cluster): GossiperConfig {
  const complete = configuredWith(config, { after: clusterProblems(cluster) });
  const { maxMessageBytes } = complete;
  const problems = recordProblem("cluster.self.kinds", { self: cluster.self, maxMessageBytes });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return complete;
}

/**
 * Returns the complete configuration.
 *
 * @throws {ConfigurationError} with the problems of the settings, between the problems `before` and `after`.
 */
export function configuredWith(
  config: unknown,
  { before = [], after = [] }: {
    readonly before?: readonly ConfigurationProblem[];
    readonly after?: readonly ConfigurationProblem[];
  },
): GossiperConfig {
  const problems = [...before, ...config === undefined ? [] : SETTINGS("config", config)];
  let complete: GossiperConfig | undefined;
  try {
    complete = configure(isPlainObject(config) ? config : {});
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    problems.push(...error.problems);
  }
  problems.push(...after);
  if (!complete || problems.length > 0) throw new ConfigurationError(problems);
  return complete;
}

const SETTINGS = rule(isPlainObject, { allowed: "a plain object of settings" });

/** Refuses an invalid key, also in reads: no member can have set it, so the read is a mistake. */
export function assertKey(key: unknown): asserts key is string {
  if (typeof key !== "string" || key === "" || !key.isWellFormed()) {
    const text = `A key must be a well-formed text that is not empty; got ${describe(key)}`;
    throw new HearsayError("invalid_key", `${text}. Nothing was changed.`);
  }
  if (utf8Length(key) > MAX_KEY_BYTES) {
    throw new HearsayError(
      "invalid_key",
      `A key must have at most ${MAX_KEY_BYTES} bytes; got ${utf8Length(key)}. Nothing was changed.`,
    );
  }
}

/** Refuses an extractor or callbacks that cannot be called. */
export function assertCheck(extractor: unknown, callbacks: unknown): void {
  assertNone([...FUNCTION("extractor", extractor), ...CALLBACKS("callbacks", callbacks)]);
}

/** True for a key of the gossiper itself. */
export function isReservedKey(key: string): boolean {
  return RESERVED_KEYS.has(key) || key.startsWith("hearsay.");
}

/** Refuses invalid keys, and keys that only the gossiper sets. */
export function assertOwnKey(key: unknown): asserts key is string {
  assertKey(key);
  if (isReservedKey(key)) {
    throw new HearsayError(
      "invalid_key",
      `The key ${describe(key)} is reserved: this member sets it by itself. Nothing was changed.`,
    );
  }
}

/** Copies a value for a key; turns every error, also of a getter or proxy in it, into `invalid_value`. */
export function copied(key: string, value: unknown): JsonCopy {
  try {
    return copyJson(value);
  } catch (cause) {
    const why = cause instanceof JsonValueError ? cause.message : `reading it threw ${errorText(cause)}.`;
    throw new HearsayError(
      "invalid_value",
      `The key ${describe(key)} cannot take this value: ${why} Nothing was changed.`,
      { cause },
    );
  }
}

function clusterProblems(given: Cluster): ConfigurationProblem[] {
  if (typeof given !== "object" || given === null) {
    return [{ field: "cluster", problem: "must be given", given: describe(given), allowed: "a cluster" }];
  }
  // A JavaScript caller may pass anything.
  const cluster = given as { readonly [field in keyof Cluster]?: unknown };
  const self = (cluster.self ?? {}) as {
    readonly id?: unknown;
    host?: unknown;
    port?: unknown;
    kinds?: unknown;
    url?: unknown;
  };
  return [
    ...CLUSTER_NAME("cluster.name", cluster.name),
    ...NAME("cluster.self.id", self.id),
    ...HOST("cluster.self.host", self.host),
    ...LISTENING_PORT("cluster.self.port", self.port),
    ...(self.url === undefined ? [] : MEMBER_URL("cluster.self.url", self.url)),
    ...KINDS("cluster.self.kinds", self.kinds),
    ...objectProblem("cluster.eventStream", cluster.eventStream),
    ...objectProblem("cluster.transport", cluster.transport),
  ];
}

function objectProblem(field: string, given: unknown): ConfigurationProblem[] {
  if (typeof given === "object" && given !== null) return [];
  return [{ field, problem: "must be given", given: describe(given), allowed: "an object" }];
}
