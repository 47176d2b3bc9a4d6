/**
 * A stream for a reader that wants to end with the latest of everything, however slowly it reads.
 *
 * @module
 */

import { heapBytes } from "./heap_bytes.ts";

/** How many items are kept whole for a slow reader, before older ones make way for newer ones of their key. */
export const KEPT_ITEMS = 1024;
/** How many bytes of memory, about, those items may take before that. */
export const KEPT_BYTES = 4_194_304;

/** How a {@linkcode ConflatingQueue} is made. */
export interface ConflatingQueueOptions<T> {
  /** What an item is about: a newer item about the same supersedes an older one that was not read. */
  readonly keyOf: (item: T) => string;
  /** Hears once when nothing more is wanted: of which stream, since that may be before there is a name for it. */
  readonly onEnd?: (stream: ConflatingQueue<T>) => void;
  /** Aborting it ends the stream at once. */
  readonly signal?: AbortSignal | undefined;
}

interface Kept<T> {
  readonly item: T;
  readonly bytes: number;
}

/**
 * Items in order. A reader that falls behind by more than {@linkcode KEPT_ITEMS} or
 * {@linkcode KEPT_BYTES} misses what has been superseded, and nothing else: so the memory is bounded by what the latest
 * items of all keys take.
 */
export class ConflatingQueue<T> {
  /** The items. */
  readonly readable: ReadableStream<T>;
  readonly #options: ConflatingQueueOptions<T>;
  #items: Kept<T>[] = [];
  /** Items before this index have been read. */
  #head = 0;
  #compactAt = KEPT_ITEMS;
  /** About how many bytes the items take that have not been read. */
  #bytes = 0;
  #compactAtBytes = KEPT_BYTES;
  #controller!: ReadableStreamDefaultController<T>;
  #isWaiting = false;
  #isFinishing = false;
  #isOver = false;
  readonly #abort = () => this.end();

  /** Makes an empty stream. */
  constructor(options: ConflatingQueueOptions<T>) {
    this.#options = options;
    this.readable = new ReadableStream<T>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#isWaiting = true;
        this.#deliver();
      },
      cancel: () => this.#release(),
    }, { highWaterMark: 0 });
    if (options.signal?.aborted) this.end();
    else options.signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** Adds an item. */
  push(item: T): void {
    if (this.#isOver || this.#isFinishing) return;
    const bytes = heapBytes(item);
    this.#items.push({ item, bytes });
    this.#bytes += bytes;
    const isLarge = this.#bytes >= this.#compactAtBytes;
    if (isLarge || this.#items.length - this.#head >= this.#compactAt) this.#compact();
    this.#deliver();
  }

  /** Ends the stream after what is in it. */
  finish(): void {
    this.#isFinishing = true;
    if (this.#head === this.#items.length) this.end();
  }

  #deliver(): void {
    if (!this.#isWaiting || this.#head === this.#items.length) return;
    const { item, bytes } = this.#items[this.#head++]!;
    this.#bytes -= bytes;
    if (this.#head > KEPT_ITEMS) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    // Before the enqueueing: that may pull again at once.
    this.#isWaiting = false;
    this.#controller.enqueue(item);
    if (this.#isFinishing && this.#head === this.#items.length) this.end();
  }

  /** Drops what is superseded. Done when the items have doubled, it costs a constant for each. */
  #compact(): void {
    const latest = new Map<string, Kept<T>>();
    for (const kept of this.#items.slice(this.#head)) {
      const key = this.#options.keyOf(kept.item);
      latest.delete(key);
      latest.set(key, kept);
    }
    this.#items = [...latest.values()];
    this.#head = 0;
    this.#compactAt = Math.max(KEPT_ITEMS, 2 * this.#items.length);
    this.#bytes = 0;
    for (const { bytes } of this.#items) this.#bytes += bytes;
    this.#compactAtBytes = Math.max(KEPT_BYTES, 2 * this.#bytes);
  }

  /** Ends the stream at once. */
  end(): void {
    if (this.#isOver) return;
    this.#release();
    this.#controller.close();
  }

  #release(): void {
    this.#isOver = true;
    this.#items = [];
    this.#head = 0;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#options.onEnd?.(this);
  }
}
