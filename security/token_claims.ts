/**
 * The claims of tokens that members and services make.
 *
 * @module
 */

import type { Runtime } from "../common/runtime.ts";

/** The longest accepted lifetime of a token, in milliseconds, even if its claims allow more. */
export const MAX_TOKEN_LIFETIME_MS = 30_000;
/** Hexadecimal digits of a key's id. */
export const KID_LENGTH = 16;

/** The audience of a token for a member of a cluster, or of a proof for any member. */
export function audienceOf(cluster: string, authority: string | undefined): string {
  const all = `hearsay:${encodeURIComponent(cluster)}`;
  return authority === undefined ? all : `${all}@${authority}`;
}

/** Draws 128 random bits, the `jti` of a token. */
export function newTokenId(runtime: Pick<Runtime, "random">): string {
  return Array.from(
    { length: 4 },
    () => Math.floor(runtime.random() * 2 ** 32).toString(16).padStart(8, "0"),
  ).join("");
}
