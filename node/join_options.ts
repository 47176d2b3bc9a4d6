/**
 * The options of {@linkcode join}, and their checks.
 *
 * @module
 */

import type { Discovery, ListedMember } from "../contracts/cluster.ts";
import {
  ConfigurationError,
  type ConfigurationProblem,
  DEFAULT_CONFIG,
  type GossiperConfig,
  type PartialConfig,
} from "../options/configuration.ts";
import {
  brokenBy,
  describe,
  FLAG,
  FUNCTION,
  isDialableUrl,
  PORT,
  type Rules,
  RUNTIME,
  SIGNAL,
  unknownNames,
} from "../options/rules.ts";
import { DISCOVERY } from "../contracts/discovery_rule.ts";
import type { Meters } from "../contracts/meters.ts";
import { type ObserverOptions, OBSERVERS } from "../observer/door.ts";
import { METERS } from "../contracts/meters_rule.ts";
import { isPlainAddress } from "../common/host_names.ts";
import { endpointOf, LISTEN_OPTIONS, placeProblems } from "./place_options.ts";
import { configuredWith } from "../gossiper/validation.ts";
import { CLUSTER_NAME, KINDS, memberProblems, NAME, recordProblem } from "../options/member_rules.ts";
import type { Runtime } from "../common/runtime.ts";
import {
  SECURITY_OPTIONS,
  SECURITY_SECTIONS,
  type SecurityOptions,
  securityProblems,
} from "./join_security.ts";

/** A host and a port that other members dial. */
export interface Endpoint {
  /** A host name or an IP address. */
  readonly host: string;
  /** The port that other members dial. */
  readonly port: number;
}

/** Options of {@linkcode join}. */
export interface JoinOptions extends SecurityOptions {
  /** The cluster's name. Members of another cluster are refused. */
  readonly cluster: string;
  /**
   * The address to listen on. `hostname` is loopback by default; any other host needs keys or `insecure`. By default,
   * or with `port: 0`, the system chooses a free port. Without `listen`, mount {@linkcode Node.handler} in your own
   * server and set `advertise`.
   */
  readonly listen?: { readonly hostname?: string; readonly port?: number };
  /**
   * The address that other members dial; by default the listening address. It is a host and a port, or a
   * `ws:` or `wss:` URL such as `wss://example.com/orders/a`, for a proxy that routes by path. The member
   * then answers at the path of that URL too, in addition to `/<gossipActorName>`.
   */
  readonly advertise?: Endpoint | string;
  /**
   * Addresses of some members, such as `ws://127.0.0.1:7001` (the default port is 80, or 443 with `wss`).
   * Seeds that are down are dialed again later.
   */
  readonly seeds?: readonly string[];
  /** All members of a cluster that never changes, instead of `seeds`. */
  readonly members?: readonly ListedMember[];
  /** Another source of members, instead of `seeds` and `members`, such as `anyOf(dns(…), seeds(…))`. */
  readonly discovery?: Discovery;
  /**
   * True if no member can dial this member, because it is behind NAT or has no port; instead of `listen` and
   * `advertise`. It is a full member over the connections that it dials. Others in the cluster must listen.
   */
  readonly dialOnly?: boolean;
  /**
   * This member's id; by default a new id at every start, or with `sign` the public key. Only one process at a time may
   * use an id. Otherwise both emit `ConflictDetected`, and each replaces the other's state in turn.
   */
  readonly id?: string;
  /** The kinds of actors that this member hosts; informative. */
  readonly kinds?: readonly string[];
  /** Settings that differ from the defaults. */
  readonly config?: PartialConfig;
  /** Returns the number of actors of each kind. Called for each heartbeat. */
  readonly actorStatistics?: () => Readonly<Record<string, number>>;
  /** Stops the member when aborted, like {@linkcode Node.stop}. */
  readonly signal?: AbortSignal;
  /**
   * False if the member prints no warnings, because `logTo` of `@hearsay/gossip/operations` logs all of them; true by
   * default.
   */
  readonly log?: boolean;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
  /**
   * Records the work of this member, for its metrics: `new MemberMeters()` of `@hearsay/gossip/metrics`, or
   * `otelMeters()` of `@hearsay/gossip/otel`. Each member needs its own meters. By default there are no meters, and
   * nothing is measured.
   */
  readonly meters?: Meters;
  /**
   * The rights of observers: clients such as the command `hearsay`, which read state and are no members. They pass the
   * same checks as peers. `false`: this member accepts no observers. By default observers may only read.
   */
  readonly observers?: ObserverOptions | false;
}

const OPTIONS = [
  "cluster",
  "listen",
  "advertise",
  "seeds",
  "members",
  "discovery",
  "dialOnly",
  "id",
  "kinds",
  "config",
  "actorStatistics",
  "signal",
  "log",
  "runtime",
  "meters",
  "observers",
  ...SECURITY_OPTIONS,
] as const satisfies readonly (keyof JoinOptions)[];

/** The names in each option that is an object. */
const SECTIONS = {
  listen: LISTEN_OPTIONS,
  ...SECURITY_SECTIONS,
  config: Object.keys(DEFAULT_CONFIG),
  observers: ["maySet"],
};

/**
 * Checks the options and returns the complete configuration.
 *
 * @throws {ConfigurationError} naming every fault in the options.
 */
