/**
 * The events of the transport, the discovery and the gossiper, and the type of all events. The engine's own events are
 * in `engine/events.ts`.
 *
 * @module
 */

import type { EngineEvent } from "../engine/events.ts";
import type { RefusalCode } from "../protocol/message.ts";
import type { SettingDifference } from "../protocol/shared_settings.ts";
import type { ClusterTopology, SeedStatus } from "./cluster.ts";

/** A slow subscriber missed events. It is delivered in their place. */
export interface EventsDropped {
  /** The event's type. */
  readonly type: "EventsDropped";
  /** The number of events dropped since the last delivered one. */
  readonly count: number;
}

/**
 * Another member answers at this member's address, so that a message for this member may reach the other. Causes: `deno
 * serve --parallel`, several workers with a handler each, or a load balancer's address that several members advertise.
 * Emitted once; `join` logs it as well. Give each member its own address.
 */
export interface AddressShared {
  /** The event's type. */
  readonly type: "AddressShared";
  /** This member's address. */
  readonly address: string;
  /** The other member; if there are several, one of these. */
  readonly memberId: string;
}

/**
 * No member answers at this member's own address, so that no other member can dial it: `node.handler` is not mounted
 * there, or `advertise` is wrong. Only a member with `advertise` and without `listen` dials its own address. Emitted
 * once, after the last of six attempts in 16 s, unless another member has dialed this member there; `join` logs it as
 * well.
 */
export interface SelfUnreachable {
  /** The event's type. */
  readonly type: "SelfUnreachable";
  /** This member's address. */
  readonly address: string;
  /** The error of the last attempt: usually a `HearsayError`. */
  readonly error: unknown;
}

/** A callback of the user threw. The gossiper continues. */
export interface CallbackFailed {
  /** The event's type. */
  readonly type: "CallbackFailed";
  /** The name of the callback. */
  readonly where: string;
  /** The error. */
  readonly error: unknown;
}

/** A request of this member to a peer failed; a later round sends its content again. */
export interface RequestFailed {
  /** The event's type. */
  readonly type: "RequestFailed";
  /** The peer. */
  readonly peerId: string;
  /** The error: usually a `HearsayError`, with code `timeout` if the peer was too slow (R8.3). */
  readonly error: unknown;
}

/**
 * The handshake at a seed's address failed. It is tried again; each reason is emitted once until a handshake succeeds.
 */
export interface SeedFailed {
  /** The event's type. */
  readonly type: "SeedFailed";
  /** The address as given. */
  readonly address: string;
  /** The error: usually a `HearsayError`, with code `refused` if a member of another cluster answered. */
  readonly error: unknown;
}

/**
 * A failed seed works again: a member answered at its address. Also emitted, without `memberId`, for an address that is
 * no longer a seed because its name resolves to others.
 */
export interface SeedRecovered {
  /** The event's type. */
  readonly type: "SeedRecovered";
  /** The address as given. */
  readonly address: string;
  /** The id of the member that answered. */
  readonly memberId?: string;
}

/**
 * This member has had no peer for 10 s, and at least one address of its discovery failed or led to this member itself.
 * Emitted once until it has a peer again, and once more if an address fails after an `Alone` without a failure; `join`
 * logs it as well.
 */
export interface Alone {
  /** The event's type. */
  readonly type: "Alone";
  /** Each address of the discovery, with its outcome and the reason of its last failure. */
  readonly seeds: readonly SeedStatus[];
}

/**
 * A query of the discovery failed, or its answer was unusable. The query is repeated, except with `isFinal`; each reason is emitted once until
 * a query succeeds. The members of the last answer stay.
 */
export interface DiscoveryFailed {
  /** The event's type. */
  readonly type: "DiscoveryFailed";
  /** The source of members with its address, as text. */
  readonly source: string;
  /** The error: usually a `HearsayError`. */
  readonly error: unknown;
  /** True if the source is not queried again. */
  readonly isFinal?: boolean;
}

