/**
 * Discovery as protoactor-go's `automanaged` provider does it: every member says at `/_health` who it is, and
 * asks all others.
 *
 * @module
 */

import type { Discovery, DiscoverySite, Member } from "../gossiper/cluster.ts";
import { HearsayError } from "../gossiper/errors.ts";
import { assertNone, HOST, LISTENING_PORT, listOf, optionsOf, rule } from "../gossiper/options.ts";
import { sleep } from "../gossiper/runtime.ts";
import { duration } from "./checks.ts";
import { Failures, keepTrying } from "./failures.ts";
import { askJson } from "./http.ts";
import { MemberList } from "./member_list.ts";
import { readMember } from "./member_record.ts";

/** Where protoactor-go's members serve `/_health` unless told otherwise. */
export const AUTO_MANAGE_PORT = 6330;
/** How many polls in a row a host may leave unanswered unless told otherwise. */
export const TOLERATED_MISSES = 3;
/** The most that a member may say of itself, in bytes. */
const MAX_HEALTH_BYTES = 64 * 1024;

/** How {@linkcode autoManaged} finds the members. */
export interface AutoManagedOptions {
  /**
   * Where all members serve `/_health`, as `host:port`; this member's own may be among them. It is the same
   * list that protoactor-go's members are given.
   */
  readonly hosts: readonly string[];
  /** The port at which this member serves `/_health`; 6330 by default. */
  readonly port?: number;
  /** Where it listens; loopback by default, while protoactor-go listens everywhere. */
  readonly hostname?: string;
  /**
   * How often all hosts are asked, in milliseconds; 2,000 by default. For so long a Hearsay member may not know
   * another that has come, and refuse it: with a `heartbeatExpiration` that is not well above, the one that came
   * blocks the other until that has asked again.
   */
  readonly refreshInterval?: number;
  /**
   * How many polls in a row a host may leave unanswered, others answering, before its member is taken to be gone; 3
   * by default. With `Infinity` a member goes only where another answers at its host: whoever falls silent is blocked
   * when its heartbeat expires, and stays in the topology.
   */
  readonly toleratedMisses?: number;
  /** How long a host may take to answer, in milliseconds; 2,000 by default. */
  readonly requestTimeout?: number;
}

/** What a member says of itself: `NodeModel`, whose names are those of the JSON. */
interface Health {
  readonly id: string;
  readonly address: string;
  readonly auto_manage_port: number;
  readonly port: number;
  readonly kinds: readonly string[];
  readonly cluster_name: string;
}

