/**
 * A member in a cluster of protoactor-go. It gossips with Go members over protoactor's remoting, and with
 * other Hearsay members by `hearsay.v2` over the same port. See `docs/PROTOACTOR.md`.
 *
 * `mod.ts` does not import this module.
 *
 * @module
 */

import type { Cluster, Discovery, Member } from "../contracts/cluster.ts";
import { DEFAULT_CONFIG, type GossiperConfig, paced, type PartialConfig } from "../options/configuration.ts";
import { EventStream } from "../contracts/event_stream.ts";
import {
  brokenBy,
  FLAG,
  FUNCTION,
  nameOf,
  type Rules,
  RUNTIME,
  SIGNAL,
  unknownNames,
} from "../options/rules.ts";
import { DISCOVERY } from "../contracts/discovery_rule.ts";
import { endingInTime } from "../discovery/ending_in_time.ts";
import { logEvents } from "../node/logged_events.ts";
import { LISTEN_OPTIONS, placeProblems } from "../node/place_options.ts";
import { Gossiper } from "../gossiper/gossiper.ts";
import { realRuntime, type Runtime } from "../common/runtime.ts";
import { configuredWith } from "../gossiper/validation.ts";
import { CLUSTER_NAME, KINDS } from "../options/member_rules.ts";
import { newId } from "../common/new_id.ts";
import { mapsOf } from "./maps.ts";
import { openEvents } from "./events.ts";
import { insecureProblems, openToAll } from "../node/join_security.ts";
import { ProtoactorTransport } from "./transport/transport.ts";
import type { Decoder, Decoders } from "./transport/values.ts";

export { broadcastEvent, type EventResult, type GoEvent, onBroadcastEvent } from "./events.ts";
export { HEARSAY_KIND, ProtoactorTransport } from "./transport/transport.ts";
export type { ProtoactorTransportOptions } from "./transport/transport.ts";
export type { Decoder, Decoders, Discovery, Member, PartialConfig, Runtime };

/** Options of {@linkcode joinProtoactor}. */
export interface JoinProtoactorOptions {
  /** The cluster's name. */
  readonly cluster: string;
  /** The source of the members. It must be the one of the Go members, such as `autoManaged`. */
  readonly discovery: Discovery;
  /** The address to listen on; by default loopback and a free port. */
  readonly listen?: { readonly hostname?: string; readonly port?: number };
  /** The address that other members dial; by default the listening address. */
  readonly advertise?: { readonly host: string; readonly port: number };
  /**
   * The kinds of this member in addition to {@linkcode HEARSAY_KIND}. Other members must not activate actors
   * of them.
   */
  readonly kinds?: readonly string[];
  /**
   * Accepts connections from other machines without authentication, for protoactor's remoting has no keys.
   * Only for a trusted network; logs one warning. By default only processes on this machine can connect.
   */
  readonly insecure?: boolean;
  /** Settings that differ from the defaults. `gossipActorName` must be `"gossip"`, as in all Go members. */
  readonly config?: PartialConfig;
  /**
   * Decoders of values that Go members set, by the full name of the protobuf type. Without a decoder, a value of
   * another type than `google.protobuf.Value` is `{ typeUrl, bytes }`, with the bytes in base64. Decoders do not change
   * the value that is sent to other members. A decoder of `cluster.GossipMap` is built in, so that
   * `@hearsay/gossip/maps` reads maps.
   */
  readonly decoders?: Decoders;
  /** Returns the number of actors of each kind; called for each heartbeat. */
  readonly actorStatistics?: () => Readonly<Record<string, number>>;
  /**
   * False if the member prints no warnings, because `logTo` of `@hearsay/gossip/operations` logs them all; true by
   * default.
   */
  readonly log?: boolean;
  /** Stops the member when aborted, like {@linkcode ProtoactorNode.stop}. */
  readonly signal?: AbortSignal;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
}

const RULES: Rules<JoinProtoactorOptions> = {
  cluster: CLUSTER_NAME,
  discovery: DISCOVERY,
  listen: checkedElsewhere,
  advertise: checkedElsewhere,
  kinds: KINDS,
  insecure: checkedElsewhere,
  config: checkedElsewhere,
  decoders: (field, given) =>
    Object.entries(Object(given)).flatMap(([type, each]) => FUNCTION(`${field}.${nameOf(type)}`, each)),
  actorStatistics: FUNCTION,
  log: FLAG,
  signal: SIGNAL,
  runtime: RUNTIME,
};

