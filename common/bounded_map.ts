/**
 * A map with a limit.
 *
 * @module
 */

/** A map that drops its oldest keys beyond a number of them. To set a key again makes it the newest. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #most: number;

  /** Makes an empty map of at most `most` keys; `Infinity` for no limit. */
  constructor(most: number) {
    super();
    this.#most = most;
  }

  /** Sets a key as the newest, and drops the oldest one if there are too many. */
  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > this.#most) this.delete(this.keys().next().value!);
    return this;
  }
}
