/**
 * A stream whose slow reader still gets the latest item of each key.
 *
 * @module
 */

import { heapBytes } from "./heap_bytes.ts";

/** The number of unread items that are all kept. Beyond it, newer items replace older items of the same key. */
export const KEPT_ITEMS = 1024;
/** The approximate bytes of unread items that are all kept, as for {@linkcode KEPT_ITEMS}. */
export const KEPT_BYTES = 4_194_304;

/** Options of a {@linkcode ConflatingQueue}. */
export interface ConflatingQueueOptions<T> {
  /** The key of an item. A newer item supersedes an older unread item of the same key. */
  readonly keyOf: (item: T) => string;
  /**
   * True for an item that ends its key. If the reader has read no item of the key, this item and the items before it
   * are dropped unread. Without this, keys that come and go would fill the memory of a slow reader. By default false
   * for every item.
   */
  readonly isDeletion?: (item: T) => boolean;
  /** Called once at the end, with the stream as argument, because the end may come before the constructor returns. */
  readonly onEnd?: (stream: ConflatingQueue<T>) => void;
  /** Aborting it ends the stream at once. */
  readonly signal?: AbortSignal | undefined;
}

interface Kept<T> {
  readonly item: T;
  readonly bytes: number;
}

/**
 * Items in order. A reader that is more than {@linkcode KEPT_ITEMS} or {@linkcode KEPT_BYTES} behind misses items, but
 * only superseded items. So the memory is bounded by the latest items of all keys.
 */
export class ConflatingQueue<T> {
  /** The items. */
  readonly readable: ReadableStream<T>;
  readonly #options: ConflatingQueueOptions<T>;
  #items: Kept<T>[] = [];
  /** Items before this index are read. */
  #head = 0;
  /** The keys of the read items, except keys that a deletion has ended. */
  readonly #read = new Set<string>();
  #compactAt = KEPT_ITEMS;
  /** The approximate size of the unread items. */
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

  /** Ends the stream after its unread items. */
  finish(): void {
    this.#isFinishing = true;
    if (this.#head === this.#items.length) this.end();
  }

  #deliver(): void {
    if (!this.#isWaiting || this.#head === this.#items.length) return;
    const { item, bytes } = this.#items[this.#head++]!;
    this.#bytes -= bytes;
    const { keyOf, isDeletion } = this.#options;
    if (isDeletion) this.#read[isDeletion(item) ? "delete" : "add"](keyOf(item));
    if (this.#head > KEPT_ITEMS) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    // Before `enqueue`, because it may pull again at once.
    this.#isWaiting = false;
    this.#controller.enqueue(item);
    if (this.#isFinishing && this.#head === this.#items.length) this.end();
  }

  /** Drops superseded items. Runs when the number of items has doubled, so the cost per item is constant. */
  #compact(): void {
    const { keyOf, isDeletion } = this.#options;
    const latest = new Map<string, Kept<T>>();
    for (const kept of this.#items.slice(this.#head)) {
      const key = keyOf(kept.item);
      latest.delete(key);
      if (!isDeletion?.(kept.item) || this.#read.has(key)) latest.set(key, kept);
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
