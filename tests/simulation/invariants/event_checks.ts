/**
 * Invariants of events: what a process reports must be true at this moment.
 *
 * @module
 */

import { HearsayError } from "../../../common/errors.ts";
import type { Member } from "../../../contracts/cluster.ts";
import type { HearsayEvent } from "../../../contracts/event_stream.ts";
import { HEARTBEAT_KEY } from "../../../engine/types.ts";
import { CONFIRM_AFTER_MS } from "../../../engine/liveness/suspicions.ts";
import { AWAITED_KEY, type Process } from "../process.ts";
import type { AwaitedValues } from "./awaited_values.ts";
import type { CheckContext } from "./check_context.ts";
import { checkConfirmed } from "./confirmed_check.ts";
import type { Lifetimes } from "./lifetimes.ts";

/** Incarnations of other processes with its id, after which a member reports a conflict. */
const CONFLICT_INCARNATIONS = 3;

type Update = Extract<HearsayEvent, { type: "GossipUpdate" }>;
type Blocked = Extract<HearsayEvent, { type: "MemberBlocked" }>;

/** Checks events and records them. */
export class EventChecks {
  readonly #context: CheckContext;
  readonly #awaited: AwaitedValues;
  readonly #lifetimes: Lifetimes;
  /** The highest heartbeat count of each id over all incarnations. */
  readonly #heartbeats = new Map<string, number>();
  #falseBlocks = 0;

  constructor(context: CheckContext, awaited: AwaitedValues, lifetimes: Lifetimes) {
    this.#lifetimes = lifetimes;
    this.#context = context;
    this.#awaited = awaited;
  }

  /** How often a member that runs and is not suspended was blocked as expired. */
  get falseBlocks(): number {
    return this.#falseBlocks;
  }

  /** Checks one event, then records it. */
  record(process: Process, event: HearsayEvent): void {
    if (event.type === "GossipUpdate") return this.#recordUpdate(process, event);
    this.#check(process, event);
    this.#context.of(process).record(event);
  }

