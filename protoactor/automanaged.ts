/**
 * Discovery compatible with protoactor-go's `automanaged` provider: every member serves its record at
 * `/_health`, and polls all others.
 *
 * @module
 */

import type { Discovery, DiscoveryContext, Member } from "../contracts/cluster.ts";
import { HearsayError } from "../common/errors.ts";
import { bracketed } from "../common/host_names.ts";
import { assertMayConnect } from "../common/permission.ts";
import { assertNone, HOST, LISTENING_PORT, listOf, optionsOf, rule } from "../options/rules.ts";
import { sleep } from "../common/runtime.ts";
import { duration } from "../discovery/checks.ts";
import { Failures } from "../discovery/failures.ts";
import { askJson } from "../discovery/http.ts";
import { MemberList } from "../discovery/member_list.ts";
import { readMember } from "../discovery/member_record.ts";
import {
  addressText,
  LISTEN_AGAIN_MS,
  LISTEN_FAILED_EVERY_MS,
  type ListenFailure,
  serve,
} from "../transport/listening.ts";

/** The default port of `/_health` in protoactor-go. */
export const AUTO_MANAGE_PORT = 6330;
/** How many consecutive polls a host may miss by default. */
export const TOLERATED_MISSES = 3;
/** The most bytes of an answer. */
const MAX_HEALTH_BYTES = 64 * 1024;

/** Options of {@linkcode autoManaged}. */
export interface AutoManagedOptions {
  /**
   * The `/_health` addresses of all members as `host:port`, the same list as for Go members. It may include
   * this member's own.
   */
  readonly hosts: readonly string[];
  /** The port of this member's `/_health`; 6330 by default. */
  readonly port?: number;
  /**
   * The address of this member's `/_health`; loopback by default. (protoactor-go listens on all addresses.)
   */
  readonly hostname?: string;
  /**
   * Milliseconds between two polls of all hosts; 2,000 by default. A Hearsay member refuses an unknown member
   * until its next poll. So `heartbeatExpiration` should be well above this, or the new member blocks the
   * other meanwhile.
   */
  readonly refreshInterval?: number;
  /**
   * The number of consecutive polls that a host may miss, while others answer, before its member is removed;
   * 3 by default. With `Infinity` a member is removed only if another one answers at its host: a silent
   * member is blocked by its heartbeat and stays in the topology.
   */
  readonly toleratedMisses?: number;
  /** The longest wait for an answer, in milliseconds; 2,000 by default. */
  readonly requestTimeout?: number;
}

/** The answer of `/_health`: protoactor-go's `NodeModel`, with the names of its JSON. */
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
        problem: "must be a host with a port",
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
      problem: "must be a number of polls",
      allowed: "a whole number of at least 1, or Infinity",
    },
  ),
  requestTimeout: duration(),
}, ["hosts"]);

/**
 * Serves this member's record at `http://<hostname>:<port>/_health` and polls all hosts. Every host that
 * answers for this cluster is a member. So Go members with the `automanaged` provider list this member, and
 * it lists them.
 *
 * protoactor-go polls every two seconds. It removes a member that does not answer one poll within two
 * seconds, and never accepts its id again. This discovery removes a member if another one answers at its
 * host, or if the host misses `toleratedMisses` consecutive polls while others answer. If no other host
 * answers, the last known members stay.
 *
 * @example
 * ```ts
 * import { autoManaged } from "@hearsay/gossip/protoactor-discovery";
 *
 * const discovery = autoManaged({ hosts: ["127.0.0.1:6330", "127.0.0.1:6331"], port: 6331 });
 * console.assert(!discovery.openMembership);
 * ```
 *
 * @throws {ConfigurationError} naming every fault in the options, such as a host without a port.
 */
export function autoManaged(options: AutoManagedOptions): Discovery {
  assertNone(OPTIONS("autoManaged", options));
  return {
    openMembership: false,
    run: (context, running) => new AutoManaged(options, context).run(running),
  };
}

function healthOf(host: string): string {
  return `http://${host}/_health`;
}

/** The last answer of a host. */
interface Found {
  readonly member: Member;
  readonly misses: number;
}

class AutoManaged {
  readonly #options: Required<AutoManagedOptions>;
  readonly #context: DiscoveryContext;
  readonly #list: MemberList;
  readonly #failures: ReadonlyMap<string, Failures>;
  /** The last answers by host. */
  #found: ReadonlyMap<string, Found> = new Map();

