/**
 * All processes of a simulation, by id, address and machine.
 *
 * @module
 */

import type { Process } from "./process.ts";
import type { SeededRandom } from "./seeded_random.ts";

/** The processes, in the order of their start. Those that ended stay. */
export class Processes {
  readonly #all: Process[] = [];
  /** Each message asks for two processes by address. */
  readonly #byAddress = new Map<string, Process[]>();
  readonly #byId = new Map<string, Process[]>();
  /**
   * The largest `maxMessageBytes` of all processes at an address. A suspended or distant sender may still answer an
   * earlier process there (seed 500007407).
   */
  readonly #largestMessages = new Map<string, number>();
  readonly #overlapped = new Set<string>();

  /** Adds a process that starts. */
  add(process: Process): void {
    const { id, address, maxMessageBytes } = process;
    if (this.aliveWith(id)) this.#overlapped.add(id);
    this.#all.push(process);
    for (const [index, key] of [[this.#byId, id], [this.#byAddress, address]] as const) {
      const known = index.get(key);
      if (known) known.push(process);
      else index.set(key, [process]);
    }
    this.#largestMessages.set(address, Math.max(maxMessageBytes, this.#largestMessages.get(address) ?? 0));
  }

  /** The number of processes, with those that ended. */
  get count(): number {
    return this.#all.length;
  }

  /** The number of ids that a process has, or had. */
  get idCount(): number {
    return this.#byId.size;
  }

  /** True if an id once had two processes at a time. */
  hasOverlapped(id: string): boolean {
    return this.#overlapped.has(id);
  }

  /** The processes that have not ended. */
  get alive(): Process[] {
    return this.#all.filter((process) => !process.isOver);
  }

  /** Draws one of the processes that have not ended and that fit; `undefined` if none fits. */
  draw(random: SeededRandom, fits: (process: Process) => boolean = () => true): Process | undefined {
    const fitting = this.alive.filter(fits);
    return fitting.length === 0 ? undefined : random.pick(fitting);
  }

  /** The process with an id that has not ended. */
  aliveWith(id: string): Process | undefined {
    return this.#byId.get(id)?.findLast(({ isOver }) => !isOver);
  }

  /** The process at an address that has not ended. */
  aliveAt(address: string): Process | undefined {
    return this.#byAddress.get(address)?.findLast(({ isOver }) => !isOver);
  }

  /** The last process that was started on a machine. */
  lastOn(host: string): Process | undefined {
    return this.#all.findLast((process) => process.host === host);
  }

  /** The most bytes of a message that any process at an address accepts; `Infinity` without a process. */
  largestMessageAt(address: string): number {
    return this.#largestMessages.get(address) ?? Infinity;
  }
}
