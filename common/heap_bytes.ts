/**
 * Estimates the memory of a value. If a peer chooses the size of items, a buffer limited only by their number has no
 * bound.
 *
 * @module
 */

/** An empty object, array or text: V8 takes 32 bytes for `[]`. */
const OBJECT_BYTES = 32;
/** A reference or a number, in an array or a field. */
const SLOT_BYTES = 8;

/**
 * The approximate size of a plain value on the heap, in bytes. The length of its JSON would be too low: `[[],[]]` takes
 * 16 times as much. Costs in proportion to the value; stops once the estimate exceeds `limit`.
 */
export function heapBytes(value: unknown, limit: number = Infinity): number {
  if (typeof value === "string") return OBJECT_BYTES + 2 * value.length;
  if (typeof value !== "object" || value === null) return SLOT_BYTES;
  let bytes = OBJECT_BYTES;
  if (Array.isArray(value)) {
    for (const item of value) {
      bytes += SLOT_BYTES + heapBytes(item, limit - bytes);
      if (bytes > limit) break;
    }
    return bytes;
  }
  for (const [name, item] of Object.entries(value)) {
    bytes += SLOT_BYTES + heapBytes(name) + heapBytes(item, limit - bytes);
    if (bytes > limit) break;
  }
  return bytes;
}
