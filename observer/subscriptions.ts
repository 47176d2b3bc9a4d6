/**
 * The subscriptions of observers: events, and the values of one key.
 *
 * @module
 */

import type { EventType, HearsayEvent } from "../contracts/event_stream.ts";
import { entryHeapBytes } from "../engine/state/heap_estimate.ts";
import { insightOf } from "../gossiper/gossiper.ts";
import { RequestRefused } from "./answers.ts";
import type { Observed } from "./door.ts";
import { EVENT_CAPACITY } from "./protocol.ts";
import type { Asked } from "./session.ts";

/** The most types in one request. */
const MAX_TYPES = 64;

/** The source of a subscription, and its end. */
export interface SubscriptionOptions {
  readonly observed: Observed;
  readonly signal: AbortSignal;
}

/**
 * The messages of a subscription: `{ event, atMs }`, or `{ lost }` with the number of events that were dropped because
 * the observer was slow. A slow watch drops a value only if a newer value of the same member follows.
 */
export function streamOf(asked: Asked, options: SubscriptionOptions): ReadableStream<unknown> {
  const { key, types } = asked;
  const { observed: { node }, signal } = options;
  if (typeof key === "string") return stamped(node.watch(key, { signal }), options);
  return stamped(node.events.subscribe(typesIn(types), { signal, capacity: EVENT_CAPACITY }), options);
}

/** The approximate heap bytes of the values of these keys. A key that is listed twice counts twice. */
export function watchedBytes({ node }: Observed, keys: readonly string[]): number {
  const { view } = insightOf(node).host;
  let bytes = 0;
  for (const key of keys) for (const [, entry] of view.state(key)) bytes += entryHeapBytes(entry);
  return bytes;
}

function typesIn(types: unknown): EventType[] | undefined {
  if (types === undefined) return undefined;
  const isList = Array.isArray(types) && types.length <= MAX_TYPES &&
    types.every((each: unknown) => typeof each === "string");
  if (isList) return [...types as EventType[], "EventsDropped"];
  throw new RequestRefused("invalid", `\`types\` must be a list of at most ${MAX_TYPES} types of events.`);
}

function stamped(
  stream: ReadableStream<HearsayEvent>,
  { observed: { runtime } }: SubscriptionOptions,
): ReadableStream<unknown> {
  const stamp = new TransformStream<HearsayEvent, unknown>(
    {
      transform(event, controller) {
        const isLoss = event.type === "EventsDropped";
        controller.enqueue(isLoss ? { lost: event.count } : { event, atMs: runtime.wallMs() });
      },
    },
    { highWaterMark: 1 },
    { highWaterMark: 0 },
  );
  return stream.pipeThrough(stamp);
}
