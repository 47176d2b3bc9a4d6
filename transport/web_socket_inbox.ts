/**
 * What a peer sent and nobody has read yet, bounded: reading from a WebSocket knows no back-pressure.
 *
 * @module
 */

import { CLOSE, ConnectionClosed } from "../gossiper/errors.ts";
import type { Message } from "../gossiper/message.ts";

/**
 * How many messages may wait unread. A peer that keeps to the protocol has a handful under way; one that
 * sends on without being read would otherwise fill the memory. A reader that was away for a moment (a
 * blocked event loop) finds what was sent meanwhile as long as it is fewer.
 */
export const MAX_UNREAD_MESSAGES = 64;
/** How many messages of the largest size may wait unread: those count for more than one. */
export const MAX_UNREAD_LARGEST = 8;

/** Why a connection is closed of which too much waits. */
export function tooMany(): ConnectionClosed {
  return new ConnectionClosed(CLOSE.tooLarge, `More than ${MAX_UNREAD_MESSAGES} messages wait unread.`);
}

/** The readable side of a connection. */
export class Inbox {
  /** The messages, in the order in which they came. */
  readonly readable: ReadableStream<Message>;
  readonly #share: number;
  #controller!: ReadableStreamDefaultController<Message>;
  #cost = 1;
  #ended = false;

  /** Makes an empty inbox; `onCancel` is told when the reader wants no more. */
  constructor(maxMessageBytes: number, onCancel: (reason: unknown) => Promise<unknown>) {
    this.#share = maxMessageBytes * MAX_UNREAD_LARGEST / MAX_UNREAD_MESSAGES;
    this.readable = new ReadableStream<Message>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: async (reason) => {
        this.#ended = true;
        await onCancel(reason);
      },
    }, { highWaterMark: MAX_UNREAD_MESSAGES, size: () => this.#cost });
  }

  /**
   * Adds a message whose text was so long.
   *
   * @throws {ConnectionClosed} with 4413 where too much waits already.
   */
  push(message: Message, length: number): void {
    if (this.#ended) return;
    // A message counts for one place or, when large, for more: one sum bounds both number and memory.
    this.#cost = Math.max(1, length / this.#share);
    this.#controller.enqueue(message);
    if (this.#controller.desiredSize! < 0) {
      throw tooMany();
    }
  }

  /** No more will come: what waits can still be read, unless there is an error. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    if (error) this.#controller.error(error);
    else this.#controller.close();
  }
}
