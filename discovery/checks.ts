/**
 * What is checked of a source's options, which types alone do not say.
 *
 * @module
 */

/**
 * Throws unless a duration, where there is one, is a number of milliseconds that lets something else happen
 * meanwhile: a source that asked without pause would take the whole process.
 *
 * @throws {RangeError} naming the option.
 */
export function assertDuration(
  name: string,
  given: number | undefined,
  { leastMs = 1 }: { readonly leastMs?: number } = {},
): void {
  if (given === undefined || (typeof given === "number" && given >= leastMs && given < Infinity)) return;
  throw new RangeError(`${name} must be a number of at least ${leastMs} milliseconds; it is ${given}.`);
}

/** Whether something is a port that can be dialled. */
export function isPort(given: unknown): given is number {
  return Number.isInteger(given) && (given as number) >= 1 && (given as number) <= 65_535;
}
