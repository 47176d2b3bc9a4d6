/**
 * A whole member in one call: transport, discovery and gossiper put together.
 *
 * @module
 */

import { fixedMembers } from "./discovery/fixed.ts";
import { seeds as bySeeds } from "./discovery/seeds.ts";
import { noticingSharedAddress } from "./discovery/shared_address.ts";
import { type Discovery, isDialable, type Member, NOWHERE } from "./gossiper/cluster.ts";
import type { GossiperConfig } from "./gossiper/configuration.ts";
import type { FlushResult } from "./gossiper/departure.ts";
import { EventStream } from "./gossiper/event_stream.ts";
import { Gossiper } from "./gossiper/gossiper.ts";
import { idOfKey } from "./gossiper/signing.ts";
import { TIMEOUTS_PER_DIAL } from "./gossiper/peers.ts";
import { RunningNode, type RunningNodeParts } from "./gossiper/running_node.ts";
import { realRuntime, type Runtime } from "./gossiper/runtime.ts";
import { warn } from "./gossiper/log.ts";
import { authenticationOf, isOpenToAll, openToAll, ownHosts, signingOf } from "./join_security.ts";
import { endpointOf } from "./gossiper/place_options.ts";
import { checkedConfig, type JoinOptions } from "./join_options.ts";
import type { Authentication } from "./transport/authentication.ts";
import { WebSocketTransport } from "./transport/web_socket.ts";

/** Of how many seeds the log line names the last failure. */
const MAX_LOGGED_SEEDS = 8;

/** A member that takes part in a cluster. */
export interface Node extends AsyncDisposable {
  /** The gossiper that it runs. */
  readonly gossiper: Gossiper;
  /** This member as others see it. */
  readonly member: Member;
  /** Where others dial it, such as `ws://127.0.0.1:7001`: what to give them as a seed; empty where nobody can. */
  readonly address: string;
  /**
   * Answers the requests of peers, to be called from a service's own `Deno.serve`; `undefined` for any
   * other path than `/<gossipActorName>`. Hand on the `info` of `Deno.serve` where there is one.
   */
  readonly handler: (
    request: Request,
    info?: { readonly remoteAddr: Deno.Addr },
  ) => Promise<Response | undefined>;
  /**
   * Aborted when this member begins to leave, however that comes. The streams of events and of watched keys end by
   * themselves then, and drop what was not read; it is for timers and other loops that set something.
   */
  readonly signal: AbortSignal;
  /**
   * Leaves the cluster and closes everything; says who was told. Rejects the second time. A process that has nothing
   * else to do should call `Deno.exit()` then: where a peer that it dialled hangs, Deno keeps it for a minute and more.
   */
  stop(): Promise<FlushResult>;
}

/**
 * Joins a cluster: makes a member, lets it listen, and starts to gossip. Resolves as soon as it runs; who
 * else is there turns up by and by.
 *
 * Listening, dialling and greeting are by WebSocket. Without `authentication` only processes of this machine take
 * part, unless `insecure` says otherwise; nothing is encrypted without `tls`.
 *
 * @throws {ConfigurationError} naming everything in the options that is wrong.
 * @throws {HearsayError} with code `cannot_listen` where the port to listen on is taken.
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
  const config = checkedConfig(options);
  const { cluster, runtime = realRuntime, signal } = options;
  signal?.throwIfAborted();
  const eventStream = new EventStream({ capacity: config.eventCapacity });
  const signing = await signingOf(options.authentication);
  const id = options.id ?? (signing ? idOfKey(signing.publicKey) : newId(runtime));
  const authentication = options.authentication &&
    await authenticationOf(options.authentication, { cluster, id, runtime, signing });
  const transport = openTransport(options, { config, eventStream, authentication });
  try {
    const discovery = noticingSharedAddress(discoveryOf(options), {
      heartbeatExpiration: config.heartbeatExpiration,
      // A port that it listens on itself is shared with nobody.
      probes: options.listen === undefined,
    });
    const self = selfOf(options, { transport, id });
    transport.answerTo(transport.addressOf(self));
    const { port } = endpointOf(transport.address ?? transport.addressOf(self));
    for (const host of ownHosts(options)) {
      transport.answerTo(transport.addressOf({ id, host, port, kinds: [] }));
    }
    for (const alias of options.authentication?.aliases ?? []) transport.answerTo(alias);
    if (isOpenToAll(options)) warn(openToAll(transport.addressOf(self)));
    const { actorStatistics } = options;
    const gossiper = new Gossiper(config, {
      self,
      name: cluster,
      eventStream,
      transport,
      discovery,
      runtime,
      ...(actorStatistics && { actorStatistics }),
      ...(signing && { signing }),
    });
    void logAlone(eventStream, { cluster, id });
    void logSharedAddress(eventStream, id);
    await gossiper.start(signal ? { signal } : {});
    return new WebSocketNode({ gossiper, member: self, transport, eventStream });
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** A member that is dialled by WebSocket. */
class WebSocketNode extends RunningNode implements Node {
  readonly address: string;
  readonly handler: Node["handler"];

