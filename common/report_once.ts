/**
 * Reports a repeated failure once.
 *
 * @module
 */

import { BoundedMap } from "./bounded_map.ts";
import { errorText } from "./error_text.ts";
import { HearsayError } from "./errors.ts";

/** The most subjects whose reports are remembered: the subjects that failed last. */
export const MAX_SUBJECTS = 1_024;
/** The most reasons remembered for each subject: a peer that makes up reasons must not fill the memory. */
export const MAX_REASONS = 8;

/** The reasons already reported for each subject since it last worked. */
export class ReportOnce {
  /** In the order of the last failure, the oldest first. */
  readonly #reasonsBy = new BoundedMap<string, BoundedMap<string, true>>(MAX_SUBJECTS);

  /**
   * Records a failure. Returns true if it must be reported: its reason was not reported yet, and `mayReport` returns
   * true. `mayReport` is called for new reasons only. A refused reason counts as not reported.
   */
  claim(about: string, reason: string, mayReport: () => boolean = () => true): boolean {
    const reported = this.#reasonsBy.get(about);
    // Move it to the end: a subject that still fails must outlive others.
    if (reported) this.#reasonsBy.set(about, reported);
    if (reported?.has(reason) || !mayReport()) return false;
    this.#reasonsBy.set(about, (reported ?? new BoundedMap<string, true>(MAX_REASONS)).set(reason, true));
    return true;
  }

  /** Forgets all reports, so that every failure is reported again. */
  forgetAll(): void {
    this.#reasonsBy.clear();
  }

  /** Forgets the reports of a subject that works or is gone; returns true if there were reports. */
  forget(about: string): boolean {
    return this.#reasonsBy.delete(about);
  }
}

/** The text by which failures are compared: the code of a `HearsayError`, or the text of another error. */
export function reasonOf(error: unknown): string {
  return error instanceof HearsayError ? error.code : errorText(error);
}
