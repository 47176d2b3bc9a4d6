/**
 * An open WebSocket as a {@linkcode Connection}, for both the dialer and the acceptor.
 *
 * @module
 */

import type { CloseInfo, Connection } from "../../contracts/cluster.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../../common/errors.ts";
import type { Meters } from "../../contracts/meters.ts";
import { utf8Length } from "../../engine/json.ts";
import type { Message } from "../../protocol/message.ts";
import type { Runtime } from "../../common/runtime.ts";
import { printable } from "../../common/printable.ts";
import { TokenBucket } from "../../common/token_bucket.ts";
import type { Guard } from "../../contracts/authentication.ts";
import { destroySocket } from "./destroy.ts";
import { textOf } from "./dial.ts";
import type { Socket } from "./platform.ts";
import { Inbox, MAX_UNREAD_LARGEST, MAX_UNREAD_MESSAGES, tooMany } from "./inbox.ts";
import { fitsBytes } from "../../protocol/check.ts";
import { decode, encode, PING_TEXT, PONG_TEXT } from "../../protocol/codec.ts";

/** Above this size, in bytes, Deno's client delays a message until the peer's acknowledgement (rule P5). */
export const PING_ABOVE_BYTES = 1024;
/** Messages of this size and more are not delayed. */
export const PING_BELOW_BYTES: number = 64 * 1024;
/** The time between two checks for room, while a write waits, in milliseconds. */
const ROOM_POLL_MS = 10;
/**
 * The time without a whole message, in milliseconds, after which the peer is sent a `ping`. 20 s: an idle connection
 * has a heartbeat every nine seconds in a cluster of 32, and every 38 s in one of 128. Shorter: pings in idle clusters.
 * Longer: an endless message is buffered for longer, and the socket has no limit for its size.
 */
export const SILENT_MS = 20_000;
/**
 * The longest time for a peer to answer that `ping`, in milliseconds. A peer in the middle of an endless message cannot
 * answer. Shorter: the connection of a peer that was suspended for a moment is closed. Longer: an endless message is
 * buffered for longer.
 */
export const PONG_WITHIN_MS = 10_000;
/** The close codes of a broken socket: 0 in Deno, 1006 in other runtimes. */
const BROKEN: readonly number[] = [0, 1006];
/**
 * If a timer is late by this time, in milliseconds, this process did not run. Then the peer's answer may still wait to
 * be read.
 */
const LATE_MS = 1_000;

/** The limits of a connection. */
export interface SocketLimits {
  /** The largest message that is sent or accepted, in bytes of UTF-8. */
  readonly maxMessageBytes: number;
  /** A write resolves when at most this many bytes wait to be sent. */
  readonly highWaterMark: number;
  /** The longest wait for a peer's answer to a close, in milliseconds. */
  readonly closeTimeout: number;
  /** The most messages per second from the peer; a large message counts as several. */
  readonly maxMessagesPerSecond: number;
}

/** Options of a {@linkcode SocketConnection}. */
export interface SocketConnectionOptions {
  readonly runtime: Runtime;
  readonly limits: SocketLimits;
  /** True if this side dialed. A dialer may send fewer close codes, and must avoid the delay of 44 ms (rule P5). */
  readonly dialed: boolean;
  /** The peer's address, for logs. */
  readonly remote: string;
  /** Checks every message, if the peer must prove its identity. */
  readonly guard?: Guard | undefined;
  /** Counts the messages. */
  readonly meters?: Meters | undefined;
  /** True if the peer's token is for reading. */
  readonly isReader?: boolean | undefined;
}

