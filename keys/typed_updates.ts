/**
 * The updates of a key, with the values that fit.
 *
 * @module
 */

import type { GossipUpdate } from "../engine/events.ts";
import type { JsonValue } from "../engine/types.ts";
import type { Checked } from "./checked_value.ts";

/**
 * Emits the updates whose values fit. A value that does not fit becomes a deletion if the reader has a value of that
 * member, which it would keep otherwise. Reads an update only when it is asked for one.
 */
export function typedUpdates<Output>(
  updates: ReadableStream<GossipUpdate>,
  check: (memberId: string, value: JsonValue) => Checked<Output>,
): ReadableStream<GossipUpdate<Output>> {
  const reader = updates.getReader();
  /** The members of which the reader has a value. */
  const read = new Set<string>();
  const typed = (update: GossipUpdate): GossipUpdate<Output> | undefined => {
    const { memberId, value } = update;
    const checked = value === undefined ? undefined : check(memberId, value);
    if (checked?.fits) {
      read.add(memberId);
      return { ...update, value: checked.value };
    }
    return read.delete(memberId) ? { ...update, value: undefined, deleted: true } : undefined;
  };
  return new ReadableStream<GossipUpdate<Output>>({
    async pull(controller) {
      for (;;) {
        const { done, value: update } = await reader.read();
        if (done) return controller.close();
        const item = typed(update);
        if (item) return controller.enqueue(item);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
