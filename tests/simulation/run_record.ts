/**
 * The record of a simulation: its event log, a tally of rare events, and the first broken rule.
 *
 * @module
 */

import type { HearsayEvent } from "../../contracts/event_stream.ts";
import { EventLog, lineOf } from "./event_log.ts";
import type { Process } from "./process.ts";

/** Rare events: a fault without any of them would test nothing. */
const TALLIED: ReadonlySet<string> = new Set<HearsayEvent["type"]>([
  "Isolated",
  "MemberBlocked",
  "MemberSuspected",
  "MemberUnblocked",
  "MemberForgotten",
  "IncarnationRenewed",
  "SelfBlocked",
  "ReconcilingRequested",
  "ConflictDetected",
]);

/** Options of a {@linkcode RunRecord}. */
export interface RunRecordOptions {
  /** Virtual time in milliseconds. */
  readonly nowMs: () => number;
  /** True leaves updates of other members out of the log: in a large cluster their lines would fill the memory. */
  readonly isLarge: boolean;
}

/** Records one run. */
export class RunRecord {
  readonly events = new EventLog();
  readonly #options: RunRecordOptions;
  readonly #tally = new Map<string, number>();
  #violation: string | undefined;

  constructor(options: RunRecordOptions) {
    this.#options = options;
  }

  /** Adds a line to the event log; the subject is a member, a machine, or empty for the whole cluster. */
  log(subject: string, text: string): void {
    this.events.add({ atMs: this.#options.nowMs(), subject, text });
  }

  /** Adds an event of a process to the log, unless it is frequent, and to the tally if it is rare. */
  logEvent(process: Process, event: HearsayEvent): void {
    const isUpdate = event.type === "GossipUpdate" && event.memberId !== process.id;
    const line = isUpdate && this.#options.isLarge ? undefined : lineOf(process, event);
    if (line !== undefined) this.log(process.id, line);
    if (TALLIED.has(event.type)) this.count(event.type);
  }

  /** Adds one to the tally of an event. */
  count(event: string): void {
    this.#tally.set(event, (this.#tally.get(event) ?? 0) + 1);
  }

  /** Records a broken rule, and the process that broke it if there is one. Only the first counts. */
  fail(process: Process | undefined, text: string): void {
    if (this.#violation !== undefined) return;
    this.#violation = process ? `${process.id}: ${text}` : text;
    this.log(process?.id ?? "", `FAILED: ${text}`);
  }

  /** The first broken rule; `undefined` if there is none. */
  get violation(): string | undefined {
    return this.#violation;
  }

  /** How often each rare event happened. */
  get tally(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#tally);
  }
}
