/**
 * A connection between two Hearsay members, over a call of protoactor's remoting.
 *
 * @module
 */

import { printable } from "../../common/printable.ts";
import type { CloseInfo, Connection } from "../../contracts/cluster.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../../common/errors.ts";
import type { Message } from "../../protocol/message.ts";
import type { Runtime } from "../../common/runtime.ts";
import { decode, encode } from "../../protocol/codec.ts";
import { fitsBytes } from "../../protocol/check.ts";
import type { Call } from "./call.ts";
import type { RemoteMessage } from "./definitions.ts";
import { type Frame, frameBytes, readFrame } from "./hearsay_frames.ts";
import { readLetters, readRemoteMessage } from "./letters.ts";
import { decoded, type Decoders } from "./values.ts";

/** The most unread messages; a peer with more has to wait. */
const MAX_UNREAD = 8;

/** Options of a {@linkcode HearsayConnection}. */
export interface HearsayConnectionOptions {
  readonly runtime: Runtime;
  readonly maxMessageBytes: number;
  /** The longest wait for the peer's answer to a close, in milliseconds. */
  readonly closeTimeout: number;
  readonly dialed: boolean;
  /** The peer's address, the target of all letters to it. */
  readonly address: string;
  readonly decoders: Decoders;
  /** Called once, when the connection has ended. */
  readonly onOver: (connection: HearsayConnection) => void;
}

/** A call after its first messages, with its locked streams. */
export interface OpenCall {
  readonly call: Call;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
}

/** A {@linkcode Connection} over an accepted call. */
export class HearsayConnection implements Connection {
  readonly readable: ReadableStream<Message>;
  readonly writable: WritableStream<Message>;
  readonly closed: Promise<CloseInfo>;
  readonly remote: string;
  readonly #options: HearsayConnectionOptions;
  readonly #open: OpenCall;
  readonly #over = Promise.withResolvers<CloseInfo>();
  /** Resolves when closing begins, so that no write waits for the peer any longer. */
  readonly #stopped = Promise.withResolvers<void>();
  #messages!: ReadableStreamDefaultController<Message>;
  #sink!: WritableStreamDefaultController;
  #room: PromiseWithResolvers<void> | undefined;
  #isReadableOver = false;
  #closing: CloseInfo | undefined;
  #isOver = false;
  #cancelCloseTimer: () => void = () => {};

