/**
 * The stream of all events, as Web Streams.
 *
 * @module
 */

import type { ClusterTopology } from "./cluster.ts";
import type { EventOf, EventType, HearsayEvent, SeedFailed } from "./events.ts";
import { BoundedMap } from "../common/bounded_map.ts";
import { EventBuffer, MAX_BUFFERED_BYTES } from "./event_buffer.ts";
import { heapBytes } from "../common/heap_bytes.ts";
import { errorText } from "../common/error_text.ts";
import { printable, printableError } from "../common/printable.ts";
import {
  assertNone,
  assertOptions,
  describe,
  nearestOf,
  type Rules,
  SIGNAL,
  wholeNumber,
} from "../options/rules.ts";

export type * from "./events.ts";
export { MAX_BUFFERED_BYTES } from "./event_buffer.ts";

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
  HandshakeRefused: true,
  Isolated: true,
  IncarnationRenewed: true,
  InvalidValue: true,
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
  SeenChanged: true,
  SelfBlocked: true,
  SelfUnreachable: true,
  SettingsDiffer: true,
  SignatureRefused: true,
  StateDropped: true,
  SuspicionEnded: true,
};

/** Options of an {@linkcode EventStream}. */
export interface EventStreamOptions {
  /** The most unread events kept for each subscriber; 1024 by default. */
  readonly capacity?: number;
}

/** Options of one subscription. */
export interface SubscribeOptions {
  /** Ends the stream at once when aborted, without an error, and drops its unread events. */
  readonly signal?: AbortSignal;
  /** The most unread events kept for this subscriber; by default the capacity of the event stream. */
  readonly capacity?: number;
}

/** The most seeds whose last failure is kept for later subscribers: as many seeds as are dialed. */
const MAX_FAILED_SEEDS = 1_024;

/** The default of the most unread events per subscriber: enough for a burst. */
export const DEFAULT_EVENT_CAPACITY = 1024;
const STREAM: Rules<EventStreamOptions> = { capacity: wholeNumber({ least: 1 }) };
const SUBSCRIBE: Rules<SubscribeOptions> = { ...STREAM, signal: SIGNAL };
/** The approximate size of an error's stack, in bytes. */
const STACK_BYTES = 2_048;

