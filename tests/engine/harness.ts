/**
 * Engines on one settable clock, and the exchange of messages between them as in the gossiper, with losses of
 * a network.
 *
 * @module
 */

import {
  Engine,
  type EngineSettings,
  type EngineStart,
  type Sent,
  type WithEvents,
} from "../../engine/engine.ts";
import type { EngineEvent } from "../../engine/events.ts";
import { copyJson } from "../../engine/json.ts";
import { incarnationStartMs, makeIncarnation } from "../../engine/incarnation.ts";
import {
  type Delta,
  HEARTBEAT_KEY,
  type Incarnation,
  type Instant,
  type JsonValue,
  type KnownVersion,
  type KnownVersions,
  type Liveness,
  type MemberDelta,
  type MemberDeltas,
  type SentEntry,
  TYPE,
} from "../../engine/types.ts";

/** The defaults of the gossiper, with fewer keys for each member. */
export const SETTINGS: EngineSettings = {
  gossipInterval: 300,
  gossipRequestTimeout: 500,
  gossipMaxSend: 50,
  heartbeatExpiration: 20_000,
  blockedProbeInterval: 60_000,
  tombstoneRetention: 3_600_000,
  departedRetention: 600_000,
  maxMessageBytes: 1_048_576,
  maxKeysPerMember: 4_096,
  maxStateBytes: 2 ** 23,
  maxMembers: 10_000,
  maxHeldBytes: 2 ** 28,
};

/** The start of the test clocks. */
export const WALL_START_MS = 1_700_000_000_000;

/** Both clocks, moved by the test. */
export class TestClock {
  monotonicMs = 1_000;
  wallMs = WALL_START_MS;

  get now(): Instant {
    return { monotonicMs: this.monotonicMs, wallMs: this.wallMs };
  }

  advance(ms: number): Instant {
    this.monotonicMs += ms;
    this.wallMs += ms;
    return this.now;
  }
}

/** An incarnation that begins this many milliseconds after the present of a clock. */
export function incarnationAt(clock: TestClock, afterMs = 0, random = 0.5): Incarnation {
  return makeIncarnation(clock.wallMs + afterMs, random);
}

/** The events of one engine in a test, in order. */
export class EventLog {
  readonly all: EngineEvent[] = [];

  of<T extends EngineEvent["type"]>(type: T): Extract<EngineEvent, { type: T }>[] {
    return this.all.filter((event): event is Extract<EngineEvent, { type: T }> => event.type === type);
  }

  clear(): void {
    this.all.length = 0;
  }
}

const logs = new WeakMap<Engine, EventLog>();

/** All events of an engine through this harness; a test passes those of direct calls to `note`. */
export function eventsOf(engine: Engine): EventLog {
  return logs.get(engine)!;
}

/** Records the events of a direct call, and returns its result. */
export function note<T>(engine: Engine, caused: WithEvents<T>): WithEvents<T> {
  eventsOf(engine).all.push(...caused.events);
  return caused;
}

/** Options of a test engine. */
export interface EngineOptions extends Partial<EngineStart> {
  readonly settings?: Partial<EngineSettings>;
}

/** An engine; by default its incarnation begins now. */
export function makeEngine(id: string, clock: TestClock, options: EngineOptions = {}): Engine {
  const { settings, ...start } = options;
  const engine = new Engine({ ...SETTINGS, ...settings }, {
    id,
    incarnation: incarnationAt(clock),
    now: clock.now,
    random: 0.25,
    openMembership: false,
    ...start,
  });
  logs.set(engine, new EventLog());
  return engine;
}

/** Engines with these ids in one topology, without handshakes. */
export function makeCluster(
  ids: readonly string[],
  clock: TestClock,
  options: EngineOptions = {},
): [Engine, ...Engine[]] {
  const engines = ids.map((id) => makeEngine(id, clock, options));
  for (const engine of engines) note(engine, engine.setTopology({ members: ids, blocked: [] }, clock.now));
  return engines as [Engine, ...Engine[]];
}

/** Two members with a completed handshake: the usual start. */
export function makePair(clock: TestClock, options: EngineOptions = {}): [a: Engine, b: Engine] {
  const [a, b] = makeCluster(["a", "b"], clock, options);
  handshake(a, b!, clock);
  return [a, b!];
}

