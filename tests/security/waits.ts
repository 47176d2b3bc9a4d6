/**
 * Waits for what members report, each with a bound on its time.
 *
 * @module
 */

import type { EventType, HearsayEvent } from "../../contracts/event_stream.ts";
import type { Gossiper } from "../../mod.ts";

const BOUND_MS = 5_000;

/** Resolves when a member has received this value of another member's key `k`. */
export async function hears(node: Gossiper, of: string, value: unknown): Promise<void> {
  for await (const update of node.watch("k", { signal: AbortSignal.timeout(BOUND_MS) })) {
    if (update.memberId === of && update.value === value) return;
  }
  throw new Error(`${value} was not received.`);
}

/** The next event of a type. */
export async function next<T extends EventType>(
  gossiper: Gossiper,
  type: T,
  signal = AbortSignal.timeout(BOUND_MS),
) {
  for await (const event of gossiper.events.subscribe(type, { signal })) {
    if (event.type === type) return event as Extract<HearsayEvent, { type: T }>;
  }
  throw new Error(`No ${type} was emitted.`);
}

/** Resolves when the condition is true. */
export async function eventually(isTrue: () => boolean): Promise<void> {
  const endMs = performance.now() + BOUND_MS;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`Not true within ${BOUND_MS} ms: ${isTrue}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
