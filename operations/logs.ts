/**
 * Logs the events of a member to a logger of the user.
 *
 * @module
 */

import type { EventStream, HearsayEvent } from "../contracts/event_stream.ts";
import { errorText } from "../common/error_text.ts";
import { isConsole, logLine, warn } from "../common/log.ts";
import { printable } from "../common/printable.ts";
import { realRuntime, type Runtime } from "../common/runtime.ts";
import { HEARTBEAT_KEY } from "../engine/types.ts";
import type { GossiperClosed, Snapshot } from "../gossiper/contract.ts";
import { ownLogOf } from "../node/logged_events.ts";
import { type NamedMember, nameOf, WARNINGS } from "../node/warnings.ts";
import { assertNone, assertOptions, rule, type Rules, RUNTIME } from "../options/rules.ts";
import { isAtLeast, levelOf, LOG_LEVELS, type LogLevel, typesOf } from "./log_levels.ts";
import { type LeftOut, LogLimit, PERIOD_MS } from "./log_limit.ts";
import { fieldsOf, type LogFields, sentenceOf, subjectOf } from "./sentences.ts";

/** A logger: `console`, one of `@std/log`, or any object with these four methods. */
export interface Logger {
  /** Logs details for a search for faults. */
  debug(message: string, fields: LogFields): unknown;
  /** Logs a usual change. */
  info(message: string, fields: LogFields): unknown;
  /** Logs trouble that a person should look at. */
  warn(message: string, fields: LogFields): unknown;
  /** Logs a failure of this member. */
  error(message: string, fields: LogFields): unknown;
}

/** The parts of a member that {@linkcode logTo} uses; a node of `join` has them. */
export interface LoggedNode {
  /** The member's id. */
  readonly id: string;
  /** The stream of all events. */
  readonly events: EventStream;
  /** Resolves with the reason when the member has ended. */
  readonly closed: Promise<GossiperClosed>;
  /** Returns the known state. */
  snapshot(): Pick<Snapshot, "cluster">;
}

/** Options of {@linkcode logTo}. */
export interface LogOptions {
  /**
   * The least severe level. `"warn"` by default: only trouble. `"info"` adds members that join, leave and fail.
   * `"debug"` adds all other events except heartbeats.
   */
  readonly level?: LogLevel;
  /** Clock and timers of the rate limit; the real ones by default. */
  readonly runtime?: Runtime;
}

const LEVEL = rule((given) => LOG_LEVELS.some((level) => level === given), {
  allowed: LOG_LEVELS.map((level) => JSON.stringify(level)).join(", "),
  problem: "must be a level",
});
const LOGGER = rule((given) => LOG_LEVELS.every((level) => typeof Object(given)[level] === "function"), {
  allowed: "an object with the methods debug, info, warn and error, such as `console`",
});
const RULES: Rules<LogOptions> = { level: LEVEL, runtime: RUNTIME };

/**
 * Logs the events of a member, one line for each, until the member has left or the result is disposed of.
 *
 * The logger gets a sentence, and a record of fields: `event` (the type), `cluster`, `self` (this member's id), and the
 * fields of the event. Texts of other members are escaped and cut. Values of keys are never logged. `console` gets the
 * sentence alone.
 *
 * In a minute, one type of event has at most 5 lines about one subject, and at most 300 lines. Another line then has the
 * number of those left out. A logger that throws is reported once, on the console.
 *
 * `join` prints some warnings itself. From this call on it prints none of them, so that each is logged once. With
 * `log: false` it prints none at all, and the first `logTo` gets those from before the call too.
 *
 * @throws {ConfigurationError} if the logger lacks a method, or an option is invalid.
 *
 * @example
 * ```ts
 * import { join } from "@hearsay/gossip";
 * import { logTo } from "@hearsay/gossip/operations";
 *
 * await using node = await join({ cluster: "orders", listen: { port: 0 }, log: false });
 * using _log = logTo(node, console, { level: "info" });
 * ```
 */
export function logTo(node: LoggedNode, logger: Logger, options: LogOptions = {}): Disposable {
  assertNone(LOGGER("logger", logger));
  assertOptions(options, RULES);
  return new EventLog(node, logger, options);
}

class EventLog implements Disposable {
  readonly #node: LoggedNode;
  readonly #logger: Logger;
  readonly #level: LogLevel;
  readonly #member: NamedMember;
  readonly #limit: LogLimit;
  readonly #ending = new AbortController();
  readonly #takingOver: Disposable | undefined;
  #hasThrown = false;

