/**
 * The subscriptions of one member: the receivers of the messages of a topic.
 *
 * @module
 */

import { HearsayError } from "../common/errors.ts";
import { heapBytes } from "../common/heap_bytes.ts";
import type { Received } from "./contract.ts";
import { MAX_SUBSCRIPTIONS, MAX_UNREAD, MAX_UNREAD_BYTES } from "./limits.ts";

/** Receives a message. Must not throw. */
export type Listener = (received: Received) => void;

/** Passes messages on. A topic without subscribers costs one look into a map. */
export class Subscriptions {
  readonly #topics = new Map<string, Set<Listener>>();
  readonly #leaving: AbortSignal;
  #count = 0;
  #dropped = 0;

  /** Makes an empty table; the streams end when the signal is aborted. */
  constructor(leaving: AbortSignal) {
    this.#leaving = leaving;
  }

  /** The number of messages that a stream dropped because too many were unread. */
  get dropped(): number {
    return this.#dropped;
  }

  /** True if a topic has a subscriber. */
  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  /** Passes a message on to every subscriber of its topic. */
  deliver(received: Received): void {
    for (const listener of [...this.#topics.get(received.topic) ?? []]) listener(received);
  }

  /** Adds a subscriber; returns a function that removes it. */
  listen(topic: string, listener: Listener): () => void {
    if (this.#count >= MAX_SUBSCRIPTIONS) {
      throw new HearsayError(
        "busy",
        `A member may have at most ${MAX_SUBSCRIPTIONS} subscriptions. Nothing was changed.`,
      );
    }
    const listeners = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, listeners);
    listeners.add(listener);
    this.#count++;
    return () => {
      if (!listeners.delete(listener)) return;
      this.#count--;
      if (listeners.size === 0) this.#topics.delete(topic);
    };
  }

  /** Adds a subscriber with a stream. A reader that is too far behind loses the newest messages. */
  stream(topic: string, { signal }: { readonly signal?: AbortSignal | undefined }): ReadableStream<Received> {
    const ends = signal ? AbortSignal.any([signal, this.#leaving]) : this.#leaving;
    let cost = 0;
    let controller!: ReadableStreamDefaultController<Received>;
    const remove = this.listen(topic, (received) => {
      // A small message counts as a share, so that one sum limits both the number and the memory.
      cost = Math.max(heapBytes(received.payload), MAX_UNREAD_BYTES / MAX_UNREAD);
      if (controller.desiredSize! < cost) this.#dropped++;
      else controller.enqueue(received);
    });
    const end = () => {
      remove();
      controller.close();
    };
    return new ReadableStream<Received>({
      start: (given) => {
        controller = given;
        if (ends.aborted) end();
        else ends.addEventListener("abort", end);
      },
      cancel: () => {
        remove();
        ends.removeEventListener("abort", end);
      },
    }, { highWaterMark: MAX_UNREAD_BYTES, size: () => cost });
  }
}
