/**
 * The two ends of an in-memory connection, as web streams.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import type { CloseInfo, Connection } from "../contracts/cluster.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../common/errors.ts";
import type { Message } from "../protocol/message.ts";
import { type Frame, type LinkSite, MemoryLink } from "./memory_link.ts";
import { decode, encode } from "../protocol/codec.ts";

/** The transport at one end. */
export interface EndOwner {
  readonly address: string;
  readonly maxMessageBytes: number;
}

/** Creates both ends of a connection: the dialer's and the acceptor's. */
export function connect(site: LinkSite, dialer: EndOwner, acceptor: EndOwner): [MemoryEnd, MemoryEnd] {
  const near = new MemoryEnd(dialer, { remote: acceptor.address, dialed: true });
  const far = new MemoryEnd(acceptor, { remote: dialer.address, dialed: false });
  const there = new MemoryLink(site, {
    from: dialer.address,
    to: acceptor.address,
    receive: (frame) => far.receive(frame),
  });
  const back = new MemoryLink(site, {
    from: acceptor.address,
    to: dialer.address,
    receive: (frame) => near.receive(frame),
  });
  near.attach({ incoming: back, outgoing: there });
  far.attach({ incoming: there, outgoing: back });
  return [near, far];
}

/** The way in which an end closes. Messages received earlier can still be read, except after a `fault`. */
interface Ending {
  readonly info: CloseInfo;
  /** True if the peer receives the close. */
  readonly tell: boolean;
  /** True if the peer broke the protocol; then `readable` errors. */
  readonly fault?: boolean;
  /** True if the writable side closed the connection, so that it must not be errored again. */
  readonly byWriter?: boolean;
}

/** One end of a connection. */
export class MemoryEnd implements Connection {
  readonly readable: ReadableStream<Message>;
  readonly writable: WritableStream<Message>;
  readonly closed: Promise<CloseInfo>;
  readonly remote: string;
  readonly #maxMessageBytes: number;
  readonly #goingAway: number;
  readonly #resolveClosed: (info: CloseInfo) => void;
  #incoming!: MemoryLink;
  #outgoing!: MemoryLink;
  #reading!: ReadableStreamDefaultController<Message>;
  #writing!: WritableStreamDefaultController;
  /** Received, unread messages. The link's window limits them. */
  #inbox: { readonly message: Message; readonly bytes: number }[] = [];
  #waiting = false;
  /** True if `readable` has ended. */
  #readingOver = false;
  #over = false;

