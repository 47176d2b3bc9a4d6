/**
 * What is checked when a gossiper is made and when a key is set.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../engine/types.ts";
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
import { assertNone, describe, HOST, LISTENING_PORT, rule } from "../options/rules.ts";

const RESERVED_KEYS: ReadonlySet<string> = new Set([TOPOLOGY_KEY, HEARTBEAT_KEY, GRACEFULLY_LEFT_KEY]);

/**
 * The whole configuration.
 *
 * @throws {ConfigurationError} naming everything that is wrong with the settings and with the cluster.
 */
export function validated(config: PartialConfig, cluster: Cluster): GossiperConfig {
  const complete = configuredWith(config, { after: clusterProblems(cluster) });
  const { maxMessageBytes } = complete;
  assertNone(recordProblem("cluster.self.kinds", { self: cluster.self, maxMessageBytes }));
  return complete;
}

/**
 * The whole configuration.
 *
 * @throws {ConfigurationError} naming everything that is wrong with the settings, between the problems of what else was given.
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

const SETTINGS = rule(isPlainObject, { problem: "is no set of named settings", allowed: "a plain object" });

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
  return [{ field, problem: "is missing", given: describe(given), allowed: "an object" }];
}
