/**
 * The rate limit of a log: a few lines for each type of event and subject, and a count of those left out.
 *
 * @module
 */

import type { Runtime } from "../common/runtime.ts";
import { type LogLevel, moreSevere } from "./log_levels.ts";

/** The time in which the limits count, in milliseconds; the counts of the lines left out follow at its end. */
export const PERIOD_MS = 60_000;
/**
 * The most lines of one type of event about one subject in a period. 5: a member that restarts a few times is seen in
 * full. Lower: the log has a failure, but not the return of that member. Higher: one unsteady peer fills the log.
 */
export const LINES_PER_SUBJECT = 5;
/**
 * The most lines of one type of event in a period. 300: each member of a large cluster that starts has its line. It also
 * bounds the memory: at most 300 subjects are stored for each type. Higher: clients from many addresses fill the log.
 */
export const LINES_PER_TYPE = 300;

/** The lines of one type of event that were left out in a period. */
export interface LeftOut {
  readonly type: string;
  /** The most severe level among them. */
  readonly level: LogLevel;
  readonly count: number;
  /** The subject of most of them, if it is known. */
  readonly subject: string | undefined;
}

/** The counts of one type of event. */
interface TypeCounts {
  lines: number;
  leftOut: number;
  level: LogLevel;
  /** The lines, and the lines left out, by subject; at most `LINES_PER_TYPE` subjects. */
  readonly subjects: Map<string, { lines: number; leftOut: number }>;
}

/** Options of a {@linkcode LogLimit}. */
export interface LogLimitOptions {
  readonly runtime: Pick<Runtime, "monotonicMs" | "setTimer">;
  /** Called for each type of event with lines left out, at the end of their period. */
  readonly report: (leftOut: LeftOut) => void;
}

/** Allows {@linkcode LINES_PER_SUBJECT} and {@linkcode LINES_PER_TYPE} lines in a period, and counts the others. */
export class LogLimit {
  readonly #options: LogLimitOptions;
  readonly #types = new Map<string, TypeCounts>();
  #untilMs = -Infinity;
  #cancel: (() => void) | undefined;

  constructor(options: LogLimitOptions) {
    this.#options = options;
  }

  /** Counts a line; returns false if it must be left out. */
  take(type: string, { subject, level }: { readonly subject: string; readonly level: LogLevel }): boolean {
    const { runtime } = this.#options;
    const nowMs = runtime.monotonicMs();
    if (nowMs >= this.#untilMs) {
      this.flush();
      this.#untilMs = nowMs + PERIOD_MS;
    }
    const counts = this.#countsOf(type, level);
    const about = counts.subjects.get(subject);
    if (counts.lines < LINES_PER_TYPE && (about?.lines ?? 0) < LINES_PER_SUBJECT) {
      counts.lines++;
      if (about) about.lines++;
      else counts.subjects.set(subject, { lines: 1, leftOut: 0 });
      return true;
    }
    counts.leftOut++;
    counts.level = moreSevere(counts.level, level);
    if (about) about.leftOut++;
    this.#cancel ??= runtime.setTimer(this.#untilMs - nowMs, () => this.flush());
    return false;
  }

  /** Reports the lines left out, and begins a new period. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#untilMs = -Infinity;
    const types = [...this.#types];
    this.#types.clear();
    for (const [type, { leftOut: count, level, subjects }] of types) {
      if (count > 0) this.#options.report({ type, level, count, subject: mostLeftOut(subjects) });
    }
  }

  #countsOf(type: string, level: LogLevel): TypeCounts {
    let counts = this.#types.get(type);
    if (counts === undefined) {
      this.#types.set(type, counts = { lines: 0, leftOut: 0, level, subjects: new Map() });
    }
    return counts;
  }
}

function mostLeftOut(subjects: TypeCounts["subjects"]): string | undefined {
  let [most, subject]: [number, string | undefined] = [0, undefined];
  for (const [each, { leftOut }] of subjects) if (leftOut > most) [most, subject] = [leftOut, each];
  return subject === "" ? undefined : subject;
}
