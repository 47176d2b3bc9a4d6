/**
 * Invariants of every member at every moment of a simulation.
 *
 * @module
 */

import { PENDING_PER_MEMBER } from "../../engine/sync/peer_memory.ts";
import { HEARTBEAT_KEY, type Incarnation, type KnownVersion } from "../../engine/types.ts";
import type { MemberSnapshot, Snapshot } from "../../gossiper/contract.ts";
import { CONFIRM_AFTER_MS } from "../../gossiper/crash_watch.ts";
import type { HearsayEvent } from "../../contracts/event_stream.ts";
import { footprintOf } from "../../gossiper/gossiper.ts";
import type { SentMessage } from "../../testing/memory.ts";
import { isAbove } from "../engine/chaos_oracle.ts";
import type { SeededRandom } from "./seeded_random.ts";
import { ExpectedState, find, lastUpTo } from "./expected_state.ts";
import { AWAITED_KEY, CHECKED_KEY, type Process } from "./process.ts";
import type { Processes } from "./processes.ts";

/** Peers compared with a member that is `confirmed`: to compare all would take most of the run. */
const COMPARED_PEERS = 4;
/** Rounds, each with the length of one request, until expired state is dropped. */
const KEPT_ROUNDS = 4;
/** One message in seven is parsed: to parse all would take most of the run. */
const OPENED_MESSAGES = 7;

/** Options of a {@linkcode InvariantChecker}. */
export interface InvariantCheckerOptions {
  readonly random: SeededRandom;
  readonly gossipMaxSend: number;
  readonly maxMembers: number;
  readonly maxKeysPerMember: number;
  readonly departedRetention: number;
  readonly maxMessageBytes: number;
  readonly heartbeatExpiration: number;
  readonly gossipInterval: number;
  readonly gossipRequestTimeout: number;
  /** The longest time that a message sent before a block may be on its way, in milliseconds. */
  readonly underWayMs: number;
  /** True if members learn of each other through handshakes: before the first one they report no consensus. */
  readonly openMembership: boolean;
  readonly nowMs: () => number;
  readonly processes: Processes;
  /** Called with a broken invariant; only the first counts. */
  readonly onViolation: (process: Process | undefined, text: string) => void;
}

/** A moment of a process that can be suspended: its active time, and its number of suspensions. */
interface ActiveMoment {
  readonly activeMs: number;
  readonly freezes: number;
}

/** Observations of one process. */
class Observation {
  ownIncarnation: Incarnation | undefined;
  /** The number of incarnations that it started. */
  incarnations = 0;
  /** The incarnation before `ownIncarnation`. */
  formerIncarnation: Incarnation | undefined;
  ownNumber = 0;
  /** The highest version seen of each member. */
  readonly most = new Map<string, KnownVersion>();
  /** Members whose state this process dropped. */
  readonly forgotten = new Set<string>();
  /** When each member last gave a sign of life, or was unblocked. */
  readonly aliveAt = new Map<string, ActiveMoment>();
  readonly blockedAtMs = new Map<string, number>();
  readonly unblockedAtMs = new Map<string, number>();
  /** Active time of the process since when it keeps state of a member that is not active. */
  readonly keptSinceMs = new Map<string, number>();
  consensus: string | undefined;
  hasMet = false;
}

/** Checks the invariants from outside: it trusts only changes by owners, and public interfaces. */
export class InvariantChecker {
  readonly #options: InvariantCheckerOptions;
  readonly #expected = new ExpectedState();
  readonly #observations = new Map<Process, Observation>();
  /** Awaited values in order, each with the processes that received it or a later one. */
  readonly #awaited = new Map<number, { readonly owner: string; readonly holders: Set<Process> }>();
  /** The highest heartbeat count of each id over all incarnations. */
  readonly #counts = new Map<string, number>();
  #messages = 0;
  /** How often a member that runs and is not suspended was blocked as expired. */
  falseBlocks = 0;
  /** How often a member was blocked as crashed. */
  crashes = 0;

  constructor(options: InvariantCheckerOptions) {
    this.#options = options;
  }

