/**
 * The canonical JSON text of a value: keys sorted, no white space.
 *
 * @throws {TypeError} for a number that is not finite. Other values without JSON form are not detected.
 */
export function canonicalize(value: unknown): string;
