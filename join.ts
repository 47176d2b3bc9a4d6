/**
 * A whole member in one call: transport, discovery and gossiper put together.
 *
 * @module
 */

import { fixedMembers } from "./discovery/fixed.ts";
import { seeds as bySeeds } from "./discovery/seeds.ts";
import type { Discovery, Member } from "./gossiper/cluster.ts";
import { configure, type GossiperConfig, type PartialConfig } from "./gossiper/configuration.ts";
import { ConfigurationError } from "./gossiper/configuration_error.ts";
import type { FlushResult } from "./gossiper/departure.ts";
import { EventStream } from "./gossiper/event_stream.ts";
import { Gossiper } from "./gossiper/gossiper.ts";
import { realRuntime, type Runtime } from "./gossiper/runtime.ts";
import { WebSocketTransport } from "./transport/web_socket.ts";

/** Where others reach a member. */
export interface Endpoint {
  /** A name or an address. */
  readonly host: string;
  /** The port. */
  readonly port: number;
}

/** How to take part in a cluster. */
export interface JoinOptions {
  /** The cluster's name; members of another are refused. */
  readonly cluster: string;
  /**
   * Where to listen: on loopback, unless `hostname` says otherwise, and on a free port where `port` is 0 or left
   * out. Without `listen`, mount {@linkcode Node.handler} in your own server and say by `advertise` where it is.
   */
  readonly listen?: { readonly hostname?: string; readonly port?: number };
  /** Where others reach this member, if not where it listens. */
  readonly advertise?: Endpoint;
  /** Addresses of members to greet, such as `ws://127.0.0.1:7001`. They may be down, and may come later. */
  readonly seeds?: readonly string[];
  /** All members, where these never change: instead of `seeds`. */
  readonly members?: readonly Member[];
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

/** A member that takes part in a cluster. */
export interface Node extends AsyncDisposable {
  /** The gossiper that it runs. */
  readonly gossiper: Gossiper;
  /** This member as others see it. */
  readonly member: Member;
  /** Where others dial it, such as `ws://127.0.0.1:7001`: what to give them as a seed. */
  readonly address: string;
  /**
   * Answers the requests of peers, to be called from a service's own `Deno.serve`; `undefined` for any
   * other path than `/<gossipActorName>`. Hand on the `info` of `Deno.serve` where there is one.
   */
  readonly handler: (
    request: Request,
    info?: { readonly remoteAddr: Deno.Addr },
  ) => Promise<Response | undefined>;
  /** Leaves the cluster and closes everything; says who was told. Rejects the second time. */
  stop(): Promise<FlushResult>;
}

/**
 * Joins a cluster: makes a member, lets it listen, and starts to gossip. Resolves as soon as it runs; who
 * else is there turns up by and by.
 *
 * Listening, dialling and greeting are by WebSocket, without encryption or authentication of its own: that is why
 * it listens on loopback unless told otherwise.
 *
 * @throws {ConfigurationError} naming everything in the options that is wrong.
 * @throws {Deno.errors.AddrInUse} where the port to listen on is taken.
 *
 * @example Two members that find each other
 * ```ts
 * import { join } from "@hearsay/gossip";
 *
 * await using one = await join({ cluster: "orders", listen: { port: 0 } });
 * await using two = await join({ cluster: "orders", listen: { port: 0 }, seeds: [one.address] });
 * one.gossiper.setState("load", { cpu: 0.3 });
 * for await (const update of two.gossiper.watch("load")) {
 *   console.assert(update.memberId === one.member.id);
 *   break;
 * }
 * ```
 */
export async function join(options: JoinOptions): Promise<Node> {
  const { cluster, runtime = realRuntime, signal } = options;
  signal?.throwIfAborted();
  const config = configure(options.config);
  assertPlace(options);
  const transport = openTransport(options, config);
  try {
    const discovery = discoveryOf(options);
    const self = selfOf(options, { transport, runtime });
    const eventStream = new EventStream({ capacity: config.eventCapacity });
    const { actorStatistics } = options;
    const gossiper = new Gossiper(config, {
      self,
      name: cluster,
      eventStream,
      transport,
      discovery,
      runtime,
      ...(actorStatistics && { actorStatistics }),
    });
    await gossiper.start(signal ? { signal } : {});
    return new RunningNode({ gossiper, transport, eventStream, member: self });
  } catch (error) {
    await transport.close();
    throw error;
  }
}

class RunningNode implements Node {
  readonly gossiper: Gossiper;
  readonly member: Member;
  readonly address: string;
  readonly handler: Node["handler"];
  readonly #over: Promise<void>;

  constructor(parts: {
    readonly gossiper: Gossiper;
    readonly transport: WebSocketTransport;
    readonly eventStream: EventStream;
    readonly member: Member;
  }) {
    const { gossiper, transport, eventStream, member } = parts;
    this.gossiper = gossiper;
    this.member = member;
    this.address = transport.addressOf(member);
    this.handler = transport.handler;
    // However the gossiper ends, nothing that was opened for it stays open.
    this.#over = gossiper.closed.then(async () => {
      eventStream.close();
      await transport.close();
    });
  }

  async stop(): Promise<FlushResult> {
    const result = await this.gossiper.stop();
    await this.#over;
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gossiper[Symbol.asyncDispose]();
    await this.#over;
  }
}

function openTransport(options: JoinOptions, config: GossiperConfig): WebSocketTransport {
  const { listen, runtime = realRuntime } = options;
  return new WebSocketTransport({
    path: config.gossipActorName,
    maxMessageBytes: config.maxMessageBytes,
    connectTimeout: config.gossipRequestTimeout,
    runtime,
    ...(listen && { listen: { port: 0, ...listen } }),
  });
}

function discoveryOf({ seeds = [], members }: JoinOptions): Discovery {
  return members ? fixedMembers(members) : bySeeds(seeds);
}

function selfOf(
  { id, kinds = [], advertise, members }: JoinOptions,
  { transport, runtime }: { readonly transport: WebSocketTransport; readonly runtime: Runtime },
): Member {
  const listed = members?.find((member) => member.id === id);
  const { host, port } = advertise ?? listed ?? endpointOf(transport.address!);
  return { id: id ?? newId(runtime), host, port, kinds };
}

function endpointOf(address: string): Endpoint {
  const { hostname, port } = new URL(address);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
}

/** A UUID of version 4, of the runtime's chance. */
function newId(runtime: Runtime): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(runtime.random() * 16));
  digits[12] = 4;
  digits[16] = 8 + digits[16]! % 4;
  const hex = digits.map((digit) => digit.toString(16)).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Others have to be able to reach this member somewhere. */
function assertPlace({ listen, advertise, seeds, members }: JoinOptions): void {
  const problems = [];
  if (!listen && !advertise) {
    problems.push({
      field: "advertise",
      problem: "is missing, and so is `listen`",
      given: "neither",
      allowed: "`listen: { port }`, or `advertise: { host, port }` where `handler` is mounted",
    });
  }
  if (!advertise && ["0.0.0.0", "::", "[::]"].includes(listen?.hostname ?? "")) {
    problems.push({
      field: "advertise",
      problem: "is missing, and nobody can dial the address listened on",
      given: JSON.stringify(listen?.hostname),
      allowed: "`advertise: { host, port }` with the address that others reach",
    });
  }
  if (seeds && members) {
    problems.push({
      field: "members",
      problem: "cannot be given together with `seeds`",
      given: "both",
      allowed: "one of the two",
    });
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
}
