/**
 * The machines of a simulated cluster and their addresses.
 *
 * @module
 */

import { memoryAddress, type MemoryNetwork } from "../../testing/memory.ts";
import type { Scenario } from "./scenario.ts";

/** The address of the load balancer, or of the name where it is dialed itself. It leads to any member. */
export const SHARED_ADDRESS = memoryAddress("everyone", 1);

/** An address as a member advertises it. */
export interface Advertised {
  readonly host: string;
  readonly port: number;
  readonly url?: string;
}

/** Machines by name. A process that restarts on one of them has the same address. */
export class Hosts {
  readonly #scenario: Scenario;
  readonly #network: MemoryNetwork;
  readonly #all: string[] = [];

  constructor(scenario: Scenario, network: MemoryNetwork) {
    this.#scenario = scenario;
    this.#network = network;
  }

  /** All machines, in the order in which they were added. */
  get all(): readonly string[] {
    return this.#all;
  }

  /** The machines in the list of seeds. */
  get seeds(): string[] {
    const { seeds, size } = this.#scenario;
    return ["h0", "h1"].slice(0, Math.min(seeds, size));
  }

  /** Adds a machine and makes its addresses lead to it. */
  add(): string {
    const host = `h${this.#all.length}`;
    this.#all.push(host);
    const own = memoryAddress(host, 1);
    if (this.addressOf(host) !== own) this.#network.balance(this.addressOf(host), [own]);
    this.#network.balance(SHARED_ADDRESS, this.#all.map((each) => memoryAddress(each, 1)));
    return host;
  }

  /** The address that a machine advertises. */
  advertisedBy(host: string): Advertised {
    switch (this.#scenario.addresses) {
      case "own":
        return { host, port: 1 };
      case "ports":
        return { host: "nat", port: Number(host.slice(1)) + 1 };
      case "paths":
        return { host: "nat", port: 1, url: `ws://nat:1/${host}` };
    }
  }

  /** The advertised address of a machine as one text. */
  addressOf(host: string): string {
    const { host: name, port, url } = this.advertisedBy(host);
    return url ?? memoryAddress(name, port);
  }
}

/** The id of the first process on a machine. */
export function firstIdAt(host: string): string {
  return host.replace("h", "m");
}
