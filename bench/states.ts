/**
 * States for measurements: members with ten keys, a heartbeat and nine small objects.
 *
 * @module
 */

import { Engine, type EngineSettings } from "../engine/engine.ts";
import { copyJson } from "../engine/json.ts";
import { makeIncarnation } from "../engine/incarnation.ts";
import {
  type Delta,
  HEARTBEAT_KEY,
  type Instant,
  type JsonValue,
  type MemberDelta,
  type SentEntry,
  TYPE,
} from "../engine/types.ts";
import { DEFAULT_CONFIG } from "../options/configuration.ts";

/** Keys per member. */
export const KEYS = 10;
const START_MS = 1_700_000_000_000;
/** The incarnation of all members. */
export const LIFE = makeIncarnation(START_MS, 0.5);
/** More than 1,000 members with ten keys take. */
const ROOMY_BYTES = 32 * 1024 * 1024;

/** The moment this many milliseconds after the start. */
export function moment(ms: number): Instant {
  return { monotonicMs: ms, wallMs: START_MS + ms };
}

/** The id of the member with this index: as long as a UUID, in no order. */
export function memberId(index: number): string {
  return `${
    (Math.imul(index + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0")
  }-4b1d-4f0e-9d3c-5a6b7c8d9e0f`;
}

/** The ids of this many members. */
export function memberIds(members: number): string[] {
  return Array.from({ length: members }, (_, index) => memberId(index));
}

/** The value of a member's key. */
export function valueOf(member: number, key: number): JsonValue {
  return { cpu: (member % 97) / 97, resident: 1_000_000 + member * 100 + key };
}

/** The full state of one member. */
export function memberState(index: number): MemberDelta {
  const entries = Array.from({ length: KEYS }, (_, key): SentEntry => {
    const heartbeat = { actorStatistics: { actorCount: { order: 3 } } };
    if (key === 0) return entryOf(HEARTBEAT_KEY, 1, { value: heartbeat, type: TYPE.heartbeat });
    return entryOf(`key-${key}`, key + 1, { value: valueOf(index, key), type: TYPE.value });
  });
  return { id: memberId(index), incarnation: LIFE, after: 0, reset: false, entries };
}

/** The states of all members but the first, in one delta. */
export function deltaOf(members: number): Delta {
  const states = Array.from({ length: members - 1 }, (_, index) => memberState(index + 1));
  return { members: states, digest: "0".repeat(16), active: "0".repeat(16), partial: false };
}

/** The engine of one of this many members, without any state; by default of the first. */
export function engineOf(
  members: number,
  { index = 0, ...settings }: Partial<EngineSettings> & { readonly index?: number } = {},
): Engine {
  const engine = new Engine(
    { ...DEFAULT_CONFIG, maxMembers: 20_000, maxMessageBytes: ROOMY_BYTES, ...settings },
    { id: memberId(index), incarnation: LIFE, now: moment(0), random: 0.5, openMembership: false },
  );
  engine.setTopology({ members: memberIds(members), blocked: [] }, moment(0));
  return engine;
}

/** An engine with the full state of this many members, and the id of a peer that has acknowledged all of it. */
export function settledEngine(members: number): { engine: Engine; peerId: string } {
  const engine = engineOf(members, { gossipMaxSend: members });
  const [senderId, peerId] = [memberId(1), memberId(2)];
  engine.applyIncoming(senderId, deltaOf(members), moment(1));
  for (let key = 1; key < KEYS; key++) engine.set(`key-${key}`, copyJson(valueOf(0, key)), moment(1));
  const { sent } = engine.disseminate(peerId);
  engine.handleAck(sent, new Map(), moment(2));
  if (engine.disseminate(peerId).delta.members.length > 0) throw new Error("The peer is not up to date.");
  return { engine, peerId };
}

function entryOf(key: string, number: number, what: { value: JsonValue; type: string }): SentEntry {
  return { key, number, type: what.type, ...copyJson(what.value) };
}
