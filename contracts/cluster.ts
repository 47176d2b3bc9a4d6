/**
 * The parts that a gossiper is given: its cluster, its transport and its discovery.
 *
 * @module
 */

import type { GossipUpdate } from "../engine/events.ts";
import type { Member } from "../protocol/member.ts";
import type { EventStream } from "./event_stream.ts";
import type { Message } from "../protocol/message.ts";
import type { Meters } from "./meters.ts";
import type { Runtime } from "../common/runtime.ts";
import type { Signing } from "./signing.ts";

export { isDialable, type Member, NOWHERE } from "../protocol/member.ts";

/** A member in a fixed list. */
export interface ListedMember extends Omit<Member, "kinds"> {
  /** The kinds of actors that it hosts; informative. By default it has no kinds. */
  readonly kinds?: readonly string[];
}

/** The end of a connection. */
export interface CloseInfo {
  /** The WebSocket close code; 0 if the connection broke without one. */
  readonly code: number;
  /** The reason, as text. */
  readonly reason: string;
}

/**
 * An open connection to one peer: the shape of `WebSocketStream` and `WebTransport`.
 *
 * Closing `writable` closes the connection with 1000. Aborting it, or canceling `readable`, with a
 * {@linkcode ConnectionClosed} closes it with that code. If the peer breaks the protocol, `readable` errors with
 * the same class. A `write` resolves when the transport has room for the next message.
 */
export interface Connection {
  /** The messages from the peer. */
  readonly readable: ReadableStream<Message>;
  /** The messages to the peer. */
  readonly writable: WritableStream<Message>;
  /** Resolves with the reason when the connection has ended; never rejects. */
  readonly closed: Promise<CloseInfo>;
  /** The peer's address, for people. */
  readonly remote: string;
  /** True if the peer may only read: it is no member, and its entries are not merged. False by default. */
  readonly isReader?: boolean;
}

/** Carries messages to peers. */
export interface Transport {
  /** Connections that peers opened. A cancel of this stream refuses all later connections. */
  readonly incoming: ReadableStream<Connection>;
  /** The address of a member for {@linkcode Transport.dial}. */
  addressOf(member: Member): string;
  /**
   * True if a member relays the state of others in a form that all members can merge. If omitted, all members do. A
   * leaving member sends its departure to such members first.
   */
  relays?(member: Member): boolean;
  /** Opens a connection. Rejects with the signal's reason if it is aborted, otherwise with a `HearsayError`. */
  dial(address: string, options: { readonly signal: AbortSignal }): Promise<Connection>;
  /**
   * Replaces the cluster keys. Throws a `HearsayError`, and changes nothing, if a key is weak or the connections are not
   * authenticated by keys.
   */
  setKeys?(keys: readonly (string | Uint8Array)[]): void;
  /** Closes every connection and stops accepting; resolves once all are closed. */
  close(): Promise<void>;
}

/** The members of the cluster, as the discovery names them: protoactor-go's `cluster.ClusterTopology`. */
export interface ClusterTopology {
  /** The event's type. */
  readonly type: "ClusterTopology";
  /** All members, including this member. */
  readonly members: readonly Member[];
  /** The ids to block. */
  readonly blocked: readonly string[];
  /** The members that the event before did not have. Set by the discoveries of this library. */
  readonly joined?: readonly Member[];
  /** The members that only the event before had. Set by the discoveries of this library. */
  readonly left?: readonly Member[];
  /** protoactor-go's hash of the ids, as a decimal number. Set by the discoveries of this library. */
  readonly topologyHash?: string;
}

