/**
 * Where everything that happens is told, to whoever asked, as Web Streams.
 *
 * @module
 */

import type { EngineEvent } from "../engine/events.ts";
import type { ClusterTopology, SeedStatus } from "./cluster.ts";
import type { SettingDifference } from "../protocol/shared_settings.ts";
import { Fifo } from "../common/fifo.ts";
import { heapBytes } from "../common/heap_bytes.ts";
import { printableError } from "../common/printable.ts";
import { assertNone, assertSignal, describe, nearestOf } from "../options/rules.ts";

/** Told to a slow subscriber in place of the events that it missed. */
export interface EventsDropped {
  /** The event's type. */
  readonly type: "EventsDropped";
  /** How many events were dropped since the last one that was delivered. */
  readonly count: number;
}

/**
 * Another member is at this member's address, so that what is sent to one may reach the other: `deno serve --parallel`,
 * several workers that mount a handler each, or an address of a load balancer that several members advertise. Emitted
 * once; `join` writes it to the log as well. Give each member an address of its own.
 */
export interface AddressShared {
  /** The event's type. */
  readonly type: "AddressShared";
  /** This member's address. */
  readonly address: string;
  /** The other member, or one of them. */
  readonly memberId: string;
}

/** A callback of the user threw; whatever called it went on. */
export interface CallbackFailed {
  /** The event's type. */
  readonly type: "CallbackFailed";
  /** Which callback, in words. */
  readonly where: string;
  /** What it threw. */
  readonly error: unknown;
}

/** A request of this member to a peer failed; what it was to tell is told again with a later round. */
export interface RequestFailed {
  /** The event's type. */
  readonly type: "RequestFailed";
  /** The peer that was asked. */
  readonly peerId: string;
  /** Why: usually a `HearsayError`, whose code is `timeout` where the peer was too slow (R8.3). */
  readonly error: unknown;
}

/** Nobody could be greeted at a seed's address; it is tried again, and each reason is told once until it works. */
export interface SeedFailed {
  /** The event's type. */
  readonly type: "SeedFailed";
  /** The address, as it was given. */
  readonly address: string;
  /** Why: usually a `HearsayError`, whose code is `refused` where a member of another cluster answered. */
  readonly error: unknown;
}

/**
 * A seed's address that had failed works: a member answered there. Also emitted, without `memberId`, for one that is no
 * seed any more because its name leads elsewhere.
 */
export interface SeedRecovered {
  /** The event's type. */
  readonly type: "SeedRecovered";
  /** The address, as it was given. */
  readonly address: string;
  /** The id of the member that answered. */
  readonly memberId?: string;
}

/**
 * This member has had no other for 10 s, and at least one address at which it looks for others failed. Emitted once until it
 * has another again; `join` writes it to the log as well.
 */
export interface Alone {
  /** The event's type. */
  readonly type: "Alone";
  /** Each address at which it looks, with the reason of its last failure. */
  readonly seeds: readonly SeedStatus[];
}

/**
 * A source of members could not be asked, or what it said could not be used; it is asked again, and each reason is
 * told once until that works. The members that it named last stay.
 */
export interface DiscoveryFailed {
  /** The event's type. */
  readonly type: "DiscoveryFailed";
  /** Which source, in words, with its address. */
  readonly source: string;
  /** Why: usually a `HearsayError`. */
  readonly error: unknown;
}

/**
 * A client was refused before its connection was opened: it has no token or a wrong one, or comes from where it
 * may not. Told once for each host and reason until a client from there is let in or the keys change, and at most
 * ten in a second, so that nobody can crowd out other events by being refused.
 */
export interface ClientRefused {
  /** The event's type. */
  readonly type: "ClientRefused";
  /** Where the client is. */
  readonly remote: string;
  /** Why, as a sentence. */
  readonly reason: string;
}

/**
 * This member takes no new connections for now, mostly because its process has as many files and sockets open as it
 * may (`ulimit -n`). Those that are open stay, and it listens again after a second. Told at most once in a minute.
 */
