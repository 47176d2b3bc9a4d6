/**
 * The readiness of a member: the conditions that its service waits for.
 *
 * @module
 */

import { withoutDot } from "../node/warnings.ts";
import type { EventStream } from "../contracts/event_stream.ts";
import { errorText } from "../common/error_text.ts";
import { printable } from "../common/printable.ts";
import { type Runtime, sleep } from "../common/runtime.ts";
import type { MemberView, Snapshot, WaitOptions } from "../gossiper/contract.ts";
import { isAlive } from "../gossiper/member_status.ts";

/** The parts of a member that `operations` uses; a node of `join` has them. */
export interface OperatedNode {
  /** The member's id. */
  readonly id: string;
  /** Every known member. */
  readonly members: readonly MemberView[];
  /** Aborted when the member begins to leave. */
  readonly signal: AbortSignal;
  /** Resolves when the member has ended. */
  readonly closed: Promise<unknown>;
  /** The stream of all events. */
  readonly events: EventStream;
  /** Resolves once every active peer is known to hold all that this member holds. */
  converged(options?: WaitOptions): Promise<void>;
  /** Returns the known state. */
  snapshot(): Pick<Snapshot, "cluster" | "isolated" | "seeds">;
}

/** A condition that is not met, and the reason as a sentence. */
export interface Waiting {
  /**
   * At the start: `discovery`: the source of members has not answered. `alone`: no other member is alive. `isolated`: no
   * other member is heard. `state`: members still exchange state. At any time: `members`: fewer are alive than the option
   * `members` says. `identity`: another process uses this member's id. `leaving`: the member leaves, or has left.
   * `service`: the option `waitsFor` returned a reason.
   */
  readonly condition:
    | "alone"
    | "discovery"
    | "identity"
    | "isolated"
    | "leaving"
    | "members"
    | "service"
    | "state";
  /** The reason. */
  readonly reason: string;
}

/** The readiness of a member: the body of `/ready`. */
export interface ReadyReport {
  /** True if no condition is left. */
  readonly ready: boolean;
  /** The number of alive and suspected members, with this one. */
  readonly members: number;
  /** True if all members were known to hold all that this member holds, at least once. */
  readonly converged: boolean;
  /** True if this member hears no other, although it knows some. */
  readonly isolated: boolean;
  /** The conditions that are not met. */
  readonly waitsFor: readonly Waiting[];
}

/** The time between two checks of the conditions, in milliseconds. */
const LOOK_EVERY_MS = 100;
/** The time without another member before an agreement counts, in milliseconds. 250: most of an interval. */
const SETTLE_MS = 250;
/** The longest reason of the service, in UTF-16 units. */
const MAX_REASON = 300;

/** Options of a {@linkcode Readiness}. */
export interface ReadinessOptions {
  /** The number of members that must be alive, with this one. */
  readonly members: number;
  /** The longest wait for the conditions of the start, in milliseconds. */
  readonly within: number;
  /** A reason of the service itself. */
  readonly waitsFor: () => string | undefined;
  readonly runtime: Runtime;
}

/** Follows a member, and reports the conditions that are not met. */
export class Readiness {
  readonly #node: OperatedNode;
  readonly #options: ReadinessOptions;
  readonly #untilMs: number;
  #hasConverged = false;
  #hasTopology = false;
  #isIsolated: boolean;

  constructor(node: OperatedNode, options: ReadinessOptions) {
    this.#node = node;
    this.#options = options;
    this.#untilMs = options.runtime.monotonicMs() + options.within;
    this.#isIsolated = node.snapshot().isolated;
    void this.#follow();
    // It rejects when the member leaves.
    this.#followConvergence().catch(() => {});
  }