  /** Must be called at once with every event of a process. */
  record(process: Process, event: HearsayEvent): void {
    const observed = this.#of(process);
    const { id, gossiper } = process;
    switch (event.type) {
      case "GossipUpdate":
        return event.memberId === id ? this.#recordOwn(process, event) : this.#recordReceived(process, event);
      case "MemberBlocked": {
        const { memberId, reason } = event;
        this.#ensure(process, memberId !== id, () => "it blocks itself");
        observed.blockedAtMs.set(memberId, this.#options.nowMs());
        if (reason === "crashed") {
          this.crashes++;
          const living = this.#options.processes.aliveWith(memberId);
          // While a proxy restarts, peers cannot see a process that just started under the id.
          const { heartbeatExpiration } = this.#options;
          const waitMs = Math.min(CONFIRM_AFTER_MS, heartbeatExpiration / 2);
          const isNew = living !== undefined && this.#options.nowMs() - living.startedAtMs < waitMs;
          return this.#ensure(
            process,
            // A process that has left closes its connections for a while; its address refuses new ones meanwhile.
            living === undefined || living.hasStopped || isNew,
            () => `it blocked ${memberId} as crashed, which runs`,
          );
        }
        if (reason !== "expired") return;
        const aliveAt = observed.aliveAt.get(memberId) ?? { activeMs: -Infinity, freezes: 0 };
        const activeMs = process.activeMs - aliveAt.activeMs;
        // A suspension counts for at most the time between two rounds.
        const { heartbeatExpiration, gossipInterval, gossipRequestTimeout } = this.#options;
        const pausesMs = (process.freezes - aliveAt.freezes + 1) * (gossipInterval + gossipRequestTimeout);
        const leastMs = heartbeatExpiration - pausesMs;
        this.#ensure(process, activeMs > leastMs, () => `${memberId} expired after ${activeMs} ms`);
        const living = this.#options.processes.aliveWith(memberId);
        if (living && !living.machine.isFrozen) this.falseBlocks++;
        return;
      }
      case "ClusterTopology":
        for (const member of event.members) observed.keptSinceMs.delete(member.id);
        return;
      case "MemberUnblocked":
        observed.keptSinceMs.delete(event.memberId);
        observed.unblockedAtMs.set(event.memberId, this.#options.nowMs());
        observed.aliveAt.set(event.memberId, activeMomentOf(process));
        return;
      case "MemberForgotten":
        observed.keptSinceMs.delete(event.memberId);
        observed.forgotten.add(event.memberId);
        return;
      case "Disseminated":
        observed.hasMet = true;
        // A member that leaves still gets the reply to its last request.
        return this.#ensure(
          process,
          !this.#blockedFor(process, event.peerId),
          () => `it gossips to ${event.peerId}, which it blocks`,
        );
      case "ConflictDetected":
        // A member reports a conflict after it received three incarnations of other processes with its id.
        return this.#ensure(
          process,
          event.reason === "digest" ||
            event.reason === "identity" && this.#expected.incarnationsOf(id) - observed.incarnations >= 3,
          () => `it reports a conflict that is none: ${JSON.stringify(event)}`,
        );
      case "SelfBlocked":
        return this.#ensure(
          process,
          event.peerId !== undefined || event.reason !== "expired" && event.reason !== "identity",
          () => `it blocks itself as ${event.reason}`,
        );
      case "CallbackFailed":
        return this.#options.onViolation(process, `a callback failed: ${event.where}: ${event.error}`);
      case "ConsensusReached":
        observed.consensus = JSON.stringify(event.value);
        return;
      case "ConsensusLost":
        this.#ensure(
          process,
          observed.consensus !== undefined,
          () => "it emitted ConsensusLost without ConsensusReached",
        );
        observed.consensus = undefined;
        return;
      case "IncarnationRenewed":
        return this.#checkRenewed(process);
      case "Confirmed":
        this.#ensure(process, gossiper.phase === "confirmed", () => "it emitted Confirmed in another phase");
        return this.#checkConfirmed(process);
    }
  }

  /** Must be called with every message when it is sent. */
  checkMessage({ from, to, text, bytes }: SentMessage): void {
    const { gossipMaxSend, underWayMs, processes } = this.#options;
    const sender = processes.aliveAt(from);
    const receiver = processes.aliveAt(to);
    const maxBytes = Math.min(sender?.maxMessageBytes ?? Infinity, processes.largestMessageAt(to));
    this.#ensure(sender, bytes <= maxBytes, () => `it sends ${bytes} bytes; the limit is ${maxBytes}`);
    const type = /^\{"type":"(\w+)"/.exec(text)?.[1];
    if (type !== "gossip" && type !== "push" && type !== "reply") return;
    if (sender && receiver) {
      const isLate = this.#blockedFor(sender, receiver.id) < underWayMs;
      this.#ensure(sender, isLate, () => `it sent a ${type} to ${receiver.id} long after it blocked that`);
    }
    if (this.#messages++ % OPENED_MESSAGES !== 0) return;
    const message = JSON.parse(text);
    const states: Record<string, { readonly values?: object }> =
      (message.request ?? message.response).state?.members ?? {};
    const members = Object.keys(states).length;
    this.#ensure(
      sender,
      members <= gossipMaxSend,
      () => `it sends the state of ${members} members in one message`,
    );
    if (!sender) return;
    for (const { id } of sender.gossiper.blockedMembers) {
      const hasHeartbeat = message.ranges?.[id]?.length === 3;
      const isLate = hasHeartbeat && this.#blockedFor(sender, id) >= underWayMs;
      this.#ensure(sender, !isLate, () => `it sends a heartbeat of ${id} long after it blocked that`);
    }
  }

  /** Records from now on which processes receive this value of {@linkcode AWAITED_KEY}, or a later one. */
  await(process: Process, value: number): void {
    this.#awaited.set(value, { owner: process.id, holders: new Set() });
  }

  /** Checks a resolved `setStateRequest`: so many other members, or all active ones, have the value. */
  checkPromise(process: Process, value: number, acknowledgedBy: number | "all"): void {
    const { holders } = this.#awaited.get(value)!;
    this.#awaited.delete(value);
    if (acknowledgedBy !== "all") {
      const wrong = () => `awaited ${value} must be at ${acknowledgedBy} members, and is at ${holders.size}`;
      return this.#ensure(process, holders.size >= acknowledgedBy, wrong);
    }
    for (const { id, status, incarnation } of process.gossiper.members) {
      const peer = this.#options.processes.aliveWith(id);
      if (status !== "alive" || id === process.id || !peer || this.#of(peer).ownIncarnation !== incarnation) {
        continue;
      }
      // It became active at this moment, after the promise resolved.
      if (this.#of(process).unblockedAtMs.get(id) === this.#options.nowMs()) continue;
      const wrong = () => `awaited ${value} must be at all members, and ${id} lacks it`;
      this.#ensure(process, holders.has(peer), wrong);
    }
  }

  /** Checks the whole state of the processes. */
  sweep(processes: readonly Process[]): void {
    const byName = new Map<string, readonly [Process, string]>();
    for (const process of processes) {
      const snapshot = process.gossiper.snapshot();
      for (const member of snapshot.members) {
        this.#checkMember(process, member);
        if (process.isRunning) this.#checkKept(process, member);
      }
      this.#checkFootprint(process, snapshot);
      this.#checkOwn(process, snapshot);
      this.#checkConsensus(process, snapshot);
      const { name, state } = describeState(snapshot);
      const [other, theirs] = byName.get(name) ?? [];
      if (other === undefined) byName.set(name, [process, state]);
      else {this.#ensure(process, state === theirs, () =>
          `its digest equals that of ${other.id}, its state does not`);}
    }
  }

  /** The values of the running incarnation's keys, for the check at the end. */
  latest(process: Process): Map<string, string> {
    const values = new Map<string, string>();
    const incarnation = this.#of(process).ownIncarnation;
    if (incarnation === undefined) return values;
    for (const [key, changes] of this.#expected.changesOf(process.id, incarnation)) {
      const json = changes.at(-1)?.json;
      if (json !== undefined && isState(key)) values.set(key, json);
    }
    return values;
  }

  #recordOwn(process: Process, event: Extract<HearsayEvent, { type: "GossipUpdate" }>): void {
    const observed = this.#of(process);
    const { key, value, sequenceNumber: number } = event;
    if (key === HEARTBEAT_KEY) {
      return void this.#counts.set(process.id, Math.max(number, this.#counts.get(process.id) ?? 0));
    }
    if (observed.ownIncarnation === undefined || number <= observed.ownNumber) {
      observed.formerIncarnation = observed.ownIncarnation;
      observed.incarnations++;
      observed.ownIncarnation = process.gossiper.members.find(({ isSelf }) => isSelf)!.incarnation!;
    }
    observed.ownNumber = number;
    const json = JSON.stringify(value);
    const wrong = this.#expected.record(process.id, observed.ownIncarnation, key, { number, json });
    this.#ensure(process, wrong === undefined, () => wrong!);
  }

  /** The highest number that the running process of an id has set. */
  #lastNumberOf(id: string): number {
    const owner = this.#options.processes.aliveWith(id);
    return owner === undefined ? 0 : this.#of(owner).ownNumber;
  }

  #recordReceived(process: Process, event: Extract<HearsayEvent, { type: "GossipUpdate" }>): void {
    const observed = this.#of(process);
    const { memberId, key, value, sequenceNumber: number, deleted } = event;
    if (deleted) return;
    // A forgotten member comes back in parts; the last part has the owner's newest number.
    if (observed.forgotten.has(memberId) && number >= this.#lastNumberOf(memberId)) {
      observed.forgotten.delete(memberId);
    }
    if (key === HEARTBEAT_KEY) {
      const most = this.#counts.get(memberId) ?? 0;
      this.#ensure(
        process,
        number <= most,
        () => `it received heartbeat ${number} of ${memberId}, whose count is ${most}`,
      );
      return void observed.aliveAt.set(memberId, activeMomentOf(process));
    }
    const json = JSON.stringify(value);
    this.#ensure(
      process,
      this.#expected.has(memberId, key, { number, json }),
      () => `it received ${memberId} ${key}@${number} = ${json}, which was never set`,
    );
    if (key === AWAITED_KEY) {
      for (const [awaited, { owner, holders }] of this.#awaited) {
        if (owner === memberId && awaited <= (value as number)) holders.add(process);
      }
    }
  }

  /** The state of a member must be a prefix of one of its incarnations' changes, and never shrink. */
  #checkMember(process: Process, { id, incarnation, entries: shown }: MemberSnapshot): void {
    const entries = shown.filter(({ key }) => isState(key));
    if (incarnation === undefined || entries.length === 0) return;
    const number = Math.max(...entries.map(({ sequenceNumber }) => sequenceNumber));
    const { most } = this.#of(process);
    const before = most.get(id);
    const version = { incarnation, number };
    const isLess = before !== undefined && isAbove(before, version);
    // A snapshot has no tombstones, and the earlier version may have ended in one.
    const isShown = before?.incarnation !== incarnation || this.#isShownAbove(id, version, before.number);
    this.#ensure(
      process,
      !isLess || !isShown,
      () => `${id} fell back from ${show(before!)} to ${show(version)}`,
    );
    if (!isLess) most.set(id, version);
    const changes = this.#expected.changesOf(id, incarnation);
    const held = new Map(entries.map((entry) => [entry.key, entry]));
    for (const { key, sequenceNumber, value } of entries) {
      const json = JSON.stringify(value);
      const set = find(changes.get(key) ?? [], sequenceNumber);
      this.#ensure(
        process,
        set !== undefined && set.json === json,
        () => `of ${id} it has ${key}@${sequenceNumber} = ${json}, which was never set`,
      );
    }
    for (const [key, all] of changes) {
      const index = lastUpTo(all, number);
      if (index < 0) continue;
      const due = all[index]!;
      const isDue = (due.json === undefined ? undefined : due.number) === held.get(key)?.sequenceNumber;
      // A superseded value need not have arrived; a deleted value must be gone.
      const isExcused = index < all.length - 1 && (held.get(key)?.sequenceNumber ?? 0) <= due.number;
      this.#ensure(
        process,
        isDue || isExcused,
        () =>
          `of ${id} up to ${show(version)} it lacks ${key}@${due.number}, and has ${
            held.get(key)?.sequenceNumber
          }`,
      );
    }
  }

  /** True if a snapshot would show the earlier version: its last change is no delete, and nothing replaced it. */
  #isShownAbove(id: string, version: KnownVersion, before: number): boolean {
    for (const changes of this.#expected.changesOf(id, version.incarnation).values()) {
      const set = find(changes, before);
      if (set) return set === changes.at(-1) && set.json !== undefined;
    }
    return true;
  }

  /** State of an inactive member must be dropped after its retention and a few rounds. */
  #checkKept(process: Process, { id, status, entries }: MemberSnapshot): void {
    const { keptSinceMs } = this.#of(process);
    if (isActive({ status }) || entries.length === 0) return void keptSinceMs.delete(id);
    const { departedRetention, gossipInterval, gossipRequestTimeout } = this.#options;
    const sinceMs = keptSinceMs.get(id) ?? process.activeMs;
    keptSinceMs.set(id, sinceMs);
    const keptMs = process.activeMs - sinceMs;
    const mostMs = departedRetention + KEPT_ROUNDS * (gossipInterval + gossipRequestTimeout);
    this.#ensure(process, keptMs <= mostMs, () => `it kept the state of ${id} (${status}) for ${keptMs} ms`);
  }

  /** The bounds of docs/ALGORITHM.md. */
  #checkFootprint(process: Process, { members }: Snapshot): void {
    const { maxMembers, maxKeysPerMember } = this.#options;
    const kept = footprintOf(process.gossiper);
    const shown = members.reduce(
      (sum, { entries }) => sum + entries.filter(({ key }) => isState(key)).length,
      0,
    );
    const isWithin = kept.members <= maxMembers && kept.remembered <= maxMembers &&
      kept.pending <= PENDING_PER_MEMBER * maxMembers &&
      kept.keys <= 1.5 * maxKeysPerMember * kept.members && kept.tombstones <= kept.keys - shown;
    this.#ensure(process, isWithin, () => `it exceeds its bounds: ${JSON.stringify({ ...kept, shown })}`);
  }

  #checkOwn(process: Process, { members, self }: Snapshot): void {
    const own = members.find(({ isSelf }) => isSelf)!;
    this.#ensure(process, own.block === null && own.status === "alive", () => "it blocks itself");
    const held = new Map(own.entries.map(({ key, value }) => [key, JSON.stringify(value)]));
    const incarnation = this.#of(process).ownIncarnation;
    for (
      const [key, changes] of incarnation === undefined ? [] : this.#expected.changesOf(self, incarnation)
    ) {
      this.#ensure(
        process,
        held.get(key) === changes.at(-1)!.json,
        () => `its own ${key} is ${held.get(key)}, and was set to ${changes.at(-1)!.json}`,
      );
    }
  }

  #checkConsensus(process: Process, { members, isolated }: Snapshot): void {
    const { consensus, hasMet } = this.#of(process);
    const active = members.filter(isActive);
    const values = active.map(({ entries }) =>
      JSON.stringify(entries.find(({ key }) => key === CHECKED_KEY)?.value)
    );
    const agree = values.every((value) => value !== undefined && value === values[0]);
    // Before its first handshake a member cannot know that it is alone.
    if (agree && consensus === undefined && this.#options.openMembership && !hasMet) return;
    const expected = agree && values.length > 0 && !isolated ? values[0] : undefined;
    const isTrue = consensus === expected || consensus === undefined && active.length === 1;
    this.#ensure(process, isTrue, () => `its consensus is ${consensus}, the values are ${values.join(" ")}`);
  }

  /** A new incarnation must set the values of the former one again, or they would be lost while their owner runs. */
  #checkRenewed(process: Process): void {
    const { formerIncarnation, ownIncarnation } = this.#of(process);
    if (formerIncarnation === undefined || ownIncarnation === undefined) return;
    const renewed = this.#expected.changesOf(process.id, ownIncarnation);
    for (const [key, changes] of this.#expected.changesOf(process.id, formerIncarnation)) {
      const { json } = changes.at(-1)!;
      const isKept = json === undefined || renewed.get(key)?.at(-1)?.json === json;
      this.#ensure(process, isKept, () => `its ${key} = ${json} is lost with its former incarnation`);
    }
  }

  /** Every active peer has all state of this member, if it is the process that the member knows. */
  #checkConfirmed(process: Process): void {
    const mine = process.gossiper.snapshot();
    const peers = mine.members.filter(({ id, status, incarnation }) => {
      const peer = this.#options.processes.aliveWith(id);
      return status === "alive" && id !== process.id && peer && this.#of(peer).ownIncarnation === incarnation;
    });
    const chance = COMPARED_PEERS / Math.max(peers.length, COMPARED_PEERS);
    for (const { id } of this.#options.random.some(peers, chance)) {
      const peer = this.#options.processes.aliveWith(id)!;
      const theirs = new Map(peer.gossiper.snapshot().members.map((member) => [member.id, member]));
      for (const member of mine.members) {
        if (member.status !== "alive" || member.id === id) continue;
        // With different topologies a peer may have acknowledged and forgotten it since (seeds 7016 and 7025).
        if (this.#of(peer).forgotten.has(member.id)) continue;
        const lacking = this.#lacking(member, theirs.get(member.id));
        this.#ensure(process, lacking === undefined, () => `confirmed, but ${id} lacks ${lacking}`);
      }
    }
  }

  /** The first entry of a member that the other snapshot lacks, and that its owner has not replaced. */
  #lacking(
    { id, incarnation, entries }: MemberSnapshot,
    other: MemberSnapshot | undefined,
  ): string | undefined {
    if (incarnation === undefined) return undefined;
    if (other?.incarnation !== undefined && other.incarnation > incarnation) return undefined;
    for (const { key, sequenceNumber } of entries) {
      if (!isState(key)) continue;
      if (this.#expected.changesOf(id, incarnation).get(key)?.at(-1)?.number !== sequenceNumber) continue;
      const held = other?.incarnation === incarnation
        ? other.entries.find((entry) => entry.key === key)
        : undefined;
      if (held?.sequenceNumber !== sequenceNumber) return `${id} ${key}@${sequenceNumber}`;
    }
    // Snapshots show no deletes. A peer with a later version must not have the deleted key.
    const upTo = Math.max(0, ...entries.map(({ key, sequenceNumber }) => isState(key) ? sequenceNumber : 0));
    for (const { key } of other?.incarnation === incarnation ? other.entries : []) {
      if (!isState(key) || entries.some((entry) => entry.key === key)) continue;
      const last = this.#expected.changesOf(id, incarnation).get(key)?.at(-1);
      const isDeleted = last !== undefined && last.json === undefined && last.number <= upTo;
      if (isDeleted) return `the deletion of ${id} ${key}@${last.number}`;
    }
    return undefined;
  }

  /** How long a member has been blocked, in milliseconds; 0 if it is not. */
  #blockedFor(process: Process, id: string): number {
    // When a member is forgotten, its block ends without an event.
    if (!process.gossiper.blockedMembers.some((blocked) => blocked.id === id)) return 0;
    const nowMs = this.#options.nowMs();
    return nowMs - (this.#of(process).blockedAtMs.get(id) ?? nowMs);
  }

  #of(process: Process): Observation {
    let observed = this.#observations.get(process);
    if (observed !== undefined) return observed;
    this.#observations.set(process, observed = new Observation());
    return observed;
  }

  #ensure(process: Process | undefined, isTrue: boolean, otherwise: () => string): void {
    if (!isTrue) this.#options.onViolation(process, otherwise());
  }
}

/** A state's name on the wire (digest and member ids), and the state as text. */
function describeState(
  { digest, members }: Snapshot,
): { readonly name: string; readonly state: string } {
  const active = members.filter(isActive);
  return {
    name: `${digest} ${active.map(({ id }) => id).join()}`,
    state: active.map(({ id, incarnation, entries }) => {
      const state = entries.filter(({ key }) => isState(key))
        .map(({ key, sequenceNumber, value }) => `${key}@${sequenceNumber}=${JSON.stringify(value)}`).sort();
      return state.length === 0 ? `${id} ` : `${id} ${incarnation} ${state.join(" ")}`;
    }).join("\n"),
  };
}

/** True for a suspected member too: it takes part until it is blocked. */
function isActive({ status }: Pick<MemberSnapshot, "status">): boolean {
  return status === "alive" || status === "suspected";
}

/** False for the heartbeat: its count is not part of a member's state. */
function isState(key: string): boolean {
  return key !== HEARTBEAT_KEY;
}

function activeMomentOf({ activeMs, freezes }: Process): ActiveMoment {
  return { activeMs, freezes };
}

function show({ incarnation, number }: KnownVersion): string {
  return `${incarnation}@${number}`;
}
