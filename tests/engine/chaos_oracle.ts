/**
 * The invariants of engines at every moment, whatever the network does: checked against a record of all sets
 * and deletes of every incarnation of every member.
 *
 * @module
 */

import type { Engine } from "../../engine/engine.ts";
import type { EngineEvent } from "../../engine/events.ts";
import {
  type Entry,
  HEARTBEAT_KEY,
  type Incarnation,
  type Instant,
  type KnownVersion,
} from "../../engine/types.ts";

/** The key of the consensus check of every engine in a simulation. */
export const CHECKED_KEY = "k0";
/** The id of that check. */
export const CHECK_ID = "agreed";

/** One process of a simulation. */
export interface Process {
  readonly id: string;
  readonly engine: Engine;
  readonly heartbeatExpiration: number;
  readonly openMembership: boolean;
  readonly view: View;
  isAlive: boolean;
}

/** The member of a handshake, and its incarnation. */
interface Hello {
  readonly id: string;
  readonly incarnation: Incarnation;
}

interface Logged {
  readonly number: number;
  /** Undefined is a deletion. */
  readonly json: string | undefined;
}

/** All sets and deletes of one incarnation, in rising order of number. */
interface LifeLog {
  readonly byKey: Map<string, Logged[]>;
  /** Its owner's own count. */
  count: number;
}

/** The history of one engine. */
export class View {
  /** The highest version of each member that it ever had. */
  readonly mostHeld = new Map<string, KnownVersion>();
  /** The last version of each member; only a handshake lowers it. */
  readonly lastHeld = new Map<string, KnownVersion>();
  /** The last sign of life of each member, or the last extension. */
  readonly freshAt = new Map<string, number>();
  readonly lastBeat = new Map<string, KnownVersion>();
  /** The processes of its latest handshakes, by id. */
  readonly greeted = new Map<string, Process>();
  readonly lives = new Set<Incarnation>();
  hasMetAnyone = false;
  phase: string = "diffusing";
  /** The member of the last `MemberFailed`, until its block. */
  failedId: string | undefined;
  consensus: string | undefined;
  /** The text of the state of each member. */
  readonly prints = new Map<string, string>();
  /** The text of all active members, made when it is needed. */
  print: string | undefined;
  /** The engine's claims at the last check of them. */
  claim = "";
  /** Members with a change since their last check. */
  readonly changed = new Set<string>();
  calls = 0;
}

/** Throws if an engine breaks an invariant. */
export class Oracle {
  readonly #lives = new Map<string, Map<Incarnation, LifeLog>>();
  readonly #cutsDeltas: boolean;

  /** Makes an oracle of a world in which all deltas fit a message, or in which some are cut. */
  constructor({ cutsDeltas }: { readonly cutsDeltas: boolean }) {
    this.#cutsDeltas = cutsDeltas;
  }

  /** Records the effect of a call; to be called after each. */
  witness(process: Process, events: readonly EngineEvent[], now: Instant): void {
    process.view.lives.add(process.engine.view.incarnation);
    this.#logHeartbeat(process);
    for (const event of events) this.#hear(process, event, now);
  }

  /**
   * Records a believed handshake where members sign. The engine may drop a later incarnation of that member
   * that it could not prove.
   */
  believed({ view }: Process, { id, incarnation }: Hello, provable: Incarnation | undefined): void {
    const last = view.lastHeld.get(id);
    if (!last || last.incarnation <= incarnation) return;
    ensure(
      !provable || provable <= incarnation,
      `${id} was admitted with ${incarnation}, but ${provable} could be proved`,
    );
    view.lastHeld.set(id, { incarnation, number: 0 });
    view.lastBeat.delete(id);
    view.changed.add(id);
  }

  /** Checks all invariants of one engine. */
  check(process: Process, processes: Iterable<Process>): void {
    const { engine, view } = process;
    ensure(engine.view.blockedMember(process.id) === undefined, "it blocks itself");
    ensure(engine.view.activeIds().has(process.id), "it is not active to itself");
    // Check everything at times; otherwise the changed members.
    const isWhole = ++view.calls % 50 === 0;
    for (const id of engine.view.memberIds()) {
      if (isWhole || view.changed.has(id) || this.#hasMoved(process, id)) this.#checkMember(process, id);
    }
    view.changed.clear();
    this.#checkConsensus(process);
    ensure(
      view.phase === engine.view.phase,
      `its phase is ${engine.view.phase}, but ${view.phase} was emitted`,
    );
    const claim = `${engine.view.digest} ${engine.view.activeHash} ${engine.view.phase}`;
    if (claim !== view.claim) view.print = undefined;
    // Other engines' state only grows: a claim that held stays true while nothing changes here.
    if (!isWhole && view.print !== undefined) return;
    view.claim = claim;
    for (const other of processes) {
      if (other === process || !other.isAlive) continue;
      this.#checkDigests(process, other);
      if (engine.view.phase === "confirmed") this.#checkConfirmed(process, other);
    }
  }

  /** The state of active members, as text. */
  print({ engine, view }: Process): string {
    return view.print ??= [...engine.view.activeIds()].sort().map((id) =>
      engine.view.versionOf(id) && view.prints.get(id) || `${id} `
    ).join("\n");
  }

  #hasMoved({ engine, view }: Process, id: string): boolean {
    const hold = engine.view.versionOf(id)!;
    const last = view.lastHeld.get(id);
    return last?.incarnation !== hold.incarnation || last.number !== hold.number;
  }

