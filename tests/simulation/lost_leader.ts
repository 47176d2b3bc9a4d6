/**
 * The last phase of a cluster with roles: the leader is cut off until another member leads. The faults of the fault phase
 * change too fast for that: few of them last until a member is given up and a new set of candidates has settled.
 *
 * @module
 */

import { type LinkFaults, memoryAddress } from "../../testing/memory.ts";
import type { Process } from "./process.ts";
import type { Recovery } from "./recovery.ts";
import type { RoleHolders } from "./role_holders.ts";
import type { Run } from "./run.ts";
import type { Topology } from "./topology.ts";

/** A way to cut a side off: the faults of all that it sends and receives. */
interface Way {
  readonly sent: LinkFaults;
  readonly received: LinkFaults;
  /** True if its connections break first. */
  readonly breaks?: boolean;
}

/** The ways. With all but `refused` other members may be on the side of the leader. */
const WAYS = {
  // The dials of the leader succeed, and nothing follows. Dials of its address are refused, so that it seems to be dead.
  "refused": { breaks: true, sent: { loss: 1 }, received: { loss: 1 } },
  "broken": { sent: { cut: true }, received: { cut: true } },
  "silent": { sent: { hang: true }, received: { hang: true } },
  // The others reach it by dials (rule E10), and no answer arrives.
  "not heard": { sent: { loss: 1 }, received: {} },
  "deaf": { sent: {}, received: { hang: true } },
} as const satisfies Readonly<Record<string, Way>>;

/** Options of a {@linkcode LostLeader}. */
export interface LostLeaderOptions {
  readonly roles: RoleHolders;
  readonly topology: Topology;
  readonly recovery: Recovery;
}

/** Cuts the leader off. */
export class LostLeader {
  readonly #run: Run;
  readonly #options: LostLeaderOptions;

  constructor(run: Run, options: LostLeaderOptions) {
    this.#run = run;
    this.#options = options;
  }

  /** Resolves after the members have agreed again. Does nothing without a leader that enough others can replace. */
  async run(): Promise<void> {
    const { scenario: { roles, config, discovery }, processes, network, timeline, record, random } =
      this.#run;
    const leading = this.#options.roles.leading;
    const most = processes.alive.length - (roles?.atLeast ?? Infinity);
    if (!leading || most < 1) return;
    const others = processes.alive.filter((each) => each !== leading).map(({ host }) => host);
    const way = random.roles.pick(Object.keys(WAYS) as (keyof typeof WAYS)[]);
    const withLeader = way === "refused" ? [] : others.slice(0, random.roles.whole(0, most - 1));
    const side = [leading.host, ...withLeader];
    record.log("", `${side.join()} with the leader ${leading.id} are cut off: ${way}`);
    this.#delayLinks();
    this.#cutOff(WAYS[way], side, others.filter((host) => !withLeader.includes(host)));
    if (way === "refused") leading.refuseDials();
    await this.#untilReplaced(leading, side);
    // A former leader that does not give up must be seen beside the next one.
    await timeline.pass(roles!.heardWithin + 8 * config.gossipRequestTimeout + 1_000);
    record.log("", "the leader is not cut off any more");
    network.clearFaults();
    leading.acceptDials();
    if (discovery === "topology") this.#options.topology.announceToAll();
    await this.#options.recovery.untilRecovered("loss of the leader");
    await this.#options.roles.untilAgreed();
    await this.#options.recovery.untilRecovered("report of a role");
  }

  async #untilReplaced(leading: Process, side: readonly string[]): Promise<void> {
    const { scenario: { roles, config }, timeline, record } = this.#run;
    const mostMs = 3 * config.heartbeatExpiration + 3 * roles!.settle + 40 * config.gossipInterval + 2_000;
    const untilMs = timeline.nowMs + mostMs;
    while (timeline.nowMs < untilMs) {
      const next = this.#options.roles.leadingOutside(side);
      if (next !== undefined) {
        record.count("lost leader replaced");
        return record.log(next.id, `leads after ${leading.id}`);
      }
      await timeline.pass(config.gossipInterval);
    }
  }

  #delayLinks(): void {
    const { scenario: { links, config }, network, random } = this.#run;
    const mean = random.roles.between(0, Math.min(links.delayMs, config.gossipRequestTimeout / 20));
    if (mean > 0) network.setFaults({ delayMs: { min: mean / 4, mean, max: 10 * mean } });
  }

  #cutOff({ sent, received, breaks }: Way, side: readonly string[], others: readonly string[]): void {
    const { network } = this.#run;
    for (const one of side) {
      for (const other of others) {
        const [near, far] = [memoryAddress(one, 1), memoryAddress(other, 1)];
        if (breaks) network.setFaults({ cut: true }, { from: near, to: far });
        network.setFaults(sent, { from: near, to: far });
        network.setFaults(received, { from: far, to: near });
      }
    }
  }
}
