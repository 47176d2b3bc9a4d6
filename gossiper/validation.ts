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
  isPlainObject,
  type PartialConfig,
} from "./configuration.ts";
import { HearsayError } from "./errors.ts";
import { isMemberUrl } from "./host_names.ts";
import {
  assertNone,
  brokenBy,
  describe,
  HOST,
  LISTENING_PORT,
  listOf,
  noKey,
  type Rule,
  rule,
} from "./options.ts";

/** The longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;
/** The longest id of a member, and the longest name of a cluster or host, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 256;
/** The most kinds of actors that a member may host. */
export const MAX_KINDS = 256;
/**
 * How many bytes of UTF-8 the names of a member's kinds may have together. 16 KiB: 256 names of 64 bytes. Fewer: a member
 * of protoactor-go with many kinds is refused. More: each member costs all others that much memory, and 10,000 members
 * 10,000 times as much.
 */
export const MAX_KINDS_BYTES = 16_384;

/** The name of a member, of its host or of a cluster. */
export const NAME: Rule = rule(isName, {
  problem: "is no name",
  allowed: `a text of 1 to ${MAX_NAME_BYTES} bytes`,
});

/** The name of a cluster, which every stranger is told that greets with another. */
export const CLUSTER_NAME: Rule = noKey(NAME);

/** The kinds of a member: a peer refuses the greeting of one whose kinds it would not read. */
export const KINDS: Rule = rule(areKinds, {
  problem: "is no list of kinds",
  allowed: `a list of at most ${MAX_KINDS} texts of 1 to ${MAX_NAME_BYTES} bytes, together at most ` +
    `${MAX_KINDS_BYTES} bytes; it may be empty`,
});

/** Where others reach a member, in place of host and port. Not shown: what is wrong may be that it has a password. */
const MEMBER_URL: Rule = rule(isMemberUrl, {
  problem: "is no address of a member",
  allowed: 'a URL without credentials, query and fragment, such as "wss://proxy.example/orders/a"',
  show: () => "something else",
});

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

/** Everything that is wrong with a list of members. */
export function memberProblems(
  given: unknown,
  { port }: { readonly port: Rule },
): readonly ConfigurationProblem[] {
  const rules = { id: newNames(), host: HOST, port, kinds: KINDS, url: MEMBER_URL };
  const member: Rule = (field, each) =>
    // What else is said of a member is somebody else's affair.
    brokenBy<Member>(Object(each), { rules, required: ["id", "host", "port", "kinds"], within: field });
  return listOf(member, "a list of `{ id, host, port, kinds }`, one for each member")("members", given);
}

/** Names, no two of which are the same. */
function newNames(): Rule {
  const known = new Set<unknown>();
  const isNew = rule((id) => known.size !== known.add(id).size, {
    problem: "is that of another member",
    allowed: "an id that no other member has",
  });
  return (field, id) => {
    const problems = NAME(field, id);
    return problems.length > 0 ? problems : isNew(field, id);
  };
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

/** Whether this is a list of kinds that a member may have, wherever it comes from. */
export function areKinds(given: unknown): given is readonly string[] {
  return Array.isArray(given) && given.length <= MAX_KINDS && given.every(isName) && fitKinds(given);
}

/** Whether the names of kinds are short enough together. */
export function fitKinds(kinds: readonly string[]): boolean {
  return kinds.reduce((sum, kind) => sum + utf8Length(kind), 0) <= MAX_KINDS_BYTES;
}

function isName(given: unknown): given is string {
  return typeof given === "string" && given !== "" && given.isWellFormed() &&
    utf8Length(given) <= MAX_NAME_BYTES;
}

/** A member's own record is in its greeting and in its state, and must leave room for what its user sets. */
export function recordProblem(
  field: string,
  { self, maxMessageBytes }: { readonly self: Member; readonly maxMessageBytes: number },
): ConfigurationProblem[] {
  const bytes = utf8Length(JSON.stringify([self.id, self.host, self.port, self.kinds, self.url]));
  const most = maxMessageBytes / 16;
  if (bytes <= most) return [];
  const problem = "make this member's record larger than a sixteenth of maxMessageBytes";
  const allowed = `a record of at most ${most} bytes`;
  return [{ field, problem, given: `${bytes} bytes`, allowed }];
}

function objectProblem(field: string, given: unknown): ConfigurationProblem[] {
  if (typeof given === "object" && given !== null) return [];
  return [{ field, problem: "is missing", given: describe(given), allowed: "an object" }];
}
