/**
 * The WebSocket transport (rules P1, P5, P6). It dials peers, and accepts them in a service's own
 * `Deno.serve` or in its own server.
 *
 * @module
 */

import type { CloseInfo, Connection, Member, Transport } from "../../contracts/cluster.ts";
import { CLOSE, HearsayError } from "../../common/errors.ts";
import { addressAt, isMemberUrl } from "../../common/host_names.ts";
import { abortable, deadlineAfter, realRuntime, type Runtime } from "../../common/runtime.ts";
import { authorityOf, canonicalHost } from "../../common/canonical_address.ts";
import { describe } from "../../options/rules.ts";
import { isLoopback } from "../../common/loopback.ts";
import { Admission, type ConnectionSlot } from "./admission.ts";
import type { ClusterKey } from "../../contracts/authentication.ts";
import type { Server } from "../listening.ts";
import { RefusalPace } from "./refusal_pace.ts";
import { type ClientAddress, remoteOf } from "../strangers.ts";
import type { ListenOptions, WebSocketTransportOptions } from "./options.ts";
import { protocolOf, upgrade } from "./accept.ts";
import type { ObserverPlace } from "./observers.ts";
import { SocketConnection, type SocketConnectionOptions, type SocketLimits } from "./connection.ts";
import { denoPlatform } from "./deno_platform.ts";
import { dialUrl, OBSERVE_PROTOCOL, pathOf, SUBPROTOCOL, TOKEN_PROTOCOL } from "./dial.ts";
import type { Dialer, Platform, Socket } from "./platform.ts";

export type { RefusedClient } from "../strangers.ts";
export type { ListenFailure } from "../listening.ts";
export type { Authorize, RefusalStatus } from "./accept.ts";
export type { ListenOptions, WebSocketTransportOptions } from "./options.ts";
export { SUBPROTOCOL } from "./dial.ts";

/** The most accepted connections in `incoming`; further clients get 503. */
export const MAX_UNTAKEN_CONNECTIONS = 128;