const OPTIONS = optionsOf<AutoManagedOptions>({
  hosts: listOf(
    rule(
      (given) => typeof given === "string" && /^[^\s/?#@]+:\d+$/.test(given) && URL.canParse(healthOf(given)),
      {
        problem: "is no host with a port",
        allowed: 'one such as "127.0.0.1:6330"',
      },
    ),
    'a list of hosts with ports, such as "127.0.0.1:6330"',
  ),
  port: LISTENING_PORT,
  hostname: HOST,
  refreshInterval: duration(),
  toleratedMisses: rule(
    (given) => given === Infinity || (Number.isInteger(given) && (given as number) >= 1),
    {
      problem: "is no number of polls",
      allowed: "a whole number of at least 1, or Infinity",
    },
  ),
  requestTimeout: duration(),
}, ["hosts"]);

/**
 * Serves who this member is at `http://<hostname>:<port>/_health`, asks all hosts the same, and takes whoever
 * answers in the name of this cluster for a member; so that protoactor-go's members with the `automanaged`
 * provider list this one, and the other way round.
 *
 * protoactor-go drops a member at the first poll (every two seconds) that it does not answer within two seconds,
 * and never takes the same id back. Here a member is dropped where another answers at its host, or where its host
 * left `toleratedMisses` polls in a row unanswered while others were answered; where no other host answers, the
 * members that were known last stay.
 *
 * @example
 * ```ts
 * import { autoManaged } from "@hearsay/gossip/protoactor-discovery";
 *
 * const discovery = autoManaged({ hosts: ["127.0.0.1:6330", "127.0.0.1:6331"], port: 6331 });
 * console.assert(!discovery.byGreeting);
 * ```
 *
 * @throws {ConfigurationError} naming everything in the options that is wrong, such as a host that is not `host:port`.
 */
export function autoManaged(options: AutoManagedOptions): Discovery {
  assertNone(OPTIONS("autoManaged", options));
  return {
    byGreeting: false,
    run: (site, running) => new AutoManaged(options, site).run(running),
  };
}

function healthOf(host: string): string {
  return `http://${host}/_health`;
}

/** What was last heard at a host. */
interface Heard {
  readonly member: Member;
  readonly misses: number;
}

class AutoManaged {
  readonly #options: Required<AutoManagedOptions>;
  readonly #site: DiscoverySite;
  readonly #list: MemberList;
  readonly #failures: ReadonlyMap<string, Failures>;
  /** By host. */
  #heard: ReadonlyMap<string, Heard> = new Map();

  constructor(options: AutoManagedOptions, site: DiscoverySite) {
    this.#options = {
      port: AUTO_MANAGE_PORT,
      hostname: "127.0.0.1",
      refreshInterval: 2_000,
      requestTimeout: 2_000,
      toleratedMisses: TOLERATED_MISSES,
      ...options,
      hosts: [...new Set(options.hosts)],
    };
    this.#site = site;
    this.#list = new MemberList(site);
    this.#failures = new Map(
      this.#options.hosts.map((host) => [host, new Failures(site, healthOf(host))]),
    );
  }

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await Promise.all([this.#serve(signal), this.#poll(signal)]);
  }

  async #serve(signal: AbortSignal): Promise<void> {
    const { hostname, port } = this.#options;
    const source = `/_health, to be served at ${hostname}:${port}`;
    await keepTrying(async ({ succeeded }) => {
      const server = Deno.serve({ hostname, port, signal, onListen: () => {} }, (request) => {
        const isHealth = request.method === "GET" && URL.parse(request.url)?.pathname === "/_health";
        return isHealth ? Response.json(this.#health()) : new Response("Not found.\n", { status: 404 });
      });
      succeeded();
      await server.finished;
    }, { site: this.#site, source, signal });
  }

  #health(): Health {
    const { self: { id, host, port, kinds }, cluster } = this.#site;
    return { id, address: host, auto_manage_port: this.#options.port, port, kinds, cluster_name: cluster };
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { hosts, refreshInterval } = this.#options;
    while (!signal.aborted) {
      const answers = await Promise.all(hosts.map((host) => this.#ask(host, signal)));
      if (signal.aborted) return;
      this.#take(new Map(hosts.map((host, at) => [host, answers[at]])));
      await sleep(this.#site.runtime, refreshInterval, { signal }).catch(() => {});
    }
  }

  /** The member at a host, `"none"` where it is of another cluster, and `undefined` where nobody answers. */
  async #ask(host: string, signal: AbortSignal): Promise<Member | "none" | undefined> {
    const { requestTimeout: timeoutMs } = this.#options;
    const failures = this.#failures.get(host)!;
    try {
      const { runtime } = this.#site;
      const answer = await askJson(healthOf(host), {
        runtime,
        signal,
        timeoutMs,
        maxBytes: MAX_HEALTH_BYTES,
      });
      const health = readHealth(answer);
      if (!health) throw new HearsayError("incompatible", `${healthOf(host)} does not say who is there.`);
      failures.succeeded();
      return health.cluster === this.#site.cluster ? health.member : "none";
    } catch (error) {
      if (!signal.aborted) failures.failed(error);
      return undefined;
    }
  }

  #take(answers: ReadonlyMap<string, Member | "none" | undefined>): void {
    const { self } = this.#site;
    const { toleratedMisses } = this.#options;
    const others = [...answers.values()].filter((answer) => answer === "none" || answer?.id !== self.id);
    // Where none of the others answers it is this member that is cut off, for all that it can tell.
    if (others.length > 0 && others.every((answer) => answer === undefined)) return;
    const heard = new Map<string, Heard>();
    for (const [host, answer] of answers) {
      const before = this.#heard.get(host);
      if (answer === undefined && before && before.misses + 1 < toleratedMisses) {
        heard.set(host, { member: before.member, misses: before.misses + 1 });
      } else if (answer !== undefined && answer !== "none") {
        heard.set(host, { member: answer, misses: 0 });
      }
    }
    this.#heard = heard;
    this.#list.publish([...heard.values()].map(({ member }) => member));
  }
}

/** What a host says of its member, checked. */
function readHealth(answer: unknown): { readonly cluster: string; readonly member: Member } | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const { id, address: host, port, kinds, cluster_name: cluster } = answer as Partial<
    Record<keyof Health, never>
  >;
  // A Go member with no kinds may say null.
  const member = readMember({ id: id ?? null, host: host ?? null, port: port ?? null, kinds: kinds ?? [] });
  return member && typeof cluster === "string" ? { cluster, member } : undefined;
}
