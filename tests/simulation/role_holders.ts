/**
 * The roles of a simulated cluster: each process takes part in the election of a leader, and shares keys with the others.
 *
 * @module
 */

import { type Leader, leader, owners } from "../../roles/mod.ts";
import type { InvariantChecker } from "./invariants/invariant_checker.ts";
import { OWNED_KEYS } from "./invariants/role_checks.ts";
import type { Process } from "./process.ts";
import type { Run } from "./run.ts";

/** Gives each process its roles, and passes their answers to the checks. Draws nothing. */
export class RoleHolders {
  readonly #run: Run;
  readonly #checker: InvariantChecker;
  readonly #leaders = new Map<Process, Leader>();

  constructor(run: Run, checker: InvariantChecker) {
    this.#run = run;
    this.#checker = checker;
  }

  /** Lets a process that has started take part. */
  join(process: Process): void {
    const { roles } = this.#run.scenario;
    if (!roles) return;
    const options = { ...roles, runtime: process.machine };
    const own = { leader: leader(process.gossiper, options), owners: owners(process.gossiper, options) };
    this.#checker.roles.join(process, own);
    this.#leaders.set(process, own.leader);
    void this.#follow(process, own);
  }

  /** The process that leads by its own answer. */
  get leading(): Process | undefined {
    return this.leadingOutside([]);
  }

  /** The process that leads by its own answer on none of these machines. */
  leadingOutside(hosts: readonly string[]): Process | undefined {
    return this.#run.processes.alive.find((process) => {
      const current = this.#leaders.get(process)?.current;
      return current?.state === "known" && current.isSelf && !hosts.includes(process.host);
    });
  }

  /**
   * Without faults all members know one leader and one owner of each key, if there are enough of them. Each new set of
   * candidates needs the time to settle, and then its reports have to spread.
   */
  async untilAgreed(): Promise<void> {
    const { scenario: { roles, config }, processes, timeline, record } = this.#run;
    if (!roles || processes.alive.length < 2) return;
    const { settle, heardWithin } = roles;
    const mostMs = 3 * settle + 2 * heardWithin + 1_000 + 60 * config.gossipInterval +
      8 * config.gossipRequestTimeout;
    const startMs = timeline.nowMs;
    const find = () => this.#checker.roles.findDisagreement(processes.alive, roles);
    for (let reason = find(); reason !== undefined; reason = find()) {
      if (timeline.nowMs - startMs > mostMs) {
        record.fail(undefined, `${Math.round(mostMs)} ms after the recovery ${reason}`);
      }
      await timeline.pass(config.gossipInterval);
    }
    const { ms } = this.#checker.roles.longest;
    if (processes.alive.length >= roles.atLeast) record.count("agreed on a leader");
    if (ms > 0) record.count("two holders at once");
  }

  async #follow(
    process: Process,
    own: { readonly leader: ReturnType<typeof leader>; readonly owners: ReturnType<typeof owners> },
  ): Promise<void> {
    const { record } = this.#run;
    const { roles } = this.#checker;
    const leading = async () => {
      for await (const now of own.leader.watch()) {
        if (process.isOver) return;
        if (now.state === "known" && now.isSelf) record.count("leader");
        record.log(
          process.id,
          `leader: ${now.state === "known" ? `${now.leader} at ${now.epoch}` : now.reason}`,
        );
        roles.noteLeader(process, now);
      }
    };
    const owning = async () => {
      for await (const { key, ...now } of own.owners.watch(OWNED_KEYS)) {
        if (process.isOver) return;
        roles.noteOwners(process, key, now);
      }
    };
    await Promise.all([leading(), owning()]);
  }
}
