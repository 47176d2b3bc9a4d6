/**
 * What can go wrong on the way from one in-memory transport to another.
 *
 * @module
 */

/**
 * How long a message is under way: at least `min`, `mean` on average, with an exponential tail, and never
 * more than `max`. All in milliseconds.
 */
export interface Delay {
  /** The least, in milliseconds. */
  readonly min: number;
  /** The average, in milliseconds, as far as `max` allows. */
  readonly mean: number;
  /** The most, in milliseconds. Without one the tail has no end. */
  readonly max?: number;
}

/** What goes wrong in one direction. What is not named goes well. */
export interface LinkFaults {
  /** The chance that a message is lost, from 0 to 1. Closings are never lost. */
  readonly loss?: number;
  /** The chance that a message arrives twice, from 0 to 1. */
  readonly duplicate?: number;
  /** The chance that a message is held back, so that later ones overtake it, from 0 to 1. */
  readonly reorder?: number;
  /** For how long such a message is held back, in milliseconds; 50 by default. */
  readonly reorderMs?: number;
  /** How long everything is under way; a number is always that long. At once by default. */
  readonly delayMs?: number | Delay;
  /** Breaks what is open, with close code 0, and refuses dials. One direction is enough to break both. */
  readonly cut?: boolean;
  /** Swallows everything without a word, closings too; dials hang until their signal is aborted. */
  readonly hang?: boolean;
  /** Changes the text on its way, as a hostile peer would send it. */
  readonly rewrite?: (text: string) => string;
}

/** A direction, by the addresses at its ends; where one is missing, every address is meant. */
export interface Direction {
  /** The sender's address. */
  readonly from?: string;
  /** The receiver's address. */
  readonly to?: string;
}

const NO_FAULTS: LinkFaults = {};
const CUT: LinkFaults = { cut: true };
/** Stands for every address. */
const ANY = "*";

/** Which faults stand in which direction. The closest rule holds alone: rules are not added up. */
export class FaultTable {
  /** By the sender's address, and by the receiver's; `*` is every address. */
  readonly #rules = new Map<string, Map<string, LinkFaults>>();
  /** The same, of links that are cut. */
  readonly #cuts = new Map<string, Set<string>>();
  readonly #refusing = new Set<string>();
  readonly #paused = new Map<string, PromiseWithResolvers<void>>();

  /** Sets what goes wrong in a direction; `{}` is nothing. */
  set(faults: LinkFaults, { from = ANY, to = ANY }: Direction): void {
    checkFaults(faults);
    const rules = this.#rules.get(from);
    if (rules) rules.set(to, { ...faults });
    else this.#rules.set(from, new Map([[to, { ...faults }]]));
  }

  /** What goes wrong from one address to another: by the pair's rule, the sender's, the receiver's, or that for all. */
  between(from: string, to: string): LinkFaults {
    if (this.#cuts.size > 0 && this.#cuts.get(from)?.has(to)) return CUT;
    if (this.#rules.size === 0) return NO_FAULTS;
    const sender = this.#rules.get(from);
    const all = this.#rules.get(ANY);
    return sender?.get(to) ?? sender?.get(ANY) ?? all?.get(to) ?? all?.get(ANY) ?? NO_FAULTS;
  }

  /** Cuts a link, whatever else is set for it. One direction that is cut is enough. */
  cut(one: string, other: string): void {
    const cuts = this.#cuts.get(one);
    if (cuts) cuts.add(other);
    else this.#cuts.set(one, new Set([other]));
  }

  /** Refuses dials to an address, or no longer. */
  refuse(address: string, isRefusing: boolean): void {
    if (isRefusing) this.#refusing.add(address);
    else this.#refusing.delete(address);
  }

  /** Whether dials to an address are refused. */
  refuses(address: string): boolean {
    return this.#refusing.size > 0 && this.#refusing.has(address);
  }

  /** Holds back what is on its way to an address. */
  pause(address: string): void {
    if (!this.#paused.has(address)) this.#paused.set(address, Promise.withResolvers());
  }

  /** Holds nothing back any more. */
  resume(address: string): void {
    this.#paused.get(address)?.resolve();
    this.#paused.delete(address);
  }

  /** Where what is on its way to an address is held back: a promise of the end of that. */
  paused(address: string): Promise<void> | undefined {
    return this.#paused.size > 0 ? this.#paused.get(address)?.promise : undefined;
  }

  /** Nothing goes wrong any more in any direction; what is held back stays so. */
  clear(): void {
    this.#rules.clear();
    this.#cuts.clear();
    this.#refusing.clear();
  }

  /** Ends all cuts and hangs, and leaves the rest as it is. */
  heal(): void {
    this.#cuts.clear();
    for (const rules of this.#rules.values()) {
      for (const [to, { cut, hang, ...rest }] of rules) {
        if (cut !== undefined || hang !== undefined) rules.set(to, rest);
      }
    }
  }
}

/** How long the next message is under way, in milliseconds. */
export function drawDelay(delay: LinkFaults["delayMs"], random: () => number): number {
  if (delay === undefined || typeof delay === "number") return delay ?? 0;
  const drawn = delay.min - Math.log(1 - random()) * (delay.mean - delay.min);
  return Math.min(drawn, delay.max ?? Infinity);
}

function checkFaults(faults: LinkFaults): void {
  for (const name of ["loss", "duplicate", "reorder"] as const) {
    const chance = faults[name] ?? 0;
    if (!(chance >= 0 && chance <= 1)) throw new RangeError(`${name} must be from 0 to 1; it is ${chance}.`);
  }
  const { delayMs = 0, reorderMs = 0 } = faults;
  const { min, mean, max = Infinity } = typeof delayMs === "number"
    ? { min: delayMs, mean: delayMs }
    : delayMs;
  if (!(min >= 0 && min <= mean && mean <= max && mean < Infinity)) {
    throw new RangeError(`delayMs must be 0 <= min <= mean <= max; it is ${JSON.stringify(delayMs)}.`);
  }
  if (!(reorderMs >= 0 && reorderMs < Infinity)) {
    throw new RangeError(`reorderMs must be at least 0; it is ${reorderMs}.`);
  }
}
