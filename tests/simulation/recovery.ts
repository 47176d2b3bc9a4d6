/**
 * The recovery of a simulated cluster after the last fault: its conditions, and its time limit.
 *
 * @module
 */

import { insightOf } from "../../gossiper/gossiper.ts";
import type { InvariantChecker } from "./invariants/invariant_checker.ts";
import type { Process } from "./process.ts";
import type { Run } from "./run.ts";
import { isLarge } from "./scenario.ts";

/**
 * Dials of a load balancer until members on both sides of any partition met. 16: in the worst case, with two members, one
 * of four pairs of dials leads both to themselves.
 */
const BALANCED_DIALS = 16;

/** Waits for the recovery of a cluster. */
export class Recovery {
  readonly #run: Run;
  readonly #checker: InvariantChecker;

  constructor(run: Run, checker: InvariantChecker) {
    this.#run = run;
    this.#checker = checker;
  }

  /**
   * The longest time from the last fault until all survivors have equal state and are `confirmed`. Dead members have to
   * expire, which an old heartbeat on a longer route may delay once. Blocked members have to be probed, dials in backoff
   * to be repeated, and the state of every member has to fit into messages. A name has to be resolved, a load balancer has
   * to lead to the right member, and clocks have to step. Candidates of roles report each set that has settled.
   */
  get boundMs(): number {
    const { scenario, processes } = this.#run;
    const { config, discovery, nameIsDialed, resolveIntervalMs, slowNameMs, earlySteps, roles } = scenario;
    const { gossipInterval, gossipFanOut, gossipMaxSend, gossipRequestTimeout } = config;
    const roundsForAll = 2 * processes.idCount / (gossipFanOut * gossipMaxSend);
    const rounds = 40 + 20 * Math.log2(1 + processes.idCount) + 12 * roundsForAll;
    const isBalanced = discovery === "balancer" || discovery === "name" && nameIsDialed;
    const dials = isBalanced ? BALANCED_DIALS : 2;
    const resolvedMs = discovery === "name" ? 2 * (resolveIntervalMs + slowNameMs) + config.maxBackoff : 0;
    return 2 * config.heartbeatExpiration + dials * (config.blockedProbeInterval + config.maxBackoff) +
      8 * gossipRequestTimeout + rounds * gossipInterval + resolvedMs + earlySteps.withinMs +
      (roles === undefined ? 0 : 2 * roles.settle + roles.heardWithin);
  }

  /** Resolves when the cluster has recovered, with the time that it took in milliseconds. */
  async untilRecovered(lastFault: string): Promise<number> {
    const { scenario, timeline, record } = this.#run;
    const startMs = timeline.nowMs;
    for (let reason = this.findUnrecovered(); reason !== undefined; reason = this.findUnrecovered()) {
      if (timeline.nowMs - startMs > this.boundMs) {
        record.fail(undefined, `${Math.round(this.boundMs)} ms after the last ${lastFault} ${reason}`);
      }
      await timeline.pass(scenario.config.gossipInterval);
    }
    const elapsedMs = timeline.nowMs - startMs;
    record.log("", `all is well after ${Math.round(elapsedMs)} ms`);
    return elapsedMs;
  }

  /** The first reason why the cluster has not recovered; `undefined` if it has. */
  findUnrecovered(): string | undefined {
    const { scenario, processes } = this.#run;
    const survivors = processes.alive;
    // The cheap checks first. A large cluster skips the phase: `confirmed` at every member takes as long again.
    const names = new Set(survivors.map(({ gossiper }) => {
      const { view } = insightOf(gossiper).host;
      return `${view.digest}/${view.activeHash}`;
    }));
    if (names.size > 1) return `${names.size} different states in the cluster`;
    return (isLarge(scenario) ? undefined : findUnconfirmed(survivors)) ?? this.#findDifferent(survivors);
  }

  /** The first member that lacks another one, or a value that its owner has set. */
  #findDifferent(survivors: readonly Process[]): string | undefined {
    const ids = survivors.map(({ id }) => id).sort().join();
    const owned = survivors.map((owner) => ({ id: owner.id, values: [...this.#checker.latest(owner)] }));
    let digest: string | undefined;
    for (const { id, gossiper } of survivors) {
      const snapshot = gossiper.snapshot();
      const byId = new Map(snapshot.members.map((member) => [member.id, member]));
      const active = snapshot.members.filter(({ status }) => status === "alive").map(({ id }) => id).join();
      if (active !== ids) return `${id} has the active members ${active}, expected ${ids}`;
      if ((digest ??= snapshot.digest) !== snapshot.digest) return `the digest of ${id} is different`;
      for (const owner of owned) {
        const { entries } = byId.get(owner.id)!;
        for (const [key, json] of owner.values) {
          const held = JSON.stringify(entries.find((entry) => entry.key === key)?.value);
          if (held !== json) return `${id} has ${key} of ${owner.id} = ${held}, expected ${json}`;
        }
      }
    }
    return undefined;
  }
}

/** A single survivor cannot know that the others are gone for good, so that it may stay in any phase. */
function findUnconfirmed(survivors: readonly Process[]): string | undefined {
  if (survivors.length === 1) return undefined;
  const unconfirmed = survivors.find(({ gossiper }) => gossiper.phase !== "confirmed");
  return unconfirmed && `${unconfirmed.id} is ${unconfirmed.gossiper.phase}`;
}
