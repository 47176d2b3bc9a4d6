/**
 * A WebSocket transport that only dials, for pages in a browser: it uses no part of Deno, and has no server.
 *
 * @module
 */

import { authorityOf } from "../../common/canonical_address.ts";
import { CLOSE, HearsayError } from "../../common/errors.ts";
import { addressAt, isMemberUrl } from "../../common/host_names.ts";
import { abortable, deadlineAfter, realRuntime, type Runtime } from "../../common/runtime.ts";
import type { Credentials } from "../../contracts/authentication.ts";
import type { Connection, Member, Transport } from "../../contracts/cluster.ts";
import { SocketConnection } from "./connection.ts";
import { dialUrl, offerOf, pathOf, SUBPROTOCOL, whenOpen } from "./dial.ts";

/** A write resolves when at most this many bytes wait to be sent, as in the transport with a server. */
const HIGH_WATER_BYTES = 256 * 1024;

/** Gives this side a token for a dial. */
export interface TokenHolder {
  /** Creates the credentials for a dial of `authority` (`host:port`) at `address`. */
  credentials(
    options: { readonly address: string; readonly authority: string; readonly signal: AbortSignal },
  ): Promise<Credentials>;
}

/** Options of a {@linkcode DialOnlyTransport}; durations in milliseconds. */
export interface DialOnlyTransportOptions {
  /** The `gossipActorName`, the endpoint's path without its slash. */
  readonly path: string;
  readonly maxMessageBytes: number;
  readonly maxMessagesPerSecond: number;
  /** The longest time to open a connection, including the wait for its token. */
  readonly connectTimeout: number;
  /** The longest wait for a peer's answer to a close. */
  readonly closeTimeout: number;
  /** Dials members without a `url` by `wss:`. */
  readonly secure: boolean;
  /** The source of tokens. Without it the dials have no token. */
  readonly tokens?: TokenHolder;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
}

/**
 * Dials members, and accepts no connection.
 *
 * @example
 * ```ts
 * import { DialOnlyTransport } from "./dial_only.ts";
 *
 * const transport = new DialOnlyTransport({
 *   path: "gossip",
 *   maxMessageBytes: 2 ** 20,
 *   maxMessagesPerSecond: 1_000,
 *   connectTimeout: 2_000,
 *   closeTimeout: 250,
 *   secure: true,
 * });
 * const address = transport.addressOf({ id: "ada", host: "gossip.example", port: 443, kinds: [] });
 * console.assert(address === "wss://gossip.example:443");
 * await transport.close();
 * ```
 */
export class DialOnlyTransport implements Transport {
  readonly incoming: ReadableStream<Connection>;
  readonly #options: DialOnlyTransportOptions;
  readonly #runtime: Runtime;
  readonly #path: string;
  readonly #connections = new Set<SocketConnection>();
  readonly #closing = new AbortController();

  /** Makes a transport without connections. */
  constructor(options: DialOnlyTransportOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? realRuntime;
    this.#path = pathOf(options.path);
    const reading = new AbortController();
    this.incoming = new ReadableStream<Connection>({
      start: (controller) => {
        const { signal } = reading;
        this.#closing.signal.addEventListener("abort", () => controller.close(), { once: true, signal });
      },
      // A canceled stream cannot be closed.
      cancel: () => reading.abort(),
    });
  }

  /**
   * The address of a member for {@linkcode DialOnlyTransport.dial}.
   *
   * @throws {HearsayError} with code `connection` if its host or `url` is invalid.
   */
  addressOf({ host, port, url }: Member): string {
    if (url === undefined) return addressAt(host, { port, secure: this.#options.secure });
    if (isMemberUrl(url as unknown)) return url;
    throw new HearsayError("connection", "The `url` of a member is invalid; nothing was dialed.");
  }

  /** Opens a connection to an address. Rejects like the `dial` of a `WebSocketTransport`. */
  async dial(address: string, options: { readonly signal: AbortSignal }): Promise<Connection> {
    this.#closing.signal.throwIfAborted();
    options.signal.throwIfAborted();
    const url = dialUrl(address, this.#path);
    const { connectTimeout, tokens } = this.#options;
    using deadline = deadlineAfter(this.#runtime, connectTimeout, `Connecting to ${url.href}`, {
      signal: AbortSignal.any([options.signal, this.#closing.signal]),
    });
    const { signal } = deadline;
    const authority = authorityOf(url.href)!;
    const credentials = tokens &&
      await abortable(tokens.credentials({ address: url.href, authority, signal }), signal);
    signal.throwIfAborted();
    const { protocols } = offerOf({ token: credentials?.token, tokenIn: "subprotocol" });
    // A browser does not report why a socket does not open.
    const socket = await whenOpen(new WebSocket(url, protocols), { signal, failure: () => unreachable(url) });
    const connection = this.#keep(socket, url, credentials);
    if (socket.protocol === SUBPROTOCOL) return connection;
    void connection.close(CLOSE.invalid, `The subprotocol must be ${SUBPROTOCOL}.`);
    throw new HearsayError(
      "incompatible",
      `${url.href} must speak the subprotocol ${SUBPROTOCOL}; the connection was closed.`,
    );
  }

  /** Closes every connection. Resolves when all have ended. May be called again. */
  async close(): Promise<void> {
    this.#closing.abort(stopped());
    const reason = "This member has stopped.";
    await Promise.all(Array.from(this.#connections, (each) => each.close(CLOSE.goingAwayDialer, reason)));
  }

  #keep(socket: WebSocket, url: URL, credentials: Credentials | undefined): SocketConnection {
    const { maxMessageBytes, maxMessagesPerSecond, closeTimeout } = this.#options;
    const connection = new SocketConnection(socket, {
      runtime: this.#runtime,
      limits: { maxMessageBytes, maxMessagesPerSecond, closeTimeout, highWaterMark: HIGH_WATER_BYTES },
      dialed: true,
      remote: url.href,
      guard: credentials?.guard,
    });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
    return connection;
  }
}

function unreachable({ href }: URL): HearsayError {
  const text = `${href} could not be reached, or refused this page. Check that a ` +
    "member listens there, with the origin of this page in `allowedOrigins`, and with keys for its token. Its event " +
    "`ClientRefused` has the reason.";
  return new HearsayError("connection", text);
}

function stopped(): HearsayError {
  return new HearsayError("stopped", "The transport is closed. Nothing was dialed.");
}