export interface ListenFailed {
  /** The event's type. */
  readonly type: "ListenFailed";
  /** Where it listens, as `host:port`. */
  readonly address: string;
  /** Deno's own error. */
  readonly error: unknown;
}

/**
 * What a peer told of a member was not signed by that member, and was not taken; what is held of it stays. Told
 * once for each peer, member and reason until that peer tells something of it that is signed, and at most ten in a
 * second.
 */
export interface SignatureRefused {
  /** The event's type. */
  readonly type: "SignatureRefused";
  /** The member that it was said to be of. */
  readonly memberId: string;
  /** The peer that told it. */
  readonly peerId: string;
  /**
   * `signature`: it was changed on its way, or made up. `key`: it is signed with another key than the one that is
   * bound to the id. `unsigned`: there is no signature or no key.
   */
  readonly reason: "key" | "signature" | "unsigned";
}

/** A setting of a peer differs from this member's in a way that matters. Emitted once for each peer and pair of values. */
export interface SettingsDiffer extends SettingDifference {
  /** The event's type. */
  readonly type: "SettingsDiffer";
  /** The peer. */
  readonly peerId: string;
}

/** Everything that is told on an {@linkcode EventStream}. */
export type HearsayEvent =
  | EngineEvent
  | AddressShared
  | ClusterTopology
  | EventsDropped
  | CallbackFailed
  | ClientRefused
  | ListenFailed
  | RequestFailed
  | SeedFailed
  | SeedRecovered
  | Alone
  | DiscoveryFailed
  | SettingsDiffer
  | SignatureRefused;
/** The name of a kind of event. */
export type EventType = HearsayEvent["type"];
/** The events of one type, or of several. */
export type EventOf<T extends EventType> = Extract<HearsayEvent, { type: T }>;

const EVENT_TYPES: { readonly [type in EventType]: true } = {
  AddressShared: true,
  Alone: true,
  CallbackFailed: true,
  ClientRefused: true,
  ClusterTopology: true,
  Confirmed: true,
  ConflictDetected: true,
  ConsensusLost: true,
  ConsensusReached: true,
  DiscoveryFailed: true,
  Disseminated: true,
  EventsDropped: true,
  GossipUpdate: true,
  Isolated: true,
  IncarnationRenewed: true,
  ListenFailed: true,
  MemberBlocked: true,
  MemberFailed: true,
  MemberForgotten: true,
  MemberJoined: true,
  MemberLeft: true,
  MemberSuspected: true,
  MemberUnblocked: true,
  PhaseChanged: true,
  ReconcilingRequested: true,
  Rejoined: true,
  RequestFailed: true,
  SeedFailed: true,
  SeedRecovered: true,
  SelfBlocked: true,
  SettingsDiffer: true,
  SignatureRefused: true,
  StateDropped: true,
  SuspicionEnded: true,
};

/** How an {@linkcode EventStream} is made. */
export interface EventStreamOptions {
  /** How many events are kept for each subscriber that has not read them; 1024 by default. */
  readonly capacity?: number;
}

/** How one subscriber subscribes. */
export interface SubscribeOptions {
  /** Aborting it ends the stream quietly, at once, and drops what is buffered. */
  readonly signal?: AbortSignal;
  /** How many unread events are kept for this subscriber; the event stream's own number by default. */
  readonly capacity?: number;
}

/** Of how many seeds the last failure is kept for later subscribers: as many as are greeted. */
const MAX_FAILED_SEEDS = 1_024;

/** How many events are kept for a subscriber that does not read: enough for a burst. */
export const DEFAULT_EVENT_CAPACITY = 1024;
/**
 * How many bytes of memory, as {@linkcode heapBytes} estimates, the unread events of one subscriber take: 16 MiB, so that
 * a burst of 1,024 updates of 4 KiB is kept whole. One event is always kept, however large.
 */
export const MAX_BUFFERED_BYTES = 16_777_216;

