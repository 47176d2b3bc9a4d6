/**
 * Statistics over the events of members.
 *
 * @module
 */

import { median } from "../measure.ts";

/** The figures of a system, of one run or as medians of several; `null` for a missing measurement. */
export interface Figures {
  /** From a set until the last member has the value, median. */
  readonly spreadMedianMs: number;
  /** From a set until the last member has the value, 95th percentile. */
  readonly spreadP95Ms: number;
  /** Bytes on the network per member and second while nothing changes, with headers. */
  readonly idleBytes: number | null;
  /** Processor time per member and minute while nothing changes. */
  readonly idleCpuSeconds: number;
  /** From SIGKILL until the last member has reported it. */
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

/** The smallest of the numbers that is at least as large as this percentage of them. */
export function percentile(numbers: readonly number[], percent: number): number {
  if (numbers.length === 0) throw new RangeError("There is no percentile of no numbers.");
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * percent / 100) - 1)]!;
}

/** Milliseconds from the start to the last moment; 0 if all moments are earlier. */
export function lastAfter(startMs: number, momentsMs: readonly number[]): number {
  return Math.max(0, ...momentsMs.map((momentMs) => momentMs - startMs));
}

/** The median of each figure over several runs; `null` if it is missing in a run. */
export function medianOfRuns(runs: readonly Figures[]): Figures {
  const medians = FIGURES.map((name) => {
    const numbers = runs.map((run) => run[name]).filter((number) => number !== null);
    return [name, numbers.length < runs.length ? null : median(numbers)];
  });
  return Object.fromEntries(medians);
}

/** Each figure divided by the best of the other systems: below 1 it is the best. */
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
