/**
 * Members that learn of each other by `ClusterTopology` events, as from the orchestrator of a cluster.
 *
 * @module
 */

import type { Member } from "../../contracts/cluster.ts";
import type { Process } from "./process.ts";
import type { Run } from "./run.ts";
import { isLarge } from "./scenario.ts";

/** The members of one announcement. */
interface Announcement {
  readonly members: readonly Member[];
  /** Ids of members that the receiver must block. */
  readonly blocked: readonly string[];
}

/** The present topology, and its announcements to processes. */
export class Topology {
  readonly #run: Run;
  readonly #members = new Map<string, Member>();

  constructor(run: Run) {
    this.#run = run;
  }

  /** Adds a process that started. Most processes receive an announcement at once. */
  add(process: Process): void {
    const { scenario, processes, random: { main } } = this.#run;
    this.#members.set(process.id, process.record);
    // A large cluster receives one announcement after all processes started.
    for (const other of isLarge(scenario) ? [] : processes.alive) {
      if (other !== process && main.chance(0.3)) continue;
      announce(other, { members: [...this.#members.values()], blocked: [] });
    }
  }

  /** Removes some members that have no process. The others stay, as dead members do; they expire then. */
  removeSomeDead(): void {
    const { processes, random: { main } } = this.#run;
    const present = new Set(processes.alive.map(({ id }) => id));
    for (const id of [...this.#members.keys()]) {
      if (!present.has(id) && main.chance(0.5)) this.#members.delete(id);
    }
  }

  /** Announces the whole topology to all processes. */
  announceToAll(): void {
    const members = [...this.#members.values()];
    for (const process of this.#run.processes.alive) announce(process, { members, blocked: [] });
  }

  /** Announces most members to most processes; sometimes one member is blocked. */
  announceToSome(): void {
    const { scenario, processes, timeline, random: { main } } = this.#run;
    if (scenario.discovery !== "topology") return;
    const [blocked] = main.chance(0.3) ? main.some([...this.#members.keys()], 0.2) : [];
    for (const process of processes.alive) {
      if (!main.chance(0.7)) continue;
      const announcement = {
        members: main.some([...this.#members.values()], 0.95),
        blocked: blocked === undefined || blocked === process.id ? [] : [blocked],
      };
      // A delay of its own for each: some receive it late, and in another order.
      timeline.laterInFaultPhase(main.wait(5 * scenario.config.gossipInterval), () => {
        if (!process.isOver && !process.machine.isFrozen) announce(process, announcement);
      });
    }
  }
}

function announce(process: Process, { members, blocked }: Announcement): void {
  const others = members.filter(({ id }) => id !== process.id);
  process.stream.publish({ type: "ClusterTopology", members: [process.record, ...others], blocked });
}
