/**
 * The agreement of the candidates on the set of candidates. Each member reports the set that it sees, under a number
 * that rises with each report. A set is agreed once all of its candidates have reported it under the same number, the
 * epoch.
 *
 * The promises of roles follow from two rules. First, a member reports a new set only after it gave up the keys that
 * this set gives to others. The others wait for its report. Second, a member reports only one set under each number. So
 * two sets with a common candidate are never agreed under the same epoch.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import type { Runtime } from "../common/runtime.ts";
import {
  type CandidateFilter,
  type CandidateSet,
  candidateSetOf,
  highestEpoch,
  type Report,
  type RoleNode,
} from "./candidates.ts";

/** The reason of an answer `unknown`. */
export type UnknownReason =
  | "ended"
  | "few"
  | "identity"
  | "isolated"
  | "stalled"
  | "suspected"
  | "unheard"
  | "unsettled";

/** Options of an {@linkcode Agreement}. */
export interface AgreementOptions extends CandidateFilter {
  /** The key of the reports. */
  readonly key: string;
  /** True if this member is a candidate. */
  readonly takesPart: boolean;
  readonly atLeast: number;
  /** In milliseconds. */
  readonly settle: number;
  /** In milliseconds. */
  readonly heardWithin: number;
  readonly runtime: Runtime;
  readonly signal: AbortSignal | undefined;
  /** The epoch of this member's last report under this key; a later report must have a higher epoch. */
  readonly lastEpoch: number;
  /** Called after each change that may change an answer. */
  readonly onChange: () => void;
}

/** An agreed set. */
export interface AgreedSet extends CandidateSet {
  readonly epoch: number;
}

/** The time between two looks at the clock, in milliseconds: a longer gap shows that the process stood still. */
const LOOK_EVERY_MS = 250;
/** The shortest standstill after which a member gives up. Two looks: a busy process is late for one. */
const LEAST_STALL_MS = 2 * LOOK_EVERY_MS;
/** The most sets seen since the last agreement. With more sets, every key is given up until the next agreement. */
const MAX_LATER = 16;

/** One role at one member: the candidates that it sees, its reports and the last agreement. */
export class Agreement {
  readonly #node: RoleNode;
  readonly #options: AgreementOptions;
  readonly #ending = new AbortController();
  #seen: CandidateSet = { hash: "", candidates: [] }; // mutant replace-value: no set has this or that hash.
  /** The time of the last change of the set, or of the end of the last trouble. */
  #changedMs: number;
  /** The sets seen since the last agreement, without the agreed set, by the text of {@linkcode ranksOf}. */
  readonly #later = new Map<string, CandidateSet>();
  #agreed: AgreedSet | undefined;
  /** The last agreed set, also after trouble. */
  #latest = { epoch: 0, hash: "" }; // mutant replace-value 2: no set has this hash.
  /** The reason why all answers are unknown, except for a standstill that was not noticed yet. */
  #trouble: UnknownReason | undefined = "few"; // mutant replace-value: the first look sets it.
  #isIsolated: boolean;
  /** True if this member may be cut off: too few candidates were heard within `heardWithin`. */
  #isUnheard = false; // mutant replace-value: the first look sets it.
  #own: Report;
  /** True if the next report needs a new epoch, even if the set equals the last reported set. */
  #needsReport = true; // mutant replace-value: the end of the first trouble sets it.
  #lookedMs: number;
  /** A text of everything that an answer depends on, as of the last call of `onChange`. */
  #notified = "";
  /** True from a change of the cluster until this member's view of the candidates follows. */
  #isStale = false;
  #cancelLook: () => void = () => {};
  #cancelSettled: () => void = () => {};
  #cancelRefresh: () => void = () => {};