/**
 * A client was refused before its connection was opened: its token is missing or invalid, or its origin or address is
 * not allowed. Emitted once for each host and reason until a client of that host is accepted or the keys change.
 * Emitted at most ten times per second, so that refused clients cannot crowd out other events.
 */
export interface ClientRefused {
  /** The event's type. */
  readonly type: "ClientRefused";
  /** The client's address. */
  readonly remote: string;
  /** The reason, as a sentence. */
  readonly reason: string;
}

/**
 * This member refused a peer's handshake: the peer is of another cluster, is not in the list of members, or does not
 * fit. Emitted once for each peer and code until a handshake with that peer succeeds, and at most ten times per second.
 */
export interface HandshakeRefused {
  /** The event's type. */
  readonly type: "HandshakeRefused";
  /** The peer's id. */
  readonly peerId: string;
  /** The reason, as the peer got it. */
  readonly code: RefusalCode;
  /** The reason, as a sentence with the address that the peer advertises. */
  readonly reason: string;
}

/**
 * This member accepts no connections for now, usually because its process has reached its limit of open files and
 * sockets (`ulimit -n`). Open connections stay. It tries to listen again every second. Emitted at most once per minute.
 * `autoManaged` of protoactor emits it for its `/_health` too, also if another process uses the port.
 */
export interface ListenFailed {
  /** The event's type. */
  readonly type: "ListenFailed";
  /** The address of the listener, as `host:port`. */
  readonly address: string;
  /** The error of the system. */
  readonly error: unknown;
}

/**
 * A peer sent entries of a member without a valid signature of that member. They were refused; the known state stays.
 * Emitted once for each peer, member and reason until that peer sends valid entries of the member, and at most ten times
 * per second.
 */
export interface SignatureRefused {
  /** The event's type. */
  readonly type: "SignatureRefused";
  /** The member named in the entries. */
  readonly memberId: string;
  /** The peer that sent them. */
  readonly peerId: string;
  /**
   * `signature`: the signature does not match the entries. `key`: the entries name another key than the key bound to the
   * id, or no room is left to bind their key. `unsigned`: the signature or the key is missing.
   */
  readonly reason: "key" | "signature" | "unsigned";
}

/**
 * At least one more member acknowledged this member's latest value of a key. Emitted only while a subscription names
 * this event, once for each key and engine call.
 */
export interface SeenChanged {
  /** The event's type. */
  readonly type: "SeenChanged";
  /** The key. */
  readonly key: string;
  /** The number of its last set. */
  readonly sequenceNumber: number;
  /** The number of living members that have the value, including this member. */
  readonly seenBy: number;
  /** The number of living members, including this member. */
  readonly of: number;
}

/**
 * The value of a member under a typed key does not match the key's schema, and is left out. Emitted once for each key,
 * member and list of issues until a value of the member fits.
 */
export interface InvalidValue {
  /** The event's type. */
  readonly type: "InvalidValue";
  /** The member. */
  readonly memberId: string;
  /** The key. */
  readonly key: string;
  /** The reasons, each a sentence with the path in the value; at most 8. A schema may quote parts of the value. */
  readonly issues: readonly string[];
}

/** A setting of a peer differs in a way that matters. Emitted once for each peer and pair of values. */
export interface SettingsDiffer extends SettingDifference {
  /** The event's type. */
  readonly type: "SettingsDiffer";
  /** The peer. */
  readonly peerId: string;
}

/** All events of an {@linkcode EventStream}. */
export type HearsayEvent =
  | EngineEvent
  | AddressShared
  | ClusterTopology
  | EventsDropped
  | CallbackFailed
  | ClientRefused
  | HandshakeRefused
  | InvalidValue
  | ListenFailed
  | RequestFailed
  | SeedFailed
  | SeedRecovered
  | SelfUnreachable
  | Alone
  | SeenChanged
  | DiscoveryFailed
  | SettingsDiffer
  | SignatureRefused;
/** The type of an event. */
export type EventType = HearsayEvent["type"];
/** The events of one type, or of several. */
export type EventOf<T extends EventType> = Extract<HearsayEvent, { type: T }>;
