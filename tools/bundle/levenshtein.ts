/**
 * In place of `deps/levenshtein.ts`: a misspelled option of a page gets no suggestion.
 *
 * @module
 */

/** More than the distance of any two names that are similar. */
export function editDistance(_one: string, _other: string): number {
  return Infinity;
}
