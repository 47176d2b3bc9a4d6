/**
 * What {@linkcode join} is given, and what can be wrong with it.
 *
 * @module
 */

import type { Discovery, Member } from "./gossiper/cluster.ts";
import {
  ConfigurationError,
  type ConfigurationProblem,
  configure,
  type GossiperConfig,
  type PartialConfig,
} from "./gossiper/configuration.ts";
import { describe, nearestOf, unknownNames } from "./gossiper/options.ts";
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
  /** Where others reach this member, if not where it listens. */
  readonly advertise?: Endpoint;
  /** Addresses of members to greet, such as `ws://127.0.0.1:7001`. They may be down, and may come later. */
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
  /** This member's id; a new one for every life unless pinned. One process at a time may use it. */
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
  const problems = [
    ...unknownOptions(options),
    ...clusterProblems(options),
    ...listenProblems(options),
    ...advertiseProblems(options),
    ...seedProblems(options),
    ...memberProblems(options),
    ...discoveryProblems(options),
    ...securityProblems(options),
  ];
  let config: GossiperConfig | undefined;
  try {
    config = configure(options.config);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    problems.push(...error.problems);
  }
  if (!config || problems.length > 0) throw new ConfigurationError(problems);
  return config;
}

function unknownOptions(options: JoinOptions): ConfigurationProblem[] {
  return Object.keys(options).filter((name) => !OPTIONS.some((known) => known === name)).map((field) => {
    const nearest = nearestOf(field, OPTIONS);
    const given = describe((options as unknown as Readonly<Record<string, unknown>>)[field]);
    return nearest === undefined
      ? { field, problem: "is no option", given, allowed: OPTIONS.join(", ") }
      : { field, problem: `is no option; did you mean ${nearest}?`, given, allowed: nearest };
  });
}

function clusterProblems({ cluster }: JoinOptions): ConfigurationProblem[] {
  if (typeof cluster === "string" && cluster !== "") return [];
  const allowed = "the cluster's name, which all members share";
  return [{ field: "cluster", problem: "is no name", given: describe(cluster), allowed }];
}

function listenProblems({ listen, advertise, dialOnly }: JoinOptions): ConfigurationProblem[] {
  if (dialOnly) {
    if (dialOnly !== true) {
      const given = describe(dialOnly);
      return [{ field: "dialOnly", problem: "is neither true nor false", given, allowed: "true or false" }];
    }
    if (!listen && !advertise) return [];
    const problem = "cannot be given together with `dialOnly`";
    const field = listen ? "listen" : "advertise";
    return [{ field, problem, given: "both", allowed: "`dialOnly` where nobody can dial this member" }];
  }
  if (!listen) {
    if (advertise) return [];
    const allowed =
      "`listen: { port }`, or `advertise: { host, port }` where `handler` is mounted, or `dialOnly`";
    return [{ field: "listen", problem: "is missing, and so is `advertise`", given: "neither", allowed }];
  }
  if (typeof listen !== "object") {
    return [{
      field: "listen",
      problem: "is no object",
      given: describe(listen),
      allowed: "`{ port, hostname }`",
    }];
  }
  const { hostname = "127.0.0.1", port = 0 } = listen;
  const problems = unknownNames("listen", listen, ["hostname", "port"]);
  if (!isPort(port, 0)) {
    const allowed = "a whole number from 0 (any that is free) to 65535";
    problems.push({ field: "listen.port", problem: "is no port", given: describe(port), allowed });
  }
  if (!isHost(hostname)) {
    const allowed = 'a name or an address, such as "127.0.0.1"';
    problems.push({ field: "listen.hostname", problem: "is no host", given: describe(hostname), allowed });
  } else if (!advertise && ["0.0.0.0", "[::]"].includes(new URL(urlOf(hostname, 1)).hostname)) {
    const problem = "is missing, and nobody can dial the address listened on";
    const allowed = "`advertise: { host, port }` with the address that others reach";
    problems.push({ field: "advertise", problem, given: describe(hostname), allowed });
  }
  return problems;
}

