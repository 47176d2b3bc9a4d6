/**
 * Invariants of roles: at each member epochs rise, no epoch has two leaders among candidates that agree, a role has its next
 * holder only after its candidates gave it up, and two holders at once give up within a bound.
 *
 * @module
 */

import { candidateSetOf } from "../../../roles/candidates.ts";
import type { Leader, LeaderAnswer, Owners, OwnersAnswer } from "../../../roles/mod.ts";
import type { Process } from "../process.ts";
import { type CheckContext, MAX_DRIFT } from "./check_context.ts";

/** The key of the leader's reports. */
const LEADER_KEY = "roles.leader";
const OWNERS_KEY = "roles.owners";
/** The keys that all members share. */
export const OWNED_KEYS = ["x", "y", "z"] as const;
/** The time between two checks of the heartbeats by a candidate. */
const CANDIDATE_INTERVAL_MS = 250;
/** For timers of two processes at one moment. */
const SLACK_MS = 20;

/** The options of the roles of a run. */
export interface RoleSettings {
  readonly atLeast: number;
  /** In milliseconds. */
  readonly settle: number;
  /** In milliseconds. */
  readonly heardWithin: number;
}

/** The roles of one process. */
export interface RolesOfProcess {
  readonly leader: Leader;
  readonly owners: Owners;
}

/** An answer: the epoch if this member holds the role. */
type Answer = LeaderAnswer | OwnersAnswer;

/** A set of candidates that agreed. */
interface AgreedSet {
  readonly hash: string;
  readonly leader: string;
  /** The ids with their incarnations. */
  readonly names: ReadonlySet<string>;
}

/** A time in which two processes hold one role. */
interface Overlap {
  readonly key: string;
  readonly early: Process;
  readonly late: Process;
  /** Their active times at its start. */
  readonly earlyMs: number;
  readonly lateMs: number;
  /** The candidates of the later one. */
  readonly names: ReadonlySet<string>;
}

/** Checks roles. */
export class RoleChecks {
  readonly #context: CheckContext;
  readonly #roles = new Map<Process, RolesOfProcess>();
  /** The last answer of each process about the leader. */
  readonly #last = new Map<Process, { readonly epoch: number; readonly leader: string }>();
  /** The set that each process reported under each number, by key of the role. */
  readonly #reports = new Map<Process, Map<string, string>>();
  /** The processes whose last report was refused. */
  readonly #full = new Set<Process>();
  readonly #agreed = new Map<number, AgreedSet[]>();
  readonly #holders = new Map<string, Set<Process>>();
  #overlaps: Overlap[] = [];
  #longestMs = 0;
  #longestShare = 0;

  constructor(context: CheckContext) {
    this.#context = context;
  }

  /** The longest time with two holders, in milliseconds of their active time, and its share of the most allowed. */
  get longest(): { readonly ms: number; readonly share: number } {
    return { ms: this.#longestMs, share: this.#longestShare };
  }

  /** Must be called with the roles of every process that starts. */
  join(process: Process, roles: RolesOfProcess): void {
    this.#roles.set(process, roles);
  }

  /** Must be called with every answer about the leader. */
  noteLeader(process: Process, answer: LeaderAnswer): void {
    if (answer.state === "known") {
      this.#checkRising(process, answer);
      this.#checkAgreed(process, answer);
    }
    this.#note(process, "leader", answer);
  }

  /** Must be called with every answer about the owners of a key. */
  noteOwners(process: Process, key: string, answer: OwnersAnswer): void {
    this.#note(process, key, answer);
  }

  /** Must be called with every set of a report by its process. */
  recordReport(process: Process, key: string, value: unknown): void {
    this.#full.delete(process);
    const report = value as { readonly epoch: number; readonly view: string } | undefined;
    if (!report) return;
    let reports = this.#reports.get(process);
    if (!reports) this.#reports.set(process, reports = new Map());
    const name = `${key} ${report.epoch}`;
    const before = reports.get(name);
    if (before === undefined || before === report.view) reports.set(name, report.view);
    else {this.#context.fail(
        process,
        `under ${key} ${report.epoch} it reported ${before}, then ${report.view}`,
      );}
  }