/** A {@linkcode Connection} over an open WebSocket. */
export class SocketConnection implements Connection {
  readonly readable: ReadableStream<Message>;
  readonly writable: WritableStream<Message>;
  readonly closed: Promise<CloseInfo>;
  readonly remote: string;
  readonly isReader: boolean;
  readonly #options: SocketConnectionOptions;
  readonly #inbox: Inbox;
  readonly #rate: TokenBucket;
  readonly #listeners = new AbortController();
  readonly #over = Promise.withResolvers<CloseInfo>();
  /** `undefined` once the connection is over. Without an answer of the peer, Deno's socket never closes by itself. */
  #socket: Socket | undefined;
  #writer!: WritableStreamDefaultController;
  /** The close of this side. Once it is set, no more messages are sent. */
  #closing: CloseInfo | undefined;
  #cancelCloseTimer: (() => void) | undefined;
  #cancelSilenceTimer: () => void = () => {};
  /** True once a message arrived. Until then an acceptor sends no messages. */
  #wasHeard = false;
  #stopWaiting: (() => void) | undefined;
  #errorText = "";
  #usedMs: number;
  /** Received messages that the guard still checks, in order. */
  readonly #pending: { readonly message: Message; readonly length: number }[] = [];
  /** Ends the connection after the pending messages. */
  #ended: (() => void) | undefined;