/** The status of one address of the discovery. Times are of this member's wall clock. */
export interface SeedStatus {
  /** The address. */
  readonly address: string;
  /** The time of the last dial; `null` before the first. */
  readonly lastAttemptUnixMilliseconds: number | null;
  /**
   * The result of the last attempt that ended: `met` another member, found this member (`self`), or `failed`; `pending`
   * before the first has ended.
   */
  readonly outcome: "pending" | "met" | "self" | "failed";
  /** The id of the member that answered, with `met` and `self`; else `null`. */
  readonly memberId: string | null;
  /** The reason of a failure, in at most 300 characters; else `null`. */
  readonly reason: string | null;
  /** The time of the next decision to dial; `null` during an attempt, or before the first. */
  readonly nextAttemptUnixMilliseconds: number | null;
}

/** The gossiper's interface for its discovery. */
export interface DiscoveryContext {
  /** This member. */
  readonly self: Member;
  /** The cluster's name. */
  readonly cluster: string;
  /** Clocks, timers and random numbers. */
  readonly runtime: Runtime;
  /** Publish the discovery's own events here, such as `ClusterTopology`; subscribe to any. */
  readonly eventStream: Pick<EventStream, "publish" | "subscribe">;
  /** The ids of active members: in the topology and not blocked. */
  activeIds(): ReadonlySet<string>;
  /** The address at which a member would be dialed. */
  addressOf(member: Member): string;
  /** Dials an address and shakes hands; resolves with the peer's record. */
  handshake(address: string, options: { readonly signal: AbortSignal }): Promise<Member>;
  /** Emits each member that shook hands and was let in, at every handshake, whichever side dialed. */
  readonly metPeers: ReadableStream<Member>;
  /**
   * Emits the present values of a key, then every change. A slow reader may miss old values, but not the latest value.
   */
  watch(key: string): ReadableStream<GossipUpdate>;
  /** The wait after a number of failures in a row, in milliseconds: random, up to a limit that grows. */
  retryDelay(failures: number): number;
  /** Registers the function that returns the status of each address of this discovery, for `snapshot().seeds`. */
  reportSeeds(read: () => readonly SeedStatus[]): void;
  /** The time between handshakes with blocked members, in milliseconds; may be `Infinity`. */
  readonly blockedProbeInterval: number;
}

/** A source of members: it publishes {@linkcode ClusterTopology} events. */
export interface Discovery {
  /**
   * True if members learn of each other by handshakes. This member then gossips its own record, and lets in unknown
   * members that shake hands. Until the first handshake succeeds, it reports neither consensus nor `confirmed`.
   */
  readonly openMembership: boolean;
  /**
   * The members, if they are known before the start. The first round then has peers, and this member does not take
   * itself for the only one while it waits for an event.
   */
  readonly members?: readonly Member[];
  /**
   * Publishes the members, and then each change, until the signal is aborted. May resolve earlier if the members never
   * change. After the abort it must resolve at once, because `stop()` waits for it. A member of `join` waits at most
   * two seconds, then publishes `DiscoveryFailed` and leaves. On a failure, publish `DiscoveryFailed` and try again;
   * the last topology stays.
   */
  run(context: DiscoveryContext, options: { readonly signal: AbortSignal }): Promise<void>;
}

/** The cluster that a gossiper takes part in (R12.2). */
export interface Cluster {
  /** This member. */
  readonly self: Member;
  /** The cluster's name; members of other clusters are refused. */
  readonly name: string;
  /** The stream of all events; topologies are read from it. */
  readonly eventStream: EventStream;
  /** Carries messages to peers. */
  readonly transport: Transport;
  /** True if the gossiper closes the transport and ends the event stream at its end; false by default. */
  readonly ownsTransport?: boolean;
  /** The source of members. Without a discovery, publish `ClusterTopology` events on the event stream. */
  readonly discovery?: Discovery;
  /**
   * Signs this member's state. This member then merges signed state only. In a cluster either all members sign, or
   * none.
   */
  readonly signing?: Signing;
  /** Returns the number of actors of every kind; each heartbeat carries it (R6.2). */
  readonly actorStatistics?: () => Readonly<Record<string, number>>;
  /** Clocks, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
  /** Records the work of the gossiper. Give the same meters to the transport. */
  readonly meters?: Meters;
}
