/**
 * The canonical JSON text of a value: keys sorted, no white space.
 *
 * @throws {TypeError} for a number that is not finite. What else JSON cannot carry is not noticed.
 */
export function canonicalize(value: unknown): string;
