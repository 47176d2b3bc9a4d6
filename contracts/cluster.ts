/**
 * What a gossiper is given: who it is, how peers are reached, who decides on membership.
 *
 * @module
 */

import type { GossipUpdate } from "../engine/events.ts";
import type { Member } from "../protocol/member.ts";
import type { EventStream } from "./event_stream.ts";
import type { Message } from "../protocol/message.ts";
import type { Runtime } from "../common/runtime.ts";
import type { Signing } from "./signing.ts";

export { isDialable, type Member, NOWHERE } from "../protocol/member.ts";

/** Why a connection ended. */
export interface CloseInfo {
  /** The WebSocket close code; 0 where the connection broke without one. */
  readonly code: number;
  /** Why. */
  readonly reason: string;
}

/**
 * An open connection to one peer: the shape of `WebSocketStream` and `WebTransport`.
 *
 * Closing `writable` closes the connection with 1000; aborting it, or cancelling `readable`, with a
 * {@linkcode ConnectionClosed} closes it with that code. A peer that breaks the protocol errors
 * `readable` with the same class. A `write` resolves when the transport has room for the next.
 */
export interface Connection {
  /** What the peer sends. */
  readonly readable: ReadableStream<Message>;
  /** What is sent to the peer. */
  readonly writable: WritableStream<Message>;
  /** Resolves with the reason when the connection is over; never rejects. */
  readonly closed: Promise<CloseInfo>;
  /** Where the peer is, for people to read. */
  readonly remote: string;
}

/** How messages reach peers. */
export interface Transport {
  /** Connections that peers opened. Cancelling it refuses all that come later. */
  readonly incoming: ReadableStream<Connection>;
  /** The address under which {@linkcode Transport.dial} reaches a member. */
  addressOf(member: Member): string;
  /**
   * Whether a member passes on to others, in a form that they can take, what it hears of members here. All do where
   * this is left out. Of a departure those that do are told first.
   */
  refusesDials?(member: Member): boolean;
  /** Opens a connection. Rejects with a `HearsayError` where that fails, with the signal's reason where it is aborted. */
  dial(address: string, options: { readonly signal: AbortSignal }): Promise<Connection>;
  /**
   * Changes the keys that the members share, where connections are authenticated by such; throws a
   * `HearsayError` where they are not, or a key is weak, and changes nothing then.
   */
  setKeys?(keys: readonly (string | Uint8Array)[]): void;
  /** Closes every connection and stops accepting; resolves when nothing is left. */
  close(): Promise<void>;
}

/** Who belongs to the cluster, as discovery says it: protoactor-go's `cluster.ClusterTopology`. */
export interface ClusterTopology {
  /** Tells this kind from the others. */
  readonly type: "ClusterTopology";
  /** All members, this one included. */
  readonly members: readonly Member[];
  /** Ids that are to be blocked. */
  readonly blocked: readonly string[];
  /** The members that the event before did not have. The sources of this library set it. */
  readonly joined?: readonly Member[];
  /** The members that only the event before had. The sources of this library set it. */
  readonly left?: readonly Member[];
  /** protoactor-go's hash of the ids, as a decimal number. The sources of this library set it. */
  readonly topologyHash?: string;
}

/** What is known of one address at which a member looks for others. Times are of this member's wall clock. */
export interface SeedStatus {
  /** The address. */
  readonly address: string;
  /** When it was dialled last; `null` before the first time. */
  readonly lastAttemptUnixMilliseconds: number | null;
  /**
   * What came of the last attempt that has ended: `met` another member, found this member itself (`self`), or `failed`;
   * `pending` before the first has ended.
   */
  readonly outcome: "pending" | "met" | "self" | "failed";
  /** The id of the member that answered, with `met` and `self`; else `null`. */
  readonly memberId: string | null;
  /** Why it failed, in at most 300 characters; else `null`. */
  readonly reason: string | null;
  /** When it is decided again whether to dial; `null` while an attempt is under way, or before the first. */
  readonly nextAttemptUnixMilliseconds: number | null;
}

/** What a discovery may ask of the gossiper that it serves. */
export interface DiscoveryContext {
  /** This member. */
  readonly self: Member;
  /** The cluster's name. */
  readonly cluster: string;
  /** Time and chance. */
  readonly runtime: Runtime;
  /** Where a discovery publishes `ClusterTopology` events, and hears of everything else. */
  readonly eventStream: Pick<EventStream, "publish" | "subscribe">;
  /** Ids of members that are active now: in the topology and not blocked. */
  activeIds(): ReadonlySet<string>;
  /** The address at which a member would be greeted. */
  addressOf(member: Member): string;
  /** Greets whoever answers at the address; resolves with the peer's record. */
  handshake(address: string, options: { readonly signal: AbortSignal }): Promise<Member>;
  /** Everyone who was greeted, or greeted this member, and was let in; again with each greeting. */
  readonly metPeers: ReadableStream<Member>;
  /** The values of a key that every member has now, and then every change; none is lost to a slow reader. */
  watch(key: string): ReadableStream<GossipUpdate>;
  /** How long to wait after so many failures in a row, in milliseconds: at random, up to a limit that grows. */
  retryDelay(failures: number): number;
  /** Hands over how to read what is known of each address at which this discovery looks: `snapshot().seeds` shows it. */
  reportSeeds(read: () => readonly SeedStatus[]): void;
  /** How often blocked members are greeted, in milliseconds; may be `Infinity`. */
  readonly blockedProbeInterval: number;
}

/** Who the peers are: a source of {@linkcode ClusterTopology} events. */
export interface Discovery {
  /**
   * Whether members learn of each other by greeting. Then this member's own record is gossiped, a greeting
   * of an unknown member is answered, and before the first contact a member alone agrees with nobody.
   */
  readonly openMembership: boolean;
  /**
   * The members, where they are known before anything runs: so that the first round has peers, and a member
   * never takes itself to be alone for want of an event.
   */
  readonly members?: readonly Member[];
  /**
   * Runs until the signal is aborted; resolves then. Whatever fails in it is told by `DiscoveryFailed` and tried
   * again, while the topology that it published last stays.
   */
  run(site: DiscoveryContext, options: { readonly signal: AbortSignal }): Promise<void>;
}

/** The cluster that a gossiper takes part in (R12.2). */
export interface Cluster {
  /** This member. */
  readonly self: Member;
  /** The cluster's name; peers of another are refused. */
  readonly name: string;
  /** Where topologies come from and events go to. */
  readonly eventStream: EventStream;
  /** How messages reach peers. */
  readonly transport: Transport;
  /** True if the gossiper closes the transport and ends the event stream when it is over; false by default. */
  readonly ownsTransport?: boolean;
  /** Without one, topologies are whatever is published on the event stream. */
  readonly discovery?: Discovery;
  /**
   * Signs what this member sets; then it takes of others only what they have signed. All members of a cluster
   * sign, or none.
   */
  readonly signing?: Signing;
  /** The number of actors of every kind, told with each heartbeat (R6.2). */
  readonly actorStatistics?: () => Readonly<Record<string, number>>;
  /** Time and chance; the real ones by default. */
  readonly runtime?: Runtime;
}