  #recordUpdate(process: Process, update: Update): void {
    this.#lifetimes.checkUpdate(process, update);
    if (update.memberId === process.id) this.#recordOwn(process, update);
    else if (!update.deleted) this.#recordReceived(process, update);
    // The next process of an id may become known by the end of all earlier keys alone.
    else this.#context.of(process).recordUpdate(update.memberId);
  }

  #recordOwn(process: Process, { key, value, sequenceNumber: number }: Update): void {
    const { id } = process;
    if (key === HEARTBEAT_KEY) {
      this.#heartbeats.set(id, Math.max(number, this.#heartbeats.get(id) ?? 0));
      return;
    }
    const incarnation = this.#context.of(process).recordChange(number);
    const json = JSON.stringify(value);
    const wrong = this.#context.expected.record(id, { incarnation, key, number, json });
    if (wrong !== undefined) this.#context.fail(process, wrong);
  }

  #recordReceived(process: Process, { memberId, key, value, sequenceNumber: number }: Update): void {
    const observation = this.#context.of(process);
    if (key === HEARTBEAT_KEY) {
      const most = this.#heartbeats.get(memberId) ?? 0;
      if (number > most) {
        this.#context.fail(
          process,
          `it received heartbeat ${number} of ${memberId}, whose count is ${most}`,
        );
      }
      return observation.recordHeartbeat(memberId);
    }
    observation.recordUpdate(memberId);
    // A forgotten member comes back in parts; the last part has the owner's newest number.
    if (observation.hasForgotten(memberId) && number >= this.#context.lastNumberOf(memberId)) {
      observation.recordNewest(memberId);
    }
    const json = JSON.stringify(value);
    if (!this.#context.expected.has(memberId, { key, number, json })) {
      this.#context.fail(process, `it received ${memberId} ${key}@${number} = ${json}, which was never set`);
    }
    if (key === AWAITED_KEY) this.#awaited.record(process, { owner: memberId, value: value as number });
  }

  #check(process: Process, event: HearsayEvent): void {
    const observation = this.#context.of(process);
    const fail = (text: string) => this.#context.fail(process, text);
    switch (event.type) {
      case "MemberBlocked":
        return this.#checkBlocked(process, event);
      case "Disseminated":
        // A member that leaves still gets the reply to its last request.
        if (observation.blockedForMs(event.peerId) === 0) return;
        return fail(`it gossips to ${event.peerId}, which it blocks`);
      case "ConflictDetected": {
        const others = this.#context.expected.incarnationsOf(process.id) - observation.incarnations;
        const isIdentity = event.reason === "identity" && others >= CONFLICT_INCARNATIONS;
        if (event.reason === "digest" || isIdentity) return;
        return fail(`it reports a conflict that is none: ${JSON.stringify(event)}`);
      }
      case "SelfBlocked":
        if (event.peerId !== undefined || event.reason !== "expired" && event.reason !== "identity") return;
        return fail(`it blocks itself as ${event.reason}`);
      case "CallbackFailed":
        if (isWithoutRoom(event)) return;
        return fail(`a callback failed: ${event.where}: ${event.error}`);
      case "ConsensusLost":
        if (observation.consensus !== undefined) return;
        return fail("it emitted ConsensusLost without ConsensusReached");
      case "IncarnationRenewed":
        return this.#checkRenewed(process);
      case "Confirmed":
        if (process.gossiper.phase !== "confirmed") fail("it emitted Confirmed in another phase");
        return checkConfirmed(process, this.#context);
    }
  }

  #checkBlocked(process: Process, { memberId, reason }: Blocked): void {
    if (memberId === process.id) this.#context.fail(process, "it blocks itself");
    if (reason === "crashed") this.#checkCrashed(process, memberId);
    if (reason === "expired") this.#checkExpired(process, memberId);
  }

  #checkCrashed(process: Process, id: string): void {
    const { heartbeatExpiration, processes, nowMs } = this.#context.options;
    const living = processes.aliveWith(id);
    // A process that has left closes its connections for a while; its address refuses new ones meanwhile.
    if (living === undefined || living.hasStopped || living.refusesDials) return;
    // It knows only the former process of the id, which left on another machine.
    const known = process.gossiper.members.find((member) => member.id === id)?.member;
    if (known && !isSameAddress(known, living.record)) return;
    // While a proxy restarts, peers cannot see a process that just started under the id.
    const waitMs = Math.min(CONFIRM_AFTER_MS, heartbeatExpiration / 2);
    if (nowMs() - living.startedAtMs < waitMs) return;
    this.#context.fail(process, `it blocked ${id} as crashed, which runs`);
  }

  #checkExpired(process: Process, id: string): void {
    const { heartbeatExpiration, gossipInterval, gossipRequestTimeout, processes } = this.#context.options;
    const observation = this.#context.of(process);
    // A member that never was active came without a heartbeat count, because its sender had blocked it.
    if (!observation.hasJustFailed(id)) return;
    const { activeMs, freezes } = observation.sinceSignOfLife(id);
    // A suspension counts for at most the time between two rounds.
    const pausesMs = (freezes + 1) * (gossipInterval + gossipRequestTimeout);
    const leastMs = heartbeatExpiration - pausesMs;
    if (activeMs <= leastMs) this.#context.fail(process, `${id} expired after ${activeMs} ms`);
    const living = processes.aliveWith(id);
    if (living && !living.machine.isFrozen) this.#falseBlocks++;
  }

  /** A new incarnation must set the values of the former one again, or they would be lost while their owner runs. */
  #checkRenewed(process: Process): void {
    const { expected } = this.#context;
    const { formerIncarnation, incarnation } = this.#context.of(process);
    if (formerIncarnation === undefined || incarnation === undefined) return;
    const renewed = expected.changesOf(process.id, incarnation);
    for (const [key, changes] of expected.changesOf(process.id, formerIncarnation)) {
      const { json } = changes.at(-1)!;
      if (json === undefined || renewed.get(key)?.at(-1)?.json === json) continue;
      if (this.#lifetimes.isOver(process.id, key, json)) continue;
      this.#context.fail(process, `its ${key} = ${json} is lost with its former incarnation`);
    }
  }
}

function isSameAddress(one: Member, other: Member): boolean {
  return one.host === other.host && one.port === other.port && one.url === other.url;
}

/** True if a state with large values had no room for the report of a role. */
export function isWithoutRoom({ where, error }: Extract<HearsayEvent, { type: "CallbackFailed" }>): boolean {
  return where.startsWith("the report of ") && error instanceof HearsayError && error.code === "too_large";
}