/**
 * Sends messages to peers over WebSockets.
 *
 * `maxMessageBytes` limits the messages that are parsed and kept. Deno's sockets buffer a message whole before this code
 * can measure it. They limit each frame to 64 MiB, and a message of many frames not at all.
 *
 * @example
 * ```ts
 * import { WebSocketTransport } from "@hearsay/gossip/transport";
 *
 * const options = { path: "gossip", maxMessageBytes: 1_048_576 };
 * const server = new WebSocketTransport({ ...options, listen: { port: 0 } });
 * const client = new WebSocketTransport(options);
 *
 * const dialed = await client.dial(server.address!, { signal: new AbortController().signal });
 * const accepted = (await server.incoming.getReader().read()).value!;
 * await dialed.writable.getWriter().write({ type: "ack", id: "1", holds: new Map() });
 * const { value } = await accepted.readable.getReader().read();
 * console.assert(value?.type === "ack");
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
  /** The paths of this transport's endpoint. */
  readonly #paths: Set<string>;
  readonly #connections = new Set<SocketConnection>();
  /** Aborted by `close`; ends pending dials. */
  readonly #closing = new AbortController();
  readonly #admission: Admission;
  readonly #pace: RefusalPace;
  /** The authorities of this transport. A token for another authority is refused. */
  readonly #authorities = new Set<string>();
  /**
   * This transport's own addresses by {@linkcode addressKey}. The value is true once a client has opened a connection at
   * the address.
   */
  readonly #reachedAt = new Map<string, boolean>();
  readonly #platform: Platform;
  readonly #dialer: Dialer;
  readonly #server: Server | undefined;
  readonly #unlisten = new AbortController();
  #incoming!: ReadableStreamDefaultController<Connection>;
  #refusing = false;
  #closed: Promise<void> | undefined;

  /**
   * Creates a transport, and its server if `listen` is set.
   *
   * @throws {HearsayError} with code `cannot_listen` if the port is taken.
   * @throws {HearsayError} with code `invalid_configuration` if the transport would accept every client from other
   * machines without `insecure`.
   */
  constructor(options: WebSocketTransportOptions) {
    assertNotOpenToAll(options);
    this.#options = options;
    this.#platform = options.platform ?? denoPlatform;
    this.#runtime = options.runtime ?? realRuntime;
    this.#connectTimeout = options.connectTimeout ?? 10_000;
    this.#path = pathOf(options.path);
    this.#paths = new Set([this.#path]);
    this.#limits = {
      maxMessageBytes: options.maxMessageBytes,
      highWaterMark: options.highWaterMark ?? 256 * 1024,
      closeTimeout: options.closeTimeout ?? 1_000,
      maxMessagesPerSecond: options.maxMessagesPerSecond ?? 1_000,
    };
    this.#admission = new Admission({
      authentication: options.authentication,
      authorize: options.authorize,
      insecure: options.insecure ?? false,
      allowedOrigins: options.allowedOrigins ?? [],
      maxConnectionsPerAddress: options.maxConnectionsPerAddress ?? 64,
      maxHandshakes: options.maxHandshakes ?? 64,
      authorities: () => this.#authorities,
      runtime: this.#runtime,
      hasObservers: options.observers !== undefined,
      onRefused: (refused) => options.onClientRefused?.(refused),
    });
    this.#pace = new RefusalPace(this.#runtime);
    this.incoming = new ReadableStream<Connection>({
      start: (controller) => {
        this.#incoming = controller;
      },
      cancel: () => {
        this.#refusing = true;
      },
    }, { highWaterMark: MAX_UNTAKEN_CONNECTIONS });
    this.#server = options.listen && this.#listen(options.listen);
    if (this.#server) this.answerTo(this.address!);
    if (this.#server && options.listen?.hostname) {
      this.answerTo(this.#addressOf(options.listen.hostname, this.#server.addr.port));
    }
    this.#dialer = this.#platform.dialer({ caCerts: options.caCerts });
  }

  /**
   * Also accepts tokens for this address and requests for its path, because clients dial this transport by
   * it.
   */
  answerTo(address: string): void {
    const authority = authorityOf(address);
    if (authority === undefined) return;
    this.#authorities.add(authority);
    const { pathname } = new URL(address);
    if (pathname !== "/") this.#paths.add(pathname);
    this.#reachedAt.set(addressKey(dialUrl(address, this.#path)), false);
  }

  /** True if a client has opened a connection at this address, which must be an address of this transport. */
  wasReachedAt(address: string): boolean {
    return this.#reachedAt.get(addressKey(dialUrl(address, this.#path))) ?? false;
  }

  /**
   * Changes the keys of `authentication`; see {@linkcode Authentication.setKeys}.
   *
   * @throws {HearsayError} with code `invalid_configuration` if the transport has no `authentication`.
   */
  setKeys(keys: readonly ClusterKey[]): void {
    const { authentication } = this.#options;
    if (!authentication) {
      const text = "This member must be created with keys before it can change them. Nothing was changed.";
      throw new HearsayError("invalid_configuration", text);
    }
    authentication.setKeys(keys);
    this.#admission.keysChanged();
  }

  /** The address of the transport's own server, for dialing; `undefined` without one. */
  get address(): string | undefined {
    if (!this.#server) return undefined;
    const { hostname, port } = this.#server.addr;
    return this.#addressOf(hostname, port);
  }

  /**
   * Handles requests for this transport's path in your own `Deno.serve`: upgrades them, or refuses them with 400, 401,
   * 403, 426 or 503. If many clients are refused, each refusal waits for a second, so that a single connection cannot
   * cause much work. Returns `undefined` for any other path. Pass the `info` of `Deno.serve`, because it has the
   * client's address.
   */
  readonly handler = async (
    request: Request,
    info?: { readonly remoteAddr: ClientAddress },
  ): Promise<Response | undefined> => {
    const url = URL.parse(request.url);
    if (!url) {
      return await this.#pace.pass(
        new Response("The host of the request must be a name or an address.\n", { status: 400 }),
        info?.remoteAddr,
      );
    }
    if (!this.#paths.has(url.pathname)) return undefined;
    const unavailable = this.#refuseUnavailable();
    if (unavailable) return await this.#pace.pass(unavailable, info?.remoteAddr);
    const arrival = this.#pace.arrival();
    // An upgrade costs as much for a client that is gone already.
    if (arrival) {
      const { signal } = request;
      await arrival;
      if (signal.aborted) return new Response("The client is gone.\n", { status: 400 });
    }
    const admitted = this.#admission.admit(request, info?.remoteAddr);
    // If the client disconnects before the upgrade, Deno keeps the socket open forever. A synchronous admission leaves
    // no time to disconnect. After a wait, the signal reports a disconnect.
    const gone = arrival || admitted instanceof Promise ? request.signal : undefined;
    const slot = admitted instanceof Promise ? await admitted : admitted;
    if (slot instanceof Response) return await this.#pace.pass(slot, info?.remoteAddr);
    if (gone?.aborted) {
      slot.leave();
      return new Response("The client has disconnected.\n", { status: 400 });
    }
    const unavailableNow = this.#refuseUnavailable();
    if (unavailableNow) {
      slot.leave();
      return await this.#pace.pass(unavailableNow, info?.remoteAddr);
    }
    const { response, isUpgraded } = this.#upgrade(request, {
      // Before the upgrade, because reading the address of an upgraded request throws.
      remote: remoteOf(info?.remoteAddr),
      at: addressKey(url),
      slot,
    });
    return isUpgraded ? response : await this.#pace.pass(response, info?.remoteAddr);
  };

  #upgrade(
    request: Request,
    { remote, at, slot }: {
      readonly remote: string;
      readonly at: string;
      readonly slot: ConnectionSlot;
    },
  ): { readonly response: Response; readonly isUpgraded: boolean } {
    const protocol = protocolOf(request)!;
    const seat = protocol === OBSERVE_PROTOCOL
      ? this.#options.observers!.enter(slot.admitted?.isReader ?? false)
      : undefined;
    if (typeof seat === "string") {
      slot.leave();
      return { response: new Response(`${seat}\n`, { status: 503 }), isUpgraded: false };
    }
    return upgrade(request, {
      platform: this.#platform,
      protocol,
      runtime: this.#runtime,
      timeout: this.#connectTimeout,
      signal: this.#closing.signal,
      opened: (socket) => {
        if (seat) return this.#acceptObserver(socket, { remote, slot, seat });
        if (this.#reachedAt.has(at)) this.#reachedAt.set(at, true);
        this.#accept(socket, { remote, slot });
      },
      failed: () => {
        slot.leave();
        seat?.leave();
      },
    });
  }

  /**
   * The address of a member for {@linkcode WebSocketTransport.dial}.
   *
   * @throws {HearsayError} with code `connection` if its host or `url` is invalid.
   */
  addressOf(member: Member): string {
    if (member.url === undefined) return this.#addressOf(member.host, member.port);
    if (isMemberUrl(member.url as unknown)) return member.url;
    throw new HearsayError(
      "connection",
      "The `url` of a member must be a ws: or wss: URL without credentials, query or fragment, was " +
        `${describe(member.url)}; nothing was dialed.`,
    );
  }

  /**
   * Opens a connection to an address, with or without a path. Rejects with the signal's reason if it is
   * aborted, otherwise with a `HearsayError`: `timeout` after `connectTimeout`, `incompatible` if the server
   * uses another subprotocol, `stopped` after {@linkcode WebSocketTransport.close}, `connection` for any
   * other failure.
   */
  async dial(address: string, options: { readonly signal: AbortSignal }): Promise<Connection> {
    this.#closing.signal.throwIfAborted();
    options.signal.throwIfAborted();
    const url = dialUrl(address, this.#path);
    using deadline = deadlineAfter(this.#runtime, this.#connectTimeout, `Connecting to ${url.href}`, {
      signal: AbortSignal.any([options.signal, this.#closing.signal]),
    });
    const { headers, authentication, tokenIn = this.#platform.tokenIn } = this.#options;
    const authority = authorityOf(url.href)!;
    // Signing is fast and cannot be canceled, so `close` waits for it (R9.4).
    const credentials = authentication && await authentication.credentials({ authority });
    deadline.signal.throwIfAborted();
    const token = credentials?.token;
    const { signal } = deadline;
    const { maxMessageBytes } = this.#limits;
    const { socket, release } = await this.#dialer.open(url, {
      headers,
      token,
      tokenIn,
      maxMessageBytes,
      signal,
    });
    const connection = this.#keep(socket, { dialed: true, remote: url.href, guard: credentials?.guard });
    if (release) void connection.closed.then(release);
    if (socket.protocol === SUBPROTOCOL) return connection;
    void connection.close(CLOSE.invalid, `The subprotocol must be ${SUBPROTOCOL}.`);
    // A server may choose the subprotocol that contains the token.
    const spoken = socket.protocol.startsWith(TOKEN_PROTOCOL) ? "another" : describe(socket.protocol);
    throw new HearsayError(
      "incompatible",
      `${url.href} must speak the subprotocol ${SUBPROTOCOL}, spoke ${spoken}; the connection was closed.`,
    );
  }

  /** Closes every connection and stops accepting. Resolves when all have ended. May be called again. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new HearsayError("stopped", "The transport is closed. Nothing was dialed."));
    this.#unlisten.abort();
    this.#pace.end();
    if (!this.#refusing) this.#incoming.close();
    this.#options.observers?.close();
    await Promise.all(Array.from(this.#connections, goAway));
    if (this.#server) await this.#shutDown(this.#server);
    await this.#dialer.close();
  }

  /**
   * Shuts the server down within `closeTimeout`. Deno itself would wait without limit for connected clients that do not
   * begin a TLS handshake.
   */
  async #shutDown(server: Server): Promise<void> {
    using deadline = deadlineAfter(this.#runtime, this.#limits.closeTimeout, "Shutting the server down");
    await abortable(server.shutdown(), deadline.signal).catch((error) => {
      if (error !== deadline.signal.reason) throw error;
    });
  }

  #listen(options: ListenOptions): Server {
    const { hostname = "127.0.0.1", port, tls, signal } = options;
    const { onListenFailed = () => {} } = this.#options;
    signal?.throwIfAborted();
    signal?.addEventListener("abort", () => void this.close(), { signal: this.#unlisten.signal });
    const runtime = this.#runtime;
    return this.#platform.serve(
      { hostname, port, ...tls, runtime, onListenFailed },
      async (request, info) => {
        return await this.handler(request, info) ??
          await this.#pace.pass(new Response("There is nothing here.\n", { status: 404 }), info.remoteAddr);
      },
    );
  }

  #refuseUnavailable(): Response | undefined {
    const closed = this.#refusing || this.#closing.signal.aborted;
    if (!closed && this.#incoming.desiredSize! > 0) return undefined;
    const text = closed ? "This member has stopped.\n" : "Too many accepted connections are pending.\n";
    return new Response(text, { status: 503 });
  }

  #accept(
    socket: Socket,
    { remote, slot }: { readonly remote: string; readonly slot: ConnectionSlot },
  ): void {
    const { guard, isReader } = slot.admitted ?? {};
    const connection = this.#keep(socket, { dialed: false, remote, guard, isReader });
    slot.upgraded({
      get usedMs() {
        return connection.usedMs;
      },
      end: (reason) => void connection.close(CLOSE.done, reason),
    });
    void connection.closed.then(() => slot.leave());
    if (this.#refusing) void goAway(connection);
    else this.#incoming.enqueue(connection);
  }

  #acceptObserver(
    socket: Socket,
    { remote, slot, seat }: {
      readonly remote: string;
      readonly slot: ConnectionSlot;
      readonly seat: ObserverPlace;
    },
  ): void {
    const { guard, isReader = false } = slot.admitted ?? {};
    slot.upgraded(seat.open(socket, { remote, guard, isReader, ended: () => slot.leave() }));
  }

  #keep(
    socket: Socket,
    side: Pick<SocketConnectionOptions, "dialed" | "remote" | "guard" | "isReader">,
  ): SocketConnection {
    const connection = new SocketConnection(socket, {
      runtime: this.#runtime,
      limits: this.#limits,
      meters: this.#options.meters,
      ...side,
    });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
    return connection;
  }

  #addressOf(host: string, port: number): string {
    const { secure = this.#options.listen?.tls !== undefined } = this.#options;
    return addressAt(host, { port, secure });
  }
}

function goAway(connection: SocketConnection): Promise<CloseInfo> {
  return connection.close(CLOSE.goingAway, "This member has stopped.");
}

/** Throws if the transport would accept every client of the network without an explicit setting. */
function assertNotOpenToAll(
  { listen, authentication, authorize, insecure }: WebSocketTransportOptions,
): void {
  if (!listen || authentication || authorize || insecure) return;
  const { hostname = "127.0.0.1" } = listen;
  if (isLoopback(hostname)) return;
  throw new HearsayError(
    "invalid_configuration",
    `Without keys a member listens on loopback only, and not on ${
      describe(hostname)
    }, unless insecure is true; nothing was opened.`,
  );
}

/**
 * The canonical host, the port if it is given, and the path of an address. The scheme is left out, because a request
 * through a TLS proxy arrives by `http`.
 */
function addressKey({ hostname, port, pathname }: URL): string {
  return `${canonicalHost(hostname)}:${port}${pathname}`;
}