  /** Must be called if the state of a process has no room for its report. */
  recordFull(process: Process): void {
    this.#full.add(process);
  }

  /** Checks the times with two holders that have not ended yet. */
  sweep(): void {
    this.#overlaps = this.#overlaps.filter((overlap) => {
      if (overlap.early.isOver || overlap.late.isOver) return false;
      this.#checkOverlap(overlap);
      return true;
    });
  }

  /** The first reason why the survivors do not agree on leader and owners; `undefined` if they do. */
  findDisagreement(survivors: readonly Process[], { atLeast }: RoleSettings): string | undefined {
    if (survivors.some((process) => this.#full.has(process))) return undefined;
    const answers = survivors.map((process) => {
      const { leader, owners } = this.#roles.get(process)!;
      return { process, all: [leader.current, ...OWNED_KEYS.map((key) => owners.of(key))] as Answer[] };
    });
    let agreed: string | undefined;
    for (const { process, all } of answers) {
      if (survivors.length < atLeast) {
        if (all.every(({ state }) => state === "unknown")) continue;
        return `${process.id} knows a leader or an owner among ${survivors.length} of at least ${atLeast}`;
      }
      const unknown = all.find((answer) => answer.state === "unknown");
      if (unknown) return `${process.id} knows no leader or owner: ${JSON.stringify(unknown)}`;
      const text = JSON.stringify(all, (name, value) => /^is[A-Z]/.test(name) ? undefined : value);
      if ((agreed ??= text) !== text) return `${process.id} has ${text}, another one ${agreed}`;
      const ids = all.flatMap((answer) => "leader" in answer ? [answer.leader] : []);
      const isAlive = ids.every((id) => survivors.some((survivor) => survivor.id === id));
      if (!isAlive) return `${process.id} has a leader that does not run: ${text}`;
    }
    return undefined;
  }

  /** At one member, each change of the leader has a higher epoch. */
  #checkRising(process: Process, { epoch, leader }: LeaderAnswer & { readonly state: "known" }): void {
    const before = this.#last.get(process);
    this.#last.set(process, { epoch, leader });
    if (!before || epoch > before.epoch || epoch === before.epoch && leader === before.leader) return;
    this.#context.fail(
      process,
      `${before.leader} led at epoch ${before.epoch}, then ${leader} at epoch ${epoch}`,
    );
  }

  /** All candidates of an agreed set have reported it, and none of them has agreed to another one under its epoch. */
  #checkAgreed(process: Process, { epoch, leader }: LeaderAnswer & { readonly state: "known" }): void {
    const set = agreedBy(process, LEADER_KEY, epoch);
    if (!set) return;
    const report = JSON.stringify({ epoch, view: set.hash });
    for (const id of set.ids) {
      if (this.#context.expected.valuesOf(id, LEADER_KEY).includes(report)) continue;
      this.#context.fail(process, `it agreed to ${report}, which ${id} has not reported`);
    }
    const others = this.#agreed.get(epoch) ?? [];
    for (const other of others) {
      if (other.leader === leader) continue;
      if (other.hash !== set.hash && !hasCommon(other.names, set.names)) continue;
      this.#context.fail(process, `epoch ${epoch} has the leaders ${other.leader} and ${leader}`);
    }
    if (!others.some(({ hash }) => hash === set.hash)) {
      this.#agreed.set(epoch, [...others, { hash: set.hash, leader, names: set.names }]);
    }
  }

  #note(process: Process, key: string, answer: Answer): void {
    let holders = this.#holders.get(key);
    if (!holders) this.#holders.set(key, holders = new Set());
    if (!isHeld(answer)) {
      holders.delete(process);
      return this.#close(process, key);
    }
    // The stream may be late: then a newer answer follows.
    if (holders.has(process) || !this.#holds(process, key)) return;
    for (const holder of holders) {
      if (holder.isOver) holders.delete(holder);
      else if (this.#holds(holder, key)) this.#open(key, { early: holder, late: process, answer });
    }
    holders.add(process);
  }

  /** The candidates of the later holder have all given the role up; others may still hold it for a while. */
  #open(key: string, { early, late, answer }: {
    readonly early: Process;
    readonly late: Process;
    readonly answer: Answer & { readonly state: "known" };
  }): void {
    const set = agreedBy(late, key === "leader" ? LEADER_KEY : OWNERS_KEY, answer.epoch);
    if (!set) return;
    if (set.names.has(nameOf(early))) {
      return this.#context.fail(
        late,
        `it holds ${key}, and so does ${early.id}, a candidate that agreed to it`,
      );
    }
    const [earlyMs, lateMs] = [early.activeMs, late.activeMs];
    this.#overlaps.push({ key, early, late, earlyMs, lateMs, names: set.names });
  }

  #close(process: Process, key: string): void {
    this.#overlaps = this.#overlaps.filter((overlap) => {
      if (overlap.key !== key || overlap.early !== process && overlap.late !== process) return true;
      this.#checkOverlap(overlap);
      return false;
    });
  }

  /**
   * The candidates of the later holder have not counted the earlier one among them for `settle`, so that they send nothing to
   * it. Without them it hears fewer than `atLeast`, and gives up `heardWithin` after the last message on the way. Members that
   * are cut off with it pass on the counts that they heard last, for half of an expiration (L2).
   */
  #checkOverlap({ key, early, late, earlyMs, lateMs, names }: Overlap): void {
    const { roles, underWayMs, processes, heartbeatExpiration } = this.#context.options;
    const { atLeast, settle, heardWithin } = roles!;
    const ms = Math.min(early.activeMs - earlyMs, late.activeMs - lateMs);
    const others = [...candidatesOf(early, LEADER_KEY).names].filter((name) => !names.has(name));
    if (others.length >= atLeast) return;
    // A suspended process delays messages too.
    const suspendedMs = processes.alive.reduce((sum, { frozenMs }) => sum + frozenMs, 0);
    const relayedMs = others.length > 1 ? heartbeatExpiration / 2 : 0;
    const driftMs = MAX_DRIFT * (heardWithin + settle);
    const mostMs =
      Math.max(0, heardWithin + CANDIDATE_INTERVAL_MS + underWayMs + relayedMs + suspendedMs - settle) +
      driftMs +
      SLACK_MS;
    this.#longestMs = Math.max(this.#longestMs, ms);
    this.#longestShare = Math.max(this.#longestShare, ms / mostMs);
    if (ms <= mostMs) return;
    this.#context.fail(
      late,
      `it holds ${key} for ${Math.round(ms)} ms beside ${early.id} (${Math.round(mostMs)} allowed)`,
    );
  }

  #holds(process: Process, key: string): boolean {
    const { leader, owners } = this.#roles.get(process)!;
    return isHeld(key === "leader" ? leader.current : owners.of(key));
  }
}

