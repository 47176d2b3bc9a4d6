/**
 * Which public key speaks for which id: the first that was seen, for as long as it is remembered.
 *
 * @module
 */

import { keyOfId } from "../contracts/signing.ts";

/** Ids and their keys, bounded. */
export class KeyBindings {
  readonly #max: number;
  readonly #isHeld: (id: string) => boolean;
  /** The one bound first at the front. */
  readonly #heard = new Map<string, string>();
  /** The same of those that proved it in a greeting: what peers sent of others, however much, forgets none of them. */
  readonly #met = new Map<string, string>();

  /**
   * Binds nobody yet. Ids of which something is held are never forgotten to make room; `max` counts those that were met
   * and the others apart.
   */
  constructor(options: { readonly max: number; readonly isHeld: (id: string) => boolean }) {
    this.#max = options.max;
    this.#isHeld = options.isHeld;
  }

  /** The key that speaks for an id; `undefined` where none has been seen. */
  keyOf(id: string): string | undefined {
    return keyOfId(id) ?? this.#met.get(id) ?? this.#heard.get(id);
  }

  /** Binds a key to an id, unless one is; returns whether this one now speaks for it. */
  bind(id: string, publicKey: string, { met = false }: { readonly met?: boolean } = {}): boolean {
    const bound = this.keyOf(id);
    if (bound !== undefined && bound !== publicKey) return false;
    if (keyOfId(id) !== undefined || this.#met.has(id) || (!met && bound !== undefined)) return true;
    const keys = met ? this.#met : this.#heard;
    if (keys.size >= this.#max && !this.#makeRoom(keys)) return bound !== undefined;
    keys.set(id, publicKey);
    if (met) this.#heard.delete(id);
    return true;
  }

  /** Forgets the key of whoever was bound first and is not held any more. */
  #makeRoom(keys: Map<string, string>): boolean {
    for (const id of keys.keys()) {
      if (this.#isHeld(id)) continue;
      keys.delete(id);
      return true;
    }
    return false;
  }
}