  constructor(node: LoggedNode, logger: Logger, { level = "warn", runtime }: LogOptions) {
    const ownLog = ownLogOf(node.events);
    this.#node = node;
    this.#logger = logger;
    this.#level = level;
    this.#member = ownLog?.member ?? { id: node.id, cluster: node.snapshot().cluster, path: "/gossip" };
    this.#limit = new LogLimit({
      runtime: runtime ?? ownLog?.member.runtime ?? realRuntime,
      report: (leftOut) => this.#reportLeftOut(leftOut),
    });
    if (ownLog?.openToAll !== undefined) this.#write("warn", ownLog.openToAll, { event: "OpenToAll" });
    const taken: readonly string[] = ownLog ? WARNINGS : [];
    const types = typesOf(level).filter((type) => !taken.includes(type));
    const events = node.events.subscribe(types, this.#ending);
    this.#takingOver = ownLog?.takeOver((event) => this.#take(event));
    void this.#follow(events);
  }

  [Symbol.dispose](): void {
    this.#ending.abort();
    this.#takingOver?.[Symbol.dispose]();
    this.#limit.flush();
  }

  async #follow(events: ReadableStream<HearsayEvent>): Promise<void> {
    for await (const event of events) this.#take(event);
    if (this.#ending.signal.aborted) return;
    const { reason, error } = await this.#node.closed;
    if (this.#ending.signal.aborted) return;
    this.#limit.flush();
    this.#logEnd(reason, error);
    this[Symbol.dispose]();
  }

  /** Never throws: `join` calls it in the loop of its own log. */
  #take(event: HearsayEvent): void {
    const level = levelOf(event);
    if (!isAtLeast(level, this.#level) || isHeartbeat(event)) return;
    if (!this.#limit.take(event.type, { subject: subjectOf(event), level })) return;
    try {
      this.#write(level, `Hearsay: ${sentenceOf(event, this.#member)}`, fieldsOf(event));
    } catch (error) {
      // The error of a user's callback may have fields that throw.
      this.#reportThrown(error);
    }
  }

  #reportLeftOut({ type, level, count, subject }: LeftOut): void {
    const most = subject === undefined ? "" : `, most of them about ${JSON.stringify(subject)}`;
    const lines = `${count} more ${count === 1 ? "line" : "lines"} about \`${type}\``;
    const sentence = `${lines} in ${PERIOD_MS / 1_000} s ${count === 1 ? "was" : "were"} left out${most}.`;
    const fields = {
      event: type,
      leftOut: count,
      ...(subject !== undefined && { subject: printable(subject) }),
    };
    this.#write(level, `Hearsay: ${sentence}`, fields);
  }

  #logEnd(reason: GossiperClosed["reason"], error: unknown): void {
    const who = nameOf(this.#member);
    if (reason === "failed") {
      const text = errorText(error);
      this.#write("error", `Hearsay: ${who} failed, and no longer takes part: ${text}`, {
        event: "Closed",
        reason,
        error: printable(text),
      });
    } else if (isAtLeast("info", this.#level)) {
      this.#write("info", `Hearsay: ${who} has left.`, { event: "Closed", reason });
    }
  }

  #write(level: LogLevel, text: string, fields: LogFields): void {
    const line = withoutFormats(logLine(text));
    const { id: self, cluster } = this.#member;
    // The console would print the fields over several lines; the sentence has the most important ones.
    const args = isConsole(this.#logger) ? [line] : [line, { cluster, self, ...fields }];
    try {
      const result: unknown = Reflect.apply(this.#logger[level], this.#logger, args);
      if (result instanceof Promise) result.catch((error) => this.#reportThrown(error));
    } catch (error) {
      this.#reportThrown(error);
    }
  }

  #reportThrown(error: unknown): void {
    if (this.#hasThrown) return;
    this.#hasThrown = true;
    warn(`Hearsay: the logger of \`logTo\` threw ${errorText(error)}. Its later errors are not shown.`);
  }
}

/** Heartbeats come from each member in every interval, and say nothing new. */
function isHeartbeat(event: HearsayEvent): boolean {
  return event.type === "GossipUpdate" && event.key === HEARTBEAT_KEY;
}

/** Escapes the formats of a text: a console, and many loggers, would put the fields in their place. */
function withoutFormats(text: string): string {
  return text.replace(/%(?=[a-z%])/gi, "\\u0025");
}