/** Events that outlive all others in a full buffer: each tells a change of membership once, updates follow updates. */
const MEMBERSHIP_EVENTS: ReadonlySet<EventType> = new Set<EventType>([
  "ClusterTopology",
  "Isolated",
  "MemberBlocked",
  "MemberFailed",
  "MemberForgotten",
  "MemberJoined",
  "MemberLeft",
  "MemberSuspected",
  "MemberUnblocked",
  "Rejoined",
  "SelfBlocked",
  "SuspicionEnded",
]);

/**
 * Events for several subscribers, none of which can delay or break another, or whoever publishes.
 *
 * Of the unread events of a subscriber at most `capacity`, and at most 16 MiB, are kept. Over that it loses the oldest
 * events, those about membership last (`MemberBlocked` and its like), and never the latest `ClusterTopology`; an
 * `EventsDropped` says how many.
 *
 * @example
 * ```ts
 * import { EventStream } from "./event_stream.ts";
 *
 * const events = new EventStream();
 * const failures = events.subscribe("CallbackFailed");
 * events.publish({ type: "CallbackFailed", where: "actorStatistics", error: new Error("no") });
 * events.close();
 * for await (const event of failures) console.log(event.type);
 * ```
 */
export class EventStream {
  readonly #capacity: number;
  readonly #byType = new Map<EventType, Set<Subscriber>>();
  readonly #toAll = new Set<Subscriber>();
  readonly #subscribers = new Set<Subscriber>();
  #topology: ClusterTopology | undefined;
  /** The last failure of each seed that has not recovered, by address. */
  readonly #failedSeeds = new Map<string, SeedFailed>();
  #closed = false;

  /**
   * Makes a stream of events.
   *
   * @throws {ConfigurationError} unless the capacity is a whole number of at least 1.
   */
  constructor(options: EventStreamOptions = {}) {
    this.#capacity = checkedCapacity(options.capacity ?? DEFAULT_EVENT_CAPACITY);
  }