function isHeld(answer: Answer): answer is Answer & { readonly state: "known" } {
  return answer.state === "known" && ("leader" in answer ? answer.isSelf : answer.isOwner);
}

/** The id of a process with its incarnation. */
function nameOf({ id, gossiper }: Process): string {
  return `${id} ${gossiper.members.find(({ isSelf }) => isSelf)?.incarnation}`;
}

/** The candidates at a process at this moment. */
function candidatesOf(
  { gossiper }: Process,
  key: string,
): { readonly hash: string; readonly ids: readonly string[]; readonly names: ReadonlySet<string> } {
  const { hash, candidates } = candidateSetOf(gossiper, key, {
    kind: undefined,
    zone: undefined,
    wallMs: 0,
  });
  const incarnations = new Map(gossiper.members.map(({ id, incarnation }) => [id, incarnation]));
  const ids = candidates.map(({ id }) => id);
  return { hash, ids, names: new Set(ids.map((id) => `${id} ${incarnations.get(id)}`)) };
}

/** The set that a process agreed to under this epoch; `undefined` if it sees another set by now. */
function agreedBy(process: Process, key: string, epoch: number): ReturnType<typeof candidatesOf> | undefined {
  const set = candidatesOf(process, key);
  const own = process.gossiper.getState(key).get(process.id)?.value;
  return JSON.stringify(own) === JSON.stringify({ epoch, view: set.hash }) ? set : undefined;
}

function hasCommon(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.intersection(other).size > 0;
}
