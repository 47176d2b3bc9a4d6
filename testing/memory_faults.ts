/**
 * Simulated faults between in-memory transports.
 *
 * @module
 */

/**
 * The time that a message is in transit: at least `min`, `mean` on average, with an exponential tail, and at
 * most `max`. All in milliseconds.
 */
export interface Delay {
  /** The minimum, in milliseconds. */
  readonly min: number;
  /** The average, in milliseconds, if `max` allows it. */
  readonly mean: number;
  /** The maximum, in milliseconds; unlimited by default. */
  readonly max?: number;
}

/** The faults of one direction. A missing property means no such fault. */
export interface LinkFaults {
  /** The probability that a message is lost, from 0 to 1. A close is never lost. */
  readonly loss?: number;
  /** The probability that a message arrives twice, from 0 to 1. */
  readonly duplicate?: number;
  /** The probability that a message is delayed and overtaken by later messages, from 0 to 1. */
  readonly reorder?: number;
  /** The delay of a message that is overtaken, in milliseconds; 50 by default. */
  readonly reorderMs?: number;
  /** The time in transit: a constant number of milliseconds, or a distribution; 0 by default. */
  readonly delayMs?: number | Delay;
  /** Breaks open connections with close code 0, and refuses dials. One cut direction breaks both. */
  readonly cut?: boolean;
  /** Drops everything silently, including closes. Dials hang until their signal is aborted. */
  readonly hang?: boolean;
  /** Changes the text in transit, like a hostile peer. */
  readonly rewrite?: (text: string) => string;
}

/** A direction between two addresses. A missing address stands for all addresses. */
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

/** The faults of all directions. Only the most specific rule applies; rules are not combined. */
export class FaultTable {
  /** By the sender's address, and by the receiver's; `*` is every address. */
  readonly #rules = new Map<string, Map<string, LinkFaults>>();
  /** Links that are cut, by the sender's address: the receivers' addresses. */
  readonly #cuts = new Map<string, Set<string>>();
  readonly #refusing = new Set<string>();
  readonly #paused = new Map<string, PromiseWithResolvers<void>>();

  /** Sets the faults of a direction; `{}` means none. */
  set(faults: LinkFaults, { from = ANY, to = ANY }: Direction): void {
    checkFaults(faults);
    const rules = this.#rules.get(from);
    if (rules) rules.set(to, { ...faults });
    else this.#rules.set(from, new Map([[to, { ...faults }]]));
  }

  /**
   * The faults from one address to another: those of the pair, of the sender, of the receiver, or the general faults.
   */
  between(from: string, to: string): LinkFaults {
    if (this.#cuts.size > 0 && this.#cuts.get(from)?.has(to)) return CUT;
    if (this.#rules.size === 0) return NO_FAULTS;
    const sender = this.#rules.get(from);
    const all = this.#rules.get(ANY);
    return sender?.get(to) ?? sender?.get(ANY) ?? all?.get(to) ?? all?.get(ANY) ?? NO_FAULTS;
  }

  /**
   * Cuts a link, in addition to its other faults. Only the direction from `one` is recorded, because one cut direction
   * breaks both.
   */
  cut(one: string, other: string): void {
    const cuts = this.#cuts.get(one);
    if (cuts) cuts.add(other);
    else this.#cuts.set(one, new Set([other]));
  }

  /** Refuses dials to an address, or accepts them again. */
  refuse(address: string, isRefusing: boolean): void {
    if (isRefusing) this.#refusing.add(address);
    else this.#refusing.delete(address);
  }

  refuses(address: string): boolean {
    return this.#refusing.size > 0 && this.#refusing.has(address);
  }

  /** Delays everything sent to an address. */
  pause(address: string): void {
    if (!this.#paused.has(address)) this.#paused.set(address, Promise.withResolvers());
  }

  /** Ends the delay for an address. */
  resume(address: string): void {
    this.#paused.get(address)?.resolve();
    this.#paused.delete(address);
  }

  /** Resolves when an address resumes; undefined if it is not paused. */
  paused(address: string): Promise<void> | undefined {
    return this.#paused.size > 0 ? this.#paused.get(address)?.promise : undefined;
  }

  /** Removes all faults; paused addresses stay paused. */
  clear(): void {
    this.#rules.clear();
    this.#cuts.clear();
    this.#refusing.clear();
  }

  /** Ends all cuts and hangs. Other faults stay. */
  heal(): void {
    this.#cuts.clear();
    for (const rules of this.#rules.values()) {
      for (const [to, { cut, hang, ...rest }] of rules) {
        if (cut !== undefined || hang !== undefined) rules.set(to, rest);
      }
    }
  }
}

/** Draws the time in transit of the next message, in milliseconds. */
export function drawDelay(delay: LinkFaults["delayMs"], random: () => number): number {
  if (delay === undefined || typeof delay === "number") return delay ?? 0;
  const drawn = delay.min - Math.log(1 - random()) * (delay.mean - delay.min);
  return Math.min(drawn, delay.max ?? Infinity);
}

function checkFaults(faults: LinkFaults): void {
  for (const name of ["loss", "duplicate", "reorder"] as const) {
    const chance = faults[name] ?? 0;
    if (!(chance >= 0 && chance <= 1)) throw new RangeError(`${name} must be from 0 to 1; got ${chance}.`);
  }
  const { delayMs = 0, reorderMs = 0 } = faults;
  const { min, mean, max = Infinity } = typeof delayMs === "number"
    ? { min: delayMs, mean: delayMs }
    : delayMs;
  if (!(min >= 0 && min <= mean && mean <= max && mean < Infinity)) {
    throw new RangeError(`delayMs must be 0 <= min <= mean <= max; got ${JSON.stringify(delayMs)}.`);
  }
  if (!(reorderMs >= 0 && reorderMs < Infinity)) {
    throw new RangeError(`reorderMs must be at least 0; got ${reorderMs}.`);
  }
}
