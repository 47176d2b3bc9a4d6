/**
 * Server-sent events with the present data.
 *
 * @module
 */

import { type Runtime, sleep } from "../../common/runtime.ts";

/** The most open streams. 16: a browser opens one for each tab. */
export const MAX_STREAMS = 16;
/** The shortest time between two documents, in milliseconds: many changes at once make one document. */
export const MIN_GAP_MS = 250;
/**
 * All streams together make documents in at most one fifth of the time. Without a limit, 16 pages of a large state
 * would keep the member from all other work, and its peers would take it for failed.
 */
export const MAX_SHARE = 5;
/** The time between two documents without a change of membership, in milliseconds. */
export const REFRESH_MS = 1_000;
/** The longest silence of a stream, in milliseconds: a comment follows, so that both sides notice a dead connection. */
export const HEARTBEAT_MS = 10_000;
/**
 * A reader that takes nothing for this time, in milliseconds, loses its stream: it would take the place of another
 * reader.
 */
export const STALLED_MS = 30_000;
/** The pause before a browser opens its stream again, in milliseconds. */
const RETRY_MS = 2_000;

/** Options of {@linkcode Streams}. */
export interface StreamsOptions {
  readonly runtime: Runtime;
  /** Ends all streams. */
  readonly signal: AbortSignal;
  /** Calls the listener at each change of membership; returns a function that removes the listener. */
  readonly onChange: (listener: () => void) => () => void;
}

/** A document now, as JSON text without line breaks. */
export type MakeDocument = () => string;

/** All open streams of one dashboard. */
export class Streams {
  readonly #options: StreamsOptions;
  #count = 0;

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /** The number of open streams. */
  get count(): number {
    return this.#count;
  }

  /** Opens a stream of documents until the signal is aborted or its reader is gone; `undefined` if too many are open. */
  open(makeDocument: MakeDocument): ReadableStream<Uint8Array> | undefined {
    if (this.#count >= MAX_STREAMS) return undefined;
    this.#count++;
    const onEnd = () => void this.#count--;
    return new LatestStream(makeDocument, { ...this.#options, onEnd, open: () => this.#count }).readable;
  }
}

interface LatestStreamOptions extends StreamsOptions {
  /** Called once. */
  readonly onEnd: () => void;
  /** The number of open streams. */
  readonly open: () => number;
}

/**
 * The documents of one reader. Each is made only when the reader asks for it, so that a slow reader gets the latest one and
 * no queue grows.
 */
class LatestStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #makeDocument: MakeDocument;
  readonly #options: LatestStreamOptions;
  readonly #ending = new AbortController();
  readonly #encoder = new TextEncoder();
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #stopFollowing: () => void;
  #cancelStalled: () => void = () => {};
  #wake: () => void = () => {};
  #hasChanged = true;
  #document = "";
  #madeMs = -Infinity;
  #gapMs = MIN_GAP_MS;
  #writtenMs = -Infinity;

  constructor(makeDocument: MakeDocument, options: LatestStreamOptions) {
    this.#makeDocument = makeDocument;
    this.#options = options;
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      // The server cancels the stream of a client that is gone.
      cancel: () => this.#release(),
    }, { highWaterMark: 0 });
    const { signal, onChange } = options;
    const stop = () => this.#finish();
    signal.addEventListener("abort", stop, { once: true });
    const unfollow = onChange(() => {
      this.#hasChanged = true;
      this.#wake();
    });
    this.#stopFollowing = () => {
      signal.removeEventListener("abort", stop);
      unfollow();
    };
    this.#limitStall();
  }

  get #isOver(): boolean {
    return this.#ending.signal.aborted;
  }

  async #pull(): Promise<void> {
    this.#cancelStalled();
    try {
      const text = await this.#next();
      if (!this.#isOver) this.#write(text);
    } catch (error) {
      if (this.#isOver) return;
      this.#release();
      this.#controller.error(error);
    }
  }

  /** The next event, as soon as it differs from the last one; or a comment. */
  async #next(): Promise<string> {
    const { runtime, open } = this.#options;
    while (true) {
      await this.#due();
      this.#madeMs = runtime.monotonicMs();
      const document = this.#makeDocument();
      const cost = runtime.monotonicMs() - this.#madeMs;
      // Not longer than the time until a comment, or the page would take the connection for lost.
      this.#gapMs = Math.min(HEARTBEAT_MS, Math.max(MIN_GAP_MS, MAX_SHARE * cost * open()));
      if (document !== this.#document) return this.#eventOf(document);
      if (this.#madeMs - this.#writtenMs >= HEARTBEAT_MS) return ": alive\n\n";
    }
  }

  #eventOf(document: string): string {
    const isFirst = this.#document === "";
    this.#document = document;
    const data = `data: ${stamped(document, this.#options.runtime.wallMs())}\n\n`;
    return isFirst ? `retry: ${RETRY_MS}\n${data}` : data;
  }

  /** Resolves when the next document is to be made. */
  async #due(): Promise<void> {
    const { runtime } = this.#options;
    const { signal } = this.#ending;
    const leftOf = (ms: number) => ms - (runtime.monotonicMs() - this.#madeMs);
    if (leftOf(this.#gapMs) > 0) await sleep(runtime, leftOf(this.#gapMs), { signal });
    if (!this.#hasChanged && leftOf(REFRESH_MS) > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const cancel = runtime.setTimer(leftOf(REFRESH_MS), resolve);
      await promise;
      cancel();
    }
    signal.throwIfAborted();
    this.#hasChanged = false;
  }

  #write(text: string): void {
    this.#writtenMs = this.#options.runtime.monotonicMs();
    this.#limitStall();
    this.#controller.enqueue(this.#encoder.encode(text));
  }

  #limitStall(): void {
    this.#cancelStalled = this.#options.runtime.setTimer(STALLED_MS, () => this.#end());
  }

  /** The member leaves: the reader gets the last document. */
  #finish(): void {
    if (this.#isOver) return;
    try {
      this.#controller.enqueue(this.#encoder.encode(this.#eventOf(this.#makeDocument())));
    } finally {
      this.#end();
    }
  }

  #end(): void {
    if (this.#isOver) return;
    this.#release();
    this.#controller.close();
  }

  #release(): void {
    if (this.#isOver) return;
    this.#ending.abort();
    this.#stopFollowing();
    this.#cancelStalled();
    this.#wake();
    this.#options.onEnd();
  }
}

/** Adds the time to a document. Without it, two documents of one state are equal. */
export function stamped(document: string, takenMs: number): string {
  return `{"takenMs":${takenMs},${document.slice(1)}`;
}
