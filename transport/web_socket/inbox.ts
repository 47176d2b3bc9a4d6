/**
 * A bounded queue of received messages, because a WebSocket has no back-pressure for receiving.
 *
 * @module
 */

import { CLOSE, ConnectionClosed } from "../../common/errors.ts";
import type { Message } from "../../protocol/message.ts";

/**
 * The most unread messages. A well-behaved peer has a few in transit. Without a limit, a peer that sends faster than
 * this side reads would fill the memory. The limit is higher than needed, so that a reader loses no message while the
 * event loop is blocked.
 */
export const MAX_UNREAD_MESSAGES = 64;
/** The most unread messages of the largest size. A large message counts as several. */
export const MAX_UNREAD_LARGEST = 8;

/** The error that closes a connection with too many unread messages. */
export function tooMany(): ConnectionClosed {
  return new ConnectionClosed(CLOSE.tooLarge, `At most ${MAX_UNREAD_MESSAGES} messages may be unread.`);
}

/** The readable side of a connection. */
export class Inbox {
  /** The messages in order of arrival. */
  readonly readable: ReadableStream<Message>;
  readonly #share: number;
  #controller!: ReadableStreamDefaultController<Message>;
  #cost = 1;
  #ended = false;

  /** Creates an empty inbox. `onCancel` is called when the reader cancels. */
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
   * Adds a message with its text's length.
   *
   * @throws {ConnectionClosed} with 4413 if too many messages are unread.
   */
  push(message: Message, length: number): void {
    if (this.#ended) return;
    // A large message counts as several, so one sum limits both the number and the memory.
    this.#cost = Math.max(1, length / this.#share);
    this.#controller.enqueue(message);
    if (this.#controller.desiredSize! < 0) {
      throw tooMany();
    }
  }

  /** Ends `readable`: after the unread messages, or at once with the error. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    if (error) this.#controller.error(error);
    else this.#controller.close();
  }
}
