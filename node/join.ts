/**
 * Creates a complete member in one call: transport, discovery and gossiper.
 *
 * @module
 */

import { endingInTime } from "../discovery/ending_in_time.ts";
import { fixedMembers } from "../discovery/fixed.ts";
import { seeds as bySeeds } from "../discovery/seeds.ts";
import { noticingSharedAddress } from "../discovery/shared_address.ts";
import {
  type Cluster,
  type Discovery,
  isDialable,
  type ListedMember,
  type Member,
  NOWHERE,
} from "../contracts/cluster.ts";
import { type GossiperConfig, paced } from "../options/configuration.ts";
import { EventStream } from "../contracts/event_stream.ts";
import { idOfKey } from "../contracts/signing.ts";
import { TIMEOUTS_PER_DIAL } from "../gossiper/dials.ts";
import type { FlushResult } from "../gossiper/departure.ts";
import { Gossiper } from "../gossiper/gossiper.ts";
import { realRuntime } from "../common/runtime.ts";
import { authenticationOf, openToAll, ownHosts, signingOf } from "./join_security.ts";
import { endpointOf } from "./place_options.ts";
import { checkedConfig, type JoinOptions } from "./join_options.ts";
import { logEvents } from "./logged_events.ts";
import { newId } from "../common/new_id.ts";
import { RepeatableStop } from "./repeatable_stop.ts";
import { Door } from "../observer/door.ts";
import type { Authentication } from "../contracts/authentication.ts";
import type { ClientAddress } from "../transport/strangers.ts";
import { denoPlatform } from "../transport/web_socket/deno_platform.ts";
import { pathOf } from "../transport/web_socket/dial.ts";
import type { ListenOptions } from "../transport/web_socket/options.ts";
import type { Platform } from "../transport/web_socket/platform.ts";
import { WebSocketTransport } from "../transport/web_socket/web_socket.ts";

/** A running member of a cluster: a {@linkcode Gossiper} with a WebSocket transport. */
export class Node extends Gossiper {
  /**
   * The address that others dial, such as `ws://127.0.0.1:7001`; use it as a seed. Empty if the member cannot
   * be dialed.
   */
  readonly address: string;
  /**
   * Handles requests of peers in your own `Deno.serve`. Returns `undefined` for any path except `/<gossipActorName>`.
   * Pass the `info` of `Deno.serve` if your server has it.
   */
  readonly handler: (
    request: Request,
    info?: { readonly remoteAddr: ClientAddress },
  ) => Promise<Response | undefined>;
  readonly #stops = new RepeatableStop(this, () => super.stop());

  /** Called by {@linkcode join}. */
  constructor(config: GossiperConfig, cluster: Cluster & { readonly transport: WebSocketTransport }) {
    super(config, cluster);
    const { transport, self } = cluster;
    this.address = isDialable(self) ? transport.addressOf(self) : "";
    this.handler = transport.handler;
  }

  /**
   * Leaves the cluster like {@linkcode Gossiper.stop}, but may be called several times. Once the member leaves for any
   * reason, each call returns the same promise with the result.
   */
  override stop(): Promise<FlushResult> {
    return this.#stops.stop();
  }
}

/**
 * Joins a cluster: creates a member that listens and gossips. Resolves as soon as it runs; discovery adds the
 * other members afterwards.
 *
 * Connections are WebSockets. Without `authentication` the member accepts only processes on this machine,
 * unless `insecure` is set. Without `tls` nothing is encrypted.
 *
 * @throws {ConfigurationError} naming every fault in the options.
 * @throws {HearsayError} with code `cannot_listen` if the port is taken.
 *
 * @example Two members that find each other
 * ```ts
 * import { join } from "@hearsay/gossip";
 *
 * await using one = await join({ cluster: "orders", listen: { port: 0 } });
 * await using two = await join({ cluster: "orders", listen: { port: 0 }, seeds: [one.address] });
 * one.setState("load", { cpu: 0.3 });
 * for await (const update of two.watch("load")) {
 *   console.assert(update.memberId === one.id);
 *   break;
 * }
 * ```
 */
export async function join(options: JoinOptions): Promise<Node> {
  return await joinOn(() => denoPlatform, options);
}

/** Makes the platform of a member. With `listen` its server may listen already. */
export type PlatformOf = (
  options: { readonly listen?: ListenOptions; readonly maxMessageBytes: number },
) => Platform | Promise<Platform>;

