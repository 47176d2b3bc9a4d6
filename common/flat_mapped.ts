/**
 * A stream with any number of items for each item of another stream.
 *
 * @module
 */

/** Reads an item of the source only when its own items are read; a cancel cancels the source. */
export function flatMapped<T, R>(
  source: ReadableStream<T>,
  expand: (item: T) => Iterable<R>,
): ReadableStream<R> {
  const reader = source.getReader();
  let unread: Iterator<R> = [].values();
  return new ReadableStream<R>({
    async pull(controller) {
      for (;;) {
        const item = unread.next();
        if (!item.done) return controller.enqueue(item.value);
        const { done, value } = await reader.read();
        if (done) return controller.close();
        unread = expand(value)[Symbol.iterator]();
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
