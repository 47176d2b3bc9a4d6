/**
 * What is computed from the events of members.
 *
 * @module
 */

import { median } from "../measure.ts";

/** What one system did, in one run or as the median of several. `null` where it could not be measured. */
export interface Figures {
  /** From a set until the last member has the value: the median. */
  readonly spreadMedianMs: number;
  /** From a set until the last member has the value: 95 % took at most this long. */
  readonly spreadP95Ms: number;
  /** What crosses the network per member and second while nothing changes, headers included. */
  readonly idleBytes: number | null;
  /** Processor time per member and minute while nothing changes. */
  readonly idleCpuSeconds: number;
  /** From SIGKILL until the last member has noticed. */
  readonly killSeconds: number | null;
  /** From the last process being ready until all members see all. */
  readonly joinSeconds: number;
}

/** The names of the figures, in the order of the table's columns. */
export const FIGURES = [
  "spreadMedianMs",
  "spreadP95Ms",
  "idleBytes",
  "idleCpuSeconds",
  "killSeconds",
  "joinSeconds",
] as const satisfies readonly (keyof Figures)[];

/** The smallest of the numbers that at least so many percent of them do not exceed. */
export function percentile(numbers: readonly number[], percent: number): number {
  if (numbers.length === 0) throw new RangeError("There is no percentile of no numbers.");
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * percent / 100) - 1)]!;
}

/** From a moment until the last of others, in milliseconds; 0 where all of them were earlier. */
export function lastAfter(startMs: number, momentsMs: readonly number[]): number {
  return Math.max(0, ...momentsMs.map((momentMs) => momentMs - startMs));
}

/** The median of each figure over several runs; `null` where a run lacks it. */
export function medianOfRuns(runs: readonly Figures[]): Figures {
  const medians = FIGURES.map((name) => {
    const numbers = runs.map((run) => run[name]).filter((number) => number !== null);
    return [name, numbers.length < runs.length ? null : median(numbers)];
  });
  return Object.fromEntries(medians);
}

/** Each figure of one system by the smallest among others: below 1 it is the best of all. */
export function ratios(
  figures: Figures,
  others: readonly Figures[],
): Readonly<Record<keyof Figures, number | null>> {
  const entries = FIGURES.map((name) => {
    const own = figures[name];
    const best = Math.min(...others.map((other) => other[name] ?? Infinity));
    return [name, own === null || !Number.isFinite(best) || best === 0 ? null : own / best];
  });
  return Object.fromEntries(entries);
}
