/**
 * A random order of items.
 *
 * @module
 */

/**
 * Yields each item once, with every order equally likely. An item that is not requested costs nothing (rule E6). The
 * items must not change meanwhile.
 *
 * A Fisher–Yates shuffle that stores only the indexes it has changed.
 */
export function* inRandomOrder<T>(items: readonly T[], random: () => number): Generator<T> {
  const moved = new Map<number, T>();
  const at = (index: number) => moved.has(index) ? moved.get(index)! : items[index]!;
  for (let index = 0; index < items.length; index++) {
    const other = index + Math.floor(random() * (items.length - index));
    const item = at(other);
    moved.set(other, at(index));
    moved.delete(index);
    yield item;
  }
}
