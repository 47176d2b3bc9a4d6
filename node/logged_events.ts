/**
 * Logs the events of trouble that need a person, because a program may not subscribe to them.
 *
 * @module
 */

import type { AddressShared, Alone, CallbackFailed, EventOf, SelfUnreachable } from "../contracts/events.ts";
import type { EventStream } from "../contracts/event_stream.ts";
import { errorText, messageOf } from "../common/error_text.ts";
import { warn } from "../common/log.ts";
import { ReportOnce } from "../common/report_once.ts";
import type { Runtime } from "../common/runtime.ts";

/** The most seeds in one line. */
const MAX_SEEDS = 8;
/**
 * A conflict is over after this many expirations without an event of it. 3: while two processes use one id, each emits
 * an event in almost every expiration. Lower: a line for each late event. Higher: a second conflict is not logged.
 */
const QUIET_EXPIRATIONS = 3;

const LOGGED = [
  "AddressShared",
  "Alone",
  "CallbackFailed",
  "ConflictDetected",
  "DiscoveryFailed",
  "Isolated",
  "SelfBlocked",
  "SelfUnreachable",
] as const;

/** The member whose events are logged. */
export interface LoggedMember {
  readonly id: string;
  /** The cluster's name. */
  readonly cluster: string;
  readonly heartbeatExpiration: number;
  /** The path of its endpoint, if its address has none. */
  readonly path: string;
  readonly runtime: Pick<Runtime, "monotonicMs">;
}

/** Logs one line for each event that needs a person, until the stream ends. */
export async function logEvents(eventStream: EventStream, member: LoggedMember): Promise<void> {
  const log = new EventLog(member);
  for await (const event of eventStream.subscribe(LOGGED)) {
    const line = log.lineOf(event);
    if (line !== undefined) warn(`Hearsay: ${line}`);
  }
}

class EventLog {
  readonly #member: LoggedMember;
  /** The callbacks and discoveries with a logged error. */
  readonly #reported = new ReportOnce();
  #conflictMs = -Infinity;

  constructor(member: LoggedMember) {
    this.#member = member;
  }

  /** The line for an event; `undefined` if it needs none. */
  lineOf(event: EventOf<typeof LOGGED[number]>): string | undefined {
    switch (event.type) {
      case "AddressShared":
        return this.#addressShared(event);
      case "Alone":
        return this.#alone(event);
      case "CallbackFailed":
        return this.#callbackFailed(event);
      case "ConflictDetected":
        if (event.memberId !== this.#member.id || event.reason !== "identity") return undefined;
        return this.#isNewConflict() ? this.#idInUse() : undefined;
      case "DiscoveryFailed":
        return this.#discoveryFailed(event);
      case "Isolated":
        return this.#isolated();
      case "SelfBlocked":
        return event.reason === "identity" ? this.#fenced() : undefined;
      case "SelfUnreachable":
        return this.#unreachable(event);
    }
  }

  #isNewConflict(): boolean {
    const { runtime, heartbeatExpiration } = this.#member;
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

  /** A callback may fail for each event, so only its first error is logged. */
  #callbackFailed({ where, error }: CallbackFailed): string | undefined {
    if (!this.#isFirst(where)) return undefined;
    return `${where} threw ${
      withoutDot(errorText(error))
    }. Its later errors are \`CallbackFailed\` events only.`;
  }

  /** A source fails at every attempt, so only its first failure is logged. */
  #discoveryFailed({ source, error }: EventOf<"DiscoveryFailed">): string | undefined {
    if (!this.#isFirst(source)) return undefined;
    return `${source} failed: ${
      withoutDot(messageOf(error))
    }. It is asked again, and the members that it named ` +
      "last stay. Its later failures are `DiscoveryFailed` events only.";
  }

  #idInUse(): string {
    const { id, cluster } = this.#member;
    return `another process uses the id ${JSON.stringify(id)} in the cluster ${
      JSON.stringify(cluster)
    }, and each ` +
      "replaces the state of the other. Stop one of them, or give it another id.";
  }

  #fenced(): string {
    const { id, cluster } = this.#member;
    return `another process uses the id ${JSON.stringify(id)} and its key in the cluster ${
      JSON.stringify(cluster)
    }, ` +
      "so this one no longer sends or takes state. Stop it, and join under another id.";
  }

  #alone({ seeds }: Alone): string {
    const { id, cluster } = this.#member;
    const who = `${JSON.stringify(id)} of cluster ${JSON.stringify(cluster)}`;
    const shown = seeds.slice(0, MAX_SEEDS).map(({ address, reason, outcome }) =>
      reason?.includes(address) ? withoutDot(reason) : `${address}: ${withoutDot(reason ?? outcome)}`
    );
    const more = seeds.length - shown.length;
    const rest = more > 0 ? `; and ${more} more` : "";
    return `${who} has found no other member for 10 s and keeps trying. ${shown.join("; ")}${rest}`;
  }

  #isolated(): string {
    const { id, cluster } = this.#member;
    return `${JSON.stringify(id)} of cluster ${
      JSON.stringify(cluster)
    } hears no other member, although it knows some. It ` +
      "keeps trying; look at the network between them. The event `Rejoined` follows when it hears one.";
  }

  #unreachable({ address, error }: SelfUnreachable): string {
    const { pathname } = new URL(address);
    const path = pathname === "/" ? this.#member.path : pathname;
    const why = withoutDot(messageOf(error));
    return `no member answers at ${address}, the address of ${
      JSON.stringify(this.#member.id)
    } itself: ${why}. ` +
      `Mount \`node.handler\` there at ${path}, with the \`info\` of its requests, or correct \`advertise\`.`;
  }

  #addressShared({ address, memberId }: AddressShared): string {
    const who = `${JSON.stringify(this.#member.id)} is advertised at ${address}, and ${
      JSON.stringify(memberId)
    } answers there too`;
    return `${who}. With \`deno serve --parallel\`, with several workers that mount a handler, or behind a load ` +
      "balancer, each member needs an address of its own: else requests for one reach another.";
  }
}

/** A sentence as a part of another one. */
function withoutDot(sentence: string): string {
  return sentence.replace(/\.$/, "");
}
