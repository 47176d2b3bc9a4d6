/**
 * The unsent messages of one side of a connection.
 *
 * @module
 */

import type { Message, UnknownMessage } from "./message.ts";

/** The number of unsent messages at which a peer counts as congested. The session then stops reading from it. */
export const OUTBOX_HIGH_WATER = 8;

/** Makes a message when it can be sent; returns `undefined` if it is no longer needed. */
export type DeferredMessage = () => Message | undefined;

/**
 * Makes the next message of an extension, once no other message is unsent; `undefined` if the extension has no message.
 * Called with `isOver` at the end, when no more messages can be sent.
 */
export type LaterMessages = (isOver: boolean) => UnknownMessage | undefined;

/**
 * The unsent messages to one peer. All messages are sent before the stream errors, unlike messages in a stream's own
 * queue. So a refusal arrives before the close code.
 */
export class Outbox {
  /** The messages, in order. After {@linkcode Outbox.end} the stream errors or closes behind the last message. */
  readonly readable: ReadableStream<Message>;
  readonly #queue: (Message | DeferredMessage)[] = [];
  #controller!: ReadableStreamDefaultController<Message>;
  /** True while the reader waits for a message: then all earlier messages are written. */
  #waiting = false;
  #ending: { readonly error?: unknown } | undefined;
  #settled = false;
  #later: LaterMessages | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  /** Makes an empty outbox; calls `onCancel` when the reader cancels. */
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

  /** The number of unsent messages. */
  get length(): number {
    return this.#queue.length;
  }

  /** True if the peer reads more slowly than messages are added. */
  get isCongested(): boolean {
    return this.#queue.length >= OUTBOX_HIGH_WATER;
  }

  /**
   * Adds a message; does nothing after the end. A function is called when its message can be sent, so that the message
   * is up to date.
   */
  push(message: Message | DeferredMessage): void {
    if (this.#ending || this.#settled) return;
    this.#queue.push(message);
    this.#deliver();
  }

  /**
   * Sends the messages that the function returns, each when no other message is unsent. Call `pushLater` again when the
   * function has new messages.
   */
  pushLater(later: LaterMessages): void {
    this.#later = later;
    this.#deliver();
  }

  /** Resolves once the outbox is no longer congested, or has ended. */
  async room(): Promise<void> {
    if (!this.isCongested || this.#settled) return;
    await (this.#room ??= Promise.withResolvers<void>()).promise;
  }

  /** Errors the stream after the unsent messages; closes it if there is no error. */
  end(error?: unknown): void {
    if (this.#ending) return;
    this.#ending = error === undefined ? {} : { error };
    this.#later?.(true);
    this.#deliver();
  }

  /** Errors the stream now, and drops the unsent messages. */
  abort(error: unknown): void {
    if (this.#settled) return;
    this.#settle();
    this.#controller.error(error);
  }

  #deliver(): void {
    if (!this.#waiting || this.#settled) return;
    const message = this.#next();
    if (message !== undefined) {
      // Before `enqueue`, because it may pull again at once.
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
    return this.#ending ? undefined : this.#later?.(false);
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
