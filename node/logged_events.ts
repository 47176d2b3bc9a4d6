/**
 * Logs the events of trouble that need a person, even if the program does not subscribe to them. `logTo`, the user's
 * own log, takes these events over, so that each event is logged once.
 *
 * @module
 */

import { BoundedMap } from "../common/bounded_map.ts";
import { HearsayError } from "../common/errors.ts";
import type { EventOf } from "../contracts/events.ts";
import type { EventStream } from "../contracts/event_stream.ts";
import { warn } from "../common/log.ts";
import { MAX_SUBJECTS, reasonOf } from "../common/report_once.ts";
import { LastFailures } from "./last_failures.ts";
import {
  knowsOthers,
  type LoggedMember,
  nameOf,
  rejoined,
  type Warning,
  warningOf,
  WARNINGS,
} from "./warnings.ts";

/**
 * A conflict is over after this many expirations without an event about it. 3: while two processes use one id, each
 * emits an event in almost every expiration. Lower: a line for each late event. Higher: a second conflict is not
 * logged.
 */
const QUIET_EXPIRATIONS = 3;
/** The most events that wait for the first `logTo` of a member with `log: false`; the oldest are dropped. */
const MAX_WAITING = 64;

/** The most lines about refused clients, peers and seeds in a minute: an outsider causes them at will. */
const REFUSALS_PER_MINUTE = 10;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The events after which a logged trouble is over. {@linkcode OwnLog.takeOver} does not pass them on. */
const ALL_CLEAR = ["MemberJoined", "Rejoined"] as const;

/** Options of {@linkcode logEvents}. */
export interface OwnLogOptions {
  /** False if nothing is printed, and the events wait for {@linkcode OwnLog.takeOver}. */
  readonly prints?: boolean;
  /** The warning about a member that is open to all. */
  readonly openToAll?: string | undefined;
}

type AllClear = EventOf<typeof ALL_CLEAR[number]>;
type RefusalEvent = EventOf<
  "ClientRefused" | "HandshakeRefused" | "SeedFailed" | "SettingsDiffer" | "SignatureRefused"
>;

const OWN_LOGS = new WeakMap<Pick<EventStream, "subscribe">, OwnLog>();

/** The log of a member that `join` made; `undefined` for another gossiper. */
export function ownLogOf(eventStream: Pick<EventStream, "subscribe">): OwnLog | undefined {
  return OWN_LOGS.get(eventStream);
}

/** Logs one line for each event that needs a person, until the stream ends. */
export async function logEvents(
  eventStream: EventStream,
  member: Omit<LoggedMember, "failures">,
  options: OwnLogOptions = {},
): Promise<void> {
  const { runtime, heartbeatExpiration: keptMs } = member;
  const failures = new LastFailures({ keptMs, runtime });
  void recordFailures(eventStream, failures);
  const log = new OwnLog({ ...member, failures }, options);
  OWN_LOGS.set(eventStream, log);
  const { prints = true, openToAll } = options;
  if (prints) {
    if (openToAll !== undefined) warn(openToAll);
    for await (const event of eventStream.subscribe([...WARNINGS, ...ALL_CLEAR])) await log.handle(event);
  } else {
    for await (const event of eventStream.subscribe(WARNINGS, { capacity: MAX_WAITING })) {
      await log.handle(event);
    }
  }
}

/** In a subscription of its own: these events are frequent, and must not crowd out those that wait for `logTo`. */
async function recordFailures(eventStream: EventStream, failures: LastFailures): Promise<void> {
  const failed = eventStream.subscribe("RequestFailed", { capacity: MAX_WAITING });
  for await (const event of failed) if (event.type === "RequestFailed") failures.record(event);
}

/** The log that `join` keeps of one member. */
export class OwnLog {
  readonly member: LoggedMember;
  /** The warning that the member is open to all, if it was not printed. */
  readonly openToAll: string | undefined;
  readonly #prints: boolean;
  readonly #takers = new Set<(event: Warning) => void>();
  /** Resolves once {@linkcode OwnLog.takeOver} has added a taker. */
  #taken = Promise.withResolvers<void>();
  /** The time of the last line about each subject, by the monotonic clock. */
  readonly #loggedMs = new BoundedMap<string, number>(MAX_SUBJECTS);
  #conflictMs = -Infinity;
  /** True after the line "alone" or "isolated", until the line that the trouble is over. */
  readonly #hasLogged = { alone: false, isolated: false };
  #refusals = { sinceMs: -Infinity, lines: 0 };

  constructor(member: LoggedMember, { prints = true, openToAll }: OwnLogOptions) {
    this.member = member;
    this.#prints = prints;
    this.openToAll = prints ? undefined : openToAll;
  }

  /** Passes the events to `take` instead of printing them, until the result is disposed of. `take` must not throw. */
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

