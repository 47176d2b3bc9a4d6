/**
 * Signatures: what a member signs, and how others know that it did.
 *
 * @module
 */

import type { Claim } from "../engine/types.ts";

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

/** The text that a member signs once a round: everything that it has set, up to a number. */
export function claimText(cluster: string, claim: Claim): string {
  const { id, life, number, lastLasting, entries } = claim;
  let text = JSON.stringify(["hearsay-state-1", cluster, id, life, number, lastLasting]);
  for (const { key, number, type, json } of entries) {
    text += `\n${JSON.stringify([number, key, type])}${json}`;
  }
  return text;
}

/** The text that a member signs with each greeting: good for one connection, and one side of it. */
export function helloText(hello: {
  readonly cluster: string;
  readonly id: string;
  readonly life: string;
  /** The `jti` of the connection's token. */
  readonly token: string;
  readonly side: "dialler" | "acceptor";
}): string {
  const { cluster, id, life, token, side } = hello;
  return JSON.stringify(["hearsay-hello-1", cluster, id, life, token, side]);
}
