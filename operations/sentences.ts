/**
 * The sentence and the fields of each event, for a log.
 *
 * @module
 */

import type { ConflictDetected } from "../engine/events.ts";
import type { EventOf, HearsayEvent } from "../contracts/event_stream.ts";
import { errorText, messageOf } from "../common/error_text.ts";
import { HearsayError } from "../common/errors.ts";
import { printable } from "../common/printable.ts";
import { describeDifference, meaningOf } from "../protocol/shared_settings.ts";
import {
  conflict,
  type NamedMember,
  quoted,
  rejoined,
  type Warning,
  warningOf,
  WARNINGS,
  withoutDot,
} from "../node/warnings.ts";

/** The fields of a log line, beside its sentence. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** The longest text in a field, in UTF-16 units. */
const MAX_FIELD = 300;

/** The sentence about an event. Not escaped yet. */
export function sentenceOf(
  event: HearsayEvent,
  member: NamedMember,
): string {
  if (event.type === "Rejoined") return `this member ${rejoined(member)}`;
  const warning = isWarning(event) ? warningOf(event, member) : undefined;
  return warning ?? otherSentenceOf(event);
}

/** The subject of an event: the limit of lines counts by it. Empty if it has none. */
export function subjectOf(event: HearsayEvent): string {
  if (event.type === "GossipUpdate") return `${event.memberId} ${event.key}`;
  const subject = ["memberId", "peerId", "remote", "address", "source", "where", "checkId"] as const;
  const fields = new Map<string, unknown>(Object.entries(event));
  const found = subject.map((name) => fields.get(name)).find((value) => typeof value === "string") ?? "";
  const text = ownSubjectOf(event) ?? found as string;
  return text.length > MAX_FIELD ? text.slice(0, MAX_FIELD) : text;
}

function ownSubjectOf(event: HearsayEvent): string | undefined {
  // The port of a client is new for each connection, and a peer may name any member.
  if (event.type === "ClientRefused") return hostOf(event.remote);
  return event.type === "SignatureRefused" ? event.peerId : undefined;
}

/**
 * The fields of an event as plain data: texts escaped and cut, lists as their lengths. Values of keys are left out,
 * because a log is kept elsewhere and for longer than the state.
 */
export function fieldsOf(event: HearsayEvent): LogFields {
  const fields: [string, string | number | boolean][] = [["event", event.type]];
  for (const [name, value] of Object.entries(event)) {
    if (name === "type" || name === "value") continue;
    if (name === "error") fields.push(...fieldsOfError(value));
    else if (typeof value === "string") fields.push([name, printable(value, MAX_FIELD)]);
    else if (typeof value === "number" || typeof value === "boolean") fields.push([name, value]);
    else if (Array.isArray(value)) fields.push([name, value.length]);
  }
  return Object.fromEntries(fields);
}

function fieldsOfError(error: unknown): [string, string][] {
  const text: [string, string] = ["error", printable(errorText(error), MAX_FIELD)];
  return error instanceof HearsayError ? [text, ["code", error.code]] : [text];
}

function isWarning(event: HearsayEvent): event is Warning {
  return (WARNINGS as readonly string[]).includes(event.type);
}

function otherSentenceOf(event: Exclude<HearsayEvent, EventOf<"Rejoined">>): string {
  switch (event.type) {
    case "EventsDropped":
    case "InvalidValue":
    case "RequestFailed":
    case "SeedRecovered":
    case "SettingsDiffer":
      return trouble(event);
    case "ConflictDetected":
      return conflict(event);
    case "Confirmed":
    case "ConsensusLost":
    case "ConsensusReached":
    case "Disseminated":
    case "GossipUpdate":
    case "IncarnationRenewed":
    case "PhaseChanged":
    case "ReconcilingRequested":
    case "SeenChanged":
      return change(event);
    default:
      return membership(event);
  }
}

type Trouble = EventOf<
  | "EventsDropped"
  | "InvalidValue"
  | "RequestFailed"
  | "SeedRecovered"
  | "SettingsDiffer"
>;

