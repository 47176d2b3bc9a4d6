/**
 * Opens a WebSocket to an address.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import { HearsayError } from "../../common/errors.ts";
import { hasCredentials, isHost, unbracketed } from "../../common/host_names.ts";
import { describe } from "../../options/rules.ts";
import { dialError } from "./dial_failure.ts";
import type { OpenOptions, Socket } from "./platform.ts";

/** The subprotocol that both sides must speak (rule P1). */
export const SUBPROTOCOL = "hearsay.v2";

/** The subprotocol of observers: clients that read state and are no members. */
export const OBSERVE_PROTOCOL = "hearsay.observe.v1";

/** The prefix of a second subprotocol that contains the token, for browsers. A server never selects it. */
export const TOKEN_PROTOCOL = "hearsay.token.";

/** The path of a member's endpoint (rule P1). */
export function pathOf(gossipActorName: string): string {
  return `/${encodeURIComponent(gossipActorName)}`;
}

/**
 * The URL to dial: the address, with `path` if the address has no path. A `wss:` URL may have an IP address of its host
 * name behind a `#`.
 *
 * @throws {HearsayError} with code `connection` if the address is not a `ws:` or `wss:` URL.
 */
export function dialUrl(address: string, path: string): URL {
  const url = URL.parse(address);
  const isRight = url && ["ws:", "wss:"].includes(url.protocol) && !hasCredentials(address) &&
    (url.hash === "" || (url.protocol === "wss:" && addressIn(url) !== undefined));
  if (!isRight) {
    throw new HearsayError(
      "connection",
      `An address must be a ws: or wss: URL without credentials or fragment; got ${describe(address)}; ` +
        "nothing was dialed.",
    );
  }
  if (url.pathname === "/") url.pathname = path;
  return url;
}

/** The IP address after the `#` of a URL. The address is dialed, but the certificate must be for the URL's name. */
export function addressIn({ hash }: URL): string | undefined {
  const address = hash.slice(1);
  const isAddress = /^[\d.]+$|^\[[\da-f:.]+\]$/i.test(address) && isHost(address);
  return isAddress ? unbracketed(address) : undefined;
}

/** Options of {@linkcode openSocket}. */
export interface OpeningOptions<S> extends Pick<OpenOptions, "signal" | "token"> {
  /** Makes the socket, which then dials. */
  readonly make: () => S;
  /** True if the machine refused the connection, by the text of the socket's error. */
  readonly isRefused: (text: string) => boolean | Promise<boolean>;
}

/**
 * Resolves when the socket is open. Rejects with the signal's reason if it is aborted before, or with a
 * {@linkcode HearsayError} (`connection`, `refused`, `unauthorized`) if the peer is unreachable or refuses.
 */
export async function openSocket<S extends Socket>(url: URL, options: OpeningOptions<S>): Promise<S> {
  const { signal, token, isRefused } = options;
  signal.throwIfAborted();
  return await whenOpen(makeSocket(url, options), {
    signal,
    failure: async (text) =>
      dialError({ url, text, isRefused: await isRefused(text), hasToken: token !== undefined }),
  });
}

/**
 * Resolves when a socket is open. Rejects with the signal's reason, or with the `failure` for the text of the socket's
 * error.
 */
export function whenOpen<S extends Socket>(
  socket: S,
  { signal, failure }: {
    readonly signal: AbortSignal;
    readonly failure: (text: string) => Error | Promise<Error>;
  },
): Promise<S> {
  return new Promise((resolve, reject) => {
    const listeners = new AbortController();
    let text = "";
    const on = { signal: listeners.signal };
    signal.addEventListener("abort", () => {
      listeners.abort();
      socket.close();
      reject(signal.reason);
    }, on);
    socket.addEventListener("open", () => {
      listeners.abort();
      resolve(socket);
    }, on);
    socket.addEventListener("error", (event) => text = textOf(event), on);
    socket.addEventListener("close", async () => {
      const error = await failure(text);
      if (signal.aborted) return;
      listeners.abort();
      reject(error);
    }, on);
  });
}

/** The subprotocols and headers of a dial. The token is in a subprotocol or in a header. */
export function offerOf(
  { headers, token, tokenIn, subprotocol = SUBPROTOCOL }: Pick<
    OpenOptions,
    "headers" | "subprotocol" | "token" | "tokenIn"
  >,
): { readonly protocols: string[]; readonly headers: Headers } {
  const all = new Headers(headers);
  if (token !== undefined && tokenIn === "header") all.set("authorization", `Bearer ${token}`);
  const tokens = token !== undefined && tokenIn === "subprotocol" ? [TOKEN_PROTOCOL + token] : [];
  return { protocols: [subprotocol, ...tokens], headers: all };
}

/** The text of a socket's error; empty in browsers. Some runtimes have no `ErrorEvent`. */
export function textOf(event: Event): string {
  const { message } = event as { readonly message?: unknown };
  return typeof message === "string" ? message : "";
}

function makeSocket<S>(url: URL, { make }: OpeningOptions<S>): S {
  try {
    return make();
  } catch (cause) {
    const text = messageOf(cause);
    throw new HearsayError("connection", `Cannot dial ${url.href}: ${text}`, { cause });
  }
}
