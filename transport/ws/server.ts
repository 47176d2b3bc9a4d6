/**
 * An HTTP server of Node as a {@linkcode Server}, and its requests for upgrades.
 *
 * @module
 */

import {
  type AddressInfo,
  createHttpServer,
  createHttpsServer,
  type Duplex,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from "../../deps/node_server.ts";
import { abortable } from "../../common/runtime.ts";
import {
  addressText,
  cannotListen,
  LISTEN_FAILED_EVERY_MS,
  type NetAddress,
  type Server,
} from "../listening.ts";
import type { ListenOptions } from "../web_socket/options.ts";
import type { PlatformHandler, PlatformServeOptions } from "../web_socket/platform.ts";
import { remoteAddressOf, requestOf } from "./request.ts";
import type { Upgrades } from "./upgrades.ts";

/** A server that listens, and answers no requests yet. */
export class BoundServer {
  /** The listening address. */
  readonly addr: NetAddress;
  readonly #server: HttpServer;

  private constructor(server: HttpServer) {
    this.#server = server;
    const { address, port } = server.address() as AddressInfo;
    this.addr = { transport: "tcp", hostname: address, port };
  }

  /**
   * Listens.
   *
   * @throws {HearsayError} with code `cannot_listen` if the port is taken or the address is not an address of this
   * machine.
   */
  static async bind({ hostname = "127.0.0.1", port, tls, signal }: ListenOptions): Promise<BoundServer> {
    const server = tls ? createHttpsServer({ ...tls }) : createHttpServer();
    // Otherwise requests of one connection would be handled in parallel, and a delayed refusal would not delay the next
    // requests.
    server.maxRequestsPerSocket = 1;
    server.on("dropRequest", (_message: IncomingMessage, socket: Duplex) => socket.destroy());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (cause: Error & { readonly code?: string }) =>
      reject(cannotListen({ hostname, port }, { cause, isTaken: cause.code === "EADDRINUSE" }));
    server.once("error", fail);
    server.listen(port, hostname, () => resolve());
    try {
      await (signal ? abortable(promise, signal) : promise);
    } catch (error) {
      server.close();
      throw error;
    }
    server.off("error", fail);
    return new BoundServer(server);
  }

  /** Begins to answer. */
  serve(
    upgrades: Upgrades,
    { runtime, onListenFailed }: PlatformServeOptions,
    handler: PlatformHandler,
  ): Server {
    const server = this.#server;
    let toldMs = -Infinity;
    // If no descriptor is left for a client, Node drops the client and still listens.
    server.on("error", (error) => {
      const nowMs = runtime.monotonicMs();
      if (nowMs - toldMs < LISTEN_FAILED_EVERY_MS) return;
      toldMs = nowMs;
      onListenFailed({ address: addressText(this.addr), error });
    });
    const pending = new Set<Promise<void>>();
    const track = (answering: Promise<void>) => {
      const tracked = answering.catch(() => {}).then(() => void pending.delete(tracked));
      pending.add(tracked);
    };
    server.on("request", (message: IncomingMessage, answer: ServerResponse) => {
      track(respond(message, { answer, handler }));
    });
    server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Uint8Array) => {
      if (socket.destroyed) return;
      track(
        upgrades.handle({ message, socket, head }, async (request, info) => await handler(request, info!)),
      );
    });
    return { addr: this.addr, shutdown: () => shutDown(server, pending) };
  }

  /** Stops listening, if {@linkcode BoundServer.serve} was not called yet. */
  close(): void {
    this.#server.close();
  }
}

/** Answers a request that is no upgrade. */
async function respond(
  message: IncomingMessage,
  { answer, handler }: { readonly answer: ServerResponse; readonly handler: PlatformHandler },
): Promise<void> {
  const remoteAddr = remoteAddressOf(message);
  if (!remoteAddr) return void message.socket.destroy();
  const gone = new AbortController();
  answer.once("close", () => gone.abort());
  let response: Response;
  try {
    response = await handler(requestOf(message, gone.signal), { remoteAddr });
  } catch {
    response = new Response("The request failed.\n", { status: 500 });
  }
  answer.writeHead(response.status, { ...Object.fromEntries(response.headers), connection: "close" });
  answer.end(new Uint8Array(await response.arrayBuffer()));
}

/** Resolves when the pending requests are answered and all connections are closed. */
async function shutDown(server: HttpServer, pending: ReadonlySet<Promise<void>>): Promise<void> {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  await Promise.all(pending);
  server.closeAllConnections();
  await closed;
}