/** The names in each option that is an object. */
const SECTIONS = { listen: LISTEN_OPTIONS, config: Object.keys(DEFAULT_CONFIG) };

/** A running member in a cluster of protoactor-go. Its id is new at every start: Go members block a departed id forever. */
export type ProtoactorNode = Gossiper;

/**
 * Joins a cluster of protoactor-go. Resolves as soon as the member listens and gossips; discovery adds the
 * other members afterwards.
 *
 * Connections are neither encrypted nor authenticated, and every connected member is trusted. So the member
 * accepts only processes on this machine, unless `insecure` is set.
 *
 * @throws {ConfigurationError} naming every fault in the options.
 * @throws {HearsayError} with code `cannot_listen` if the port is taken.
 *
 * @example A member that starts alone and waits for others
 * ```ts
 * import { joinProtoactor } from "@hearsay/gossip/protoactor";
 * import { autoManaged } from "@hearsay/gossip/protoactor-discovery";
 *
 * const discovery = autoManaged({ hosts: ["127.0.0.1:6330", "127.0.0.1:6331"], port: 6331 });
 * await using node = await joinProtoactor({ cluster: "orders", discovery });
 * node.setState("load", { cpu: 0.3 });
 * ```
 */
export async function joinProtoactor(options: JoinProtoactorOptions): Promise<ProtoactorNode> {
  const config = checkedConfig(options);
  const { cluster: name, discovery, listen = {}, advertise, kinds, decoders, signal } = options;
  const { actorStatistics, log = true, runtime = realRuntime } = options;
  signal?.throwIfAborted();
  const eventStream = new EventStream({ capacity: config.eventCapacity });
  const transport = await ProtoactorTransport.listen({
    id: newId(runtime),
    cluster: name,
    ...listen,
    ...(advertise && { advertise }),
    ...(kinds && { kinds }),
    ...(decoders && { decoders }),
    maxMessageBytes: config.maxMessageBytes,
    gossipActorName: config.gossipActorName,
    connectTimeout: config.gossipRequestTimeout,
    // A session takes the other half for its last messages, so closing takes at most one request timeout.
    closeTimeout: config.gossipRequestTimeout / 2,
    insecure: options.insecure ?? false,
    onClientRefused: (refused) => eventStream.publish({ type: "ClientRefused", ...refused }),
    onListenFailed: (failure) => eventStream.publish({ type: "ListenFailed", ...failure }),
    runtime,
  });
  try {
    const cluster: Cluster = {
      self: transport.self,
      name,
      eventStream,
      transport,
      ownsTransport: true,
      discovery: endingInTime(discovery),
      runtime,
      ...(actorStatistics && { actorStatistics }),
    };
    const node = new Gossiper(config, cluster);
    transport.maps = mapsOf(node);
    openEvents(node, { transport, decoders: decoders ?? {} });
    const { heartbeatExpiration } = paced(config);
    const logged = { cluster: name, id: node.id, node, heartbeatExpiration, path: "/", runtime };
    const open = openToAll(options, transport.addressOf(transport.self));
    void logEvents(eventStream, logged, { prints: log, openToAll: open });
    await node.start(signal ? { signal } : {});
    return node;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

function checkedConfig(options: JoinProtoactorOptions): GossiperConfig {
  const given: Partial<JoinProtoactorOptions> = Object(options);
  const before = [
    ...unknownNames(undefined, options, { known: Object.keys(RULES), sections: SECTIONS }),
    ...brokenBy(given, { rules: RULES, required: ["cluster", "discovery"] }),
    ...placeProblems(given),
    ...insecureProblems(given, { hasKeys: false }),
  ];
  return configuredWith(given.config, { before });
}

/**
 * For an option with a check of its own: {@linkcode placeProblems}, {@linkcode insecureProblems} or
 * `configuredWith`.
 */
function checkedElsewhere(): [] {
  return [];
}
