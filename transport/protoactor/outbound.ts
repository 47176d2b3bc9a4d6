/**
 * The stream by which this member says something to one of protoactor's: there, what is said to a member goes over
 * a stream that its sender has dialled, answers included.
 *
 * @module
 */

import { HearsayError } from "../../gossiper/errors.ts";
import type { Call } from "./call.ts";
import { connectRequestBytes, type Letter, letterBytes, readRemoteMessage } from "./letters.ts";

/** How many bytes may be on their way to a member that does not take them; then it counts as gone. */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;

/** Whom one speaks for, and what is done at the end. */
export interface OutboundOptions {
  readonly self: { readonly id: string; readonly address: string };
  readonly signal: AbortSignal;
}

/** An open stream to a member of protoactor. */
export class Outbound {
  /** The id of the member that answered. */
  readonly memberId: string;
  /** Whether that member has blocked this one: it lists it no more, and never will. */
  readonly blocked: boolean;
  /** Resolves when the stream is over: with whether the member said that it goes away. */
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

  /** Greets whoever answers the call. Rejects with a `HearsayError`, or with the signal's reason. */
  static async greet(call: Call, { self, signal }: OutboundOptions): Promise<Outbound> {
    const reader = call.readable.getReader();
    const writer = call.writable.getWriter();
    const abort = () => call.cancel();
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      await writer.write(connectRequestBytes(self));
      const { value } = await reader.read();
      const answer = value && readRemoteMessage(value).connectResponse;
      if (!answer?.memberId) throw new TypeError("The connect request was not answered by a response.");
      return new Outbound(call, { reader, writer }, answer);
    } catch (cause) {
      call.cancel();
      signal.throwIfAborted();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HearsayError("connection", `${call.remote} was not reached: ${why} Nothing was sent.`, {
        cause,
      });
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Sends a letter; it may be lost, as everything may. */
  send(letter: Letter): void {
    if (this.#isClosed) return;
    const bytes = letterBytes(letter);
    this.#unsentBytes += bytes.length;
    if (this.#unsentBytes > MAX_UNSENT_BYTES) return this.close();
    this.#writer.write(bytes).catch(() => {}).finally(() => this.#unsentBytes -= bytes.length);
  }

  /** Ends the stream after what was said. */
  async end(): Promise<void> {
    await this.#writer.close().catch(() => {});
  }

  /** Ends the stream at once. */
  close(): void {
    this.#isClosed = true;
    this.#call.cancel();
  }

  /** The other side has nothing to say on this stream but that it goes away. */
  async #listen(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<{ goingAway: boolean }> {
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        if (readRemoteMessage(next.value).disconnectRequest) return { goingAway: true };
      }
    } catch {
      // It broke, or said what cannot be read.
    } finally {
      this.#call.cancel();
    }
    return { goingAway: false };
  }
}
