/**
 * The history of a member's events that a dashboard shows.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import type { Runtime } from "../../common/runtime.ts";
import type { EventOf, EventStream } from "../../contracts/event_stream.ts";
import type { Phase } from "../../engine/types.ts";
import { MAX_ID_LENGTH } from "./limits.ts";

/** The events of membership that the timeline has. */
const MEMBERSHIP = [
  "ConflictDetected",
  "EventsDropped",
  "IncarnationRenewed",
  "Isolated",
  "MemberFailed",
  "MemberForgotten",
  "MemberJoined",
  "MemberLeft",
  "MemberSuspected",
  "Rejoined",
  "SelfBlocked",
  "SuspicionEnded",
] as const;

/** The most events of membership that are kept; the oldest goes first. */
export const MAX_EVENTS = 500;
/** The most changes of phase that are kept. 100: a busy member changes its phase with every set. */
export const MAX_PHASES = 100;

/** An event of membership. */
export interface TimelineItem {
  /** The position among all items since the start. */
  readonly number: number;
  /** The wall clock here, in Unix milliseconds. */
  readonly atMs: number;
  /** The event's type. */
  readonly type: typeof MEMBERSHIP[number];
  /** The member's id, printable. */
  readonly id?: string;
  /** The reason of a block or a conflict. */
  readonly reason?: string;
  /** The number of events that were dropped. */
  readonly count?: number;
}

/** A phase and its beginning. */
export interface PhaseItem {
  readonly phase: Phase;
  /** The wall clock here, in Unix milliseconds. */
  readonly atMs: number;
}

/** Records events of membership and changes of phase, from its creation to the end of the signal. */
export class Timeline {
  /** The wall clock at its creation. */
  readonly sinceMs: number;
  readonly #runtime: Runtime;
  readonly #events: TimelineItem[] = [];
  readonly #phases: PhaseItem[] = [];
  readonly #listeners = new Set<() => void>();
  #number = 0;

  constructor(
    events: EventStream,
    { runtime, phase, signal }: {
      readonly runtime: Runtime;
      readonly phase: Phase;
      readonly signal: AbortSignal;
    },
  ) {
    this.#runtime = runtime;
    this.sinceMs = runtime.wallMs();
    this.#phases.push({ phase, atMs: this.sinceMs });
    // Never rejects: the stream ends without an error.
    void this.#follow(events.subscribe([...MEMBERSHIP, "PhaseChanged"], { signal }));
  }

  /** The events of membership, the oldest first. */
  get events(): TimelineItem[] {
    return [...this.#events];
  }

  /** The phases, the oldest first. */
  get phases(): PhaseItem[] {
    return [...this.#phases];
  }

  /** Calls the listener after every event; returns a function that removes the listener. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #follow(events: ReadableStream<EventOf<typeof MEMBERSHIP[number] | "PhaseChanged">>): Promise<void> {
    for await (const event of events) {
      const atMs = this.#runtime.wallMs();
      if (event.type === "PhaseChanged") push(this.#phases, { phase: event.to, atMs }, MAX_PHASES);
      else push(this.#events, { number: ++this.#number, atMs, ...shownOf(event) }, MAX_EVENTS);
      for (const listener of this.#listeners) listener();
    }
  }
}

/** The parts of an event that are shown. */
function shownOf(event: EventOf<typeof MEMBERSHIP[number]>): Omit<TimelineItem, "number" | "atMs"> {
  const id = "memberId" in event ? event.memberId : "peerId" in event ? event.peerId : undefined;
  return {
    type: event.type,
    ...(id !== undefined && { id: printable(id, MAX_ID_LENGTH) }),
    ...("reason" in event && { reason: event.reason }),
    ...("count" in event && { count: event.count }),
  };
}

function push<T>(items: T[], item: T, most: number): void {
  items.push(item);
  if (items.length > most) items.shift();
}
