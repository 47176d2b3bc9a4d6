/**
 * One open WebSocket as a {@linkcode Connection}: the same for the side that dialled and the side that
 * accepted.
 *
 * @module
 */

import type { CloseInfo, Connection } from "../gossiper/cluster.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../gossiper/errors.ts";
import type { Message } from "../gossiper/message.ts";
import type { Runtime } from "../gossiper/runtime.ts";
import { printable } from "../gossiper/printable.ts";
import { Rate } from "../gossiper/rate.ts";
import type { Guard } from "./authentication.ts";
import { destroySocket } from "./web_socket_destroy.ts";
import { Inbox, MAX_UNREAD_LARGEST, MAX_UNREAD_MESSAGES, tooMany } from "./web_socket_inbox.ts";
import { fitsBytes } from "./wire_check.ts";
import { decode, encode, PING_TEXT, PONG_TEXT } from "./wire.ts";

/** From this size on, in bytes, Deno's client waits with a message for the peer's acknowledgement (rule P5). */
export const PING_ABOVE_BYTES = 1024;
/** Messages of this size and more do not wait. */
export const PING_BELOW_BYTES: number = 64 * 1024;
/** How often, in milliseconds, a write looks whether there is room again. */
const ROOM_POLL_MS = 10;
/**
 * After so long, in milliseconds, without a whole message the peer is sent a `ping`. Between two members that have nothing
 * to say a heartbeat passes in some nine seconds in a cluster of 32, in 38 s in one of 128. Shorter: pings in idle clusters.
 * Longer: a message that does not end is buffered for longer, and the socket has no limit for it.
 */
export const SILENT_MS = 20_000;
/**
 * How long, in milliseconds, a peer may take to answer that `ping`. A peer in the middle of a message that does not end
 * cannot answer. Shorter: a peer that was suspended for a moment is closed. Longer: see above.
 */
export const PONG_WITHIN_MS = 10_000;
/** A timer that is so late, in milliseconds, says that this process did not run: the answer may wait to be read. */
const LATE_MS = 1_000;

/** What a connection over a WebSocket is bounded by. */
export interface SocketLimits {
  /** The largest message, either way, in bytes of UTF-8. */
  readonly maxMessageBytes: number;
  /** A write resolves once at most so many bytes wait to be sent. */
  readonly highWaterMark: number;
  /** How long, in milliseconds, a peer may take to answer the closing of a connection. */
  readonly closeTimeout: number;
  /** How many messages a second the peer may send; large ones count for more than one. */
  readonly maxMessagesPerSecond: number;
}

/** What a connection needs beside its socket. */
export interface SocketConnectionOptions {
  readonly runtime: Runtime;
  readonly limits: SocketLimits;
  /** Whether this side dialled: it may send fewer close codes, and has to work around the 44 ms of P5. */
  readonly dialled: boolean;
  /** Where the peer is, for people to read. */
  readonly remote: string;
  /** What every message passes, where the peer has to prove who it is. */
  readonly guard?: Guard | undefined;
}

/** A {@linkcode Connection} over a WebSocket that is open. */
export class SocketConnection implements Connection {
  readonly readable: ReadableStream<Message>;
  readonly writable: WritableStream<Message>;
  readonly closed: Promise<CloseInfo>;
  readonly remote: string;
  readonly #options: SocketConnectionOptions;
  readonly #inbox: Inbox;
  readonly #rate: Rate;
  readonly #listeners = new AbortController();
  readonly #over = Promise.withResolvers<CloseInfo>();
  /** Let go of at the end: of a mute peer the socket itself can never be closed. */
  #socket: WebSocket | undefined;
  #writer!: WritableStreamDefaultController;
  /** What this side closed with; once set, nothing more is sent. */
  #closing: CloseInfo | undefined;
  #cancelCloseTimer: (() => void) | undefined;
  #cancelSilenceTimer: () => void = () => {};
  /** Whether a message came since the connection was opened: before, an acceptor sends nothing. */
  #wasHeard = false;
  #stopWaiting: (() => void) | undefined;
  #errorText = "";
  #usedMs: number;
  /** What came and is still being looked at; nothing overtakes it. */
  readonly #pending: { readonly message: Message; readonly length: number }[] = [];
  /** How the connection ended, while something is still being looked at. */
  #ended: (() => void) | undefined;

  /** Takes over a socket that has just opened. */
  constructor(socket: WebSocket, options: SocketConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.remote = options.remote;
    this.closed = this.#over.promise;
    this.#usedMs = options.runtime.monotonicMs();
    this.#rate = new Rate(options.limits.maxMessagesPerSecond, options.runtime);
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
    // `abort` of the sink waits for a write under way, which waits for room: the signal does not wait.
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

  /** When a message came last, or the connection was opened, by the monotonic clock. */
  get usedMs(): number {
    return this.#usedMs;
  }

  /** Closes the connection, once; resolves when it is over, within `closeTimeout` even if the peer is mute. */
  close(code: number, reason: string): Promise<CloseInfo> {
    const socket = this.#socket;
    if (socket && !this.#closing) {
      this.#closing = { code: sendableCode(code, this.#options.dialled), reason: shortReason(reason) };
      this.#stopWaiting?.();
      this.#cancelSilenceTimer();
      const { runtime, limits } = this.#options;
      this.#cancelCloseTimer = runtime.setTimer(limits.closeTimeout, () => {
        // It would read on for as long as the peer sends.
        destroySocket(socket);
        this.#finish(this.#closing!);
      });
      socket.close(this.#closing.code, this.#closing.reason);
    }
    return this.closed;
  }

