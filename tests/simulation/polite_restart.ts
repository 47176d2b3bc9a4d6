/**
 * The phase after the recovery: members leave, and new processes start at their addresses, without any other fault.
 *
 * @module
 */

import type { Run } from "./run.ts";
import type { Recovery } from "./recovery.ts";
import { hasOpenMembership, isLarge } from "./scenario.ts";
import { POLITE_PAUSE_MS, type Supervisor } from "./supervisor.ts";

/** The longest time from the start of a process at the address of a member that left until all have it (docs/guide.md). */
const RETURN_BOUND_MS = 2_000;
/** The members that dial the address of a member that left, on average, in a cluster of any size. */
const RETURN_DIALERS = 8;
/** Options of a {@linkcode PoliteRestart}. */
export interface PoliteRestartOptions {
  readonly supervisor: Supervisor;
  readonly recovery: Recovery;
}

/** Restarts seeds politely. At least one member stays. */
export class PoliteRestart {
  readonly #run: Run;
  readonly #options: PoliteRestartOptions;
  #boundMs = NaN;

  constructor(run: Run, options: PoliteRestartOptions) {
    this.#run = run;
    this.#options = options;
  }

  /** The longest time that the restart may take, in milliseconds; NaN before it, or without one. */
  get boundMs(): number {
    return this.#boundMs;
  }

  /** Resolves with the time from the start of the processes until all members have each other; NaN without a restart. */
  async run(): Promise<number> {
    const { processes, timeline, record } = this.#run;
    if (!this.#isPossible()) return NaN;
    const hosts = this.#drawHosts();
    record.log("", `without other faults ${hosts.join()} restart politely`);
    this.#boundMs = this.#boundFor(processes.alive.length);
    await this.#stop(hosts);
    await timeline.pass(POLITE_PAUSE_MS);
    const wrongForMs = hosts.map((host) => this.#options.supervisor.startAgain(host));
    // A process whose clock is wrong by years refuses every handshake, or is refused (E2), until the clock steps.
    this.#boundMs += Math.max(...wrongForMs);
    const returnMs = await this.#untilAllMet(hosts);
    await this.#options.recovery.untilRecovered("polite restart");
    return returnMs;
  }

  /** A plain run does not restart politely, because it must end as it once did. */
  #isPossible(): boolean {
    const { scenario, processes } = this.#run;
    if (!hasOpenMembership(scenario) || isLarge(scenario) || processes.alive.length < 2) return false;
    return scenario.faults.some(([, fault]) => fault === "polite restart");
  }

  #drawHosts(): string[] {
    const { scenario, hosts, processes, random: { circumstances } } = this.#run;
    const possible = scenario.discovery === "seeds"
      ? hosts.seeds
      : [circumstances.pick(processes.alive).host];
    const most = Math.min(possible.length, processes.alive.length - 1);
    return possible.slice(0, circumstances.whole(1, most));
  }

  /**
   * 2 s. In a cluster of more than eight members not all dial the address: the others hear of it in rounds. If the states,
   * those of departed members too, take several messages, each peer sends a part of them in a round, and parts overlap.
   */
  #boundFor(members: number): number {
    const { gossipInterval, gossipFanOut } = this.#run.scenario.config;
    // Parts come at random, so that the last one is late: after the logarithm of their number times as many.
    const parts = (Math.log(members) + 3) * (this.#messagesForAll() - 1);
    const partsMs = parts / gossipFanOut * gossipInterval;
    const inRoundsMs = members <= RETURN_DIALERS ? 0 : RETURN_BOUND_MS / 2 + 6 * gossipInterval;
    return Math.max(RETURN_BOUND_MS, inRoundsMs) + partsMs;
  }

  /** The number of messages that the states of all members take. Half of a message is for state. */
  #messagesForAll(): number {
    const { processes, scenario: { config } } = this.#run;
    const { members } = processes.alive[0]!.gossiper.snapshot();
    const bytes = JSON.stringify(members.map(({ entries }) => entries)).length;
    return Math.ceil(Math.max(members.length / config.gossipMaxSend, 2 * bytes / config.maxMessageBytes));
  }

  async #stop(hosts: readonly string[]): Promise<void> {
    const { scenario: { config }, processes, timeline, record } = this.#run;
    const leaving = processes.alive.filter(({ host }) => hosts.includes(host));
    for (const process of leaving) process.leave();
    const untilMs = timeline.nowMs + 4 * config.gossipRequestTimeout;
    // A process is over once its last messages have arrived, some of which were sent over a slow link.
    while (leaving.some(({ isOver }) => !isOver)) {
      const isLate = timeline.nowMs > untilMs && leaving.some(({ hasStopped }) => !hasStopped);
      if (isLate) record.fail(undefined, "a seed did not stop in time");
      await timeline.pass(config.gossipInterval / 4);
    }
  }

  async #untilAllMet(hosts: readonly string[]): Promise<number> {
    const { scenario: { config }, timeline, record } = this.#run;
    const startMs = timeline.nowMs;
    for (let lacking = this.#findLacking(); lacking !== undefined; lacking = this.#findLacking()) {
      const sinceMs = timeline.nowMs - startMs;
      if (sinceMs > this.#boundMs) {
        record.fail(
          undefined,
          `${Math.round(sinceMs)} ms after ${hosts.join()} restarted politely ${lacking}`,
        );
      }
      await timeline.pass(config.gossipInterval / 4);
    }
    const returnMs = timeline.nowMs - startMs;
    record.log("", `all have each other after ${Math.round(returnMs)} ms`);
    return returnMs;
  }

  /** The first member that lacks another one; `undefined` without such a member. */
  #findLacking(): string | undefined {
    const { alive } = this.#run.processes;
    for (const { id, gossiper } of alive) {
      const { members } = gossiper.snapshot();
      const active = new Set(members.filter(({ status }) => status === "alive").map(({ id }) => id));
      const lacking = alive.find((other) => !active.has(other.id));
      if (lacking) return `${id} lacks ${lacking.id}`;
    }
    return undefined;
  }
}
