/**
 * In place of `deps/canonicalize.ts`: the same text for all values that `copyJson` returns.
 *
 * @module
 */

/** The JSON text of a value, with the keys of objects in the order of their UTF-16 units. */
export function canonicalize(value: unknown): string | undefined {
  if (Array.isArray(value)) return `[${value.map(canonicalize).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1);
  return `{${fields.map(([key, each]) => `${JSON.stringify(key)}:${canonicalize(each)}`).join()}}`;
}
