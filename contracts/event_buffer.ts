/**
 * The unread events of one subscriber.
 *
 * @module
 */

import { Fifo } from "../common/fifo.ts";
import type { EventType, HearsayEvent } from "./events.ts";

/**
 * The memory for the unread events of one subscriber, in bytes as `heapBytes` estimates them. 16 MiB: a burst
 * of 1,024 updates of 4 KiB fits. The latest event is kept at any size.
 */
export const MAX_BUFFERED_BYTES = 16_777_216;

/** The events that a full buffer drops last: a change of membership is emitted only once. */
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

/** Options of an {@linkcode EventBuffer}. */
export interface EventBufferOptions {
  /** The most unread events. */
  readonly capacity: number;
  /** True if the subscriber gets `EventsDropped`. */
  readonly reportsDrops: boolean;
}

/** An unread event. */
interface Buffered {
  readonly event: HearsayEvent;
  readonly bytes: number;
  /** Its position among all events of the buffer. */
  readonly order: number;
}

/**
 * The unread events, limited in number and size. Above a limit the buffer drops the oldest event that is not about
 * membership. If all are about membership, it drops the oldest event, but never the latest topology. It counts the
 * dropped events.
 */
export class EventBuffer {
  readonly #capacity: number;
  readonly #reportsDrops: boolean;
  readonly #membership = new Fifo<Buffered>();
  readonly #others = new Fifo<Buffered>();
  #latestTopology: Buffered | undefined;
  /** A topology that was taken out of the membership queue and kept. It is older than all events in that queue. */
  #kept: Buffered | undefined;
  #order = 0;
  #bytes = 0;
  #dropped = 0;

  /** Makes an empty buffer. */
  constructor({ capacity, reportsDrops }: EventBufferOptions) {
    this.#capacity = capacity;
    this.#reportsDrops = reportsDrops;
  }

  /** True if there is no unread event. */
  get isEmpty(): boolean {
    return this.size === 0;
  }

  /** The number of unread events. */
  get size(): number {
    return this.#membership.size + this.#others.size + (this.#kept === undefined ? 0 : 1);
  }

  /** Adds an event of this size in bytes. */
  push(event: HearsayEvent, bytes: number): void {
    const buffered = { event, bytes, order: this.#order++ };
    if (event.type === "ClusterTopology") this.#latestTopology = buffered;
    (MEMBERSHIP_EVENTS.has(event.type) ? this.#membership : this.#others).push(buffered);
    this.#bytes += bytes;
    while (this.size > 1 && (this.size > this.#capacity || this.#bytes > MAX_BUFFERED_BYTES)) {
      this.#dropOldest();
    }
  }

  /** The next event to deliver; `EventsDropped` comes first. */
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