/**
 * Publishes events to subscribers. A subscriber cannot delay or break another subscriber or the publisher.
 *
 * At most `capacity` unread events of a subscriber, and at most 16 MiB, are kept. Above that the oldest are dropped:
 * those about membership (`MemberBlocked` and others) last, and the latest `ClusterTopology` never. `EventsDropped`
 * reports their number.
 *
 * @example
 * ```ts
 * import { EventStream } from "@hearsay/gossip/contracts";
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
  readonly #failedSeeds = new BoundedMap<string, SeedFailed>(MAX_FAILED_SEEDS);
  /** `Alone` while no other member is found, and `Isolated` while none is heard. */
  readonly #troubles = new Map<EventType, HearsayEvent>();
  #closed = false;

  /**
   * Makes an event stream.
   *
   * @throws {ConfigurationError} if the capacity is not an integer of at least 1.
   */
  constructor(options: EventStreamOptions = {}) {
    assertOptions(options, STREAM);
    this.#capacity = options.capacity ?? DEFAULT_EVENT_CAPACITY;
  }

  /**
   * Emits an event to all subscribers of its type. Never throws and never waits; costs in proportion to
   * those subscribers. Does nothing once the stream is closed.
   */
  publish(given: HearsayEvent): void {
    if (this.#closed) return;
    const event = fitForPrint(given);
    this.#keepForLater(event);
    if (!this.isSubscribed(event.type)) return;
    const bytes = bytesOf(event);
    for (const subscriber of this.#byType.get(event.type) ?? []) subscriber.take(event, bytes);
    for (const subscriber of this.#toAll) subscriber.take(event, bytes);
  }

  /** True if an event of this type has a subscriber. */
  isSubscribed(type: EventType): boolean {
    return this.#toAll.size > 0 || this.isNamed(type);
  }

  /** True if a subscription names this type. */
  isNamed(type: EventType): boolean {
    return (this.#byType.get(type)?.size ?? 0) > 0;
  }

  /**
   * Returns the events of the given types, or all, from now on. The present status comes first: the latest
   * `ClusterTopology`, the last `SeedFailed` of each seed that has not recovered, and `Alone` or `Isolated` while this
   * member is so. Events are kept for the stream
   * until you cancel it or abort the signal. After {@linkcode EventStream.close} the returned stream has already ended.
   *
   * @throws {ConfigurationError} if a type is unknown (its stream would stay empty) or an option is invalid.
   */
  subscribe<T extends EventType>(
    types?: T | readonly T[],
    options: SubscribeOptions = {},
  ): ReadableStream<EventOf<T>> {
    const wanted = checkedTypes(types);
    assertOptions(options, SUBSCRIBE);
    const { capacity = this.#capacity, signal } = options;
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
      const topology = this.#topology ? [this.#topology] : [];
      const present = [...this.#failedSeeds.values(), ...this.#troubles.values(), ...topology];
      for (const event of present) {
        if (wanted?.has(event.type) ?? true) subscriber.take(event, bytesOf(event));
      }
      subscriber.endWith(signal);
    }
    // The subscriber is in the sets of these types only.
    return subscriber.readable as ReadableStream<EventOf<T>>;
  }

  /** Ends every subscriber's stream after its unread events; later events are ignored. */
  close(): void {
    this.#closed = true;
    for (const subscriber of this.#subscribers) subscriber.finish();
  }

  /** Keeps the events that later subscribers get first. */
  #keepForLater(event: HearsayEvent): void {
    const { type } = event;
    if (type === "Alone" || type === "Isolated") this.#troubles.set(type, event);
    if (type === "MemberJoined") this.#troubles.delete("Alone");
    if (type === "Rejoined") this.#troubles.delete("Isolated");
    if (event.type === "ClusterTopology") this.#topology = event;
    if (event.type === "SeedRecovered") this.#failedSeeds.delete(event.address);
    if (event.type !== "SeedFailed") return;
    this.#failedSeeds.set(event.address, event);
  }

  /** Ends every subscriber's stream at once, without its unread events; later events are ignored. */
  end(): void {
    this.#closed = true;
    for (const subscriber of this.#subscribers) subscriber.end();
  }

  /** The number of unread events of all subscribers. */
  get unread(): number {
    let count = 0;
    for (const subscriber of this.#subscribers) count += subscriber.unread;
    return count;
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
  /** True if the subscriber gets `EventsDropped`. */
  readonly reportsDrops: boolean;
  readonly unsubscribe: (self: Subscriber) => void;
}

/** Makes errors printable, because a peer or server may choose their text. An error of a user's callback stays. */
function fitForPrint(event: HearsayEvent): HearsayEvent {
  if (!("error" in event) || event.type === "CallbackFailed") return event;
  try {
    const error = printableError(event.error);
    return error === event.error ? event : { ...event, error };
  } catch {
    // The error of a user's discovery may have fields that throw.
    return { ...event, error: new Error(printable(errorText(event.error))) };
  }
}

/**
 * The size of an event. Only the text of an error counts, because its fields may refer to the error itself, or throw.
 */
function bytesOf(event: HearsayEvent): number {
  if (!("error" in event)) return heapBytes(event, MAX_BUFFERED_BYTES);
  const { error, ...rest } = event;
  return heapBytes(rest, MAX_BUFFERED_BYTES) + STACK_BYTES + 2 * errorText(error).length;
}

/** One subscriber: its buffer and its stream. */
class Subscriber {
  readonly readable: ReadableStream<HearsayEvent>;
  readonly #options: SubscriberOptions;
  #buffer: EventBuffer;
  #controller!: ReadableStreamDefaultController<HearsayEvent>;
  /** True while the reader waits for an event. */
  #waiting = false;
  /** True once no more events come; the stream ends after its unread events. */
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

  get unread(): number {
    return this.#buffer.size;
  }

  take(event: HearsayEvent, bytes: number): void {
    this.#buffer.push(event, bytes);
    this.#deliver();
  }

  /** Ends the stream after its unread events. */
  finish(): void {
    this.#options.unsubscribe(this);
    this.#finishing = true;
    this.#endIfEmpty();
  }

  /** Ends the stream, without its unread events, when the signal is aborted. */
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
    // Before `enqueue`, because it may pull again at once.
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

/** The requested types; `undefined` for all. */
function checkedTypes(given: unknown): ReadonlySet<EventType> | undefined {
  if (given === undefined) return undefined;
  const types: readonly unknown[] = Array.isArray(given) ? given : [given];
  const known = Object.keys(EVENT_TYPES);
  assertNone(types.flatMap((type, index) => {
    if (typeof type === "string" && Object.hasOwn(EVENT_TYPES, type)) return [];
    const field = Array.isArray(given) ? `types[${index}]` : "types";
    const nearest = typeof type === "string" ? nearestOf(type, known) : undefined;
    const problem = `must name an event${nearest === undefined ? "" : ` (did you mean ${nearest}?)`}`;
    return [{ field, problem, given: describe(type), allowed: nearest ?? known.join(", ") }];
  }));
  return new Set(types as readonly EventType[]);
}
