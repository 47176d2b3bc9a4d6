/**
 * Which public key speaks for which id: the first that was seen, for as long as it is remembered.
 *
 * @module
 */

import { keyOfId } from "./signing.ts";

/** Ids and their keys, bounded. */
export class KeyBindings {
  readonly #max: number;
  readonly #isHeld: (id: string) => boolean;
  /** The one bound first at the front. */
  readonly #keys = new Map<string, string>();

  /** Binds nobody yet; ids of which something is held are never forgotten to make room. */
  constructor(options: { readonly max: number; readonly isHeld: (id: string) => boolean }) {
    this.#max = options.max;
    this.#isHeld = options.isHeld;
  }

  /** The key that speaks for an id; `undefined` where none has been seen. */
  keyOf(id: string): string | undefined {
    return keyOfId(id) ?? this.#keys.get(id);
  }

  /** Binds a key to an id, unless one is; returns whether this one now speaks for it. */
  bind(id: string, publicKey: string): boolean {
    const bound = this.keyOf(id);
    if (bound !== undefined) return bound === publicKey;
    if (this.#keys.size >= this.#max && !this.#makeRoom()) return false;
    this.#keys.set(id, publicKey);
    return true;
  }

  /** Forgets the key of whoever was bound first and is not held any more. */
  #makeRoom(): boolean {
    for (const id of this.#keys.keys()) {
      if (this.#isHeld(id)) continue;
      this.#keys.delete(id);
      return true;
    }
    return false;
  }
}