  /** Prints an event or passes it to `take`. If neither is possible yet, the event waits. */
  async handle(event: Warning | AllClear): Promise<void> {
    if (event.type === "MemberJoined" || event.type === "Rejoined") return this.#handleAllClear(event);
    if (!this.#prints) await this.#taken.promise;
    if (this.#takers.size > 0) {
      for (const take of this.#takers) take(event);
      return;
    }
    const line = this.#prints ? this.#lineOf(event) : undefined;
    if (line !== undefined) warn(`Hearsay: ${line}`);
  }

  /** The line for an event; `undefined` if the event needs no line, or was logged already. */
  #lineOf(event: Warning): string | undefined {
    const sentence = warningOf(event, this.member);
    if (sentence === undefined) return undefined;
    switch (event.type) {
      case "Alone":
        this.#hasLogged.alone = true;
        return sentence;
      case "Isolated":
        // Peers refuse a member while another process has its id: the network is not at fault.
        if (this.#isInConflict) return undefined;
        this.#hasLogged.isolated = true;
        return sentence;
      case "ClientRefused":
      case "HandshakeRefused":
      case "SeedFailed":
      case "SettingsDiffer":
      case "SignatureRefused":
        return this.#isNewRefusal(event) ? onceAnHour(sentence) : undefined;
      case "CallbackFailed":
        // A callback may fail for each event.
        return this.#claimHour(event.where) ? onceAnHour(sentence) : undefined;
      case "ListenFailed":
        return this.#claimHour(`listener ${event.address}`) ? onceAnHour(sentence) : undefined;
      case "StateDropped":
        return this.#claimHour(`room ${event.limit}`) ? onceAnHour(sentence) : undefined;
      case "ConflictDetected":
        if (event.reason === "limit") return this.#claimHour("limit") ? onceAnHour(sentence) : undefined;
        return this.#isNewConflict() ? sentence : undefined;
      case "DiscoveryFailed":
        // A source fails at every attempt.
        return this.#claimHour(event.source) ? onceAnHour(sentence) : undefined;
      default:
        return sentence;
    }
  }

  /** Logs the end of a logged trouble in one line. */
  #handleAllClear(event: AllClear): void {
    const logged = this.#hasLogged;
    const who = nameOf(this.member);
    if (this.#takers.size > 0) return;
    if (event.type === "MemberJoined" && logged.alone) {
      logged.alone = false;
      warn(`Hearsay: ${who} has found ${JSON.stringify(event.memberId)} and is no longer alone.`);
    }
    if (event.type === "Rejoined" && logged.isolated) {
      logged.isolated = false;
      // Then `MemberJoined` ends the trouble.
      logged.alone ||= !knowsOthers(this.member);
      warn(`Hearsay: ${who} ${rejoined(this.member)}`);
    }
  }

  get #isInConflict(): boolean {
    const { runtime, heartbeatExpiration } = this.member;
    return runtime.monotonicMs() - this.#conflictMs <= QUIET_EXPIRATIONS * heartbeatExpiration;
  }

  #isNewConflict(): boolean {
    const isNew = !this.#isInConflict;
    this.#conflictMs = this.member.runtime.monotonicMs();
    return isNew;
  }

  /** A seed that is down is an everyday event. A seed that refuses this member needs a person. */
  #isNewRefusal(event: RefusalEvent): boolean {
    if (event.type === "SeedFailed" && !isRefusal(event.error)) return false;
    const nowMs = this.member.runtime.monotonicMs();
    if (nowMs - this.#refusals.sinceMs > MINUTE_MS) this.#refusals = { sinceMs: nowMs, lines: 0 };
    return this.#claimHour(aboutOf(event), () => this.#refusals.lines++ < REFUSALS_PER_MINUTE);
  }

  /** True if a subject has no line of the last hour. A fault that recurs later has a line again. */
  #claimHour(about: string, mayReport: () => boolean = () => true): boolean {
    const nowMs = this.member.runtime.monotonicMs();
    if (nowMs - (this.#loggedMs.get(about) ?? -Infinity) < HOUR_MS || !mayReport()) return false;
    this.#loggedMs.set(about, nowMs);
    return true;
  }
}

function onceAnHour(sentence: string): string {
  return `${sentence} Repetitions within an hour are not logged.`;
}

/** True if a member answered and refused this member. */
function isRefusal(error: unknown): boolean {
  return error instanceof HearsayError && ["incompatible", "refused", "unauthorized"].includes(error.code);
}

/** The subject and reason of a refusal. The port of a client is new for each connection. */
function aboutOf(event: RefusalEvent): string {
  if (event.type === "ClientRefused") return `client ${event.remote.replace(/:\d+$/, "")} ${event.reason}`;
  if (event.type === "SignatureRefused") return `signatures ${event.peerId}`;
  if (event.type === "SettingsDiffer") return `peer ${event.peerId} ${event.setting}`;
  if (event.type === "HandshakeRefused") return `peer ${event.peerId} ${event.code}`;
  return `seed ${event.address} ${reasonOf(event.error)}`;
}
