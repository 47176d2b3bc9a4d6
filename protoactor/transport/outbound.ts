/**
 * The stream for messages to a Go member. In protoactor's remoting, messages go over a stream that their
 * sender dialed, and so do answers.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import { HearsayError } from "../../common/errors.ts";
import type { Call } from "./call.ts";
import { connectRequestBytes, type Letter, letterBytes, readRemoteMessage } from "./letters.ts";

/**
 * The most bytes that wait to be sent. A Go member for which more bytes wait does not read, so its stream is closed.
 */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;

/** Options of {@linkcode Outbound.connect}. */
export interface OutboundOptions {
  readonly self: { readonly id: string; readonly address: string };
  readonly signal: AbortSignal;
}

/** An open stream to a Go member. */
export class Outbound {
  /** The id of the Go member that answered. */
  readonly memberId: string;
  /** True if the Go member blocks this member, which is final. */
  readonly blocked: boolean;
  /** Resolves when the stream has ended. `goingAway` is true if the Go member announced that it stops. */
  readonly ended: Promise<{ readonly goingAway: boolean }>;
  readonly #call: Call;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #unsentBytes = 0;
  #isClosed = false;

  private constructor(
    call: Call,
    streams: {
      readonly reader: ReadableStreamDefaultReader<Uint8Array>;
      readonly writer: WritableStreamDefaultWriter<Uint8Array>;
    },
    answer: { readonly memberId: string; readonly blocked: boolean },
  ) {
    this.#call = call;
    this.#writer = streams.writer;
    this.memberId = answer.memberId;
    this.blocked = answer.blocked;
    this.ended = this.#listen(streams.reader);
  }

  /**
   * Sends a connect request and waits for its response. Rejects with a `HearsayError` or with the signal's
   * reason.
   */
  static async connect(call: Call, { self, signal }: OutboundOptions): Promise<Outbound> {
    const reader = call.readable.getReader();
    const writer = call.writable.getWriter();
    const abort = () => call.cancel();
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      await writer.write(connectRequestBytes(self));
      const { value } = await reader.read();
      const answer = value && readRemoteMessage(value).connectResponse;
      if (!answer?.memberId) throw new TypeError("Expected a response to the connect request.");
      return new Outbound(call, { reader, writer }, answer);
    } catch (cause) {
      call.cancel();
      signal.throwIfAborted();
      const why = messageOf(cause);
      throw new HearsayError("connection", `Cannot reach ${call.remote}: ${why} Nothing was sent.`, {
        cause,
      });
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** The number of bytes that wait to be sent. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** Sends a letter. It may be lost, like any message. */
  send(letter: Letter): void {
    if (this.#isClosed) return;
    const bytes = letterBytes(letter);
    this.#unsentBytes += bytes.length;
    if (this.#unsentBytes > MAX_UNSENT_BYTES) return this.close();
    this.#writer.write(bytes).catch(() => {}).finally(() => this.#unsentBytes -= bytes.length);
  }

  /** Ends the stream after its pending messages. */
  async end(): Promise<void> {
    await this.#writer.close().catch(() => {});
  }

  close(): void {
    this.#isClosed = true;
    this.#call.cancel();
  }

  /** Reads the stream, on which the Go member sends only a `DisconnectRequest`. */
  async #listen(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<{ goingAway: boolean }> {
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        if (readRemoteMessage(next.value).disconnectRequest) return { goingAway: true };
      }
    } catch {
      // The stream broke, or a message was invalid.
    } finally {
      this.#call.cancel();
    }
    return { goingAway: false };
  }
}