  constructor(options: AutoManagedOptions, context: DiscoveryContext) {
    this.#options = {
      port: AUTO_MANAGE_PORT,
      hostname: "127.0.0.1",
      refreshInterval: 2_000,
      requestTimeout: 2_000,
      toleratedMisses: TOLERATED_MISSES,
      ...options,
      hosts: [...new Set(options.hosts)],
    };
    this.#context = context;
    this.#list = new MemberList(context);
    this.#failures = new Map(
      this.#options.hosts.map((host) => [host, new Failures(context, healthOf(host))]),
    );
  }

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await Promise.all([this.#serve(signal), this.#poll(signal)]);
  }

  /** Listens until the signal is aborted. A port that another process uses is tried again, as after a loss. */
  async #serve(signal: AbortSignal): Promise<void> {
    const { hostname, port } = this.#options;
    const { eventStream, runtime } = this.#context;
    const onListenFailed = (failure: ListenFailure) =>
      eventStream.publish({ type: "ListenFailed", ...failure });
    for (let reportedMs = -Infinity; !signal.aborted;) {
      try {
        assertMayConnect(new URL(`http://${bracketed(hostname)}:${port}`));
        const options = { hostname, port, signal, runtime, onListenFailed };
        const server = serve(options, (request) => this.#answer(request));
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        return await server.shutdown();
      } catch (error) {
        const nowMs = runtime.monotonicMs();
        if (nowMs - reportedMs >= LISTEN_FAILED_EVERY_MS) {
          reportedMs = nowMs;
          // The text of `serve` advises port 0, at which no other member would find this one.
          const cause = error instanceof HearsayError ? error.cause : error;
          onListenFailed({ address: addressText({ hostname, port }), error: cause });
        }
        await sleep(runtime, LISTEN_AGAIN_MS, { signal }).catch(() => {});
      }
    }
  }

  #answer(request: Request): Response {
    const isHealth = request.method === "GET" && URL.parse(request.url)?.pathname === "/_health";
    return isHealth ? Response.json(this.#health()) : new Response("Not found.\n", { status: 404 });
  }

  #health(): Health {
    const { self: { id, host, port, kinds }, cluster } = this.#context;
    return { id, address: host, auto_manage_port: this.#options.port, port, kinds, cluster_name: cluster };
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { hosts, refreshInterval } = this.#options;
    while (!signal.aborted) {
      const answers = await Promise.all(hosts.map((host) => this.#ask(host, signal)));
      if (signal.aborted) return;
      this.#take(new Map(hosts.map((host, at) => [host, answers[at]])));
      await sleep(this.#context.runtime, refreshInterval, { signal }).catch(() => {});
    }
  }

  /**
   * Polls a host. Returns its member, `"none"` for a member of another cluster, or `undefined` without an
   * answer.
   */
  async #ask(host: string, signal: AbortSignal): Promise<Member | "none" | undefined> {
    const { requestTimeout: timeoutMs } = this.#options;
    const failures = this.#failures.get(host)!;
    try {
      const { runtime } = this.#context;
      const answer = await askJson(healthOf(host), {
        runtime,
        signal,
        timeoutMs,
        maxBytes: MAX_HEALTH_BYTES,
      });
      const health = readHealth(answer);
      if (!health) throw new HearsayError("incompatible", `${healthOf(host)} sent an invalid record.`);
      failures.succeeded();
      return health.cluster === this.#context.cluster ? health.member : "none";
    } catch (error) {
      if (!signal.aborted) failures.failed(error);
      return undefined;
    }
  }

  #take(answers: ReadonlyMap<string, Member | "none" | undefined>): void {
    const { self } = this.#context;
    const { toleratedMisses } = this.#options;
    const others = [...answers.values()].filter((answer) => answer === "none" || answer?.id !== self.id);
    // If no other host answers, this member is probably the one that is disconnected.
    if (others.length > 0 && others.every((answer) => answer === undefined)) return;
    const found = new Map<string, Found>();
    for (const [host, answer] of answers) {
      const before = this.#found.get(host);
      if (answer === undefined && before && before.misses + 1 < toleratedMisses) {
        found.set(host, { member: before.member, misses: before.misses + 1 });
      } else if (answer !== undefined && answer !== "none") {
        found.set(host, { member: answer, misses: 0 });
      }
    }
    this.#found = found;
    this.#list.publish([...found.values()].map(({ member }) => member));
  }
}

/** Validates the answer of a host. */
function readHealth(answer: unknown): { readonly cluster: string; readonly member: Member } | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const { id, address: host, port, kinds, cluster_name: cluster } = answer as Partial<
    Record<keyof Health, never>
  >;
  // A Go member without kinds may send null.
  const member = readMember({ id: id ?? null, host: host ?? null, port: port ?? null, kinds: kinds ?? [] });
  return member && typeof cluster === "string" ? { cluster, member } : undefined;
}