export function checkedConfig(options: JoinOptions): GossiperConfig {
  // A caller in JavaScript may pass anything.
  if (typeof options !== "object" || options === null) {
    const allowed = "`{ cluster, listen }` at least";
    throw new ConfigurationError([
      { field: "options", problem: "must be an object", given: describe(options), allowed },
    ]);
  }
  const before = [
    ...unknownNames(undefined, options, { known: OPTIONS, sections: SECTIONS }),
    ...brokenBy(options, { rules: ALONE, required: ["cluster"] }),
    ...whereProblems(options),
    ...seedProblems(options),
    ...listedProblems(options),
    ...discoveryProblems(options),
    ...securityProblems(options),
  ];
  const config = configuredWith(options.config, { before });
  const problems = roomProblems(options, config);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return config;
}

/** This member's record must leave room for the user's entries. */
function roomProblems(
  { id = "", kinds = [], advertise, listen }: JoinOptions,
  { maxMessageBytes }: GossiperConfig,
): ConfigurationProblem[] {
  const place = advertise === undefined ? { host: listen?.hostname ?? "", port: 0 } : endpointOf(advertise);
  const self = { id, kinds, ...place };
  return recordProblem("kinds", { self, maxMessageBytes });
}

/** Rules for single options. */
const ALONE: Partial<Rules<JoinOptions>> = {
  cluster: CLUSTER_NAME,
  id: NAME,
  kinds: KINDS,
  dialOnly: FLAG,
  actorStatistics: FUNCTION,
  signal: SIGNAL,
  log: FLAG,
  runtime: RUNTIME,
  meters: METERS,
  observers: OBSERVERS,
};

function whereProblems(options: JoinOptions): ConfigurationProblem[] {
  const { listen, advertise, dialOnly } = options;
  if (dialOnly) {
    if (!listen && !advertise) return [];
    const problem = "must not be given with `dialOnly`";
    const field = listen ? "listen" : "advertise";
    return [{ field, problem, given: "both", allowed: "`dialOnly` if no other member can dial this one" }];
  }
  if (!listen && !advertise) {
    const allowed =
      "`listen: { port }`, or `advertise: { host, port }` with `handler` in your own server, or `dialOnly`";
    return [{ field: "listen", problem: "must be given, or `advertise`", given: "neither", allowed }];
  }
  return placeProblems(options, { mayBeUrl: true });
}

function seedProblems({ seeds, members }: JoinOptions): ConfigurationProblem[] {
  if (seeds === undefined) return [];
  if (members !== undefined) {
    const problem = "must not be given with `seeds`";
    return [{ field: "members", problem, given: "both", allowed: "one of the two" }];
  }
  const allowed = 'a list of addresses such as "ws://127.0.0.1:7001"';
  if (!Array.isArray(seeds)) {
    return [{ field: "seeds", problem: "must be a list", given: describe(seeds), allowed }];
  }
  return seeds.flatMap((seed: unknown, index): ConfigurationProblem[] => {
    const url = typeof seed === "string" ? URL.parse(seed) : null;
    const isRight = url && ["ws:", "wss:"].includes(url.protocol) && isDialableUrl(url);
    if (isRight && isPlainAddress(seed as string)) return [];
    const field = `seeds[${index}]`;
    const example =
      'an address to dial such as "ws://127.0.0.1:7001" (not port 0, not 0.0.0.0), without credentials, query or fragment';
    return [{ field, problem: "must be a member's address", given: describe(seed), allowed: example }];
  });
}

function listedProblems({ members, seeds, id, listen, advertise }: JoinOptions): ConfigurationProblem[] {
  // With both `members` and `seeds`, only that fault is reported.
  if (members === undefined || seeds !== undefined) return [];
  const problems = [...memberProblems(members, { port: PORT })];
  if (!Array.isArray(members)) return problems;
  const listed: Partial<ListedMember> | undefined = members.find((member: unknown) =>
    Object(member).id === id
  );
  if (id === undefined || !listed) {
    const allowed = "the id of one of the members, because the others refuse any other id";
    problems.push({ field: "id", problem: "must be in `members`", given: describe(id), allowed });
  }
  if (listed && listen?.port !== undefined && !advertise && listen.port !== listed.port) {
    const problem = "must be this member's port in `members`";
    const allowed = `${describe(listed.port)}, or \`advertise\` where others reach it by another port`;
    problems.push({ field: "listen.port", problem, given: describe(listen.port), allowed });
  }
  return problems;
}

function discoveryProblems(options: JoinOptions): readonly ConfigurationProblem[] {
  const { discovery, seeds, members, dialOnly } = options;
  if (discovery === undefined) {
    const hasSeeds = seeds !== undefined && !(Array.isArray(seeds) && seeds.length === 0);
    if (!dialOnly || members !== undefined || hasSeeds) return [];
    const allowed =
      "`seeds`, `members` or `discovery`, because a member that cannot be dialed has to dial others";
    return [{ field: "seeds", problem: "must be given", given: describe(seeds), allowed }];
  }
  const problems = DISCOVERY("discovery", discovery);
  if (problems.length > 0) return problems;
  if (seeds === undefined && members === undefined) return [];
  const other = seeds === undefined ? "members" : "seeds";
  const problem = `must not be given with \`${other}\``;
  return [{ field: "discovery", problem, given: "both", allowed: "one of the two, or `anyOf` of several" }];
}
