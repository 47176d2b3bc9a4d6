/**
 * The levels of log lines, and the level of each event.
 *
 * @module
 */

import type { EventType, HearsayEvent } from "../contracts/event_stream.ts";

/** The level of a line, the least severe first. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** All levels, the least severe first. */
export const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** The level of each type of event. `SelfBlocked` also has other levels, by its reason. */
const LEVELS: Readonly<Record<EventType, LogLevel>> = {
  AddressShared: "warn",
  Alone: "warn",
  CallbackFailed: "warn",
  ClientRefused: "warn",
  ClusterTopology: "debug",
  Confirmed: "debug",
  ConflictDetected: "warn",
  ConsensusLost: "debug",
  ConsensusReached: "debug",
  DiscoveryFailed: "warn",
  Disseminated: "debug",
  EventsDropped: "warn",
  GossipUpdate: "debug",
  HandshakeRefused: "warn",
  IncarnationRenewed: "info",
  InvalidValue: "warn",
  Isolated: "warn",
  ListenFailed: "warn",
  MemberBlocked: "debug",
  MemberFailed: "info",
  MemberForgotten: "debug",
  MemberJoined: "info",
  MemberLeft: "info",
  MemberSuspected: "debug",
  MemberUnblocked: "debug",
  PhaseChanged: "debug",
  ReconcilingRequested: "debug",
  Rejoined: "info",
  RequestFailed: "debug",
  SeedFailed: "info",
  SeedRecovered: "info",
  SeenChanged: "debug",
  SelfBlocked: "error",
  SelfUnreachable: "warn",
  SettingsDiffer: "warn",
  SignatureRefused: "warn",
  StateDropped: "warn",
  SuspicionEnded: "debug",
};

/** True if a level is at least as severe as another one. */
export function isAtLeast(level: LogLevel, least: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
}

/** The more severe one of two levels. */
export function moreSevere(one: LogLevel, other: LogLevel): LogLevel {
  return isAtLeast(one, other) ? one : other;
}

/** The level of an event. */
export function levelOf(event: HearsayEvent): LogLevel {
  if (event.type !== "SelfBlocked" || event.reason === "identity") return LEVELS[event.type];
  // A peer blocks this member after a pause of its process, and unblocks it at its next sign of life.
  return event.peerId === undefined ? "warn" : "info";
}

/** The types of events with lines of this level or a more severe one. */
export function typesOf(least: LogLevel): EventType[] {
  return Object.entries(LEVELS).filter(([, level]) => isAtLeast(level, least))
    .map(([type]) => type as EventType);
}
