/**
 * Signatures of a member's state and of its handshakes.
 *
 * @module
 */

import { toBase64Url } from "../common/bytes_text.ts";
import type { SignedState } from "../engine/types.ts";

/**
 * A key pair of Ed25519, as `crypto.subtle.generateKey` makes it: a `CryptoKeyPair`. This interface does not use the
 * types `CryptoKeyPair` and `CryptoKey`, because the types of Node lack them without the types of browsers.
 */
export interface SigningKeyPair {
  /** Verifies signatures. */
  readonly publicKey: Awaited<ReturnType<typeof crypto.subtle.importKey>>;
  /** Signs. */
  readonly privateKey: Awaited<ReturnType<typeof crypto.subtle.importKey>>;
}

/** A member's own key pair, and the verification of other members' signatures. */
export interface Signing {
  /** This member's public key. */
  readonly publicKey: string;
  /** Signs a text with this member's private key. */
  sign(text: string): Promise<string>;
  /** True if the signature of the text was made with that key; false for an invalid key or signature too. */
  verify(text: string, by: { readonly publicKey: string; readonly signature: string }): Promise<boolean>;
}

/** Ids that contain a public key: only the owner of the key can sign for such an id. */
const KEY_ID = /^key-([A-Za-z0-9_-]{43})$/;

/** The id made of a public key. */
export function idOfKey(publicKey: string): string {
  return `key-${publicKey}`;
}

/** The public key in an id; `undefined` for other ids. */
export function keyOfId(id: string): string | undefined {
  return KEY_ID.exec(id)?.[1];
}

/** The text that a member signs for its state: every entry up to a number. */
export function signedText(cluster: string, claim: SignedState): string {
  const { id, incarnation, number, entries } = claim;
  let text = JSON.stringify(["hearsay-state-2", cluster, id, incarnation, number]);
  for (const { key, number, type, json, expiresAfter } of entries) {
    const head = expiresAfter === undefined ? [number, key, type] : [number, key, type, expiresAfter];
    text += `\n${JSON.stringify(head)}${json}`;
  }
  return text;
}

/**
 * The SHA-256 of a connection's token as sent, in base64url. The token names the dialer's id and the acceptor's
 * address, so a signature over this hash is valid for no other dialer and at no other address. The random part of a token alone would not be enough, because another token can
 * repeat it.
 */
export async function tokenHash(token: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token)));
  return toBase64Url(bytes);
}

/** The text that a member signs for a handshake: valid for one side of one connection. */
export function helloText(hello: {
  readonly cluster: string;
  readonly id: string;
  readonly incarnation: string;
  /** The {@linkcode tokenHash} of the connection's token. */
  readonly tokenHash: string;
  readonly side: "dialer" | "acceptor";
}): string {
  const { cluster, id, incarnation, tokenHash, side } = hello;
  return JSON.stringify(["hearsay-hello-2", cluster, id, incarnation, tokenHash, side]);
}
