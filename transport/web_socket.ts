/**
 * The WebSocket transport (rules P1, P5, P6): dials peers, and accepts those that dial, in a service's own
 * `Deno.serve` or in one of its own.
 *
 * @module
 */

import type { CloseInfo, Connection, Member, Transport } from "../gossiper/cluster.ts";
import { CLOSE, HearsayError } from "../gossiper/errors.ts";
import { deadlineAfter, realRuntime, type Runtime } from "../gossiper/runtime.ts";
import { type Authorise, refuseClient, refuseWithoutUpgrade, upgrade } from "./web_socket_accept.ts";
import {
  SocketConnection,
  type SocketConnectionOptions,
  type SocketLimits,
} from "./web_socket_connection.ts";
import { dialUrl, openSocket, pathOf, SUBPROTOCOL } from "./web_socket_dial.ts";

export type { Authorise, Refused } from "./web_socket_accept.ts";
export { SUBPROTOCOL } from "./web_socket_dial.ts";

/** How many accepted connections may wait to be taken from `incoming`; clients beyond get 503. */
export const MAX_UNTAKEN_CONNECTIONS = 128;

/** Where a transport listens by itself. */
export interface ListenOptions {
  /** The name or address to listen on; `"127.0.0.1"` by default, so that nobody else is let in unasked. */
  readonly hostname?: string;
  /** The port; 0 takes a free one, which {@linkcode WebSocketTransport.address} then tells. */
  readonly port: number;
  /** Closes the transport when aborted. */
  readonly signal?: AbortSignal;
}

/** What a {@linkcode WebSocketTransport} is made with. */
export interface WebSocketTransportOptions {
  /** The `gossipActorName`: the endpoint's path is this after a slash. */
  readonly path: string;
  /** The largest message, either way, in bytes of UTF-8. */
  readonly maxMessageBytes: number;
  /** Time and chance; the real ones by default. */
  readonly runtime?: Runtime;
  /** How long opening a connection may take, in milliseconds, whatever the caller's signal; 10,000 by default. */
  readonly connectTimeout?: number;
  /** A write resolves once at most so many bytes wait to be sent; 256 KiB by default. */
  readonly highWaterMark?: number;
  /** How long a peer may take to answer the closing of a connection, in milliseconds; 1,000 by default. */
  readonly closeTimeout?: number;
  /** Where to listen; without it, clients come in only by {@linkcode WebSocketTransport.handler}. */
  readonly listen?: ListenOptions;
  /** Whether members are dialled by `wss:`; their TLS ends in front of the service. False by default. */
  readonly secure?: boolean;
  /** Headers to dial with, such as a token that the peers' {@linkcode Authorise} asks for. */
  readonly headers?: HeadersInit;
  /** Decides about clients before the upgrade; everyone is let in by default. */
  readonly authorise?: Authorise;
}

/**
 * How messages reach peers by WebSocket.
 *
 * The native sockets take messages of up to 64 MiB before this code can measure them; `maxMessageBytes`
 * bounds what is parsed and kept.
 *
 * @example
 * ```ts
 * import { assertEquals } from "../deps/std_assert.ts";
 * import { WebSocketTransport } from "./web_socket.ts";
 *
 * const options = { path: "gossip", maxMessageBytes: 1_048_576 };
 * const server = new WebSocketTransport({ ...options, listen: { port: 0 } });
 * const client = new WebSocketTransport(options);
 *
 * const dialled = await client.dial(server.address!, { signal: new AbortController().signal });
 * const accepted = (await server.incoming.getReader().read()).value!;
 * await dialled.writable.getWriter().write({ type: "ack", id: "1", holds: new Map() });
 * const { value } = await accepted.readable.getReader().read();
 * assertEquals(value, { type: "ack", id: "1", holds: new Map() });
 *
 * await Promise.all([client.close(), server.close()]);
 * ```
 */
export class WebSocketTransport implements Transport {
  readonly incoming: ReadableStream<Connection>;
  readonly #runtime: Runtime;
  readonly #limits: SocketLimits;
  readonly #options: WebSocketTransportOptions;
  readonly #connectTimeout: number;
  readonly #path: string;
  readonly #connections = new Set<SocketConnection>();
  /** Aborted by `close`; ends dials that are under way. */
  readonly #closing = new AbortController();
  readonly #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  readonly #unlisten = new AbortController();
  #incoming!: ReadableStreamDefaultController<Connection>;
  #refusing = false;
  #closed: Promise<void> | undefined;

