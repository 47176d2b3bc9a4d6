/**
 * A stream for a reader that wants to end with the latest of everything, however slowly it reads.
 *
 * @module
 */

/** How many items are kept whole for a slow reader, before older ones make way for newer ones of their key. */
export const KEPT_ITEMS = 1024;

/** How a {@linkcode LatestStream} is made. */
export interface LatestStreamOptions<T> {
  /** What an item is about: a newer item about the same supersedes an older one that was not read. */
  readonly keyOf: (item: T) => string;
  /** Hears once when nothing more is wanted: of which stream, since that may be before there is a name for it. */
  readonly onEnd?: (stream: LatestStream<T>) => void;
  /** Aborting it ends the stream at once. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Items in order. A reader that falls behind by more than {@linkcode KEPT_ITEMS} misses what has been
 * superseded, and nothing else: so the memory is bounded by the number of keys.
 */
export class LatestStream<T> {
  /** The items. */
  readonly readable: ReadableStream<T>;
  readonly #options: LatestStreamOptions<T>;
  #items: T[] = [];
  /** Items before this index have been read. */
  #head = 0;
  #compactAt = KEPT_ITEMS;
  #controller!: ReadableStreamDefaultController<T>;
  #isWaiting = false;
  #isFinishing = false;
  #isOver = false;
  readonly #abort = () => this.end();

  /** Makes an empty stream. */
  constructor(options: LatestStreamOptions<T>) {
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
    this.#items.push(item);
    if (this.#items.length - this.#head >= this.#compactAt) this.#compact();
    this.#deliver();
  }

  /** Ends the stream after what is in it. */
  finish(): void {
    this.#isFinishing = true;
    if (this.#head === this.#items.length) this.end();
  }

  #deliver(): void {
    if (!this.#isWaiting || this.#head === this.#items.length) return;
    const item = this.#items[this.#head++]!;
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
    const latest = new Map<string, T>();
    for (const item of this.#items.slice(this.#head)) {
      const key = this.#options.keyOf(item);
      latest.delete(key);
      latest.set(key, item);
    }
    this.#items = [...latest.values()];
    this.#head = 0;
    this.#compactAt = Math.max(KEPT_ITEMS, 2 * this.#items.length);
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
