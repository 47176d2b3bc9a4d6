/**
 * A map with a limit.
 *
 * @module
 */

/**
 * A map with a limited number of keys: beyond the limit the oldest key is dropped. A key that is set again becomes the
 * newest.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #most: number;

  /** Makes an empty map of at most `most` keys; `Infinity` for no limit. */
  constructor(most: number) {
    super();
    this.#most = most;
  }

  /** Sets a key as the newest, and drops the oldest key if there are too many. */
  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > this.#most) this.delete(this.keys().next().value!);
    return this;
  }
}