  /**
   * Makes a transport, which listens at once where it is told to.
   *
   * @throws {Deno.errors.AddrInUse} where the port to listen on is taken.
   */
  constructor(options: WebSocketTransportOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? realRuntime;
    this.#connectTimeout = options.connectTimeout ?? 10_000;
    this.#path = pathOf(options.path);
    this.#limits = {
      maxMessageBytes: options.maxMessageBytes,
      highWaterMark: options.highWaterMark ?? 256 * 1024,
      closeTimeout: options.closeTimeout ?? 1_000,
    };
    this.incoming = new ReadableStream<Connection>({
      start: (controller) => {
        this.#incoming = controller;
      },
      cancel: () => {
        this.#refusing = true;
      },
    }, { highWaterMark: MAX_UNTAKEN_CONNECTIONS });
    this.#server = options.listen && this.#listen(options.listen);
  }

  /** Where this transport listens by itself, as something to dial; `undefined` where it does not. */
  get address(): string | undefined {
    if (!this.#server) return undefined;
    const { hostname, port } = this.#server.addr;
    return this.#addressOf(hostname, port);
  }

  /**
   * Answers requests for this transport's path, to be called from a service's own `Deno.serve`: with the
   * upgrade, or with why not (400, 401, 403, 426, 503). `undefined` where the path is another. `info` is
   * what `Deno.serve` hands to its handler: it tells where the peer is.
   */
  readonly handler = async (
    request: Request,
    info?: { readonly remoteAddr: Deno.Addr },
  ): Promise<Response | undefined> => {
    if (new URL(request.url).pathname !== this.#path) return undefined;
    const refused = this.#refuseUnavailable() ?? refuseWithoutUpgrade(request) ??
      await refuseClient(request, this.#options.authorise) ?? this.#refuseUnavailable();
    if (refused) return refused;
    // Now: after the upgrade the request is no more, and reading its address throws.
    const remote = remoteOf(info?.remoteAddr);
    return upgrade(request, {
      runtime: this.#runtime,
      timeout: this.#connectTimeout,
      signal: this.#closing.signal,
      opened: (socket) => this.#accept(socket, remote),
    });
  };

  /** The address under which {@linkcode WebSocketTransport.dial} reaches a member. */
  addressOf(member: Member): string {
    return this.#addressOf(member.host, member.port);
  }

  /**
   * Opens a connection to an address, with or without a path. Rejects with the signal's reason where it is
   * aborted; with a `HearsayError` of code `timeout` where `connectTimeout` has passed, `incompatible`
   * where the server speaks another subprotocol, `stopped` after {@linkcode WebSocketTransport.close}, and
   * `connection` where anything else went wrong.
   */
  async dial(address: string, options: { readonly signal: AbortSignal }): Promise<Connection> {
    this.#closing.signal.throwIfAborted();
    options.signal.throwIfAborted();
    const url = dialUrl(address, this.#path);
    using deadline = deadlineAfter(this.#runtime, this.#connectTimeout, `Connecting to ${url.href}`, {
      signal: AbortSignal.any([options.signal, this.#closing.signal]),
    });
    const { headers } = this.#options;
    const socket = await openSocket(url, { headers, signal: deadline.signal });
    const connection = this.#keep(socket, { dialled: true, remote: url.href });
    if (socket.protocol === SUBPROTOCOL) return connection;
    void connection.close(CLOSE.invalid, `The subprotocol must be ${SUBPROTOCOL}.`);
    const spoken = JSON.stringify(socket.protocol);
    throw new HearsayError(
      "incompatible",
      `${url.href} must speak the subprotocol ${SUBPROTOCOL}, spoke ${spoken}; the connection was closed.`,
    );
  }

  /** Closes every connection and stops accepting; resolves when nothing is left. May be called again. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new HearsayError("stopped", "The transport is closed; nothing was dialled."));
    this.#unlisten.abort();
    if (!this.#refusing) this.#incoming.close();
    await Promise.all(Array.from(this.#connections, goAway));
    await this.#server?.shutdown();
  }

  #listen(options: ListenOptions): Deno.HttpServer<Deno.NetAddr> {
    const { hostname = "127.0.0.1", port, signal } = options;
    signal?.throwIfAborted();
    signal?.addEventListener("abort", () => void this.close(), { signal: this.#unlisten.signal });
    return Deno.serve({ hostname, port, onListen: () => {} }, async (request, info) => {
      return await this.handler(request, info) ?? new Response("There is nothing here.\n", { status: 404 });
    });
  }

  #refuseUnavailable(): Response | undefined {
    const closed = this.#refusing || this.#closing.signal.aborted;
    if (!closed && this.#incoming.desiredSize! > 0) return undefined;
    const text = closed ? "This member has stopped.\n" : "Too many connections wait to be served.\n";
    return new Response(text, { status: 503 });
  }

  #accept(socket: WebSocket, remote: string): void {
    const connection = this.#keep(socket, { dialled: false, remote });
    if (this.#refusing) void goAway(connection);
    else this.#incoming.enqueue(connection);
  }

  #keep(
    socket: WebSocket,
    side: Pick<SocketConnectionOptions, "dialled" | "remote">,
  ): SocketConnection {
    const connection = new SocketConnection(socket, {
      runtime: this.#runtime,
      limits: this.#limits,
      ...side,
    });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
    return connection;
  }

  #addressOf(host: string, port: number): string {
    const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
    return `${this.#options.secure ? "wss" : "ws"}://${name}:${port}`;
  }
}

function goAway(connection: SocketConnection): Promise<CloseInfo> {
  return connection.close(CLOSE.goingAway, "This member has stopped.");
}

function remoteOf(address: Deno.Addr | undefined): string {
  if (address?.transport !== "tcp") return "a client";
  return address.hostname.includes(":")
    ? `[${address.hostname}]:${address.port}`
    : `${address.hostname}:${address.port}`;
}
