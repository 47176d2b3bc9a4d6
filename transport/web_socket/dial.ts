/**
 * Opens a WebSocket to an address.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import { HearsayError } from "../../common/errors.ts";
import { hasCredentials, isHost, unbracketed } from "../../common/host_names.ts";
import { describe } from "../../options/rules.ts";
import { assertMayConnect } from "../../common/permission.ts";
import { dialError } from "./dial_failure.ts";

/** The subprotocol that both sides must speak (rule P1). */
export const SUBPROTOCOL = "hearsay.v2";

/** The prefix of a second subprotocol that contains the token, for browsers. A server never selects it. */
export const TOKEN_PROTOCOL = "hearsay.token.";

/** The path of a member's endpoint (rule P1). */
export function pathOf(gossipActorName: string): string {
  return `/${encodeURIComponent(gossipActorName)}`;
}

/**
 * The URL to dial: the address, with `path` if it has none. A `wss:` URL may have one of its name's addresses behind a `#`.
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
      `An address must be a ws: or wss: URL without a user and a fragment, was ${describe(address)}; ` +
        "nothing was dialed.",
    );
  }
  if (url.pathname === "/") url.pathname = path;
  return url;
}

/** The address behind the `#` of a URL with a name: the name is dialed there, with its certificate. */
export function addressIn({ hash }: URL): string | undefined {
  const address = hash.slice(1);
  const isAddress = /^[\d.]+$|^\[[\da-f:.]+\]$/i.test(address) && isHost(address);
  return isAddress ? unbracketed(address) : undefined;
}

/** Options of {@linkcode openSocket}. */
export interface OpenOptions {
  /** Headers of the upgrade; browsers cannot send any. */
  readonly headers?: HeadersInit | undefined;
  /** This side's token. */
  readonly token?: string | undefined;
  /** Sends the token in a header, as Deno can, or in a second subprotocol. */
  readonly tokenIn: "header" | "subprotocol";
  /** A client with its own certificates for `wss:`. */
  readonly client?: Deno.HttpClient | undefined;
  readonly signal: AbortSignal;
}

/** The texts of Deno's client socket for any failure to connect. */
const NOT_CONNECTED = /tcp connect error|connection refused/i;

/**
 * Resolves when the socket is open. Rejects with the signal's reason if it is aborted before, or with a
 * {@linkcode HearsayError} (`connection`, `refused`, `unauthorized`) if the peer is unreachable or refuses.
 */
export function openSocket(url: URL, options: OpenOptions): Promise<WebSocket> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = makeSocket(url, options);
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
    socket.addEventListener("close", async () => {
      const isRefused = NOT_CONNECTED.test(text) && await refusesConnections(url, signal);
      if (signal.aborted) return;
      listeners.abort();
      reject(dialError({ url, text, isRefused, hasToken: options.token !== undefined }));
    }, on);
  });
}

/**
 * True if no process listens at a URL's host and port. A client socket does not report that, so this connects
 * once more by TCP. False in runtimes without `Deno.connect`.
 */
async function refusesConnections({ hostname, port, protocol }: URL, signal: AbortSignal): Promise<boolean> {
  if (typeof globalThis.Deno?.connect !== "function") return false;
  try {
    const options = {
      hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
      port: port === "" ? (protocol === "wss:" ? 443 : 80) : Number(port),
      signal,
    };
    (await Deno.connect(options)).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}

function makeSocket(url: URL, { headers, token, tokenIn, client }: OpenOptions): WebSocket {
  const protocols = [SUBPROTOCOL];
  if (token !== undefined && tokenIn === "subprotocol") protocols.push(TOKEN_PROTOCOL + token);
  try {
    assertMayConnect(url);
    // A browser's WebSocket accepts only protocols.
    if (tokenIn === "subprotocol" && !headers && !client) return new WebSocket(url, protocols);
    const all = new Headers(headers);
    if (token !== undefined && tokenIn === "header") all.set("authorization", `Bearer ${token}`);
    return new WebSocket(url, { protocols, headers: all, ...(client && { client }) });
  } catch (cause) {
    const text = messageOf(cause);
    throw new HearsayError("connection", `Cannot dial ${url.href}: ${text}`, { cause });
  }
}
