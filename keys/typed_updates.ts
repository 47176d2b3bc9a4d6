/**
 * The updates of a key, with the values that fit.
 *
 * @module
 */

import { flatMapped } from "../common/flat_mapped.ts";
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
  /** The members of which the reader has a value. */
  const read = new Set<string>();
  return flatMapped(updates, (update): GossipUpdate<Output>[] => {
    const { memberId, value } = update;
    const checked = value === undefined ? undefined : check(memberId, value);
    if (checked?.fits) {
      read.add(memberId);
      return [{ ...update, value: checked.value }];
    }
    return read.delete(memberId) ? [{ ...update, value: undefined, deleted: true }] : [];
  });
}
