/**
 * Opening a WebSocket to an address, bounded by a signal.
 *
 * @module
 */

import { ConnectionRefused, HearsayError } from "../gossiper/errors.ts";
import { hasCredentials, isHost, unbracketed } from "../gossiper/host_names.ts";
import { describe } from "../gossiper/options.ts";
import { assertMayConnect } from "../gossiper/permission.ts";

/** The subprotocol that both sides must speak (rule P1). */
export const SUBPROTOCOL = "hearsay.v2";

/** What a token follows in the name of a second subprotocol, by which a browser sends it. Never echoed. */
export const TOKEN_PROTOCOL = "hearsay.token.";

/** The path of a member's endpoint (rule P1). */
export function pathOf(gossipActorName: string): string {
  return `/${encodeURIComponent(gossipActorName)}`;
}

/**
 * The URL to dial: the address, and the path where it has none of its own. Behind a `#` a `wss:` URL may have the one of
 * its name's addresses that is meant.
 *
 * @throws {HearsayError} with code `connection` where it is no `ws:` or `wss:` URL.
 */
export function dialUrl(address: string, path: string): URL {
  const url = URL.parse(address);
  const isRight = url && ["ws:", "wss:"].includes(url.protocol) && !hasCredentials(address) &&
    (url.hash === "" || (url.protocol === "wss:" && addressIn(url) !== undefined));
  if (!isRight) {
    throw new HearsayError(
      "connection",
      `An address must be a ws: or wss: URL without a user and a fragment, was ${describe(address)}; ` +
        "nothing was dialled.",
    );
  }
  if (url.pathname === "/") url.pathname = path;
  return url;
}

/** The address behind the `#` of a URL with a name: where that name is dialled, whose certificate is asked for. */
export function addressIn({ hash }: URL): string | undefined {
  const address = hash.slice(1);
  const isAddress = /^[\d.]+$|^\[[\da-f:.]+\]$/i.test(address) && isHost(address);
  return isAddress ? unbracketed(address) : undefined;
}

/** How a socket is opened. */
export interface OpenOptions {
  /** Headers of the upgrade; browsers can send none. */
  readonly headers?: HeadersInit | undefined;
  /** Says who this side is. */
  readonly token?: string | undefined;
  /** Where the token goes: a header where those can be sent, as Deno can, or else a second subprotocol. */
  readonly tokenIn: "header" | "subprotocol";
  /** Whom to trust for `wss:`. */
  readonly client?: Deno.HttpClient | undefined;
  readonly signal: AbortSignal;
}

/** What Deno's client socket says where no connection came about, whatever the reason. */
const NOT_CONNECTED = /tcp connect error|connection refused/i;

/**
 * A socket that has opened. Rejects with the signal's reason when it is aborted before, and with a
 * {@linkcode HearsayError} (`connection`) where the peer cannot be reached or refuses.
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
      const message = `${url.href} could not be reached: ${text || "no reason given"}.${hintOf(url, text)}`;
      if (isRefused) return reject(new ConnectionRefused(message));
      reject(new HearsayError(/\b401\b/.test(text) ? "unauthorised" : "connection", message));
    }, on);
  });
}

/**
 * Whether no process listens at the host and port of a URL. A client socket does not say so, so that the port is
 * connected to once more. Where only Web-standard APIs are there, nothing is known.
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

/** Over TLS a WebSocket goes by HTTP/2, where Deno does not say with which status it was refused. */
function hintOf(url: URL, text: string): string {
  if (url.protocol !== "wss:" || !text.includes("stream error")) return "";
  return " Over TLS a refusal looks so too: another key, cluster or path. The peer's ClientRefused says which.";
}

function makeSocket(url: URL, { headers, token, tokenIn, client }: OpenOptions): WebSocket {
  const protocols = [SUBPROTOCOL];
  if (token !== undefined && tokenIn === "subprotocol") protocols.push(TOKEN_PROTOCOL + token);
  try {
    assertMayConnect(url);
    // A browser's socket takes protocols alone.
    if (tokenIn === "subprotocol" && !headers && !client) return new WebSocket(url, protocols);
    const all = new Headers(headers);
    if (token !== undefined && tokenIn === "header") all.set("authorization", `Bearer ${token}`);
    return new WebSocket(url, { protocols, headers: all, ...(client && { client }) });
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new HearsayError("connection", `${url.href} could not be dialled: ${text}`, { cause });
  }
}