/** A handshake of both, as when a connection opens; returns the refusals. */
export function handshake(a: Engine, b: Engine, clock: TestClock) {
  const helloOf = (engine: Engine) => ({
    id: engine.view.id,
    incarnation: engine.view.incarnation,
    digest: engine.view.digest,
    active: engine.view.activeHash,
    count: engine.view.heartbeatOf(engine.view.id)?.number ?? 0,
  });
  const byB = note(b, b.applyHello(helloOf(a), clock.now)).refusal;
  const byA = note(a, a.applyHello(helloOf(b), clock.now)).refusal;
  return { byA, byB };
}

/** Handshakes of all pairs. */
export function handshakeAll(engines: readonly Engine[], clock: TestClock): void {
  for (const a of engines) for (const b of engines) if (a.view.id < b.view.id) handshake(a, b, clock);
}

/** Counts heartbeats of an engine. */
export function count(engine: Engine, intervals: number, clock: TestClock): void {
  for (let each = 0; each < intervals; each++) note(engine, engine.countHeartbeat({}, clock.now));
}

export function set(engine: Engine, key: string, value: JsonValue, clock: TestClock): number {
  return note(engine, engine.set(key, copyJson(value), clock.now)).number;
}

export function remove(engine: Engine, key: string, clock: TestClock): number | undefined {
  return note(engine, engine.delete(key, clock.now)).number;
}

/** The value at an engine. */
export function valueOf(engine: Engine, memberId: string, key: string): JsonValue | undefined {
  return engine.view.get(memberId, key)?.value;
}

/** The messages of one exchange. */
export interface Exchanged {
  readonly request: Delta;
  readonly sent: Sent;
  /** Undefined if the request was lost. */
  readonly reply: { readonly delta: Delta; readonly holds: KnownVersions; readonly sent: Sent } | undefined;
  /** The requester's acknowledgement; undefined if the request or the reply was lost. */
  readonly ack: KnownVersions | undefined;
}

/** Options of an exchange. */
export interface ExchangeOptions {
  readonly clock: TestClock;
  /** The message that is lost. */
  readonly lose?: "request" | "reply" | "ack";
}

/**
 * One round with one peer, as in the gossiper: gossip, reply, acknowledgement. Every message goes through
 * `traveled`, so that no other object is shared.
 */
export function exchange(a: Engine, b: Engine, { clock, lose }: ExchangeOptions): Exchanged {
  const { delta: request, sent, holds: asked } = note(a, a.prepareGossip(b.view.id));
  if (lose === "request") return { request, sent, reply: undefined, ack: undefined };
  const { holds } = note(b, b.applyIncoming(a.view.id, traveled(request), clock.now));
  const { delta, sent: replySent } = note(b, b.disseminate(a.view.id, { holds, asked: new Map(asked) }));
  const reply = { delta, holds, sent: replySent };
  if (lose === "reply") return { request, sent, reply, ack: undefined };
  note(a, a.handleAck(sent, new Map(holds), clock.now));
  const { holds: ack } = note(a, a.applyIncoming(b.view.id, traveled(delta), clock.now));
  if (lose !== "ack") note(b, b.handleAck(replySent, new Map(ack), clock.now));
  return { request, sent, reply, ack };
}

/** A delta as received: equal text, other objects, and no stamps of the sender. */
export function traveled(delta: Delta): Delta {
  return structuredClone(unstamped(delta));
}

/** A delta as received, without the sender's stamps. Entries are frozen, so they may be shared. */
export function unstamped<T extends MemberDeltas>(delta: T): T {
  return {
    ...delta,
    members: delta.members.map((member) => ({
      ...member,
      entries: member.entries.map(({ key, number, type, value, json, expiresAfter, ageMs, renews }) => ({
        ...{ key, number, type, value, json },
        ...(expiresAfter !== undefined && { expiresAfter }),
        ...(ageMs !== undefined && { ageMs }),
        ...(renews !== undefined && { renews }),
      })),
    })),
  };
}

/** Runs exchanges between every two until no state is sent, or fails after this many rounds. */
export function settle(
  engines: readonly Engine[],
  options: { readonly clock: TestClock; readonly rounds?: number },
): void {
  const { clock, rounds = 50 } = options;
  for (let round = 0; round < rounds; round++) {
    let members = 0;
    for (const a of engines) {
      for (const b of engines) {
        if (a === b) continue;
        const { request, reply } = exchange(a, b, { clock });
        members += request.members.length + (reply?.delta.members.length ?? 0);
      }
    }
    if (members === 0) return;
  }
  throw new Error(`After ${rounds} rounds there was still state to send.`);
}

