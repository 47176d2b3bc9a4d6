/**
 * Events of one simulated process, as far as the invariants need them.
 *
 * @module
 */

import type { HearsayEvent } from "../../../contracts/event_stream.ts";
import type { Incarnation } from "../../../engine/types.ts";
import type { Process } from "../process.ts";

/** A time in the life of a process that can be suspended. */
interface ActiveMoment {
  readonly activeMs: number;
  /** The number of suspensions until then. */
  readonly freezes: number;
}

/** Changes and reports of one process so far. Maps have ids of members as keys. */
export class Observation {
  readonly #process: Process;
  readonly #nowMs: () => number;
  #incarnation: Incarnation | undefined;
  #formerIncarnation: Incarnation | undefined;
  #incarnations = 0;
  #lastNumber = 0;
  #consensus: string | undefined;
  #hasMet = false;
  #failedId: string | undefined;
  readonly #forgotten = new Set<string>();
  readonly #signsOfLife = new Map<string, ActiveMoment>();
  readonly #blockedAtMs = new Map<string, number>();
  readonly #activeSinceMs = new Map<string, number>();
  readonly #updatedAtMs = new Map<string, number>();
  readonly #keptSinceMs = new Map<string, number>();

  constructor(process: Process, nowMs: () => number) {
    this.#process = process;
    this.#nowMs = nowMs;
  }

  /** The incarnation of its last change. */
  get incarnation(): Incarnation | undefined {
    return this.#incarnation;
  }

  /** The incarnation before {@linkcode incarnation}. */
  get formerIncarnation(): Incarnation | undefined {
    return this.#formerIncarnation;
  }

  /** The number of incarnations that it started. */
  get incarnations(): number {
    return this.#incarnations;
  }

  /** The number of its last change. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** The value of its consensus as JSON; `undefined` without consensus. */
  get consensus(): string | undefined {
    return this.#consensus;
  }

  /** True after its first exchange with a peer. */
  get hasMet(): boolean {
    return this.#hasMet;
  }

  /** True between the failure of an active member and its block. */
  hasJustFailed(id: string): boolean {
    return this.#failedId === id;
  }

  /** True if it dropped the state of a member and has not received all of it again. */
  hasForgotten(id: string): boolean {
    return this.#forgotten.has(id);
  }

  /** Active time and suspensions since a member last gave a sign of life, or was unblocked. */
  sinceSignOfLife(id: string): ActiveMoment {
    const { activeMs, freezes } = this.#process;
    const last = this.#signsOfLife.get(id) ?? { activeMs: -Infinity, freezes: 0 };
    return { activeMs: activeMs - last.activeMs, freezes: freezes - last.freezes };
  }

  /**
   * How long a member has been blocked, in milliseconds of this process's active time; 0 if it is not. A process that
   * stands still sends what it had queued before the block once it goes on.
   */
  blockedForMs(id: string): number {
    // When a member is forgotten, its block ends without an event.
    if (!this.#process.gossiper.blockedMembers.some((blocked) => blocked.id === id)) return 0;
    const { activeMs } = this.#process;
    return activeMs - (this.#blockedAtMs.get(id) ?? activeMs);
  }

  /** True if a member joined, or was unblocked, at this moment. */
  hasJustBecomeActive(id: string): boolean {
    return this.#activeSinceMs.get(id) === this.#nowMs();
  }

  /** True if it received state of a member at this moment. */
  wasJustUpdated(id: string): boolean {
    return this.#updatedAtMs.get(id) === this.#nowMs();
  }

  /** The active time for which it has kept the state of a member that is not active, in milliseconds. */
  keptForMs(id: string): number {
    const { activeMs } = this.#process;
    return activeMs - (this.#keptSinceMs.get(id) ?? activeMs);
  }

  /** Records that it keeps the state of a member that is not active. */
  startKeeping(id: string): void {
    if (!this.#keptSinceMs.has(id)) this.#keptSinceMs.set(id, this.#process.activeMs);
  }

  /** Records that a member is active, or that its state is dropped. */
  stopKeeping(id: string): void {
    this.#keptSinceMs.delete(id);
  }

  /** Records a set or a delete of its own, and returns the incarnation that made it. */
  recordChange(number: number): Incarnation {
    if (this.#incarnation === undefined || number <= this.#lastNumber) {
      this.#formerIncarnation = this.#incarnation;
      this.#incarnations++;
      this.#incarnation = this.#process.gossiper.members.find(({ isSelf }) => isSelf)!.incarnation!;
    }
    this.#lastNumber = number;
    return this.#incarnation;
  }

  /** Records that it received state of a member. */
  recordUpdate(id: string): void {
    this.#updatedAtMs.set(id, this.#nowMs());
  }

  /** Records that it received a heartbeat of a member. */
  recordHeartbeat(id: string): void {
    const { activeMs, freezes } = this.#process;
    this.#signsOfLife.set(id, { activeMs, freezes });
  }

  /** Records that it received the newest change of a member, and so all state of it. */
  recordNewest(id: string): void {
    this.#forgotten.delete(id);
  }

  /** Records an event other than an update. */
  record(event: HearsayEvent): void {
    switch (event.type) {
      case "ClusterTopology":
        for (const member of event.members) this.stopKeeping(member.id);
        return;
      case "MemberFailed":
        this.#failedId = event.memberId;
        return;
      case "MemberBlocked":
        this.#failedId = undefined;
        this.#blockedAtMs.set(event.memberId, this.#process.activeMs);
        return;
      case "MemberJoined":
        return void this.#activeSinceMs.set(event.memberId, this.#nowMs());
      case "MemberUnblocked":
        this.stopKeeping(event.memberId);
        this.#activeSinceMs.set(event.memberId, this.#nowMs());
        return this.recordHeartbeat(event.memberId);
      case "MemberForgotten":
        this.stopKeeping(event.memberId);
        this.#forgotten.add(event.memberId);
        return;
      case "Disseminated":
        this.#hasMet = true;
        return;
      case "ConsensusReached":
        this.#consensus = JSON.stringify(event.value);
        return;
      case "ConsensusLost":
        this.#consensus = undefined;
    }
  }
}
