/**
 * Faults of the network: of each link, and partitions.
 *
 * @module
 */

import { type LinkFaults, memoryAddress, type MemoryNetwork } from "../../testing/memory.ts";
import type { SeededRandom } from "./seeded_random.ts";
import type { LinkLimits } from "./scenario.ts";

/** Faults by machine name. Every change is applied to the network at once. */
export class FaultSchedule {
  readonly #network: MemoryNetwork;
  readonly #random: SeededRandom;
  readonly #limits: LinkLimits;
  readonly #cuts = new Map<string, readonly [string, string]>();
  /** Directions in which all messages are lost while connections stay open. */
  readonly #silences = new Map<string, readonly [from: string, to: string]>();

  constructor(
    network: MemoryNetwork,
    options: { readonly random: SeededRandom; readonly limits: LinkLimits },
  ) {
    this.#network = network;
    this.#random = options.random;
    this.#limits = options.limits;
  }

  /** Draws the faults of all links, and other faults for some of them. */
  redraw(hosts: readonly string[]): void {
    this.#network.setFaults(this.#draw());
    // Ten links per machine at most: in a large cluster a tenth of all would be too many.
    const share = Math.min(0.1, 10 / hosts.length);
    for (const from of hosts) {
      for (const to of hosts) {
        if (from !== to && this.#random.chance(share)) {
          this.#network.setFaults(this.#draw(), linkOf(from, to));
        }
      }
    }
    this.#apply();
  }

  /** Delays all messages from and to a machine. */
  slow(host: string): void {
    const { delayMs, loss } = this.#limits;
    const slow = { loss: loss / 2, delayMs: { min: 0, mean: 4 * delayMs + 1, max: 40 * delayMs + 10 } };
    this.#network.setFaults(slow, { from: memoryAddress(host, 1) });
    this.#network.setFaults(slow, { to: memoryAddress(host, 1) });
    this.#apply();
  }

  /** Breaks all connections between two machines, with what they carry. New dials are possible. */
  break(one: string, other: string): void {
    this.#network.cut(memoryAddress(one, 1), memoryAddress(other, 1));
    this.#apply();
  }

  /**
   * Partitions two groups. With `breaksConnections` their connections break; without it they stay open and lose all
   * messages.
   */
  partition(
    one: readonly string[],
    other: readonly string[],
    options: { readonly breaksConnections: boolean },
  ): void {
    for (const a of one) {
      for (const b of other) {
        if (options.breaksConnections) this.#cuts.set(`${a} ${b}`, [a, b]);
        else {for (const [from, to] of [[a, b], [b, a]] as const) {
            this.#silences.set(`${from} ${to}`, [from, to]);
          }}
      }
    }
    this.#apply();
  }

  /** Loses all messages in one direction. */
  silence(from: readonly string[], to: readonly string[]): void {
    for (const a of from) for (const b of to) if (a !== b) this.#silences.set(`${a} ${b}`, [a, b]);
    this.#apply();
  }

  /** Ends all partitions; link faults stay. */
  heal(): void {
    for (const [from, to] of this.#silences.values()) {
      this.#network.setFaults(this.#draw(), linkOf(from, to));
    }
    this.#silences.clear();
    this.#cuts.clear();
    this.#apply();
  }

  /** Ends all faults. */
  clear(): void {
    this.#silences.clear();
    this.#cuts.clear();
    this.#network.clearFaults();
  }

  /** Restores the partitions: a cut by `break` ends here, and new faults of a link may have replaced its total loss. */
  #apply(): void {
    this.#network.heal();
    for (const [a, b] of this.#cuts.values()) this.#network.cut(memoryAddress(a, 1), memoryAddress(b, 1));
    for (const [from, to] of this.#silences.values()) {
      this.#network.setFaults({ loss: 1 }, linkOf(from, to));
    }
  }

  #draw(): LinkFaults {
    const { loss, duplicate, reorder, delayMs } = this.#limits;
    const mean = this.#random.between(0, delayMs);
    return {
      loss: this.#random.between(0, loss),
      duplicate: this.#random.between(0, duplicate),
      reorder: this.#random.between(0, reorder),
      reorderMs: delayMs + 1,
      ...(delayMs > 0 && { delayMs: { min: mean / 4, mean, max: 10 * mean } }),
    };
  }
}

function linkOf(from: string, to: string) {
  return { from: memoryAddress(from, 1), to: memoryAddress(to, 1) };
}
