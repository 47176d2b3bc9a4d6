/**
 * Hosts and addresses. Hosts come from peers, name servers and registries. Without these checks a host could choose the
 * path, the query and the credentials of this member's requests.
 *
 * @module
 */

import { HearsayError } from "./errors.ts";
import { withoutKeys } from "./key_material.ts";

/** The longest URL of a member, in UTF-16 units. */
const MAX_URL_LENGTH = 2_048;

/** True if a value is a host and nothing more. */
export function isHost(given: unknown): given is string {
  if (typeof given !== "string" || given === "" || /[\s/\\?#@]/.test(given)) return false;
  const url = URL.parse(`ws://${bracketed(given)}:1`);
  return url !== null && url.href === `ws://${url.hostname}:1/`;
}

/** True if a value is a URL that a member may advertise: with a path, but without a query or fragment. */
export function isMemberUrl(given: unknown): given is string {
  if (typeof given !== "string" || given.length > MAX_URL_LENGTH || /[\s\\?#@]/.test(given)) return false;
  const url = URL.parse(given);
  return url !== null && (url.protocol === "ws:" || url.protocol === "wss:");
}

/**
 * True if a text may contain credentials, which events would then show. Every `@` counts: with a `/` in the password, a
 * URL parser does not recognize the credentials.
 */
export function hasCredentials(address: string): boolean {
  return address.includes("@");
}

/** True if an address may be shown: it has no credentials, no fragment, and no query, which may hold a token. */
export function isPlainAddress(address: string): boolean {
  return !/[?#@]/.test(address);
}

/** A host in the form of a URL: an IPv6 address gets brackets. */
export function bracketed(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

/** A URL's host in the form that a dial needs: an IPv6 address loses its brackets. */
export function unbracketed(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}

/**
 * Returns the address of a host and a port.
 *
 * @throws {HearsayError} with code `connection` if the host is invalid.
 */
export function addressAt(
  host: string,
  { port, secure }: { readonly port: number; readonly secure: boolean },
): string {
  if (isHost(host as unknown)) return `${secure ? "wss" : "ws"}://${bracketed(host)}:${port}`;
  const given = hasCredentials(host) ? "a text with an @" : JSON.stringify(withoutKeys(host).slice(0, 60));
  throw new HearsayError(
    "connection",
    `A host must be a name or an address such as "10.0.0.5"; got ${given}; nothing was dialed.`,
  );
}
