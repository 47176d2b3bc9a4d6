/**
 * Signatures: what a member signs, and how others know that it did.
 *
 * @module
 */

import type { SignedState } from "../engine/types.ts";

/** A member's own key pair, and whatever is needed to check the signatures of others. */
export interface Signing {
  /** This member's public key, as others know it. */
  readonly publicKey: string;
  /** Signs a text as this member. */
  sign(text: string): Promise<string>;
  /** Whether a text was signed by whoever has that key; `false` for whatever is no key or no signature. */
  verify(text: string, by: { readonly publicKey: string; readonly signature: string }): Promise<boolean>;
}

/** Ids that are a public key: nobody else can ever speak for them. */
const KEY_ID = /^key-([A-Za-z0-9_-]{43})$/;

/** The id that is the key. */
export function idOfKey(publicKey: string): string {
  return `key-${publicKey}`;
}

/** The only key that may speak for an id, where the id itself says so. */
export function keyOfId(id: string): string | undefined {
  return KEY_ID.exec(id)?.[1];
}

/** The text that a member signs when it has set something: everything that it has set, up to a number. */
export function signedText(cluster: string, claim: SignedState): string {
  const { id, incarnation, number, entries } = claim;
  let text = JSON.stringify(["hearsay-state-2", cluster, id, incarnation, number]);
  for (const { key, number, type, json } of entries) {
    text += `\n${JSON.stringify([number, key, type])}${json}`;
  }
  return text;
}

/**
 * The SHA-256 of a connection's token as it was sent, in base64url. The token names who may use it and with whom, so that
 * what is signed over this hash is good for no other pair of members. The random part of a token alone would not do: another
 * token can repeat it.
 */
export async function tokenHash(token: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token)));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
}

/** The text that a member signs with each greeting: good for one connection, and one side of it. */
export function helloText(hello: {
  readonly cluster: string;
  readonly id: string;
  readonly incarnation: string;
  /** The {@linkcode tokenHash} of the connection's token. */
  readonly tokenHash: string;
  readonly side: "dialler" | "acceptor";
}): string {
  const { cluster, id, incarnation, tokenHash, side } = hello;
  return JSON.stringify(["hearsay-hello-2", cluster, id, incarnation, tokenHash, side]);
}
