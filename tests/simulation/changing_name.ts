/**
 * A name with addresses that change, and a discovery that resolves it.
 *
 * @module
 */

import { retryForever } from "../../discovery/failures.ts";
import { openMembership } from "../../discovery/open_membership.ts";
import type { Discovery } from "../../contracts/cluster.ts";
import { type Runtime, sleep } from "../../common/runtime.ts";
import type { Run } from "./run.ts";

/** The answer of the name server. */
interface Answer {
  /** None: the name is not resolved. */
  readonly addresses: readonly string[];
  /** The time until the answer arrives, in milliseconds. */
  readonly delayMs: number;
}

/** A name with one answer for all members at a time. */
export class ChangingName {
  readonly #run: Run;
  #answer: Answer = { addresses: [], delayMs: 0 };

  constructor(run: Run) {
    this.#run = run;
  }

  /** Begins with the first machine as the answer, or without an answer for a while. */
  begin(): void {
    const { scenario, hosts, timeline, record, random: { circumstances } } = this.#run;
    if (!circumstances.chance(0.5)) {
      this.#answer = { addresses: [hosts.addressOf("h0")], delayMs: 0 };
      return;
    }
    const forMs = circumstances.between(0, 20 * scenario.config.gossipInterval);
    record.log("", `the name is not resolved for ${Math.round(forMs)} ms`);
    timeline.laterInFaultPhase(forMs, () => this.change());
  }

  /** Draws another answer: some machines or none, at once or slowly. */
  change(): void {
    const { scenario, hosts, random: { circumstances } } = this.#run;
    const some = circumstances.chance(0.3)
      ? []
      : circumstances.some(hosts.all, circumstances.pick([0.1, 0.4, 1]));
    this.#resolveTo(some, circumstances.chance(0.4) ? circumstances.between(0, scenario.slowNameMs) : 0);
  }

  /** Draws an answer with at least one address of a running member. Its other addresses may be those of dead members. */
  changeToRunning(): void {
    const { hosts, processes, random: { circumstances } } = this.#run;
    const running = circumstances.pick(processes.alive).host;
    const others = circumstances.some(hosts.all, 0.3);
    this.#resolveTo([...new Set([...others, running])], 0);
  }

  /** Resolves with the addresses at the time of the query; a slow answer may be outdated. Rejects without an address. */
  async resolve(runtime: Runtime, signal: AbortSignal): Promise<readonly string[]> {
    const { addresses, delayMs } = this.#answer;
    if (delayMs > 0) await sleep(runtime, delayMs, { signal });
    if (addresses.length === 0) throw new Error("The name must have an address; got none.");
    return addresses;
  }

  #resolveTo(machines: readonly string[], delayMs: number): void {
    const { hosts, record } = this.#run;
    const resolved = machines.length > 0 ? `resolved to ${machines.join()}` : "not resolved";
    record.log("", `the name is ${resolved}${delayMs > 0 ? ` after ${Math.round(delayMs)} ms` : ""}`);
    record.count("name changed");
    this.#answer = { addresses: machines.map((host) => hosts.addressOf(host)), delayMs };
  }
}

/** Options of {@linkcode byName}. */
export interface ByNameOptions {
  /** Milliseconds between two queries. */
  readonly intervalMs: number;
  /**
   * The address of the name itself. It is dialed while no address of the name has a member, as by `seeds`. Without it
   * only the addresses are dialed, as by `dns`.
   */
  readonly address: string | undefined;
}

/** Finds members by the addresses of a name. */
export function byName(name: ChangingName, { intervalMs, address }: ByNameOptions): Discovery {
  return openMembership((context, { found, signal }) => {
    let hasAddresses = false;
    return retryForever(async ({ succeeded }) => {
      for (;;) {
        try {
          const addresses = await name.resolve(context.runtime, signal);
          hasAddresses = true;
          found(addresses, new Map(address === undefined ? [] : [[address, addresses]]));
        } catch (error) {
          if (!hasAddresses && address !== undefined) found([address]);
          throw error;
        }
        succeeded();
        await sleep(context.runtime, intervalMs, { signal });
      }
    }, { context, source: "changing name", signal });
  });
}