  /** Calls back after so long, unless this process did not run meanwhile: then it waits anew. */
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
    const mayAsk = this.#wasHeard || this.#options.dialled;
    if (mayAsk && socket.readyState === WebSocket.OPEN) socket.send(PING_TEXT);
    this.#watchSilence(PONG_WITHIN_MS, () => {
      if (this.#usedMs >= askedMs) return this.#onSilence();
      void this.close(CLOSE.goingAway, "No message came to an end for long, and no answer to a ping.");
    });
  }

  #listen(socket: WebSocket, signal: AbortSignal): void {
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", (event) => this.#receive(event.data), { signal });
    socket.addEventListener("error", (event) => {
      this.#errorText = event instanceof ErrorEvent ? printable(event.message) : "";
    }, { signal });
    socket.addEventListener("close", ({ code, reason }) => {
      // A peer has written it.
      const end = () => this.#endOf({ code, reason: printable(reason) });
      // What the peer said last may be why it closed.
      if (this.#pending.length === 0) end();
      else this.#ended = end;
    }, { signal });
  }

  #endOf({ code, reason }: CloseInfo): void {
    // Where this side closed, its own reason is why: Deno's event may carry no code then.
    if (this.#closing || code !== 0) return this.#finish(this.#closing ?? { code, reason });
    const broken = { code, reason: this.#errorText || "The connection broke." };
    this.#inbox.end(new ConnectionClosed(broken.code, broken.reason));
    this.#finish(broken);
  }

  /** An exception in a listener would end the process, so nothing may leave this function. */
  #receive(data: unknown): void {
    this.#usedMs = this.#options.runtime.monotonicMs();
    this.#wasHeard = true;
    if (this.#closing) return;
    try {
      if (typeof data !== "string") throw new ConnectionClosed(CLOSE.invalid, "A message was not text.");
      // Before it is parsed, which is what costs.
      if (!this.#rate.take(data.length)) {
        const { maxMessagesPerSecond } = this.#options.limits;
        throw new ConnectionClosed(
          CLOSE.tooLarge,
          `More than ${maxMessagesPerSecond} messages came in a second.`,
        );
      }
      const message = decode(data, this.#options.limits);
      if (message.type === "ping") this.#pong();
      else if (message.type !== "pong") this.#take(message, data.length);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Hands a message on, after those before it, once the guard has let it through. */
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

  /** Waits for the verdict on the first of what is pending, and goes on with what came behind it. */
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
    // A peer that asks on without reading the answers gets none, instead of filling the memory.
    const room = socket.bufferedAmount <= this.#options.limits.highWaterMark;
    if (room && socket.readyState === WebSocket.OPEN) socket.send(PONG_TEXT);
  }

  async #write(message: Message): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.#closing) throw this.#notOpen();
    const { limits, dialled, guard } = this.#options;
    const passed = guard?.outgoing(message) ?? message;
    const text = encode(passed instanceof Promise ? await passed : passed);
    if (this.#closing || !this.#socket) throw this.#notOpen();
    if (!fitsBytes(text, limits.maxMessageBytes)) {
      const reason = `The ${message.type} to send is larger than ${limits.maxMessageBytes} bytes.`;
      void this.close(CLOSE.tooLarge, reason);
      throw new HearsayError("too_large", `${reason} It was not sent, and the connection was closed.`);
    }
    if (socket.readyState !== WebSocket.OPEN) {
      // Deno may never say that it is closed where its answer to the peer's closing does not get through.
      void this.close(CLOSE.goingAway, "The connection is not open any more.");
      throw this.#notOpen();
    }
    if (dialled && waitsForAck(text)) socket.send(PING_TEXT);
    socket.send(text);
    await this.#room(socket);
  }

  /** Resolves when there is room for the next message; rejects when the connection closes before. */
  async #room(socket: WebSocket): Promise<void> {
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
    const { code, reason } = this.#closing ?? { code: CLOSE.goingAway, reason: "The peer closed it." };
    return new ConnectionClosed(code, `The connection to ${this.remote} is closed: ${reason}`);
  }

  #closeFor(reason: unknown): Promise<CloseInfo> {
    if (reason === undefined) return this.close(CLOSE.done, "");
    if (reason instanceof ConnectionClosed) return this.close(reason.closeCode, reason.message);
    return this.close(CLOSE.goingAway, reason instanceof Error ? reason.message : "");
  }

  /** The end, however it came; a second one (Deno tells of some closings twice) changes nothing. */
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
  // A ping too many does no harm, so the upper end is not counted in bytes.
  return text.length < PING_BELOW_BYTES && !fitsBytes(text, PING_ABOVE_BYTES);
}

/** The code that this side may send: a dialler has 1000 and 3000–4999 (rule P6). */
function sendableCode(code: number, dialled: boolean): number {
  const goingAway = dialled ? CLOSE.goingAwayDialler : CLOSE.goingAway;
  if (code === CLOSE.goingAway || code === CLOSE.goingAwayDialler) return goingAway;
  return code === CLOSE.done || (code >= 3000 && code < 5000) ? code : goingAway;
}

const utf8 = new TextEncoder();

/** A close frame has room for 123 bytes of reason; characters are kept whole. */
function shortReason(reason: string): string {
  return reason.slice(0, utf8.encodeInto(reason, new Uint8Array(123)).read);
}