function trouble(event: Trouble): string {
  switch (event.type) {
    case "EventsDropped":
      return `${event.count} events came faster than the log takes them, and have no line.`;
    case "InvalidValue":
      return `the value of ${quoted(event.memberId)} under ${
        quoted(event.key)
      } does not fit its schema, and is left out.`;
    case "RequestFailed":
      return `a request to ${quoted(event.peerId)} failed: ${withoutDot(messageOf(event.error))}.`;
    case "SeedRecovered":
      if (event.memberId === undefined) return `${event.address} is no longer a seed.`;
      return `the member ${quoted(event.memberId)} answered at the seed ${event.address}.`;
    case "SettingsDiffer": {
      const what = `a setting of ${quoted(event.peerId)} differs: ${describeDifference(event)}`;
      return `${what}. ${meaningOf(event.setting)}`;
    }
  }
}

type Change = EventOf<
  | "Confirmed"
  | "ConsensusLost"
  | "ConsensusReached"
  | "Disseminated"
  | "GossipUpdate"
  | "IncarnationRenewed"
  | "PhaseChanged"
  | "ReconcilingRequested"
  | "SeenChanged"
>;

function change(event: Change): string {
  switch (event.type) {
    case "Confirmed":
      return "every active member holds all that this member holds.";
    case "ConsensusLost":
      return `the members no longer agree on ${quoted(event.key)} (${event.checkId}).`;
    case "ConsensusReached":
      return `all active members agree on ${quoted(event.key)} (${event.checkId}).`;
    case "Disseminated": {
      const { entries, members, peerId } = event;
      return `sends ${quoted(peerId)} ${counted(entries, "entry", "entries")} of ${
        counted(members, "member")
      }.`;
    }
    case "GossipUpdate": {
      const verb = event.deleted ? "deleted" : "set";
      return `${quoted(event.memberId)} ${verb} ${quoted(event.key)} (number ${event.sequenceNumber}).`;
    }
    case "IncarnationRenewed":
      return `this member began the incarnation ${event.incarnation}, because a peer knew a later one of its id, or its clock was set back by over a year.`;
    case "PhaseChanged":
      return `the phase is ${event.to} (before: ${event.from}).`;
    case "ReconcilingRequested":
      return `a full comparison with ${quoted(event.peerId)} begins.`;
    case "SeenChanged": {
      const { key, sequenceNumber, seenBy, of } = event;
      return `${seenBy} of ${of} members have ${quoted(key)} (number ${sequenceNumber}).`;
    }
  }
}

type Membership = Exclude<HearsayEvent, Trouble | Change | ConflictDetected | EventOf<"Rejoined">>;

function membership(event: Membership): string {
  switch (event.type) {
    case "ClusterTopology":
      return `the discovery names ${
        counted(event.members.length, "member")
      }, and blocks ${event.blocked.length}.`;
    case "MemberBlocked":
      return `${quoted(event.memberId)} gets no gossip from now on (${event.reason}).`;
    case "MemberFailed":
      return `the member ${quoted(event.memberId)} failed (${event.reason}).`;
    case "MemberForgotten":
      return `all that was kept of ${quoted(event.memberId)} was dropped.`;
    case "MemberJoined":
      return `the member ${quoted(event.memberId)} joined.`;
    case "MemberLeft":
      return `the member ${quoted(event.memberId)} left.`;
    case "MemberSuspected":
      return `the member ${quoted(event.memberId)} may have crashed: its address refuses new connections.`;
    case "MemberUnblocked":
      return `the block of ${quoted(event.memberId)} ended.`;
    case "SelfBlocked": {
      const by = event.peerId === undefined ? "the discovery" : `the peer ${quoted(event.peerId)}`;
      return `${by} blocks this member (${event.reason}).`;
    }
    case "SuspicionEnded":
      return `the suspected member ${quoted(event.memberId)} answered.`;
    default:
      // A warning of `node/warnings.ts` always has a sentence there.
      return `${event.type}: ${"error" in event ? errorText(event.error) : ""}`;
  }
}

function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** The host of an address such as `10.0.0.1:5000`. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, "");
}
