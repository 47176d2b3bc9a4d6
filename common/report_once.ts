/**
 * Reports a repeated failure once.
 *
 * @module
 */

import { BoundedMap } from "./bounded_map.ts";
import { errorText } from "./error_text.ts";
import { HearsayError } from "./errors.ts";

/** The most subjects whose reports are remembered: those that failed last. */
export const MAX_SUBJECTS = 1_024;
/** The most reasons remembered for each subject: a peer that makes up reasons must not fill the memory. */
export const MAX_REASONS = 8;

/** The reasons already reported for each subject since it last worked. */
export class ReportOnce {
  /** In the order of the last failure, the oldest first. */
  readonly #reasonsBy = new BoundedMap<string, BoundedMap<string, true>>(MAX_SUBJECTS);

  /** True if this reason is not reported yet. */
  shouldReport(about: string, reason: string): boolean {
    const reported = this.#reasonsBy.get(about);
    if (reported === undefined) return true;
    // Move it to the end: a subject that still fails must outlive others.
    this.#reasonsBy.set(about, reported);
    return !reported.has(reason);
  }

  /** Records a reported reason. */
  add(about: string, reason: string): void {
    const reported = this.#reasonsBy.get(about) ?? new BoundedMap<string, true>(MAX_REASONS);
    this.#reasonsBy.set(about, reported.set(reason, true));
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
  return error instanceof HearsayError ? error.code : errorText(error);
}
