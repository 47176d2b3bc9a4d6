/**
 * How much memory a value takes, estimated: buffers that count only items are no bound where a peer fills the items.
 *
 * @module
 */

/** An object, array or text that is empty: V8 takes 32 bytes for `[]`. */
const OBJECT_BYTES = 32;
/** A reference or a number, in an array or a field. */
const SLOT_BYTES = 8;

/**
 * About how many bytes of the heap a plain value takes. A JSON text says too little: `[[],[]]` takes ten times its
 * length. Costs in proportion to the value; stops once the estimate exceeds `limit`.
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