  #hear({ id, engine, view, heartbeatExpiration }: Process, event: EngineEvent, now: Instant): void {
    switch (event.type) {
      case "GossipUpdate": {
        const { memberId, key, sequenceNumber: number } = event;
        const incarnation = engine.view.incarnationOf(memberId);
        view.changed.add(memberId);
        const isCount = key === HEARTBEAT_KEY && !event.deleted;
        if (memberId === id && !isCount) {
          this.#log(id, engine.view.incarnation, { key, number, json: JSON.stringify(event.value) });
        }
        if (memberId === id || !isCount || !incarnation) return;
        const last = view.lastBeat.get(memberId);
        if (last && !isAbove({ incarnation, number }, last)) return;
        view.lastBeat.set(memberId, { incarnation, number });
        view.freshAt.set(memberId, now.monotonicMs);
        return;
      }
      case "MemberUnblocked":
        view.freshAt.set(event.memberId, now.monotonicMs);
        return;
      case "MemberFailed":
        view.failedId = event.memberId;
        return;
      case "MemberBlocked": {
        // A member that never was active is blocked because its sender has blocked it.
        const wasActive = view.failedId === event.memberId;
        view.failedId = undefined;
        if (event.reason !== "expired" || !wasActive) return;
        const age = now.monotonicMs - (view.freshAt.get(event.memberId) ?? -Infinity);
        ensure(age > heartbeatExpiration, `${event.memberId} expired after ${age} ms`);
        return;
      }
      case "SelfBlocked":
        ensure(event.peerId !== undefined || event.reason !== "expired", "it expired in its own eyes");
        return;
      case "PhaseChanged":
        ensure(event.from === view.phase, `the phase went from ${event.from}, but it was ${view.phase}`);
        view.phase = event.to;
        return;
      case "ConsensusReached":
        ensure(view.consensus !== JSON.stringify(event.value), "one consensus was emitted twice");
        view.consensus = JSON.stringify(event.value);
        return;
      case "ConsensusLost":
        ensure(view.consensus !== undefined, "a consensus was lost that was never reached");
        view.consensus = undefined;
        return;
      case "ConflictDetected":
        // Where some have forgotten state that others still have, a comparison may not help until all have
        // forgotten it.
        ensure(["identity", "digest"].includes(event.reason), `a false conflict: ${JSON.stringify(event)}`);
        return;
    }
  }

  #log(id: string, incarnation: Incarnation, set: { key: string } & Logged): void {
    const key = getOrMake(this.#logOf(id, incarnation).byKey, set.key, () => []);
    ensure((key.at(-1)?.number ?? 0) < set.number, `its own numbers fell: ${set.key}@${set.number}`);
    key.push(set);
  }

  #logOf(id: string, incarnation: Incarnation): LifeLog {
    const incarnations = getOrMake(this.#lives, id, () => new Map<Incarnation, LifeLog>());
    return getOrMake(incarnations, incarnation, () => ({ byKey: new Map(), count: 0 }));
  }

  /** Statistics are set without an event, and the owner's own count is the true one. */
  #logHeartbeat({ id, engine }: Process): void {
    const log = this.#logOf(id, engine.view.incarnation);
    log.count = engine.view.heartbeatOf(id)?.number ?? 0;
    const entry = engine.view.entriesOf(id).find(({ key }) => key === HEARTBEAT_KEY);
    if (!entry || log.byKey.get(HEARTBEAT_KEY)?.at(-1)?.number === entry.number) return;
    this.#log(id, engine.view.incarnation, { key: HEARTBEAT_KEY, number: entry.number, json: entry.json });
  }

  /** Checks that no known count exceeds its owner's (L2). */
  #checkCount({ engine }: Process, id: string): void {
    const count = engine.view.heartbeatOf(id)?.number ?? 0;
    const counted = this.#lives.get(id)?.get(engine.view.incarnationOf(id)!)?.count ?? 0;
    ensure(
      count <= counted,
      `${id} ${
        engine.view.incarnationOf(id)
      } is at ${counted}, and ${engine.view.id} takes it to be at ${count}`,
    );
  }

  /** Checks that the state is a prefix of the sets and deletes, and never shrinks. */
  #checkMember(process: Process, id: string): void {
    const { engine, view } = process;
    this.#checkCount(process, id);
    const hold = engine.view.versionOf(id)!;
    const log = this.#lives.get(id)?.get(hold.incarnation)?.byKey;
    const last = view.lastHeld.get(id);
    ensure(
      !last || !isAbove(last, hold),
      `the version of ${id} fell from ${last && show(last)} to ${show(hold)}`,
    );
    view.lastHeld.set(id, hold);
    const most = view.mostHeld.get(id);
    if (!most || isAbove(hold, most)) view.mostHeld.set(id, hold);
    const entries = engine.view.entriesOf(id);
    const print = printOf(id, hold.incarnation, entries);
    if (print !== view.prints.get(id)) view.print = undefined;
    view.prints.set(id, print);
    const held = new Map(entries.map((entry) => [entry.key, entry]));
    for (const [key, entry] of held) {
      const set = log?.get(key)?.findLast(({ number }) => number === entry.number);
      ensure(set?.json === entry.json, `${id} never set ${key}@${entry.number} to ${entry.json}`);
      ensure(entry.number <= hold.number, `${id} ${key}@${entry.number} is above ${show(hold)}`);
    }
    for (const [key, sets] of log ?? []) {
      const index = sets.findLastIndex(({ number }) => number <= hold.number);
      const latest = sets[index];
      const expected = latest?.json === undefined ? undefined : latest.number;
      if (held.get(key)?.number === expected) continue;
      // A delta that is cut omits superseded entries after the cut.
      if (this.#cutsDeltas && id !== process.id && index < sets.length - 1) continue;
      fail(`of ${id} up to ${show(hold)}, ${key}@${expected} is missing: it has ${held.get(key)?.number}`);
    }
  }

  #checkConsensus({ engine, view, openMembership }: Process): void {
    const values = new Set([...engine.view.activeIds()].map((id) => engine.view.get(id, CHECKED_KEY)?.json));
    const [value] = values;
    const agreed = values.size === 1 && value !== undefined && (!openMembership || view.hasMetAnyone) &&
      !engine.view.isIsolated;
    const { reached } = engine.view.consensus(CHECK_ID);
    ensure(reached === agreed, `consensus is ${reached}: ${[...values].join(" | ")}`);
    ensure(view.consensus === (agreed ? value : undefined), `consensus was emitted as ${view.consensus}`);
  }

  #checkDigests(one: Process, other: Process): void {
    if (
      one.engine.view.activeHash !== other.engine.view.activeHash ||
      one.engine.view.digest !== other.engine.view.digest
    ) return;
    const [mine, theirs] = [this.print(one), this.print(other)];
    ensure(mine === theirs, `equal digests as ${other.id}, but\n${mine}\nis not\n${theirs}`);
  }

  /** A living peer with a handshake, or with a known incarnation, has had everything at some time. */
  #checkConfirmed({ engine, view }: Process, peer: Process): void {
    const isKnown = view.greeted.get(peer.id) === peer ||
      engine.view.incarnationOf(peer.id) === peer.engine.view.incarnation;
    if (!engine.view.activeIds().has(peer.id) || !isKnown) return;
    for (const id of engine.view.activeIds()) {
      if (id === peer.id) continue;
      const hold = engine.view.versionOf(id);
      if (!hold || hold.number === 0) continue;
      const most = peer.view.mostHeld.get(id);
      const lacks = !most || isAbove(hold, most);
      ensure(!lacks, `confirmed, but ${peer.id} lacks ${id} ${show(hold)}: ${most && show(most)}`);
    }
  }
}

/** True if a version is above another. */
export function isAbove(one: KnownVersion, other: KnownVersion): boolean {
  return one.incarnation === other.incarnation
    ? one.number > other.number
    : one.incarnation > other.incarnation;
}

function printOf(id: string, incarnation: Incarnation, entries: readonly Entry[]): string {
  if (entries.length === 0) return `${id} `;
  return `${id} ${incarnation} ${
    entries.map(({ key, number, json }) => `${key}@${number}=${json}`).join(" ")
  }`;
}

function show({ incarnation, number }: KnownVersion): string {
  return `${incarnation}@${number}`;
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = make());
  return value;
}

/** Throws with a reason unless the condition is true. */
export function ensure(isTrue: boolean, otherwise: string): asserts isTrue {
  if (!isTrue) fail(otherwise);
}

function fail(reason: string): never {
  throw new Error(reason);
}
