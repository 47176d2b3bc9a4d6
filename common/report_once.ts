/**
 * Reports a repeated failure once.
 *
 * @module
 */

import { HearsayError } from "./errors.ts";

/** The most subjects whose reports are remembered: those that failed last. */
export const MAX_SUBJECTS = 1_024;
/** The most reasons remembered for each subject: a peer that makes up reasons must not fill the memory. */
export const MAX_REASONS = 8;

/** The reasons already reported for each subject since it last worked. */
export class ReportOnce {
  /** In the order of the last failure, the oldest first. */
  readonly #reasonsBy = new Map<string, Set<string>>();

  /** True if this reason is not reported yet. */
  shouldReport(about: string, reason: string): boolean {
    const reported = this.#reasonsBy.get(about);
    if (reported === undefined) return true;
    // Move it to the end: a subject that still fails must outlive others.
    this.#reasonsBy.delete(about);
    this.#reasonsBy.set(about, reported);
    return !reported.has(reason);
  }

  /** Records a reported reason. */
  add(about: string, reason: string): void {
    const reported = this.#reasonsBy.get(about) ?? new Set();
    if (reported.size === MAX_REASONS) reported.delete(firstOf(reported.keys()));
    reported.add(reason);
    this.#reasonsBy.set(about, reported);
    if (this.#reasonsBy.size > MAX_SUBJECTS) this.#reasonsBy.delete(firstOf(this.#reasonsBy.keys()));
  }

  /** Forgets all reports, so that every failure is reported again. */
  forgetAll(): void {
    this.#reasonsBy.clear();
  }

  /** Forgets the reports of a subject that works or is gone; returns true if it had any. */
  forget(about: string): boolean {
    return this.#reasonsBy.delete(about);
  }
}

/** The key of a failure. Other errors than `HearsayError` are compared by their text. */
export function reasonOf(error: unknown): string {
  return error instanceof HearsayError ? error.code : String(error);
}

function firstOf(names: Iterator<string>): string {
  return names.next().value!;
}