/** {@linkcode join} with the servers and sockets of a runtime. */
export async function joinOn(platformOf: PlatformOf, options: JoinOptions): Promise<Node> {
  const config = checkedConfig(options);
  const { cluster, runtime = realRuntime, signal, log = true, actorStatistics, meters } = options;
  signal?.throwIfAborted();
  const eventStream = new EventStream({ capacity: config.eventCapacity });
  const signing = await signingOf(options.authentication);
  const id = options.id ?? (signing ? idOfKey(signing.publicKey) : newId(runtime));
  const authentication = options.authentication &&
    await authenticationOf(options.authentication, { cluster, id, runtime, signing });
  const listen = listenOf(options);
  const { heartbeatExpiration, maxMessageBytes } = paced(config);
  const platform = await platformOf({ maxMessageBytes, ...(listen && { listen }) });
  const door = doorOf(options, { config, eventStream });
  const transport = openTransport(options, { config, eventStream, authentication, listen, platform, door });
  try {
    const discovery = noticingSharedAddress(endingInTime(discoveryOf(options)), {
      heartbeatExpiration,
      // No other process shares a port on which this process listens.
      probes: options.listen === undefined,
      isReached: () => transport.wasReachedAt(transport.addressOf(self)),
    });
    const self = selfOf(options, { transport, id });
    answerToOwnAddresses(transport, self, {
      aliases: options.authentication?.aliases,
      hosts: ownHosts(options, platform),
    });
    const node = new Node(config, {
      self,
      name: cluster,
      eventStream,
      transport,
      ownsTransport: true,
      discovery,
      runtime,
      ...(actorStatistics && { actorStatistics }),
      ...(meters && { meters }),
      ...(signing && { signing }),
    });
    const logged = { cluster, id, node, heartbeatExpiration, path: pathOf(config.gossipActorName), runtime };
    const open = openToAll(options, transport.addressOf(self));
    void logEvents(eventStream, logged, { prints: log, openToAll: open });
    await node.start(signal ? { signal } : {});
    door?.observe(node);
    return node;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

function answerToOwnAddresses(
  transport: WebSocketTransport,
  self: Member,
  { aliases = [], hosts }: {
    readonly aliases?: readonly string[] | undefined;
    readonly hosts: readonly string[];
  },
): void {
  transport.answerTo(transport.addressOf(self));
  const { port } = endpointOf(transport.address ?? transport.addressOf(self));
  for (const host of hosts) transport.answerTo(transport.addressOf({ id: self.id, host, port, kinds: [] }));
  for (const alias of aliases) transport.answerTo(alias);
}

function openTransport(
  options: JoinOptions,
  { config, eventStream, authentication, listen, platform, door }: {
    readonly config: GossiperConfig;
    readonly eventStream: EventStream;
    readonly authentication: Authentication | undefined;
    readonly listen: ListenOptions | undefined;
    readonly platform: Platform;
    readonly door: Door | undefined;
  },
): WebSocketTransport {
  const { runtime = realRuntime, tls, insecure = false, allowedOrigins = [], meters } = options;
  return new WebSocketTransport({
    path: config.gossipActorName,
    maxMessageBytes: config.maxMessageBytes,
    maxConnectionsPerAddress: config.maxConnectionsPerAddress,
    maxHandshakes: config.maxHandshakes,
    maxMessagesPerSecond: config.maxMessagesPerSecond,
    connectTimeout: TIMEOUTS_PER_DIAL * config.gossipRequestTimeout,
    // A session takes the other half for its last messages, so closing takes at most one request timeout.
    closeTimeout: config.gossipRequestTimeout / 2,
    runtime,
    platform,
    insecure,
    allowedOrigins,
    secure: tls !== undefined,
    onClientRefused: (refused) => eventStream.publish({ type: "ClientRefused", ...refused }),
    onListenFailed: (failure) => eventStream.publish({ type: "ListenFailed", ...failure }),
    ...(authentication && { authentication }),
    ...(meters && { meters }),
    ...(door && { observers: door }),
    ...(tls?.caCerts && { caCerts: tls.caCerts }),
    ...(listen && { listen }),
  });
}

/** The entrance for observers, unless the option `observers` is `false`. */
function doorOf(
  { observers, meters, authentication, runtime = realRuntime }: JoinOptions,
  { config, eventStream }: { readonly config: GossiperConfig; readonly eventStream: EventStream },
): Door | undefined {
  if (observers === false) return undefined;
  return new Door({
    config,
    eventStream,
    runtime,
    meters,
    hasKeys: authentication !== undefined,
    signs: authentication?.sign ?? false,
    maySet: observers?.maySet ?? false,
  });
}

/** The listener of a member; `undefined` if it uses the service's own server or none. */
function listenOf(options: JoinOptions): ListenOptions | undefined {
  const { listen, advertise, tls } = options;
  if (!listen) return undefined;
  // A listed member listens on its port in the list, unless it has `advertise`.
  const port = listen.port ?? (advertise ? 0 : listedOf(options)?.port ?? 0);
  const { cert, key } = tls ?? {};
  return { ...listen, port, ...(cert && key && { tls: { cert, key } }) };
}

function discoveryOf({ seeds = [], members, discovery }: JoinOptions): Discovery {
  return discovery ?? (members ? fixedMembers(members) : bySeeds(seeds));
}

function listedOf({ id, members }: JoinOptions): ListedMember | undefined {
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
