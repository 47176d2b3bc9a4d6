/**
 * Ed25519 signatures by Web Crypto.
 *
 * @module
 */

import { fromBase64Url, toBase64Url } from "../common/bytes_text.ts";
import { BoundedMap } from "../common/bounded_map.ts";
import type { Signing, SigningKeyPair } from "../contracts/signing.ts";

/** The most imported keys of other members. */
const MAX_READY_KEYS = 10_000;

const utf8 = new TextEncoder();

/** Makes a key pair. Its private key can be exported, so that a member can keep its id over a restart. */
export async function newSigningKey(): Promise<SigningKeyPair> {
  return await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]) as SigningKeyPair;
}

/** Signs with a key pair, and verifies the signatures of others. */
export async function ed25519Signing(keys: SigningKeyPair): Promise<Signing> {
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", keys.publicKey));
  return new Ed25519Signing(toBase64Url(raw), keys.privateKey);
}

class Ed25519Signing implements Signing {
  readonly publicKey: string;
  readonly #privateKey: CryptoKey;
  /** The keys by last use, the latest last. */
  readonly #ready = new BoundedMap<string, Promise<CryptoKey>>(MAX_READY_KEYS);

  constructor(publicKey: string, privateKey: CryptoKey) {
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  async sign(text: string): Promise<string> {
    const signature = await crypto.subtle.sign("Ed25519", this.#privateKey, utf8.encode(text));
    return toBase64Url(new Uint8Array(signature));
  }

  async verify(
    text: string,
    { publicKey, signature }: { readonly publicKey: string; readonly signature: string },
  ): Promise<boolean> {
    try {
      const bytes = fromBase64Url(signature);
      return await crypto.subtle.verify("Ed25519", await this.#key(publicKey), bytes, utf8.encode(text));
    } catch {
      // An invalid key or signature counts as a wrong signature.
      return false;
    }
  }

  #key(publicKey: string): Promise<CryptoKey> {
    const ready = this.#ready.get(publicKey) ?? importKey(publicKey);
    this.#ready.set(publicKey, ready);
    return ready;
  }
}

async function importKey(publicKey: string): Promise<CryptoKey> {
  const bytes = fromBase64Url(publicKey);
  return await crypto.subtle.importKey("raw", bytes, "Ed25519", false, ["verify"]);
}
