/**
 * What {@linkcode join} is given, and what can be wrong with it.
 *
 * @module
 */

import type { Discovery, Member } from "./gossiper/cluster.ts";
import {
  ConfigurationError,
  type ConfigurationProblem,
  type GossiperConfig,
  type PartialConfig,
} from "./gossiper/configuration.ts";
import {
  assertNone,
  brokenBy,
  describe,
  DISCOVERY,
  FLAG,
  FUNCTION,
  PORT,
  type Rules,
  RUNTIME,
  SIGNAL,
  unknownNames,
} from "./gossiper/options.ts";
import { isPlainAddress } from "./gossiper/host_names.ts";
import { endpointOf, placeProblems } from "./gossiper/place_options.ts";
import {
  CLUSTER_NAME,
  configuredWith,
  KINDS,
  memberProblems,
  NAME,
  recordProblem,
} from "./gossiper/validation.ts";
import type { Runtime } from "./gossiper/runtime.ts";
import { SECURITY_OPTIONS, type SecurityOptions, securityProblems } from "./join_security.ts";

/** Where others reach a member. */
export interface Endpoint {
  /** A name or an address. */
  readonly host: string;
  /** The port. */
  readonly port: number;
}

/** How to take part in a cluster. */
export interface JoinOptions extends SecurityOptions {
  /** The cluster's name; members of another are refused. */
  readonly cluster: string;
  /**
   * Where to listen: on loopback, unless `hostname` says otherwise (which takes keys, or `insecure`), and on a
   * free port where `port` is 0 or left out. Without `listen`, mount {@linkcode Node.handler} in your own server and say by `advertise` where it is.
   */
  readonly listen?: { readonly hostname?: string; readonly port?: number };
  /**
   * Where others reach this member, if not where it listens: a host and a port, or a `ws:` or `wss:` URL such as
   * `wss://example.com/orders/a`, where a proxy tells several members apart by path. Requests for the path of that URL are
   * answered as well as those for `/<gossipActorName>`.
   */
  readonly advertise?: Endpoint | string;
  /**
   * Addresses of members to greet, such as `ws://127.0.0.1:7001` (without a port they mean 80, and 443 with `wss`,
   * as URLs do). They may be down, and may come later.
   */
  readonly seeds?: readonly string[];
  /** All members, where these never change: instead of `seeds`. */
  readonly members?: readonly Member[];
  /** How members find each other, where it is by neither: such as `anyOf(dns(…), seeds(…))`. */
  readonly discovery?: Discovery;
  /**
   * Whether nobody can dial this member, because it is behind NAT or has no port: instead of `listen` and
   * `advertise`. It is a full member over the connections that it opens itself, which need others that listen.
   */
  readonly dialOnly?: boolean;
  /**
   * This member's id; a new one for every life unless pinned. One process at a time may use it: of two, one is told by
   * `SelfBlocked`, takes part no more, and has to join anew.
   */
  readonly id?: string;
  /** The kinds of actors that this member hosts; informative. */
  readonly kinds?: readonly string[];
  /** Settings that differ from the defaults. */
  readonly config?: PartialConfig;
  /** The number of actors of every kind, told with each heartbeat. */
  readonly actorStatistics?: () => Readonly<Record<string, number>>;
  /** Does what {@linkcode Node.stop} does when aborted. */
  readonly signal?: AbortSignal;
  /** Time and chance; the real ones by default. */
  readonly runtime?: Runtime;
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
  "runtime",
  ...SECURITY_OPTIONS,
] as const satisfies readonly (keyof JoinOptions)[];

/**
 * The whole configuration.
 *
 * @throws {ConfigurationError} naming everything in the options that is wrong.
 */
export function checkedConfig(options: JoinOptions): GossiperConfig {
  // Types say what is there; what was passed from JavaScript may be anything.
  if (typeof options !== "object" || options === null) {
    const allowed = "`{ cluster, listen }` at least";
    throw new ConfigurationError([
      { field: "options", problem: "are missing", given: describe(options), allowed },
    ]);
  }
  const before = [
    ...unknownNames(undefined, options, OPTIONS),
    ...brokenBy(options, { rules: ALONE, required: ["cluster"] }),
    ...whereProblems(options),
    ...seedProblems(options),
    ...listedProblems(options),
    ...discoveryProblems(options),
    ...securityProblems(options),
  ];
  const config = configuredWith(options.config, { before });
  assertNone(roomProblems(options, config));
  return config;
}