  constructor(parts: RunningNodeParts & { readonly transport: WebSocketTransport }) {
    super(parts);
    const { transport, member } = parts;
    this.address = isDialable(member) ? transport.addressOf(member) : "";
    this.handler = transport.handler;
  }
}

function openTransport(
  options: JoinOptions,
  { config, eventStream, authentication }: {
    readonly config: GossiperConfig;
    readonly eventStream: EventStream;
    readonly authentication: Authentication | undefined;
  },
): WebSocketTransport {
  const { listen, advertise, runtime = realRuntime, tls, insecure = false, allowedOrigins = [] } = options;
  // Whoever is on the list listens where the list says, unless it is reached by another way.
  const port = listen?.port ?? (advertise ? 0 : listedOf(options)?.port ?? 0);
  const { cert, key, caCerts } = tls ?? {};
  return new WebSocketTransport({
    path: config.gossipActorName,
    maxMessageBytes: config.maxMessageBytes,
    maxConnectionsPerAddress: config.maxConnectionsPerAddress,
    maxHandshakes: config.maxHandshakes,
    maxMessagesPerSecond: config.maxMessagesPerSecond,
    connectTimeout: TIMEOUTS_PER_DIAL * config.gossipRequestTimeout,
    // With the half that a session takes to say its last, all closing is over within one request timeout.
    closeTimeout: config.gossipRequestTimeout / 2,
    runtime,
    insecure,
    allowedOrigins,
    secure: tls !== undefined,
    onClientRefused: (refused) => eventStream.publish({ type: "ClientRefused", ...refused }),
    onListenFailed: (failure) => eventStream.publish({ type: "ListenFailed", ...failure }),
    ...(authentication && { authentication }),
    ...(caCerts && { caCerts }),
    ...(listen && { listen: { ...listen, port, ...(cert && key && { tls: { cert, key } }) } }),
  });
}

/** Writes one line whenever this member has been alone for long: else who made it may never hear why. */
async function logAlone(
  eventStream: EventStream,
  { cluster, id }: { readonly cluster: string; readonly id: string },
): Promise<void> {
  for await (const event of eventStream.subscribe("Alone")) {
    if (event.type !== "Alone") continue;
    const who = `${JSON.stringify(id)} of cluster ${JSON.stringify(cluster)}`;
    const seeds = event.seeds.slice(0, MAX_LOGGED_SEEDS).map(({ address, reason, outcome }) =>
      `${address}: ${reason ?? outcome}`
    );
    const more = event.seeds.length - seeds.length;
    const rest = more > 0 ? `; and ${more} more` : "";
    warn(`Hearsay: ${who} has met no other member for 10 s, and goes on trying. ${seeds.join("; ")}${rest}`);
  }
}

/** Writes one line where another member is at this member's address. */
async function logSharedAddress(eventStream: EventStream, id: string): Promise<void> {
  for await (const event of eventStream.subscribe("AddressShared")) {
    if (event.type !== "AddressShared") continue;
    const who = `${JSON.stringify(id)} is advertised at ${event.address}, and ${
      JSON.stringify(event.memberId)
    } answers there too`;
    warn(
      `Hearsay: ${who}. With \`deno serve --parallel\`, with several workers that mount a handler, or behind a load ` +
        "balancer, each member needs an address of its own: else requests for one reach another.",
    );
    return;
  }
}

function discoveryOf({ seeds = [], members, discovery }: JoinOptions): Discovery {
  return discovery ?? (members ? fixedMembers(members) : bySeeds(seeds));
}

function listedOf({ id, members }: JoinOptions): Member | undefined {
  return members?.find((member) => member.id === id);
}

function selfOf(
  options: JoinOptions,
  { transport, id }: { readonly transport: WebSocketTransport; readonly id: string },
): Member {
  const { kinds = [], advertise, dialOnly } = options;
  if (dialOnly) return { id, ...NOWHERE, kinds };
  if (advertise !== undefined) return { id, ...endpointOf(advertise), kinds };
  const { host, port } = listedOf(options) ?? endpointOf(transport.address!);
  return { id, host, port, kinds };
}

/** A UUID of version 4, of the runtime's chance. */
export function newId(runtime: Runtime): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(runtime.random() * 16));
  digits[12] = 4;
  digits[16] = 8 + digits[16]! % 4;
  const hex = digits.map((digit) => digit.toString(16)).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
