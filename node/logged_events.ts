/**
 * Logs the events of trouble that need a person, because a program may not subscribe to them. A log of the user's own
 * (`logTo`) takes these events over, so that each is logged once.
 *
 * @module
 */

import type { EventStream } from "../contracts/event_stream.ts";
import { warn } from "../common/log.ts";
import { ReportOnce } from "../common/report_once.ts";
import { type LoggedMember, type Warning, warningOf, WARNINGS } from "./warnings.ts";

/**
 * A conflict is over after this many expirations without an event of it. 3: while two processes use one id, each emits
 * an event in almost every expiration. Lower: a line for each late event. Higher: a second conflict is not logged.
 */
const QUIET_EXPIRATIONS = 3;
/** The most events that wait for the first `logTo` of a member with `log: false`; the oldest are dropped. */
const MAX_WAITING = 64;

/** Options of {@linkcode logEvents}. */
export interface OwnLogOptions {
  /** False if only a log that takes over gets the events. */
  readonly prints?: boolean;
  /** The warning that the member is open to all, if it was not printed. */
  readonly openToAll?: string | undefined;
}

const OWN_LOGS = new WeakMap<Pick<EventStream, "subscribe">, OwnLog>();

/** The log of a member that `join` made; `undefined` for another gossiper. */
export function ownLogOf(eventStream: Pick<EventStream, "subscribe">): OwnLog | undefined {
  return OWN_LOGS.get(eventStream);
}

/** Logs one line for each event that needs a person, until the stream ends. */
export async function logEvents(
  eventStream: EventStream,
  member: LoggedMember,
  options: OwnLogOptions = {},
): Promise<void> {
  const log = new OwnLog(member, options);
  OWN_LOGS.set(eventStream, log);
  const capacity = options.prints ?? true ? {} : { capacity: MAX_WAITING };
  for await (const event of eventStream.subscribe(WARNINGS, capacity)) await log.handle(event);
}

/** The log that `join` keeps of one member. */
export class OwnLog {
  readonly member: LoggedMember;
  /** The warning that the member is open to all, if it was not printed. */
  readonly openToAll: string | undefined;
  readonly #prints: boolean;
  readonly #takers = new Set<(event: Warning) => void>();
  /** Resolves when there is a taker. */
  #taken = Promise.withResolvers<void>();
  /** The callbacks and discoveries with a logged error. */
  readonly #reported = new ReportOnce();
  #conflictMs = -Infinity;

  constructor(member: LoggedMember, { prints = true, openToAll }: OwnLogOptions) {
    this.member = member;
    this.openToAll = openToAll;
    this.#prints = prints;
  }

  /** Passes the events to `take`, which must not throw, instead of printing them, until disposal of the result. */
  takeOver(take: (event: Warning) => void): Disposable {
    this.#takers.add(take);
    this.#taken.resolve();
    return {
      [Symbol.dispose]: () => {
        if (!this.#takers.delete(take) || this.#takers.size > 0) return;
        this.#taken = Promise.withResolvers();
      },
    };
  }

  /** Prints an event or passes it on; without either it waits. */
  async handle(event: Warning): Promise<void> {
    if (!this.#prints) await this.#taken.promise;
    if (this.#takers.size > 0) {
      for (const take of this.#takers) take(event);
      return;
    }
    const line = this.#prints ? this.#lineOf(event) : undefined;
    if (line !== undefined) warn(`Hearsay: ${line}`);
  }

  /** The line for an event; `undefined` if it needs none, or had one. */
  #lineOf(event: Warning): string | undefined {
    const sentence = warningOf(event, this.member);
    if (sentence === undefined) return undefined;
    switch (event.type) {
      case "CallbackFailed":
        // A callback may fail for each event, so only its first error is logged.
        if (!this.#isFirst(event.where)) return undefined;
        return `${sentence} Its later errors are \`CallbackFailed\` events only.`;
      case "ConflictDetected":
        return this.#isNewConflict() ? sentence : undefined;
      case "DiscoveryFailed":
        // A source fails at every attempt, so only its first failure is logged.
        if (!this.#isFirst(event.source)) return undefined;
        return `${sentence} Its later failures are \`DiscoveryFailed\` events only.`;
      default:
        return sentence;
    }
  }

  #isNewConflict(): boolean {
    const { runtime, heartbeatExpiration } = this.member;
    const nowMs = runtime.monotonicMs();
    const isNew = nowMs - this.#conflictMs > QUIET_EXPIRATIONS * heartbeatExpiration;
    this.#conflictMs = nowMs;
    return isNew;
  }

  #isFirst(about: string): boolean {
    const isFirst = this.#reported.shouldReport(about, "");
    if (isFirst) this.#reported.add(about, "");
    return isFirst;
  }
}