/** What others are told of this member must leave room for what its user sets. */
function roomProblems(
  { id = "", kinds = [], advertise, listen }: JoinOptions,
  { maxMessageBytes }: GossiperConfig,
): ConfigurationProblem[] {
  const place = advertise === undefined ? { host: listen?.hostname ?? "", port: 0 } : endpointOf(advertise);
  const self = { id, kinds, ...place };
  return recordProblem("kinds", { self, maxMessageBytes });
}

/** What can be said of an option alone. */
const ALONE: Partial<Rules<JoinOptions>> = {
  cluster: CLUSTER_NAME,
  id: NAME,
  kinds: KINDS,
  dialOnly: FLAG,
  actorStatistics: FUNCTION,
  signal: SIGNAL,
  runtime: RUNTIME,
};

function whereProblems(options: JoinOptions): ConfigurationProblem[] {
  const { listen, advertise, dialOnly } = options;
  if (dialOnly) {
    if (!listen && !advertise) return [];
    const problem = "cannot be given together with `dialOnly`";
    const field = listen ? "listen" : "advertise";
    return [{ field, problem, given: "both", allowed: "`dialOnly` where nobody can dial this member" }];
  }
  if (!listen && !advertise) {
    const allowed =
      "`listen: { port }`, or `advertise: { host, port }` where `handler` is mounted, or `dialOnly`";
    return [{ field: "listen", problem: "is missing, and so is `advertise`", given: "neither", allowed }];
  }
  return placeProblems(options, { mayBeUrl: true });
}

function seedProblems({ seeds, members }: JoinOptions): ConfigurationProblem[] {
  if (seeds === undefined) return [];
  if (members !== undefined) {
    const problem = "cannot be given together with `seeds`";
    return [{ field: "members", problem, given: "both", allowed: "one of the two" }];
  }
  const allowed = 'a list of addresses such as "ws://127.0.0.1:7001"';
  if (!Array.isArray(seeds)) {
    return [{ field: "seeds", problem: "is no list", given: describe(seeds), allowed }];
  }
  return seeds.flatMap((seed: unknown, index): ConfigurationProblem[] => {
    const scheme = typeof seed === "string" && URL.canParse(seed) ? new URL(seed).protocol : "";
    if (["ws:", "wss:"].includes(scheme) && isPlainAddress(seed as string)) return [];
    const field = `seeds[${index}]`;
    const example = 'an address such as "ws://127.0.0.1:7001", without a user, a query and a fragment';
    return [{ field, problem: "is no address of a member", given: describe(seed), allowed: example }];
  });
}

function listedProblems({ members, seeds, id, listen, advertise }: JoinOptions): ConfigurationProblem[] {
  // With seeds as well, that is what is wrong.
  if (members === undefined || seeds !== undefined) return [];
  const problems = [...memberProblems(members, { port: PORT })];
  if (!Array.isArray(members)) return problems;
  const listed: Partial<Member> | undefined = members.find((member: unknown) => Object(member).id === id);
  if (id === undefined || !listed) {
    const allowed = "the id of one of the members: the others refuse everybody else";
    problems.push({ field: "id", problem: "is not listed in `members`", given: describe(id), allowed });
  }
  if (listed && listen?.port !== undefined && !advertise && listen.port !== listed.port) {
    const problem = "is not the port at which `members` lists this member";
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
    const allowed = "`seeds`, `members` or `discovery`: whoever cannot be dialled has to find the others";
    return [{ field: "seeds", problem: "are missing", given: describe(seeds), allowed }];
  }
  const problems = DISCOVERY("discovery", discovery);
  if (problems.length > 0) return problems;
  if (seeds === undefined && members === undefined) return [];
  const other = seeds === undefined ? "members" : "seeds";
  const problem = `cannot be given together with \`${other}\``;
  return [{ field: "discovery", problem, given: "both", allowed: "one of the two, or `anyOf` of several" }];
}
