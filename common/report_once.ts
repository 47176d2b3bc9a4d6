/**
 * What goes wrong in the same way again and again is told once.
 *
 * @module
 */

import { HearsayError } from "./errors.ts";

/** Of how many what was told is remembered: those that failed last. */
export const MAX_SUBJECTS = 1_024;
/** How many reasons are remembered for each: whoever makes up new ones must not fill the memory. */
export const MAX_REASONS = 8;

/** For each of several that may fail, the reasons that were told since it last worked. */
export class ReportOnce {
  /** The one that failed longest ago first. */
  readonly #reasonsBy = new Map<string, Set<string>>();

  /** Whether this reason is news about it. */
  shouldReport(about: string, reason: string): boolean {
    const told = this.#reasonsBy.get(about);
    if (told === undefined) return true;
    // Whoever goes on failing is remembered before others.
    this.#reasonsBy.delete(about);
    this.#reasonsBy.set(about, told);
    return !told.has(reason);
  }

  /** It was told. */
  add(about: string, reason: string): void {
    const told = this.#reasonsBy.get(about) ?? new Set();
    if (told.size === MAX_REASONS) told.delete(firstOf(told.keys()));
    told.add(reason);
    this.#reasonsBy.set(about, told);
    if (this.#reasonsBy.size > MAX_SUBJECTS) this.#reasonsBy.delete(firstOf(this.#reasonsBy.keys()));
  }

  /** So much has changed that whatever goes wrong now is news. */
  forgetAll(): void {
    this.#reasonsBy.clear();
  }

  /** It worked, or is gone: whatever goes wrong now is news. Returns whether anything was told about it. */
  forget(about: string): boolean {
    return this.#reasonsBy.delete(about);
  }
}

/** What makes one failure the same as another: texts have numbers and times in them. */
export function reasonOf(error: unknown): string {
  return error instanceof HearsayError ? error.code : String(error);
}

function firstOf(names: Iterator<string>): string {
  return names.next().value!;
}