  constructor(open: OpenCall, options: HearsayConnectionOptions) {
    this.#open = open;
    this.#options = options;
    this.remote = open.call.remote;
    this.closed = this.#over.promise;
    this.readable = new ReadableStream<Message>({
      start: (controller) => {
        this.#messages = controller;
      },
      pull: () => this.#makeRoom(),
      cancel: async (reason) => {
        this.#isReadableOver = true;
        this.#makeRoom();
        await this.#closeFor(reason);
      },
    }, { highWaterMark: MAX_UNREAD });
    this.writable = new WritableStream<Message>({
      start: (controller) => {
        this.#sink = controller;
      },
      write: (message) => this.#write(message),
      close: async () => void await this.close(CLOSE.done, ""),
      abort: async (reason) => void await this.#closeFor(reason),
    });
    // The sink's `abort` would wait for a pending write, and so for the peer. The signal fires at once.
    const { signal } = this.#sink;
    signal.addEventListener("abort", () => void this.#closeFor(signal.reason), { once: true });
    void this.#read();
  }

  /**
   * Closes the connection. Resolves within `closeTimeout`, even without an answer. Later calls have no
   * effect.
   */
  close(code: number, reason: string): Promise<CloseInfo> {
    if (!this.#closing && !this.#isOver) {
      const info = { code: closeCode(code, this.#options.dialed), reason: reason.slice(0, 123) };
      this.#closing = info;
      this.#stopped.resolve();
      const { runtime, closeTimeout } = this.#options;
      this.#cancelCloseTimer = runtime.setTimer(closeTimeout, () => this.#finish(info));
      this.#makeRoom();
      void this.#sendLast({ kind: "close", info });
    }
    return this.closed;
  }

  async #read(): Promise<void> {
    try {
      for (let next = await this.#next(); next; next = await this.#next()) {
        if (this.#receive(next)) return;
        await this.#whenRoom();
      }
      this.#broken("The connection broke.");
    } catch (error) {
      if (error instanceof ConnectionClosed) this.#invalid(error);
      else this.#broken(printable(error instanceof Error ? error.message : "The connection broke."));
    }
  }

  async #next(): Promise<RemoteMessage | undefined> {
    const { done, value } = await this.#open.reader.read();
    if (done) return undefined;
    try {
      return readRemoteMessage(value);
    } catch (cause) {
      throw new ConnectionClosed(CLOSE.invalid, "A message must be valid Protocol Buffers.", { cause });
    }
  }

  /** Returns true after the peer's last message. */
  #receive(message: RemoteMessage): boolean {
    for (const letter of message.messageBatch ? readLetters(message.messageBatch) : []) {
      const frame = readFrame(letter);
      if (frame?.kind === "close") {
        this.#endReadable();
        const info = this.#closing ?? frame.info;
        this.#closing = info;
        void this.#endCall().then(() => this.#finish(info));
        return true;
      }
      if (frame?.kind === "message") this.#push(frame.text);
    }
    return false;
  }

  #push(text: string): void {
    // Messages that arrive while this side closes are dropped.
    if (this.#closing || this.#isReadableOver) return;
    const { maxMessageBytes, decoders } = this.#options;
    const message = decode(text, { maxMessageBytes });
    if (message.type === "ping" || message.type === "pong") return;
    this.#messages.enqueue(shown(message, decoders));
  }

  async #whenRoom(): Promise<void> {
    while (!this.#closing && !this.#isReadableOver && this.#messages.desiredSize! <= 0) {
      this.#room = Promise.withResolvers<void>();
      await this.#room.promise;
    }
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  async #write(message: Message): Promise<void> {
    if (this.#closing || this.#isOver) throw this.#notOpen();
    const { maxMessageBytes, address } = this.#options;
    const text = encode(message);
    if (!fitsBytes(text, maxMessageBytes)) {
      const reason = `The ${message.type} must have at most ${maxMessageBytes} bytes.`;
      void this.close(CLOSE.tooLarge, reason);
      throw new HearsayError("too_large", `${reason} Nothing was sent; the connection was closed.`);
    }
    const written = this.#open.writer.write(frameBytes({ kind: "message", text }, address));
    await Promise.race([written.catch(() => {}), this.#stopped.promise]);
    if (this.#closing || this.#isOver) throw this.#notOpen();
  }

  #notOpen(): ConnectionClosed {
    const { code, reason } = this.#closing ?? { code: 0, reason: "The connection broke." };
    return new ConnectionClosed(code, `The connection to ${this.remote} is closed: ${reason}`);
  }

  #closeFor(reason: unknown): Promise<CloseInfo> {
    if (reason === undefined) return this.close(CLOSE.done, "");
    if (reason instanceof ConnectionClosed) return this.close(reason.closeCode, reason.message);
    return this.close(CLOSE.goingAway, reason instanceof Error ? reason.message : "");
  }

  #invalid(fault: ConnectionClosed): void {
    this.#endReadable(fault);
    void this.close(fault.closeCode, fault.message);
  }

  #broken(reason: string): void {
    const info = this.#closing ?? { code: 0, reason };
    if (!this.#closing) this.#endReadable(new ConnectionClosed(0, reason));
    this.#finish(info);
  }

  async #sendLast(frame: Frame): Promise<void> {
    await this.#open.writer.write(frameBytes(frame, this.#options.address)).catch(() => {});
    await this.#endCall();
  }

  async #endCall(): Promise<void> {
    await this.#open.writer.close().catch(() => {});
  }

  #endReadable(error?: Error): void {
    if (this.#isReadableOver) return;
    this.#isReadableOver = true;
    if (error) this.#messages.error(error);
    else this.#messages.close();
  }

  #finish(info: CloseInfo): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#closing ??= info;
    this.#cancelCloseTimer();
    this.#stopped.resolve();
    this.#endReadable();
    this.#makeRoom();
    this.#sink.error(new ConnectionClosed(info.code, `The connection to ${this.remote} is closed.`));
    this.#open.call.cancel();
    this.#over.resolve(info);
    this.#options.onOver(this);
  }
}

/** The code that this side may send, as over a WebSocket (rule P6). */
function closeCode(code: number, dialed: boolean): number {
  const goingAway = dialed ? CLOSE.goingAwayDialer : CLOSE.goingAway;
  if (code === CLOSE.goingAway || code === CLOSE.goingAwayDialer) return goingAway;
  return code === CLOSE.done || (code >= 3000 && code < 5000) ? code : goingAway;
}

/** Applies this member's decoders to the values of a message. */
function shown(message: Message, decoders: Decoders): Message {
  if (message.type !== "gossip" && message.type !== "push" && message.type !== "reply") return message;
  const members = message.delta.members.map((member) => ({
    ...member,
    entries: member.entries.map((entry) => decoded(entry, decoders)),
  }));
  if (message.type === "push") return { ...message, delta: { members } };
  return { ...message, delta: { ...message.delta, members } };
}