  /** Takes part at once; {@linkcode Agreement.end} ends it. */
  constructor(node: RoleNode, options: AgreementOptions) {
    this.#node = node;
    this.#options = options;
    const { runtime, key, takesPart, signal, lastEpoch } = options;
    this.#lookedMs = this.#changedMs = runtime.monotonicMs();
    this.#isIsolated = node.snapshot().isolated;
    this.#own = { epoch: lastEpoch, view: "" };
    if (takesPart) node.setState(key, this.#own);
    for (const each of [node.signal, signal]) {
      each?.addEventListener("abort", () => this.end(), { signal: this.#ending.signal });
    }
    const following = { signal: this.#ending.signal };
    void this.#follow(node.watchMembers(following));
    void this.#follow(node.watch(key, following));
    void this.#followIsolation();
    this.#look();
  }

  /** The reason why all answers are unknown; `undefined` without such a reason. */
  get trouble(): UnknownReason | undefined {
    this.#refresh();
    return this.#trouble ?? (this.#hasStalled ? "stalled" : undefined);
  }

  /** The set that was agreed last, if a set was agreed since the last trouble. */
  get agreed(): AgreedSet | undefined {
    this.#refresh();
    return this.#agreed;
  }

  /** The sets seen since the last agreement. */
  get later(): readonly CandidateSet[] {
    this.#refresh();
    return [...this.#later.values()];
  }

  /** The ids of the candidates under suspicion. */
  get suspected(): ReadonlySet<string> {
    this.#refresh();
    return this.#suspected();
  }

  /** The epoch of this member's last report. */
  get lastEpoch(): number {
    return this.#own.epoch;
  }

  /** Gives everything up, then withdraws this member's report. */
  end(): void {
    if (this.#trouble === "ended") return;
    this.#trouble = "ended";
    this.#cancelLook();
    this.#cancelSettled();
    this.#cancelRefresh();
    this.#ending.abort(new HearsayError("stopped", "The role has ended at this member."));
    this.#notify();
    if (this.#options.takesPart && !this.#node.signal.aborted) this.#node.deleteState(this.#options.key);
  }

  #suspected(): ReadonlySet<string> {
    return new Set(this.#seen.candidates.filter(({ isSuspected }) => isSuspected).map(({ id }) => id));
  }

  get #nowMs(): number {
    return this.#options.runtime.monotonicMs();
  }

  get #hasStalled(): boolean {
    return this.#nowMs - this.#lookedMs > Math.max(LEAST_STALL_MS, this.#options.settle);
  }

  /**
   * Many changes may come at once, for example at the start. One update of the view covers them all, at the latest when
   * the view is read.
   */
  async #follow(changes: ReadableStream<unknown>): Promise<void> {
    for await (const _ of changes) {
      // The stream may deliver its last items after the end.
      if (this.#isStale || this.#trouble === "ended") continue;
      this.#isStale = true;
      this.#cancelRefresh();
      this.#cancelRefresh = this.#options.runtime.setTimer(0, () => this.#refresh());
    }
  }

  #refresh(): void {
    if (this.#isStale) this.#update();
  }

  async #followIsolation(): Promise<void> {
    const following = { signal: this.#ending.signal };
    for await (const { type } of this.#node.events.subscribe(["Isolated", "Rejoined"], following)) {
      this.#isIsolated = type === "Isolated";
      this.#update();
    }
  }

  /**
   * Reads the clock at regular times. During a standstill other members may have taken the keys, so this member gives
   * all keys up.
   */
  #look(): void {
    // mutant replace-value: the update below sets the reason.
    if (this.#hasStalled) this.#giveUp("stalled");
    this.#lookedMs = this.#nowMs;
    this.#isUnheard = this.#options.takesPart && !this.#hasHeardEnough();
    this.#cancelLook = this.#options.runtime.setTimer(LOOK_EVERY_MS, () => this.#look());
    this.#update();
  }

  #update(): void {
    this.#isStale = false;
    if (this.#trouble === "ended") return;
    const { key, kind, zone, runtime, settle } = this.#options;
    const seen = candidateSetOf(this.#node, key, { kind, zone, wallMs: runtime.wallMs() });
    const isOther = seen.hash !== this.#seen.hash;
    this.#seen = seen;
    const trouble = this.#present();
    if (trouble !== undefined) {
      if (trouble !== this.#trouble) this.#giveUp(trouble);
    } else if (this.#trouble !== undefined || isOther) {
      this.#trouble = undefined;
      this.#changedMs = this.#nowMs;
      this.#cancelSettled();
      this.#cancelSettled = runtime.setTimer(settle, () => this.#update());
      this.#needsReport = true;
      this.#remember(seen);
    }
    if (trouble === undefined && this.#nowMs - this.#changedMs >= settle) this.#settle();
    this.#notify();
  }

  /** An answer costs time in proportion to the candidates, so answers are computed only after a change. */
  #notify(): void {
    const later = [...this.#later.values()].map(({ hash }) => hash);
    const notified = JSON.stringify([this.#trouble, this.#agreed?.epoch, later, [...this.#suspected()]]);
    if (notified === this.#notified) return;
    this.#notified = notified;
    this.#options.onChange();
  }

  /** The present reason why all answers are unknown. */
  #present(): UnknownReason | undefined {
    if (this.#node.members.some(({ isSelf, status }) => isSelf && status === "failed")) return "identity";
    if (this.#isIsolated) return "isolated";
    if (this.#isUnheard) return "unheard";
    const heard = this.#seen.candidates.filter(({ isSuspected }) => !isSuspected).length;
    return heard < this.#options.atLeast ? "few" : undefined;
  }

  /** True if at least `atLeast` candidates, including this member, sent a heartbeat within `heardWithin`. */
  #hasHeardEnough(): boolean {
    const { atLeast, heardWithin } = this.#options;
    let heard = 0;
    for (const { id, isSelf } of this.#seen.candidates) {
      // mutant replace-value, drop-fallback: `heardWithin` is at least 500, and undefined is not below it either.
      const ageMs = isSelf ? 0 : this.#node.explain(id).heartbeat?.ageMilliseconds ?? Infinity;
      if (ageMs <= heardWithin && ++heard >= atLeast) return true;
    }
    // With fewer than `atLeast` candidates the reason is `few`.
    return this.#seen.candidates.length < atLeast;
  }

  #giveUp(trouble: UnknownReason): void {
    this.#trouble = trouble;
    this.#agreed = undefined;
    this.#later.clear();
    this.#cancelSettled();
  }

  /**
   * Remembers a set that was seen: if it gave a key to another member, that member may own the key, even after the
   * agreed set comes back.
   */
  #remember(seen: CandidateSet): void {
    if (this.#agreed === undefined) return;
    // Sets with the same owners count once. Otherwise a member that restarts repeatedly would make new sets, and end
    // every agreement.
    const ranks = ranksOf(seen);
    if (this.#later.has(ranks)) return;
    this.#later.set(ranks, seen);
    if (this.#later.size <= MAX_LATER) return;
    this.#agreed = undefined;
    this.#later.clear();
  }

  /** Reports the set, and agrees to the set if all of its candidates have reported it. */
  #settle(): void {
    if (this.#options.takesPart) this.#report();
    const { hash, candidates } = this.#seen;
    const epoch = this.#options.takesPart ? this.#own.epoch : candidates[0]!.report.epoch;
    const isAgreed = candidates.every(({ isSelf, report }) =>
      isSelf || (report.view === hash && report.epoch === epoch)
    );
    if (!isAgreed || (this.#needsReport && this.#options.takesPart)) return;
    // A member that is no candidate may see old reports after newer reports.
    const { epoch: latest, hash: latestHash } = this.#latest;
    if (epoch < latest || (epoch === latest && hash !== latestHash)) return;
    this.#latest = { epoch, hash };
    this.#agreed = { ...this.#seen, epoch };
    this.#later.clear();
  }

  #report(): void {
    const { key, runtime } = this.#options;
    const { hash, candidates } = this.#seen;
    const ofOthers = candidates.filter(({ isSelf, report }) => !isSelf && report.view === hash);
    const highest = Math.max(0, ...ofOthers.map(({ report }) => report.epoch));
    // A higher number in another member's report of this set can be used too, because this member has not used it for
    // another set.
    if (!this.#needsReport && highest <= this.#own.epoch) return;
    const epoch = highest > this.#own.epoch
      ? highest
      : Math.max(highestEpoch(this.#node, key, runtime.wallMs()), this.#own.epoch) + 1;
    const report = { epoch, view: hash };
    try {
      this.#node.setState(key, report);
    } catch (error) {
      // The member's state is full. Without the report nothing is agreed, which is safe.
      this.#node.events.publish({ type: "CallbackFailed", where: `the report of ${key}`, error });
      return;
    }
    this.#own = report;
    this.#needsReport = false;
  }
}

/** Equal texts mean equal owners of every key. */
function ranksOf({ candidates }: CandidateSet): string {
  return JSON.stringify(candidates.map(({ id, weight, zone }) => [id, weight, zone]));
}
