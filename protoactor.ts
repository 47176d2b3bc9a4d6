/**
 * A member in a cluster of protoactor-go: it gossips with its members over their own remoting, and with other
 * Hearsay members there by `hearsay.v2` over the same port. See `docs/PROTOACTOR.md`.
 *
 * `mod.ts` reaches none of this.
 *
 * @module
 */

import type { Cluster, Discovery, Member } from "./gossiper/cluster.ts";
import type { GossiperConfig, PartialConfig } from "./gossiper/configuration.ts";
import type { FlushResult } from "./gossiper/departure.ts";
import { EventStream } from "./gossiper/event_stream.ts";
import { Gossiper } from "./gossiper/gossiper.ts";
import {
  brokenBy,
  DISCOVERY,
  FUNCTION,
  nameOf,
  type Rules,
  RUNTIME,
  SIGNAL,
  unknownNames,
} from "./gossiper/options.ts";
import { placeProblems } from "./gossiper/place_options.ts";
import { RunningNode } from "./gossiper/running_node.ts";
import { realRuntime, type Runtime } from "./gossiper/runtime.ts";
import { CLUSTER_NAME, configuredWith, KINDS } from "./gossiper/validation.ts";
import { newId } from "./join.ts";
import { insecureProblems, isOpenToAll, openToAll } from "./join_security.ts";
import { warn } from "./gossiper/log.ts";
import { ProtoactorTransport } from "./transport/protoactor/transport.ts";
import type { Decoder, Decoders } from "./transport/protoactor/values.ts";

export { HEARSAY_KIND, ProtoactorTransport } from "./transport/protoactor/transport.ts";
export type { ProtoactorTransportOptions } from "./transport/protoactor/transport.ts";
export type { Decoder, Decoders, Discovery, Member, PartialConfig, Runtime };

/** How to take part in a cluster of protoactor-go. */
export interface JoinProtoactorOptions {
  /** The cluster's name. */
  readonly cluster: string;
  /** Who the members are: the same source that protoactor-go's members use, such as `autoManaged`. */
  readonly discovery: Discovery;
  /** Where to listen: on loopback and a free port, unless it says otherwise. */
  readonly listen?: { readonly hostname?: string; readonly port?: number };
  /** Where others reach this member, if not where it listens. */
  readonly advertise?: { readonly host: string; readonly port: number };
  /** The kinds of this member, beside {@linkcode HEARSAY_KIND}: none whose actors others may want to activate. */
  readonly kinds?: readonly string[];
  /**
   * Lets everybody in who can reach this member: on a network that is nobody else's, for protoactor's remoting knows no
   * keys. It says so once in the log. Without it only processes of this machine take part.
   */
  readonly insecure?: boolean;
  /** Settings that differ from the defaults. `gossipActorName` must be that of all, `"gossip"`. */
  readonly config?: PartialConfig;
  /**
   * How values that protoactor's members set are shown, by the full name of their type. Without one, a value of
   * another type than `google.protobuf.Value` is `{ typeUrl, bytes }`, the bytes in base64. Either way it goes on
   * to other members as it came.
   */
  readonly decoders?: Decoders;
  /** The number of actors of every kind, told with each heartbeat. */
  readonly actorStatistics?: () => Readonly<Record<string, number>>;
  /** Does what {@linkcode ProtoactorNode.stop} does when aborted. */
  readonly signal?: AbortSignal;
  /** Time and chance; the real ones by default. */
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
  signal: SIGNAL,
  runtime: RUNTIME,
};

/** A member that takes part in a cluster of protoactor-go. */
export interface ProtoactorNode extends AsyncDisposable {
  /** The gossiper that it runs. */
  readonly gossiper: Gossiper;
  /** This member as others see it. Its id is new for every life: protoactor-go takes no id back that was gone. */
  readonly member: Member;
  /**
   * Aborted when this member begins to leave, however that comes. The streams of events and of watched keys end by
   * themselves then, and drop what was not read; it is for timers and other loops that set something.
   */
  readonly signal: AbortSignal;
  /** Leaves the cluster and closes everything; says who was told. Rejects the second time. */
  stop(): Promise<FlushResult>;
}

/**
 * Joins a cluster of protoactor-go. Resolves as soon as the member listens and gossips; who else is there turns up by
 * and by.
 *
 * Nothing is encrypted and nobody is authenticated, as in protoactor-go unless it is told otherwise: whoever is let in is
 * believed. So only processes of this machine are, unless `insecure` says otherwise.
 *
 * @throws {ConfigurationError} naming everything in the options that is wrong.
 * @throws {HearsayError} with code `cannot_listen` where the port to listen on is taken.
 *
 * @example A member that alone waits for others
 * ```ts
 * import { joinProtoactor } from "@hearsay/gossip/protoactor";
 * import { autoManaged } from "@hearsay/gossip/protoactor-discovery";
 *
 * const discovery = autoManaged({ hosts: ["127.0.0.1:6330", "127.0.0.1:6331"], port: 6331 });
 * await using node = await joinProtoactor({ cluster: "orders", discovery });
 * node.gossiper.setState("load", { cpu: 0.3 });
 * ```
 */
export async function joinProtoactor(options: JoinProtoactorOptions): Promise<ProtoactorNode> {
  const config = checkedConfig(options);
  const { cluster: name, discovery, listen = {}, advertise, kinds, decoders, signal } = options;
  const { actorStatistics, runtime = realRuntime } = options;
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
    // With the half that a session takes to say its last, all closing is over within one request timeout.
    closeTimeout: config.gossipRequestTimeout / 2,
    insecure: options.insecure ?? false,
    onClientRefused: (refused) => eventStream.publish({ type: "ClientRefused", ...refused }),
    onListenFailed: (failure) => eventStream.publish({ type: "ListenFailed", ...failure }),
    runtime,
  });
  if (isOpenToAll(options)) warn(openToAll(transport.addressOf(transport.self)));
  try {
    const cluster: Cluster = {
      self: transport.self,
      name,
      eventStream,
      transport,
      discovery,
      runtime,
      ...(actorStatistics && { actorStatistics }),
    };
    const gossiper = new Gossiper(config, cluster);
    await gossiper.start(signal ? { signal } : {});
    return new RunningNode({ gossiper, member: transport.self, transport, eventStream });
  } catch (error) {
    await transport.close();
    throw error;
  }
}

function checkedConfig(options: JoinProtoactorOptions): GossiperConfig {
  const given: Partial<JoinProtoactorOptions> = Object(options);
  const before = [
    ...unknownNames(undefined, options, Object.keys(RULES)),
    ...brokenBy(given, { rules: RULES, required: ["cluster", "discovery"] }),
    ...placeProblems(given),
    ...insecureProblems(given, { hasKeys: false }),
  ];
  return configuredWith(given.config, { before });
}

/** What others say of it. */
function checkedElsewhere(): [] {
  return [];
}
