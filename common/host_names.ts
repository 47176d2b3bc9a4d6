/**
 * Hosts and the addresses made of them. What comes from a peer, a name server or a registry would otherwise choose the
 * path, the query and the credentials of a request that this member sends.
 *
 * @module
 */

import { HearsayError } from "./errors.ts";
import { withoutKeys } from "./key_material.ts";

/** The longest URL of a member, in UTF-16 units. */
const MAX_URL_LENGTH = 2_048;

/** Whether something names a machine, and nothing beside it. */
export function isHost(given: unknown): given is string {
  if (typeof given !== "string" || given === "" || /[\s/\\?#@]/.test(given)) return false;
  const url = URL.parse(`ws://${bracketed(given)}:1`);
  return url !== null && url.href === `ws://${url.hostname}:1/`;
}

/** Whether something is an address that a member may give as its own: with a path, and nothing after it. */
export function isMemberUrl(given: unknown): given is string {
  if (typeof given !== "string" || given.length > MAX_URL_LENGTH || /[\s\\?#@]/.test(given)) return false;
  const url = URL.parse(given);
  return url !== null && (url.protocol === "ws:" || url.protocol === "wss:");
}

/**
 * True if a text may name a user or a password before a host. Such an address would be shown by events. Every `@` counts: a
 * password with a `/` in it is not where a URL's parser looks for one.
 */
export function hasCredentials(address: string): boolean {
  return address.includes("@");
}

/** True if an address may be shown: it has neither a user, nor a query in which a token might stand, nor a fragment. */
export function isPlainAddress(address: string): boolean {
  return !/[?#@]/.test(address);
}

/** A host as it stands in a URL. */
export function bracketed(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

/** A host of a URL as whoever dials it takes it: an IPv6 address without its brackets. */
export function unbracketed(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}

/**
 * The address of a host and a port.
 *
 * @throws {HearsayError} with code `connection` where the host is none.
 */
export function addressAt(
  host: string,
  { port, secure }: { readonly port: number; readonly secure: boolean },
): string {
  if (isHost(host as unknown)) return `${secure ? "wss" : "ws"}://${bracketed(host)}:${port}`;
  const given = hasCredentials(host) ? "a text with an @" : JSON.stringify(withoutKeys(host).slice(0, 60));
  throw new HearsayError(
    "connection",
    `A host must be a name or an address such as "10.0.0.5", was ${given}; nothing was dialled.`,
  );
}
