/**
 * The event log of a simulation.
 *
 * @module
 */

import { HearsayError } from "../../common/errors.ts";
import type { HearsayEvent } from "../../contracts/event_stream.ts";
import { HEARTBEAT_KEY } from "../../engine/types.ts";
import type { Process } from "./process.ts";
import { isLarge } from "./scenario.ts";

/** One line of an event log. */
export interface LogLine {
  /** Virtual time in milliseconds. */
  readonly atMs: number;
  /** A member or a machine; empty for the whole cluster. */
  readonly subject: string;
  readonly text: string;
}

/** Lines with the columns time, subject and event. */
export class EventLog {
  readonly #lines: LogLine[] = [];

  /** Adds a line. */
  add(line: LogLine): void {
    this.#lines.push(line);
  }

  /** The last lines as text; all by default. */
  lines(last: number = this.#lines.length): string[] {
    const shown = this.#lines.slice(-last);
    const width = Math.max(4, ...shown.map(({ subject }) => subject.length));
    return shown.map(({ atMs, subject, text }) =>
      `${(atMs / 1_000).toFixed(3).padStart(9)} s  ${subject.padEnd(width)}  ${text}`
    );
  }
}

/** The log line of an event; `undefined` for frequent events. */
export function lineOf(process: Process, event: HearsayEvent): string | undefined {
  switch (event.type) {
    case "GossipUpdate": {
      if (event.key === HEARTBEAT_KEY || event.key.startsWith("hearsay.") || event.key === "topology") return;
      const value = event.deleted ? "deleted" : `= ${JSON.stringify(event.value).slice(0, 40)}`;
      const owner = event.memberId === process.id ? "sets" : `receives ${event.memberId}`;
      return `${owner} ${event.key}@${event.sequenceNumber} ${value}`;
    }
    case "MemberBlocked":
      return `blocks ${event.memberId} (${event.reason})`;
    case "MemberUnblocked":
      return `unblocks ${event.memberId}`;
    case "MemberForgotten":
      return `forgets ${event.memberId}`;
    case "SelfBlocked":
      return `learns from ${event.peerId ?? "itself"} that it is blocked (${event.reason})`;
    case "IncarnationRenewed":
      return `starts incarnation ${event.incarnation}`;
    case "ConflictDetected":
      return `reports a conflict about ${event.memberId} (${event.reason})`;
    case "PhaseChanged":
      return `is ${event.to}`;
    case "ConsensusReached":
      return `agrees on ${JSON.stringify(event.value)}`;
    case "ConsensusLost":
      return "no longer agrees";
    case "ReconcilingRequested":
      return `compares state with ${event.peerId}`;
    case "ClusterTopology":
      // In a large cluster the ids would take more memory than the cluster itself.
      return `has topology ${
        isLarge({ size: event.members.length })
          ? event.members.length
          : event.members.map(({ id }) => id).join()
      }`;
    case "RequestFailed": {
      const { error } = event;
      return `cannot reach ${event.peerId}: ${error instanceof HearsayError ? error.code : error}`;
    }
  }
}