  /** Takes over a socket that has just opened. */
  constructor(socket: Socket, options: SocketConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.remote = options.remote;
    this.isReader = options.isReader ?? false;
    this.closed = this.#over.promise;
    this.#usedMs = options.runtime.monotonicMs();
    this.#rate = new TokenBucket(options.limits.maxMessagesPerSecond, options.runtime);
    this.#inbox = new Inbox(
      options.limits.maxMessageBytes,
      (reason) => this.#closeFor(reason),
    );
    this.readable = this.#inbox.readable;
    this.writable = new WritableStream<Message>({
      start: (controller) => {
        this.#writer = controller;
      },
      write: (message) => this.#write(message),
      close: async () => void await this.close(CLOSE.done, ""),
      abort: async (reason) => void await this.#closeFor(reason),
    });
    // The sink's `abort` would wait for a pending write, which waits for room. The signal fires at once.
    const { signal } = this.#listeners;
    this.#writer.signal.addEventListener("abort", () => void this.#closeFor(this.#writer.signal.reason), {
      signal,
    });
    this.#listen(socket, signal);
    const withdrawn = options.guard?.signal;
    withdrawn?.addEventListener("abort", () => void this.#closeFor(withdrawn.reason), { signal });
    if (withdrawn?.aborted) void this.#closeFor(withdrawn.reason);
    this.#watchSilence(SILENT_MS, () => this.#onSilence());
  }

  /** The time of the last message, or of the opening, by the monotonic clock. */
  get usedMs(): number {
    return this.#usedMs;
  }

  /**
   * Closes the connection. Resolves within `closeTimeout`, even without an answer. Later calls have no
   * effect.
   */
  close(code: number, reason: string): Promise<CloseInfo> {
    const socket = this.#socket;
    if (socket && !this.#closing) {
      this.#closing = { code: sendableCode(code, this.#options.dialed), reason: shortReason(reason) };
      this.#stopWaiting?.();
      this.#cancelSilenceTimer();
      const { runtime, limits } = this.#options;
      this.#cancelCloseTimer = runtime.setTimer(limits.closeTimeout, () => {
        // Otherwise the socket would read on for as long as the peer sends.
        destroySocket(socket);
        this.#finish(this.#closing!);
      });
      socket.close(this.#closing.code, this.#closing.reason);
    }
    return this.closed;
  }

  /** Calls back after the delay. If this process did not run meanwhile, the delay starts again. */
  #watchSilence(delayMs: number, then: () => void): void {
    const { runtime } = this.#options;
    const dueMs = runtime.monotonicMs() + delayMs;
    this.#cancelSilenceTimer = runtime.setTimer(delayMs, () => {
      if (runtime.monotonicMs() - dueMs > LATE_MS) return this.#watchSilence(PONG_WITHIN_MS, then);
      then();
    });
  }

  #onSilence(): void {
    const askedMs = this.#options.runtime.monotonicMs();
    const leftMs = this.#usedMs + SILENT_MS - askedMs;
    if (leftMs > 0) return this.#watchSilence(leftMs, () => this.#onSilence());
    const socket = this.#socket!;
    const mayAsk = this.#wasHeard || this.#options.dialed;
    if (mayAsk && socket.readyState === WebSocket.OPEN) this.#send("ping", PING_TEXT);
    this.#watchSilence(PONG_WITHIN_MS, () => {
      if (this.#usedMs >= askedMs) return this.#onSilence();
      void this.close(CLOSE.goingAway, "No message ended for long, and no ping was answered.");
    });
  }

  #listen(socket: Socket, signal: AbortSignal): void {
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", (event) => this.#receive(event.data), { signal });
    socket.addEventListener("error", (event) => {
      this.#errorText = printable(textOf(event));
    }, { signal });
    socket.addEventListener("close", ({ code, reason }) => {
      // The reason is a peer's text.
      const end = () => this.#endOf({ code, reason: printable(reason) });
      // The peer's last message may contain the reason of its close.
      if (this.#pending.length === 0) end();
      else this.#ended = end;
    }, { signal });
  }

  #endOf({ code, reason }: CloseInfo): void {
    // If this side closed, its own reason counts: Deno's event may have no code then.
    if (this.#closing || !BROKEN.includes(code)) return this.#finish(this.#closing ?? { code, reason });
    const broken = { code: 0, reason: this.#errorText || "The connection broke." };
    this.#inbox.end(new ConnectionClosed(broken.code, broken.reason));
    this.#finish(broken);
  }

  /** Handles a message. Must not throw: an exception in a listener would end the process. */
  #receive(data: unknown): void {
    this.#usedMs = this.#options.runtime.monotonicMs();
    this.#wasHeard = true;
    if (this.#closing) return;
    try {
      if (typeof data !== "string") throw new ConnectionClosed(CLOSE.invalid, "A message must be text.");
      // Before parsing, the expensive part.
      if (!this.#rate.take(data.length)) {
        const { maxMessagesPerSecond } = this.#options.limits;
        throw new ConnectionClosed(
          CLOSE.tooLarge,
          `A peer may send at most ${maxMessagesPerSecond} messages per second.`,
        );
      }
      const message = decode(data, this.#options.limits);
      this.#options.meters?.received(message.type, utf8Length(data));
      if (message.type === "ping") this.#pong();
      else if (message.type !== "pong") this.#take(message, data.length);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Passes a message on in order, after the guard has accepted it. */
  #take(message: Message, length: number): void {
    const { guard } = this.#options;
    if (!guard) return this.#inbox.push(message, length);
    if (this.#pending.length > 0) {
      const waiting = this.#pending.reduce((sum, each) => sum + each.length, length);
      const most = MAX_UNREAD_LARGEST * this.#options.limits.maxMessageBytes;
      if (this.#pending.length >= MAX_UNREAD_MESSAGES || waiting > most) throw tooMany();
      return void this.#pending.push({ message, length });
    }
    const passed = guard.incoming(message);
    if (!(passed instanceof Promise)) return this.#inbox.push(passed, length);
    this.#pending.push({ message, length });
    void this.#lookAt(passed);
  }

  /** Waits for the guard's decision about the first pending message, and then handles the others in order. */
  async #lookAt(first: Promise<Message>): Promise<void> {
    try {
      for (let passed: Message | Promise<Message> = first;;) {
        this.#inbox.push(await passed, this.#pending[0]!.length);
        this.#pending.shift();
        const next = this.#pending[0];
        if (next === undefined || this.#closing) break;
        passed = this.#options.guard!.incoming(next.message);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#pending.length = 0;
    this.#ended?.();
  }

  #fail(error: unknown): void {
    const fault = error instanceof ConnectionClosed
      ? error
      : new ConnectionClosed(CLOSE.invalid, "A message could not be read.", { cause: error });
    this.#inbox.end(fault);
    void this.close(fault.closeCode, fault.message);
  }

  #pong(): void {
    const socket = this.#socket!;
    // A peer that sends pings but does not read gets no more pongs, so that pongs cannot fill the memory.
    const room = socket.bufferedAmount <= this.#options.limits.highWaterMark;
    if (room && socket.readyState === WebSocket.OPEN) this.#send("pong", PONG_TEXT);
  }

  async #write(message: Message): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.#closing) throw this.#notOpen();
    const { limits, dialed, guard } = this.#options;
    const passed = guard?.outgoing(message) ?? message;
    const text = encode(passed instanceof Promise ? await passed : passed);
    if (this.#closing || !this.#socket) throw this.#notOpen();
    if (!fitsBytes(text, limits.maxMessageBytes)) {
      const reason = `The ${message.type} must have at most ${limits.maxMessageBytes} bytes.`;
      void this.close(CLOSE.tooLarge, reason);
      throw new HearsayError("too_large", `${reason} Nothing was sent; the connection was closed.`);
    }
    if (socket.readyState !== WebSocket.OPEN) {
      // If Deno's answer to the peer's close is lost, Deno may never report the close.
      void this.close(CLOSE.goingAway, "The connection is not open.");
      throw this.#notOpen();
    }
    if (dialed && waitsForAck(text)) this.#send("ping", PING_TEXT);
    this.#send(message.type, text);
    await this.#room(socket);
  }

  #send(kind: string, text: string): void {
    this.#socket!.send(text);
    this.#options.meters?.sent(kind, utf8Length(text));
  }

  /** Resolves when there is room for the next message. Rejects if the connection closes before. */
  async #room(socket: Socket): Promise<void> {
    const { runtime, limits } = this.#options;
    while (!this.#closing && this.#socket && socket.bufferedAmount > limits.highWaterMark) {
      await new Promise<void>((resolve) => {
        const cancel = runtime.setTimer(ROOM_POLL_MS, resolve);
        this.#stopWaiting = () => {
          cancel();
          resolve();
        };
      });
      this.#stopWaiting = undefined;
    }
    if (this.#closing || !this.#socket) throw this.#notOpen();
  }

  #notOpen(): ConnectionClosed {
    const { code, reason } = this.#closing ??
      { code: CLOSE.goingAway, reason: "The peer closed the connection." };
    return new ConnectionClosed(code, `The connection to ${this.remote} is closed: ${reason}`);
  }

  #closeFor(reason: unknown): Promise<CloseInfo> {
    if (reason === undefined) return this.close(CLOSE.done, "");
    if (reason instanceof ConnectionClosed) return this.close(reason.closeCode, reason.message);
    return this.close(CLOSE.goingAway, reason instanceof Error ? reason.message : "");
  }

  /** Ends the connection. A second call has no effect, because Deno reports some closes twice. */
  #finish(info: CloseInfo): void {
    if (!this.#socket) return;
    this.#socket = undefined;
    this.#cancelCloseTimer?.();
    this.#cancelSilenceTimer();
    this.#stopWaiting?.();
    this.#listeners.abort();
    this.#inbox.end();
    this.#writer.error(new ConnectionClosed(info.code, `The connection to ${this.remote} is closed.`));
    this.#over.resolve(info);
  }
}

function waitsForAck(text: string): boolean {
  // An unnecessary ping is harmless, so the upper limit is in UTF-16 units instead of bytes.
  return text.length < PING_BELOW_BYTES && !fitsBytes(text, PING_ABOVE_BYTES);
}

/** The code that this side may send: a dialer may send only 1000 and 3000–4999 (rule P6). */
function sendableCode(code: number, dialed: boolean): number {
  const goingAway = dialed ? CLOSE.goingAwayDialer : CLOSE.goingAway;
  if (code === CLOSE.goingAway || code === CLOSE.goingAwayDialer) return goingAway;
  return code === CLOSE.done || (code >= 3000 && code < 5000) ? code : goingAway;
}

const utf8 = new TextEncoder();

/** Shortens a reason to the 123 bytes of a close frame, without splitting a character. */
function shortReason(reason: string): string {
  return reason.slice(0, utf8.encodeInto(reason, new Uint8Array(123)).read);
}
