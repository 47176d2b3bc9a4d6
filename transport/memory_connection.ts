/**
 * The two ends of an in-memory connection, as Web Streams.
 *
 * @module
 */

import { utf8Length } from "../engine/json.ts";
import type { CloseInfo, Connection } from "../gossiper/cluster.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../gossiper/errors.ts";
import type { Message } from "../gossiper/message.ts";
import { type Frame, type LinkSite, MemoryLink } from "./memory_link.ts";
import { decode, encode } from "./wire.ts";

/** Who is at one end. */
export interface EndOwner {
  readonly address: string;
  readonly maxMessageBytes: number;
}

/** Makes both ends of a new connection: the dialler's and the acceptor's. */
export function connect(site: LinkSite, dialler: EndOwner, acceptor: EndOwner): [MemoryEnd, MemoryEnd] {
  const near = new MemoryEnd(dialler, { remote: acceptor.address, dialled: true });
  const far = new MemoryEnd(acceptor, { remote: dialler.address, dialled: false });
  const there = new MemoryLink(site, {
    from: dialler.address,
    to: acceptor.address,
    receive: (frame) => far.receive(frame),
  });
  const back = new MemoryLink(site, {
    from: acceptor.address,
    to: dialler.address,
    receive: (frame) => near.receive(frame),
  });
  near.attach({ incoming: back, outgoing: there });
  far.attach({ incoming: there, outgoing: back });
  return [near, far];
}

/** How an end ends. Whatever it is, what was received before can still be read, but after a `fault`. */
interface Ending {
  readonly info: CloseInfo;
  /** Whether the peer is told. */
  readonly tell: boolean;
  /** Whether the peer broke the protocol, so that `readable` errors. */
  readonly fault?: boolean;
  /** Whether it is the writable side that ended it, so that it must not be ended by this. */
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
  /** What arrived and is unread. Never long: the link's window bounds it. */
  #inbox: { readonly message: Message; readonly bytes: number }[] = [];
  #waiting = false;
  /** Whether `readable` was ended, in whatever way. */
  #readingOver = false;
  #over = false;

  /** Makes an end that is of no use before {@linkcode MemoryEnd.attach}. */
  constructor(owner: EndOwner, options: { readonly remote: string; readonly dialled: boolean }) {
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.remote = options.remote;
    this.#maxMessageBytes = owner.maxMessageBytes;
    this.#goingAway = options.dialled ? CLOSE.goingAwayDialler : CLOSE.goingAway;
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
        // Not in abort(), which is called only when the write under way is done, and that may be never.
        controller.signal.addEventListener("abort", () => this.#abort(controller.signal.reason));
      },
      write: (message) => this.#write(message),
      close: () => this.#end({ info: { code: CLOSE.done, reason: "" }, tell: true, byWriter: true }),
    });
  }

  /** Gives the end its two directions. */
  attach(links: { readonly incoming: MemoryLink; readonly outgoing: MemoryLink }): void {
    this.#incoming = links.incoming;
    this.#outgoing = links.outgoing;
  }

  /** Takes what the peer sent. */
  receive(frame: Frame): void {
    if ("close" in frame) return this.#end({ info: frame.close, tell: false });
    // As a machine does that knows nothing of the connection: the peer has to learn that it is over.
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

  /** Whether this side has not ended it, nor heard that it is over. */
  get isOpen(): boolean {
    return !this.#over;
  }

  /** Closes it because its transport closes. */
  goAway(): void {
    this.#end({ info: { code: this.#goingAway, reason: "The transport was closed." }, tell: true });
  }

  /** Resolves when nothing is under way from here. */
  flushed(): Promise<void> {
    return this.#outgoing.idle();
  }

  /** Its machine runs again: what was held back on the way here comes now. */
  resume(): void {
    this.#incoming.resume();
  }

  /** Breaks it; the peer notices only if it is told. */
  break(options: { readonly tell: boolean }): void {
    this.#end({ info: BROKEN, tell: options.tell });
  }

  /** Breaks it after what is on its way here. */
  breakWhenRead(): void {
    if (!this.#over) this.#incoming.sendClose(BROKEN);
  }

  async #write(message: Message): Promise<void> {
    const text = encode(message);
    const bytes = utf8Length(text);
    if (bytes > this.#maxMessageBytes) {
      const reason = `The ${message.type} to send has ${bytes} bytes, over ${this.#maxMessageBytes}.`;
      // The stream is of no use after a failed write, so that the connection is not either.
      this.#end({ info: { code: CLOSE.tooLarge, reason }, tell: true, byWriter: true });
      throw new HearsayError("too_large", `${reason} It was not sent, and the connection was closed.`);
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
    // Before the enqueueing: that may pull again at once.
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

  /** Ends `readable`, once: with the error, or after the last message. */
  #endReading(error?: ConnectionClosed): void {
    if (this.#readingOver || this.#inbox.length > 0) return;
    this.#readingOver = true;
    if (error !== undefined) this.#reading.error(error);
    else this.#reading.close();
  }

  /** What a stream's reason means for the connection: the same as over a WebSocket (rule P6). */
  #closeInfo(reason: unknown): CloseInfo {
    if (reason === undefined) return { code: CLOSE.done, reason: "" };
    const text = reason instanceof Error ? reason.message : "";
    if (!(reason instanceof ConnectionClosed)) return { code: this.#goingAway, reason: text };
    const { closeCode } = reason;
    const leaves = closeCode === CLOSE.goingAway || closeCode === CLOSE.goingAwayDialler;
    return { code: leaves ? this.#goingAway : closeCode, reason: text };
  }

  #dropUnread(): void {
    for (const { bytes } of this.#inbox.splice(0)) this.#incoming.release(bytes);
  }
}

const BROKEN: CloseInfo = { code: 0, reason: "The connection broke." };
