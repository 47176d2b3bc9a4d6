/**
 * What one side of a conversation still has to send.
 *
 * @module
 */

import type { Message } from "./message.ts";

/** How many messages may wait for a peer before it counts as congested and is no longer listened to. */
export const OUTBOX_HIGH_WATER = 8;

/** A message that is made when it can be sent; `undefined` where there is nothing to send any more. */
export type DeferredMessage = () => Message | undefined;

/**
 * Messages on their way to one peer. Unlike the queue inside a stream it is emptied before the stream
 * errors: so that a refusal still arrives before the close code that follows it.
 */
export class Outbox {
  /** The messages, in order; errors or closes after the last when the outbox has ended. */
  readonly readable: ReadableStream<Message>;
  readonly #queue: (Message | DeferredMessage)[] = [];
  #controller!: ReadableStreamDefaultController<Message>;
  /** Whether the reader waits for a message: whatever it was given before has been written. */
  #waiting = false;
  #ending: { readonly error?: unknown } | undefined;
  #settled = false;
  #room: PromiseWithResolvers<void> | undefined;

  /** Makes an empty outbox; `onCancel` hears when the reader wants no more. */
  constructor(options: { readonly onCancel: (reason: unknown) => void }) {
    this.readable = new ReadableStream<Message>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#waiting = true;
        this.#deliver();
      },
      cancel: (reason) => {
        this.#settle();
        options.onCancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** Whether the peer takes messages more slowly than they are made. */
  get isCongested(): boolean {
    return this.#queue.length >= OUTBOX_HIGH_WATER;
  }

  /**
   * Adds a message; does nothing once the outbox has ended. A function is called when the peer can take its message,
   * so that the message has what is true by then.
   */
  push(message: Message | DeferredMessage): void {
    if (this.#ending || this.#settled) return;
    this.#queue.push(message);
    this.#deliver();
  }

  /** Resolves when the outbox is not congested, or is over. */
  async room(): Promise<void> {
    if (!this.isCongested || this.#settled) return;
    await (this.#room ??= Promise.withResolvers<void>()).promise;
  }

  /** Errors the stream after what is queued; closes it where there is no error. */
  end(error?: unknown): void {
    if (this.#ending) return;
    this.#ending = error === undefined ? {} : { error };
    this.#deliver();
  }

  /** Errors the stream now; what is queued is dropped. */
  abort(error: unknown): void {
    if (this.#settled) return;
    this.#settle();
    this.#controller.error(error);
  }

  #deliver(): void {
    if (!this.#waiting || this.#settled) return;
    const message = this.#next();
    if (message !== undefined) {
      // Before the enqueueing: that may pull again at once.
      this.#waiting = false;
      this.#controller.enqueue(message);
      if (!this.isCongested) this.#makeRoom();
    } else if (this.#ending) {
      const { error } = this.#ending;
      this.#settle();
      if (error === undefined) this.#controller.close();
      else this.#controller.error(error);
    }
  }

  #next(): Message | undefined {
    while (this.#queue.length > 0) {
      const next = this.#queue.shift()!;
      const message = typeof next === "function" ? next() : next;
      if (message !== undefined) return message;
    }
    return undefined;
  }

  #settle(): void {
    this.#settled = true;
    this.#queue.length = 0;
    this.#makeRoom();
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}