  /** Creates an end without links; see {@linkcode MemoryEnd.attach}. */
  constructor(owner: EndOwner, options: { readonly remote: string; readonly dialed: boolean }) {
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.remote = options.remote;
    this.#maxMessageBytes = owner.maxMessageBytes;
    this.#goingAway = options.dialed ? CLOSE.goingAwayDialer : CLOSE.goingAway;
    this.readable = new ReadableStream<Message>({
      start: (controller) => {
        this.#reading = controller;
      },
      pull: () => {
        this.#waiting = true;
        this.#deliver();
      },
      cancel: (reason) => this.#cancel(reason),
    }, { highWaterMark: 0 });
    this.writable = new WritableStream<Message>({
      start: (controller) => {
        this.#writing = controller;
        // Not in abort(): it waits for the current write, which may never end.
        controller.signal.addEventListener("abort", () => this.#abort(controller.signal.reason));
      },
      write: (message) => this.#write(message),
      close: () => this.#end({ info: { code: CLOSE.done, reason: "" }, tell: true, byWriter: true }),
    });
  }

  /** Connects the end to its two links. */
  attach(links: { readonly incoming: MemoryLink; readonly outgoing: MemoryLink }): void {
    this.#incoming = links.incoming;
    this.#outgoing = links.outgoing;
  }

  /** Handles a frame from the peer. */
  receive(frame: Frame): void {
    if ("close" in frame) return this.#end({ info: frame.close, tell: false });
    // Like a host that does not know the connection: report that it is over.
    if (this.#over) return this.#outgoing.sendClose(BROKEN);
    let message;
    try {
      message = decode(frame.text, { maxMessageBytes: this.#maxMessageBytes });
    } catch (error) {
      return this.#end({ info: this.#closeInfo(error), tell: true, fault: true });
    }
    if (message.type === "ping" || message.type === "pong") return this.#incoming.release(frame.bytes);
    this.#inbox.push({ message, bytes: frame.bytes });
    this.#deliver();
  }

  /** True until this side closes the connection or receives the peer's close. */
  get isOpen(): boolean {
    return !this.#over;
  }

  /** Closes the connection because its transport closes. */
  goAway(): void {
    this.#end({ info: { code: this.#goingAway, reason: "The transport was closed." }, tell: true });
  }

  /** Resolves when no message from this end is in transit. */
  flushed(): Promise<void> {
    return this.#outgoing.idle();
  }

  /** Delivers delayed messages after the process has resumed. */
  resume(): void {
    this.#incoming.resume();
  }

  /** Breaks the connection. Without `tell`, the peer does not notice. */
  break(options: { readonly tell: boolean }): void {
    this.#end({ info: BROKEN, tell: options.tell });
  }

  /** Breaks the connection after the messages that are in transit to this end. */
  breakWhenRead(): void {
    if (!this.#over) this.#incoming.sendClose(BROKEN);
  }

  async #write(message: Message): Promise<void> {
    const text = encode(message);
    const bytes = utf8Length(text);
    if (bytes > this.#maxMessageBytes) {
      const reason = `The ${message.type} must have at most ${this.#maxMessageBytes} bytes; got ${bytes}.`;
      // After a failed write the stream is unusable, so the connection ends too.
      this.#end({ info: { code: CLOSE.tooLarge, reason }, tell: true, byWriter: true });
      throw new HearsayError("too_large", `${reason} Nothing was sent; the connection was closed.`);
    }
    this.#outgoing.send(text, bytes);
    await this.#outgoing.room();
  }

  #abort(reason: unknown): void {
    this.#end({ info: this.#closeInfo(reason), tell: true, byWriter: true });
  }

  #cancel(reason: unknown): void {
    this.#readingOver = true;
    this.#dropUnread();
    this.#end({ info: this.#closeInfo(reason), tell: true });
  }

  #deliver(): void {
    if (!this.#waiting) return;
    const next = this.#inbox.shift();
    if (next === undefined) return;
    // Before enqueue(), which may pull again at once.
    this.#waiting = false;
    this.#incoming.release(next.bytes);
    this.#reading.enqueue(next.message);
    if (this.#over) this.#endReading();
  }

  #end({ info, tell, fault, byWriter }: Ending): void {
    if (this.#over) return;
    this.#over = true;
    const error = new ConnectionClosed(info.code, info.reason);
    this.#incoming.discard();
    if (tell) this.#outgoing.sendClose(info);
    this.#outgoing.wake();
    if (!byWriter) this.#writing.error(error);
    if (fault) this.#dropUnread();
    this.#endReading(fault ? error : undefined);
    this.#resolveClosed(info);
  }

  /** Ends `readable` once: with the error, or after the last message. */
  #endReading(error?: ConnectionClosed): void {
    if (this.#readingOver || this.#inbox.length > 0) return;
    this.#readingOver = true;
    if (error !== undefined) this.#reading.error(error);
    else this.#reading.close();
  }

  /** The close info for a stream's abort or cancel reason, as over a WebSocket (rule P6). */
  #closeInfo(reason: unknown): CloseInfo {
    if (reason === undefined) return { code: CLOSE.done, reason: "" };
    const text = reason instanceof Error ? reason.message : "";
    if (!(reason instanceof ConnectionClosed)) return { code: this.#goingAway, reason: text };
    const { closeCode } = reason;
    const leaves = closeCode === CLOSE.goingAway || closeCode === CLOSE.goingAwayDialer;
    return { code: leaves ? this.#goingAway : closeCode, reason: text };
  }

  #dropUnread(): void {
    for (const { bytes } of this.#inbox.splice(0)) this.#incoming.release(bytes);
  }
}

const BROKEN: CloseInfo = { code: 0, reason: "The connection broke." };