function advertiseProblems({ advertise }: JoinOptions): ConfigurationProblem[] {
  if (advertise === undefined) return [];
  const unknown = unknownNames("advertise", Object(advertise), ["host", "port"]);
  return [...unknown, ...endpointProblems("advertise", advertise)];
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
    if (["ws:", "wss:"].includes(scheme)) return [];
    const field = `seeds[${index}]`;
    const example = 'an address such as "ws://127.0.0.1:7001"';
    return [{ field, problem: "is no address of a member", given: describe(seed), allowed: example }];
  });
}

function memberProblems({ members, seeds, id, listen, advertise }: JoinOptions): ConfigurationProblem[] {
  // With seeds as well, that is what is wrong.
  if (members === undefined || seeds !== undefined) return [];
  if (!Array.isArray(members)) {
    const allowed = "a list of all members";
    return [{ field: "members", problem: "is no list", given: describe(members), allowed }];
  }
  const ids = new Set<unknown>();
  const problems = members.flatMap((member: unknown, index): ConfigurationProblem[] => {
    const field = `members[${index}]`;
    const { id, kinds } = (member ?? {}) as Partial<Member>;
    const isNew = typeof id === "string" && id !== "" && !ids.has(id);
    ids.add(id);
    return [
      ...(isNew ? [] : [{
        field: `${field}.id`,
        problem: typeof id === "string" && id !== "" ? "is that of another member" : "is no id",
        given: describe(id),
        allowed: "a text that no other member has",
      }]),
      ...endpointProblems(field, member as Partial<Endpoint> | undefined),
      ...(Array.isArray(kinds) ? [] : [{
        field: `${field}.kinds`,
        problem: "is no list of kinds",
        given: describe(kinds),
        allowed: "a list, which may be empty",
      }]),
    ];
  });
  if (id === undefined || !ids.has(id)) {
    const allowed = "the id of one of the members: the others refuse everybody else";
    problems.push({ field: "id", problem: "is not listed in `members`", given: describe(id), allowed });
  }
  const listed = members.find((member) => member?.id === id);
  if (listed && listen?.port !== undefined && !advertise && listen.port !== listed.port) {
    const problem = "is not the port at which `members` lists this member";
    const allowed = `${listed.port}, or \`advertise\` where others reach it by another port`;
    problems.push({ field: "listen.port", problem, given: describe(listen.port), allowed });
  }
  return problems;
}

function discoveryProblems(options: JoinOptions): ConfigurationProblem[] {
  const { discovery, seeds, members, dialOnly } = options;
  if (discovery === undefined) {
    if (!dialOnly || members !== undefined || (seeds !== undefined && seeds.length > 0)) return [];
    const allowed = "`seeds`, `members` or `discovery`: whoever cannot be dialled has to find the others";
    return [{ field: "seeds", problem: "are missing", given: describe(seeds), allowed }];
  }
  const { byGreeting, run } = (discovery ?? {}) as Partial<Discovery>;
  if (typeof byGreeting !== "boolean" || typeof run !== "function") {
    const allowed = 'a source of members, such as `seeds(["ws://127.0.0.1:7001"])`';
    return [{ field: "discovery", problem: "is no discovery", given: describe(discovery), allowed }];
  }
  if (seeds === undefined && members === undefined) return [];
  const other = seeds === undefined ? "members" : "seeds";
  const problem = `cannot be given together with \`${other}\``;
  return [{ field: "discovery", problem, given: "both", allowed: "one of the two, or `anyOf` of several" }];
}

function endpointProblems(
  field: string,
  given: Partial<Endpoint> | null | undefined,
): ConfigurationProblem[] {
  const { host, port } = given ?? {};
  const problems: ConfigurationProblem[] = [];
  if (!isHost(host)) {
    const allowed = 'a name or an address, such as "10.0.0.5"';
    problems.push({ field: `${field}.host`, problem: "is no host", given: describe(host), allowed });
  }
  if (!isPort(port, 1)) {
    const allowed = "a whole number from 1 to 65535";
    problems.push({ field: `${field}.port`, problem: "is no port", given: describe(port), allowed });
  }
  return problems;
}

function isPort(given: unknown, least: number): boolean {
  return Number.isInteger(given) && (given as number) >= least && (given as number) <= 65_535;
}

function isHost(given: unknown): given is string {
  return typeof given === "string" && given !== "" && !/[\s/?#@]/.test(given) &&
    URL.canParse(urlOf(given, 1));
}

function urlOf(host: string, port: number): string {
  return `ws://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}