  /**
   * Tells an event to all who subscribed to its type. Never throws and never waits; costs in proportion to
   * those subscribers. Does nothing once the stream is closed.
   */
  publish(given: HearsayEvent): void {
    if (this.#closed) return;
    const event = fitForPrint(given);
    this.#keep(event);
    if (!this.isSubscribed(event.type)) return;
    const bytes = heapBytes(event, MAX_BUFFERED_BYTES);
    for (const subscriber of this.#byType.get(event.type) ?? []) subscriber.take(event, bytes);
    for (const subscriber of this.#toAll) subscriber.take(event, bytes);
  }

  /** Whether an event of this type would reach a subscriber. */
  isSubscribed(type: EventType): boolean {
    return this.#toAll.size > 0 || (this.#byType.get(type)?.size ?? 0) > 0;
  }

  /**
   * The events of the types named, or all, from now on; first those that say how things stand: the latest
   * `ClusterTopology`, and the last `SeedFailed` of each seed that has not recovered. Cancel the stream or abort the signal to unsubscribe: until then, events are
   * kept for it. After {@linkcode EventStream.close} the stream returned has ended already.
   *
   * @throws {ConfigurationError} where a type is none, of which nothing would ever come, or an option is wrong.
   */
  subscribe<T extends EventType>(
    types?: T | readonly T[],
    options: SubscribeOptions = {},
  ): ReadableStream<EventOf<T>> {
    const wanted = checkedTypes(types);
    assertSignal(options.signal);
    const capacity = checkedCapacity(options.capacity ?? this.#capacity);
    const sets = [this.#subscribers, ...this.#setsFor(wanted)];
    const subscriber = new Subscriber({
      capacity,
      reportsDrops: wanted?.has("EventsDropped") ?? true,
      unsubscribe: (self) => {
        for (const set of sets) set.delete(self);
      },
    });
    if (this.#closed) {
      subscriber.finish();
    } else {
      for (const set of sets) set.add(subscriber);
      const present = [...this.#failedSeeds.values(), ...(this.#topology ? [this.#topology] : [])];
      for (const event of present) {
        if (wanted?.has(event.type) ?? true) subscriber.take(event, heapBytes(event, MAX_BUFFERED_BYTES));
      }
      subscriber.endWith(options.signal);
    }
    // Only events of the sets that it is in are ever handed to it.
    return subscriber.readable as ReadableStream<EventOf<T>>;
  }

  /** Ends every subscriber's stream, after what is buffered for it; what is published later is ignored. */
  close(): void {
    this.#closed = true;
    for (const subscriber of this.#subscribers) subscriber.finish();
  }

  /** Keeps what says how things stand. */
  #keep(event: HearsayEvent): void {
    if (event.type === "ClusterTopology") this.#topology = event;
    if (event.type === "SeedRecovered") this.#failedSeeds.delete(event.address);
    if (event.type !== "SeedFailed") return;
    // The latest last.
    this.#failedSeeds.delete(event.address);
    this.#failedSeeds.set(event.address, event);
    if (this.#failedSeeds.size > MAX_FAILED_SEEDS) {
      this.#failedSeeds.delete(this.#failedSeeds.keys().next().value!);
    }
  }

  /** Ends every subscriber's stream at once, without what is buffered for it; what is published later is ignored. */
  end(): void {
    this.#closed = true;
    for (const subscriber of this.#subscribers) subscriber.end();
  }

  #setsFor(types: ReadonlySet<EventType> | undefined): Set<Subscriber>[] {
    if (types === undefined) return [this.#toAll];
    return Array.from(types, (type) => {
      let set = this.#byType.get(type);
      if (set === undefined) this.#byType.set(type, set = new Set());
      return set;
    });
  }
}

interface SubscriberOptions {
  readonly capacity: number;
  /** Whether it receives `EventsDropped`. */
  readonly reportsDrops: boolean;
  readonly unsubscribe: (self: Subscriber) => void;
}

/** What a peer or a server made an error say is fit for a log. What a callback threw is its user's own. */
function fitForPrint(event: HearsayEvent): HearsayEvent {
  if (!("error" in event) || event.type === "CallbackFailed") return event;
  const error = printableError(event.error);
  return error === event.error ? event : { ...event, error };
}

/** One subscriber: its buffer, and the stream that empties it. */
class Subscriber {
  readonly readable: ReadableStream<HearsayEvent>;
  readonly #options: SubscriberOptions;
  #buffer: EventBuffer;
  #controller!: ReadableStreamDefaultController<HearsayEvent>;
  /** Whether the reader waits for an event, and there was none. */
  #waiting = false;
  /** Whether no more events come, so that the stream ends with the last that is buffered. */
  #finishing = false;
  #ended = false;
  #stopListening: () => void = () => {};

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#buffer = new EventBuffer(options);
    this.readable = new ReadableStream<HearsayEvent>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#waiting = true;
        this.#deliver();
      },
      cancel: () => this.#release(),
    }, { highWaterMark: 0 });
  }

  take(event: HearsayEvent, bytes: number): void {
    this.#buffer.push(event, bytes);
    this.#deliver();
  }

  /** Ends the stream after what is buffered. */
  finish(): void {
    this.#options.unsubscribe(this);
    this.#finishing = true;
    this.#endIfEmpty();
  }

  /** Ends the stream, and forgets what is buffered, when the signal is aborted. */
  endWith(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = () => this.end();
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    this.#stopListening = () => signal.removeEventListener("abort", abort);
  }

  #deliver(): void {
    if (!this.#waiting) return;
    const event = this.#buffer.shift();
    if (event === undefined) return;
    // Before the enqueueing: that may pull again at once.
    this.#waiting = false;
    this.#controller.enqueue(event);
    this.#endIfEmpty();
  }

  #endIfEmpty(): void {
    if (this.#finishing && this.#buffer.isEmpty) this.end();
  }

  /** Ends the stream at once. */
  end(): void {
    if (this.#ended) return;
    this.#release();
    this.#controller.close();
  }

  #release(): void {
    this.#ended = true;
    this.#options.unsubscribe(this);
    this.#buffer = new EventBuffer(this.#options);
    this.#stopListening();
  }
}

/** An event that waits to be read. */
interface Buffered {
  readonly event: HearsayEvent;
  readonly bytes: number;
  /** Its place among all events of the buffer. */
  readonly order: number;
}

/**
 * The latest events, up to a number and a size. Over either it drops the oldest event that is not about membership,
 * then the oldest that is, never the latest topology; and counts what it drops.
 */
class EventBuffer {
  readonly #capacity: number;
  readonly #reportsDrops: boolean;
  readonly #membership = new Fifo<Buffered>();
  readonly #others = new Fifo<Buffered>();
  #latestTopology: Buffered | undefined;
  /** A topology that would have been dropped, had it not been the latest: older than all other membership events. */
  #kept: Buffered | undefined;
  #order = 0;
  #bytes = 0;
  #dropped = 0;

  constructor({ capacity, reportsDrops }: Pick<SubscriberOptions, "capacity" | "reportsDrops">) {
    this.#capacity = capacity;
    this.#reportsDrops = reportsDrops;
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  get #size(): number {
    return this.#membership.size + this.#others.size + (this.#kept === undefined ? 0 : 1);
  }

  push(event: HearsayEvent, bytes: number): void {
    const buffered = { event, bytes, order: this.#order++ };
    if (event.type === "ClusterTopology") this.#latestTopology = buffered;
    (MEMBERSHIP_EVENTS.has(event.type) ? this.#membership : this.#others).push(buffered);
    this.#bytes += bytes;
    while (this.#size > 1 && (this.#size > this.#capacity || this.#bytes > MAX_BUFFERED_BYTES)) {
      this.#dropOldest();
    }
  }

  /** The next event to deliver: first of all what was missed. */
  shift(): HearsayEvent | undefined {
    if (this.#dropped > 0 && this.#reportsDrops) {
      const count = this.#dropped;
      this.#dropped = 0;
      return { type: "EventsDropped", count };
    }
    const next = this.#takeOldest();
    if (next !== undefined) this.#bytes -= next.bytes;
    return next?.event;
  }

  #takeOldest(): Buffered | undefined {
    const membership = this.#kept ?? this.#membership.first;
    const other = this.#others.first;
    if (membership === undefined || (other !== undefined && other.order < membership.order)) {
      return this.#others.shift();
    }
    if (this.#kept === undefined) return this.#membership.shift();
    this.#kept = undefined;
    return membership;
  }

  #dropOldest(): void {
    const dropped = this.#others.shift() ?? this.#takeOldestMembership();
    this.#bytes -= dropped.bytes;
    this.#dropped++;
  }

  #takeOldestMembership(): Buffered {
    if (this.#kept !== undefined && this.#kept !== this.#latestTopology) {
      const superseded = this.#kept;
      this.#kept = undefined;
      return superseded;
    }
    const oldest = this.#membership.shift()!;
    if (oldest !== this.#latestTopology) return oldest;
    this.#kept = oldest;
    return this.#membership.shift()!;
  }
}

function checkedCapacity(capacity: number): number {
  const isRight = Number.isSafeInteger(capacity) && capacity >= 1;
  const given = describe(capacity);
  const allowed = "a whole number of at least 1";
  assertNone(isRight ? [] : [{ field: "capacity", problem: "is no number of events", given, allowed }]);
  return capacity;
}

/** The types that were asked for; none where it is all. */
function checkedTypes(given: unknown): ReadonlySet<EventType> | undefined {
  if (given === undefined) return undefined;
  const types: readonly unknown[] = Array.isArray(given) ? given : [given];
  const known = Object.keys(EVENT_TYPES);
  assertNone(types.flatMap((type, index) => {
    if (typeof type === "string" && Object.hasOwn(EVENT_TYPES, type)) return [];
    const field = Array.isArray(given) ? `types[${index}]` : "types";
    const nearest = typeof type === "string" ? nearestOf(type, known) : undefined;
    const problem = nearest === undefined ? "is no event" : `is no event; did you mean ${nearest}?`;
    return [{ field, problem, given: describe(type), allowed: nearest ?? known.join(", ") }];
  }));
  return new Set(types as readonly EventType[]);
}
