/**
 * Invariants of the whole state of a process: its own, that of others, its bounds and its consensus.
 *
 * @module
 */

import { isFarAhead } from "../../../engine/incarnation.ts";
import { PENDING_PER_MEMBER } from "../../../engine/sync/peer_memory.ts";
import type { KnownVersion } from "../../../engine/types.ts";
import type { MemberSnapshot, Snapshot } from "../../../gossiper/contract.ts";
import { footprintOf } from "../footprint.ts";
import { isAbove } from "../../engine/chaos_oracle.ts";
import { CHECKED_KEY, type Process } from "../process.ts";
import type { CheckContext } from "./check_context.ts";
import { find, isState, lastUpTo } from "./expected_state.ts";

/** Rounds, each with the length of one request, until expired state is dropped. */
const KEPT_ROUNDS = 4;

/** The state of a member in a snapshot, up to its version; without the heartbeat. */
interface StoredState {
  readonly id: string;
  readonly version: KnownVersion;
  readonly entries: MemberSnapshot["entries"];
}

/** Checks snapshots of processes. */
export class StateChecks {
  readonly #context: CheckContext;
  /** The highest version of each member that a process has had. */
  readonly #highest = new Map<Process, Map<string, KnownVersion>>();

  constructor(context: CheckContext) {
    this.#context = context;
  }

