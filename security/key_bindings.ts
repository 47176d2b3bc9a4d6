/**
 * Binds each id to the first public key seen for it, for as long as the binding is kept.
 *
 * @module
 */

import { keyOfId } from "../contracts/signing.ts";

/** A bounded map from ids to public keys. */
export class KeyBindings {
  readonly #max: number;
  readonly #isHeld: (id: string) => boolean;
  /** Keys seen in relayed entries, the oldest first. */
  readonly #relayed = new Map<string, string>();
  /** Keys proved in a handshake. They are counted apart, so that relayed entries cannot displace them. */
  readonly #met = new Map<string, string>();

  /**
   * Makes an empty map. A binding of an id with known state is never dropped. `max` limits the keys proved in
   * handshakes, and separately the other keys.
   */
  constructor(options: { readonly max: number; readonly isHeld: (id: string) => boolean }) {
    this.#max = options.max;
    this.#isHeld = options.isHeld;
  }

  /** The public key of an id; `undefined` if no key is bound. */
  keyOf(id: string): string | undefined {
    return keyOfId(id) ?? this.#met.get(id) ?? this.#relayed.get(id);
  }

  /** Binds a key to an id that has no key yet; returns true if this key is now bound. */
  bind(id: string, publicKey: string, { met = false }: { readonly met?: boolean } = {}): boolean {
    const bound = this.keyOf(id);
    if (bound !== undefined && bound !== publicKey) return false;
    if (keyOfId(id) !== undefined || this.#met.has(id) || (!met && bound !== undefined)) return true;
    const keys = met ? this.#met : this.#relayed;
    if (keys.size >= this.#max && !this.#makeRoom(keys)) return bound !== undefined;
    keys.set(id, publicKey);
    if (met) this.#relayed.delete(id);
    return true;
  }

  /** Drops the oldest binding of an id without known state. */
  #makeRoom(keys: Map<string, string>): boolean {
    for (const id of keys.keys()) {
      if (this.#isHeld(id)) continue;
      keys.delete(id);
      return true;
    }
    return false;
  }
}