  /** The present readiness. */
  get report(): ReadyReport {
    const alive = this.#node.members.filter(isAlive).length;
    const waitsFor = this.#node.signal.aborted
      ? [{ condition: "leaving", reason: "This member leaves, or has left." } as const]
      : [...this.#startConditions(alive), ...this.#lastingConditions(alive)];
    return {
      ready: waitsFor.length === 0,
      members: alive,
      converged: this.#hasConverged,
      isolated: this.#isIsolated,
      waitsFor,
    };
  }

  /**
   * Members that meet one after another agree each time, so it counts only once no other member has come since the last
   * agreement.
   */
  async #followConvergence(): Promise<void> {
    const { signal } = this.#node;
    const aliveIds = () => JSON.stringify(this.#node.members.filter(isAlive).map(({ id }) => id).sort());
    for (let before = aliveIds();;) {
      await this.#node.converged({ signal });
      const now = aliveIds();
      if (now === before) break;
      before = now;
      await sleep(this.#options.runtime, SETTLE_MS, { signal });
    }
    this.#hasConverged = true;
  }

  /** Resolves with the report once this member is ready. */
  async reached({ signal }: WaitOptions): Promise<ReadyReport> {
    const either = signal ? AbortSignal.any([signal, this.#node.signal]) : this.#node.signal;
    for (;;) {
      either.throwIfAborted();
      const { report } = this;
      if (report.ready) return report;
      await sleep(this.#options.runtime, LOOK_EVERY_MS, { signal: either });
    }
  }

  /** The first unmet condition of the start; empty after convergence, or when the time is up. */
  #startConditions(alive: number): Waiting[] {
    if (this.#hasConverged || this.#options.runtime.monotonicMs() >= this.#untilMs) return [];
    if (!this.#hasTopology) {
      return [{ condition: "discovery", reason: "The discovery has not named the members yet." }];
    }
    if (this.#isIsolated) {
      return [{ condition: "isolated", reason: "This member hears no other, although it knows some." }];
    }
    if (alive > 1) {
      const others = alive === 2 ? "another member" : `${alive - 1} other members`;
      return [{ condition: "state", reason: `This member and ${others} still exchange state.` }];
    }
    return [this.#aloneCondition()];
  }

  #aloneCondition(): Waiting {
    const { seeds } = this.#node.snapshot();
    const pending = seeds.filter(({ outcome }) => outcome === "pending").length;
    if (pending > 0) {
      return { condition: "discovery", reason: `${pending} of ${seeds.length} seeds have no answer yet.` };
    }
    const failed = seeds.find(({ outcome }) => outcome === "failed");
    const why = failed ? `, and the seed ${failed.address} failed: ${failed.reason}` : "";
    return { condition: "alone", reason: `No other member is alive${withoutDot(why)}.` };
  }

  /** The conditions that hold at any time. */
  #lastingConditions(alive: number): Waiting[] {
    if (this.#node.members.some(({ isSelf, status }) => isSelf && status === "failed")) {
      const reason = "Another process uses this member's id, so it no longer sends or takes state.";
      return [{ condition: "identity", reason }];
    }
    const conditions: Waiting[] = [];
    const wanted = this.#options.members;
    if (wanted > 1 && this.#isIsolated) {
      const reason = `This member hears no other, and ${wanted} members must be alive.`;
      conditions.push({ condition: "members", reason });
    } else if (alive < wanted) {
      conditions.push({ condition: "members", reason: `${alive} of ${wanted} members are alive.` });
    }
    const reason = this.#reasonOfService();
    if (reason !== undefined) conditions.push({ condition: "service", reason });
    return conditions;
  }

  #reasonOfService(): string | undefined {
    try {
      const reason: unknown = this.#options.waitsFor();
      return reason === undefined ? undefined : printable(errorText(reason), MAX_REASON);
    } catch (error) {
      this.#node.events.publish({ type: "CallbackFailed", where: "`waitsFor` of operations", error });
      return "`waitsFor` threw an error.";
    }
  }

  async #follow(): Promise<void> {
    const types = ["ClusterTopology", "Isolated", "Rejoined"] as const;
    for await (const { type } of this.#node.events.subscribe(types)) {
      if (type === "ClusterTopology") this.#hasTopology = true;
      else this.#isIsolated = type === "Isolated";
    }
  }
}