/** Runs a comparison by member if one is due; returns true if it was. */
export function reconcile(a: Engine, b: Engine): boolean {
  const { parts } = note(a, a.requestReconcile(b.view.id));
  for (const [index, part] of parts.entries()) {
    const answer = note(b, b.answerReconcile(a.view.id, structuredClone(part))).part!;
    note(a, a.applyReconcile(b.view.id, structuredClone(answer), { last: index === parts.length - 1 }));
  }
  return parts.length > 0;
}

/** An entry as a peer would send it. */
export function entry(key: string, number: number, value: JsonValue): SentEntry {
  return { key, number, type: TYPE.value, value, json: JSON.stringify(value) };
}

/** A tombstone as a peer would send it. */
export function tombstone(key: string, number: number): SentEntry {
  return { key, number, type: "", value: undefined, json: "" };
}

/** Statistics of a heartbeat as an entry: the whole heartbeat for an unversioned member. */
export function heartbeat(number: number): SentEntry {
  return { key: HEARTBEAT_KEY, number, type: TYPE.heartbeat, value: {}, json: "{}" };
}

/** A delta of one member as a peer would send it. */
export function memberDelta(
  id: string,
  incarnation: Incarnation,
  entries: readonly SentEntry[],
  options: Partial<Pick<MemberDelta, "after" | "reset" | "end" | "count" | "ackedByAll">> = {},
): MemberDelta {
  return { id, incarnation, after: 0, reset: false, entries, ...options };
}

/** A message of these deltas, without a digest to compare. */
export function message(...members: readonly MemberDelta[]): Delta {
  return { members, digest: "0".repeat(16), active: "0".repeat(16), partial: true };
}

/** Sends one engine's liveness to another, beside a message or in place of one; returns it. */
export function sendLiveness(from: Engine, to: Engine, clock: TestClock): Liveness {
  const liveness = structuredClone(from.takeLiveness(to.view.id));
  note(to, to.applyLiveness(from.view, liveness, clock.now));
  return liveness;
}

/** Delivers the liveness of a peer in the incarnation that the engine knows. */
export function deliverLiveness(engine: Engine, id: string, liveness: Liveness, clock: TestClock): void {
  const incarnation = engine.view.incarnationOf(id) ?? incarnationAt(clock, 0);
  note(engine, engine.applyLiveness({ id, incarnation }, liveness, clock.now));
}

/** Delivers a peer's deltas to an engine; returns the versions in its answer. */
export function deliver(
  engine: Engine,
  peerId: string,
  members: MemberDelta | readonly MemberDelta[],
  clock: TestClock,
): ReadonlyMap<string, KnownVersion> {
  const list: readonly MemberDelta[] = "id" in members ? [members] : members;
  return note(engine, engine.applyIncoming(peerId, message(...list), clock.now)).holds;
}

/** Fences an engine that signs, by repeated handshakes of another process with its id and key (rule E1). */
export function fence(engine: Engine, clock: TestClock): void {
  const { id, digest, activeHash: active } = engine.view;
  for (let times = 0; !engine.view.isFenced; times++) {
    if (times === 3) throw new Error("Three handshakes did not fence it.");
    const incarnation = makeIncarnation(clock.wallMs + 3_600_000 * (times + 1), 0.5);
    note(engine, engine.applyHello({ id, incarnation, digest, active }, clock.now));
  }
}

/** Integers from 0 below a bound, by a seed. */
export function drawFrom(seed: number): (below: number) => number {
  let state = seed * 7_919;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return (state >> 8) % below;
  };
}

/** The ids of some deltas, sorted. */
export function membersOf(deltas: readonly { readonly id: string }[]): string[] {
  return deltas.map(({ id }) => id).sort();
}

/** Delivers a higher incarnation of an engine's own id. */
export function sendHigherIncarnation(engine: Engine, clock: TestClock): void {
  const higher = makeIncarnation(incarnationStartMs(engine.view.incarnation) + 10, 0.5);
  deliver(engine, "b", memberDelta(engine.view.id, higher, [entry("k", 1, "other")]), clock);
}