  /** Checks the whole state of the processes, and that equal digests mean equal states. */
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
      // A member that has stopped is not among its own active members, and takes part in nothing any more.
      if (process.hasStopped) continue;
      this.#checkConsensus(process, snapshot);
      const { name, state } = describeState(snapshot);
      const [other, theirs] = byName.get(name) ?? [];
      if (other === undefined) byName.set(name, [process, state]);
      else if (state !== theirs) {
        this.#context.fail(process, `its digest equals that of ${other.id}, its state does not`);
      }
    }
  }

  /** The state of a member must be a prefix of one of its incarnations' changes, and never shrink. */
  #checkMember(process: Process, { id, incarnation, entries: shown }: MemberSnapshot): void {
    const entries = shown.filter(({ key }) => isState(key));
    if (incarnation === undefined || entries.length === 0) return;
    const number = Math.max(...entries.map(({ sequenceNumber }) => sequenceNumber));
    const state = { id, version: { incarnation, number }, entries };
    this.#checkVersion(process, state);
    this.#checkEntries(process, state);
    this.#checkPrefix(process, state);
  }

  #checkVersion(process: Process, { id, version }: StoredState): void {
    let highest = this.#highest.get(process);
    if (highest === undefined) this.#highest.set(process, highest = new Map());
    const before = highest.get(id);
    // The state of a forgotten member comes back in parts.
    const isBack = this.#context.of(process).hasForgotten(id);
    // It began by a clock that was ahead, and that is corrected by now (E2).
    const isFalse = before !== undefined && isFarAhead(before.incarnation, process.machine.wallMs());
    if (before === undefined || isBack || isFalse || !isAbove(before, version)) {
      highest.set(id, version);
      return;
    }
    // A snapshot has no tombstones, and the earlier version may have ended in one.
    if (before.incarnation === version.incarnation && !this.#isShown(id, before)) return;
    this.#context.fail(process, `${id} fell back from ${show(before)} to ${show(version)}`);
  }

  /** True if a snapshot would show this version: its last change is no delete, and nothing replaced it. */
  #isShown(id: string, { incarnation, number }: KnownVersion): boolean {
    for (const changes of this.#context.expected.changesOf(id, incarnation).values()) {
      const set = find(changes, number);
      if (set) return set === changes.at(-1) && set.json !== undefined;
    }
    return true;
  }

  /** Its owner has set every entry. */
  #checkEntries(process: Process, { id, version, entries }: StoredState): void {
    const changes = this.#context.expected.changesOf(id, version.incarnation);
    for (const { key, sequenceNumber, value } of entries) {
      const json = JSON.stringify(value);
      const set = find(changes.get(key) ?? [], sequenceNumber);
      if (set !== undefined && set.json === json) continue;
      this.#context.fail(process, `of ${id} it has ${key}@${sequenceNumber} = ${json}, which was never set`);
    }
  }

  /** Every change up to the version is there. */
  #checkPrefix(process: Process, { id, version, entries }: StoredState): void {
    const numbers = new Map(entries.map(({ key, sequenceNumber }) => [key, sequenceNumber]));
    for (const [key, changes] of this.#context.expected.changesOf(id, version.incarnation)) {
      const index = lastUpTo(changes, version.number);
      if (index < 0 || !isState(key)) continue;
      const due = changes[index]!;
      const stored = numbers.get(key);
      if (stored === (due.json === undefined ? undefined : due.number)) continue;
      // A superseded value need not have arrived; a deleted value must be gone.
      if (index < changes.length - 1 && (stored ?? 0) <= due.number) continue;
      this.#context.fail(
        process,
        `of ${id} up to ${show(version)} it lacks ${key}@${due.number}, and has ${stored}`,
      );
    }
  }

  /** State of an inactive member must be dropped after its retention and a few rounds. */
  #checkKept(process: Process, { id, status, entries }: MemberSnapshot): void {
    const observation = this.#context.of(process);
    if (isActive({ status }) || entries.length === 0) return observation.stopKeeping(id);
    observation.startKeeping(id);
    const { departedRetention, gossipInterval, gossipRequestTimeout } = this.#context.options;
    const keptMs = observation.keptForMs(id);
    const mostMs = departedRetention + KEPT_ROUNDS * (gossipInterval + gossipRequestTimeout);
    if (keptMs <= mostMs) return;
    this.#context.fail(process, `it kept the state of ${id} (${status}) for ${keptMs} ms`);
  }

  /** The bounds of docs/ALGORITHM.md. */
  #checkFootprint(process: Process, { members }: Snapshot): void {
    const { maxMembers, maxKeysPerMember } = this.#context.options;
    const kept = footprintOf(process.gossiper);
    const shown = members.reduce(
      (sum, { entries }) => sum + entries.filter(({ key }) => isState(key)).length,
      0,
    );
    const isWithin = kept.members <= maxMembers && kept.remembered <= maxMembers &&
      kept.pending <= PENDING_PER_MEMBER * maxMembers &&
      kept.keys <= 1.5 * maxKeysPerMember * kept.members && kept.tombstones <= kept.keys - shown;
    if (isWithin) return;
    this.#context.fail(process, `it exceeds its bounds: ${JSON.stringify({ ...kept, shown })}`);
  }

  /** A process has the last value of each of its keys, and is active to itself until it has stopped. */
  #checkOwn(process: Process, { members, self }: Snapshot): void {
    const own = members.find(({ isSelf }) => isSelf)!;
    const status = process.hasStopped ? "left" : "alive";
    if (own.block !== null || own.status !== status) this.#context.fail(process, "it blocks itself");
    const { incarnation } = this.#context.of(process);
    if (incarnation === undefined) return;
    const stored = new Map(own.entries.map(({ key, value }) => [key, JSON.stringify(value)]));
    for (const [key, changes] of this.#context.expected.changesOf(self, incarnation)) {
      const { json } = changes.at(-1)!;
      if (stored.get(key) === json) continue;
      this.#context.fail(process, `its own ${key} is ${stored.get(key)}, and was set to ${json}`);
    }
  }

  /** It reports consensus if all active members have one value, and only then. */
  #checkConsensus(process: Process, { members, isolated }: Snapshot): void {
    const { consensus, hasMet } = this.#context.of(process);
    const active = members.filter(isActive);
    const values = active.map(({ entries }) =>
      JSON.stringify(entries.find(({ key }) => key === CHECKED_KEY)?.value)
    );
    const agree = values.every((value) => value !== undefined && value === values[0]);
    // Before its first handshake a member cannot know that it is alone.
    if (agree && consensus === undefined && this.#context.options.openMembership && !hasMet) return;
    const expected = agree && values.length > 0 && !isolated ? values[0] : undefined;
    if (consensus === expected || consensus === undefined && active.length === 1) return;
    this.#context.fail(process, `its consensus is ${consensus}, the values are ${values.join(" ")}`);
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

function show({ incarnation, number }: KnownVersion): string {
  return `${incarnation}@${number}`;
}
