/**
 * The zones of members: most gossip near first, and in the fault phase some change their zone.
 *
 * @module
 */

import { describeMember } from "../../members/mod.ts";
import type { Process } from "./process.ts";
import type { Run } from "./run.ts";
import { unlessTooLarge } from "./workload.ts";

/** The rounds between two changes of zones, on average. */
const ROUNDS_PER_CHANGE = 8;
/** The share of descriptions without `nearFirst`: such a member is near to all. */
const NEAR_TO_ALL = 0.1;

/** Describes members. Its draws are its own, so that a seed without zones keeps its run. */
export class ZoneChanges {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
    this.#changeRepeatedly();
  }

  /** Gives a process that has started its zone. */
  join(process: Process): void {
    if (this.#run.scenario.zones > 0) this.#describe(process);
  }

  #changeRepeatedly(): void {
    const { scenario: { zones, config }, timeline, processes, random: { zones: random } } = this.#run;
    if (zones === 0) return;
    timeline.repeatInFaultPhase(() => random.wait(ROUNDS_PER_CHANGE * config.gossipInterval), () => {
      const process = processes.draw(random, ({ isRunning, machine }) => isRunning && !machine.isFrozen);
      if (process) this.#describe(process);
    });
  }

  #describe(process: Process): void {
    const { scenario, record, random: { zones: random } } = this.#run;
    const zone = `z${random.whole(1, scenario.zones)}`;
    const nearFirst = !random.chance(NEAR_TO_ALL);
    record.count(nearFirst ? "near first" : "near to all");
    record.log(process.id, `is in ${zone}, ${nearFirst ? "near first" : "near to all"}`);
    unlessTooLarge(() => describeMember(process.gossiper, { zone, nearFirst }));
  }
}
