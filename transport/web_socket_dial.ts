/**
 * Opening a WebSocket to an address, bounded by a signal.
 *
 * @module
 */

import { HearsayError } from "../gossiper/errors.ts";

/** The subprotocol that both sides must speak (rule P1). */
export const SUBPROTOCOL = "hearsay.v1";

/** The path of a member's endpoint (rule P1). */
export function pathOf(gossipActorName: string): string {
  return `/${encodeURIComponent(gossipActorName)}`;
}

/**
 * The URL to dial: the address, and the path where it has none of its own.
 *
 * @throws {HearsayError} with code `connection` where it is no `ws:` or `wss:` URL.
 */
export function dialUrl(address: string, path: string): URL {
  const url = URL.parse(address);
  if (!url || (url.protocol !== "ws:" && url.protocol !== "wss:") || url.hash !== "") {
    throw new HearsayError(
      "connection",
      `An address must be a ws: or wss: URL without a fragment, was ${JSON.stringify(address)}; ` +
        "nothing was dialled.",
    );
  }
  if (url.pathname === "/") url.pathname = path;
  return url;
}

/**
 * A socket that has opened. Rejects with the signal's reason when it is aborted before, and with a
 * {@linkcode HearsayError} (`connection`) where the peer cannot be reached or refuses.
 */
export function openSocket(
  url: URL,
  options: { readonly headers?: HeadersInit | undefined; readonly signal: AbortSignal },
): Promise<WebSocket> {
  const { headers, signal } = options;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = makeSocket(url, headers);
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
    socket.addEventListener("error", (event) => text = event instanceof ErrorEvent ? event.message : "", on);
    socket.addEventListener("close", () => {
      listeners.abort();
      reject(
        new HearsayError("connection", `${url.href} could not be reached: ${text || "no reason given"}.`),
      );
    }, on);
  });
}

function makeSocket(url: URL, headers: HeadersInit | undefined): WebSocket {
  try {
    return new WebSocket(url, { protocols: [SUBPROTOCOL], ...(headers ? { headers } : {}) });
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new HearsayError("connection", `${url.href} could not be dialled: ${text}`, { cause });
  }
}
