/**
 * The state of the network: how bad each link is, and who is cut off from whom.
 *
 * @module
 */

import { type LinkFaults, memoryAddress, type MemoryNetwork } from "../../transport/memory.ts";
import type { Dice } from "./dice.ts";
import type { LinkLimits } from "./scenario.ts";

/** Faults by machines' names, as they are meant to be; the network is told after every change. */
export class Weather {
  readonly #network: MemoryNetwork;
  readonly #dice: Dice;
  readonly #limits: LinkLimits;
  readonly #cuts = new Map<string, readonly [string, string]>();
  /** Directions in which nothing comes through, though nobody is told. */
  readonly #silences = new Map<string, readonly [from: string, to: string]>();

  constructor(network: MemoryNetwork, options: { readonly dice: Dice; readonly limits: LinkLimits }) {
    this.#network = network;
    this.#dice = options.dice;
    this.#limits = options.limits;
  }

  /** Draws how bad all links are, and some of them anew. */
  redraw(hosts: readonly string[]): void {
    this.#network.setFaults(this.#draw());
    // Of many, a few of each.
    const share = Math.min(0.1, 10 / hosts.length);
    for (const from of hosts) {
      for (const to of hosts) {
        if (from !== to && this.#dice.chance(share)) {
          this.#network.setFaults(this.#draw(), direction(from, to));
        }
      }
    }
    this.#apply();
  }

  /** Everything from and to a machine takes long. */
  slow(host: string): void {
    const { delayMs, loss } = this.#limits;
    const slow = { loss: loss / 2, delayMs: { min: 0, mean: 4 * delayMs + 1, max: 40 * delayMs + 10 } };
    this.#network.setFaults(slow, { from: memoryAddress(host, 1) });
    this.#network.setFaults(slow, { to: memoryAddress(host, 1) });
    this.#apply();
  }

  /** Breaks what is open between two machines, in the middle of whatever is under way; they may dial anew. */
  break(one: string, other: string): void {
    this.#network.cut(memoryAddress(one, 1), memoryAddress(other, 1));
    this.#apply();
  }

  /** Two groups do not reach each other any more; each notices at once, or never does. */
  part(one: readonly string[], other: readonly string[], options: { readonly isTold: boolean }): void {
    for (const a of one) {
      for (const b of other) {
        if (options.isTold) this.#cuts.set(`${a} ${b}`, [a, b]);
        else {for (const [from, to] of [[a, b], [b, a]] as const) {
            this.#silences.set(`${from} ${to}`, [from, to]);
          }}
      }
    }
    this.#apply();
  }

  /** Nothing comes from one group to the other any more, though it does the other way. */
  silence(from: readonly string[], to: readonly string[]): void {
    for (const a of from) for (const b of to) if (a !== b) this.#silences.set(`${a} ${b}`, [a, b]);
    this.#apply();
  }

  /** Everybody reaches everybody again, on links as bad as before. */
  heal(): void {
    for (const [from, to] of this.#silences.values()) {
      this.#network.setFaults(this.#draw(), direction(from, to));
    }
    this.#silences.clear();
    this.#cuts.clear();
    this.#apply();
  }

  /** Nothing goes wrong any more. */
  clear(): void {
    this.#silences.clear();
    this.#cuts.clear();
    this.#network.clearFaults();
  }

  /** The network forgets a cut that has done its work. */
  #apply(): void {
    this.#network.heal();
    for (const [a, b] of this.#cuts.values()) this.#network.cut(memoryAddress(a, 1), memoryAddress(b, 1));
    for (const [from, to] of this.#silences.values()) {
      this.#network.setFaults({ loss: 1 }, direction(from, to));
    }
  }

  #draw(): LinkFaults {
    const { loss, duplicate, reorder, delayMs } = this.#limits;
    const mean = this.#dice.between(0, delayMs);
    return {
      loss: this.#dice.between(0, loss),
      duplicate: this.#dice.between(0, duplicate),
      reorder: this.#dice.between(0, reorder),
      reorderMs: delayMs + 1,
      ...(delayMs > 0 && { delayMs: { min: mean / 4, mean, max: 10 * mean } }),
    };
  }
}

function direction(from: string, to: string) {
  return { from: memoryAddress(from, 1), to: memoryAddress(to, 1) };
}
