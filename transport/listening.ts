/**
 * An HTTP server that survives the loss of its listener.
 *
 * @module
 */

import { messageOf } from "../common/error_text.ts";
import { bracketed } from "../common/host_names.ts";
import { HearsayError } from "../common/errors.ts";
import { assertDeno } from "../common/needs_deno.ts";
import { withoutKeys } from "../common/key_material.ts";
import { warn } from "../common/log.ts";
import { realRuntime, type Runtime } from "../common/runtime.ts";

/**
 * The pause before a failed server listens again, in milliseconds. Lower: while no descriptors are left, the process
 * does little but try to listen. Higher: new clients wait longer.
 */
export const LISTEN_AGAIN_MS = 1_000;
/**
 * The shortest time, in milliseconds, between two reports of a failure, because a client can cause one after
 * every pause.
 */
export const LISTEN_FAILED_EVERY_MS = 60_000;
/** The most failed servers that are kept for their open connections. */
export const MAX_FAILED_SERVERS = 8;

/** A server has stopped listening. Its open connections stay open, and it listens again after a pause. */
export interface ListenFailure {
  /** The listening address as `host:port`. */
  readonly address: string;
  /** The cause: usually too many open files and sockets in the process (`ulimit -n`). */
  readonly error: unknown;
}

/** A host and a port of a network; `Deno.NetAddr` is one. */
export interface NetAddress {
  /** The protocol. */
  readonly transport: "tcp" | "udp";
  /** The name or the IP address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** The second argument of a handler, as from `Deno.serve`. */
export interface RequestInfo {
  /** The client's address. */
  readonly remoteAddr: NetAddress;
  /** Resolves when the response was sent; rejects if it could not be sent. */
  readonly completed: Promise<void>;
}

/** Answers a request. */
export type ServeHandler = (request: Request, info: RequestInfo) => Response | Promise<Response>;

/** Options of {@linkcode serve}. */
export interface ServeOptions {
  /** The certificate chain as PEM, to serve TLS; with `key`. */
  readonly cert?: string;
  /** The private key of the certificate as PEM. */
  readonly key?: string;
  /** The name or address to listen on; `"127.0.0.1"` by default. */
  readonly hostname?: string;
  /** The port; 0 takes a free port, see {@linkcode Server.addr}. */
  readonly port: number;
  /** Stops listening and ends every connection at once when aborted. */
  readonly signal?: AbortSignal;
  /**
   * Called when the server has stopped listening for now, at most once per minute; by default a warning is logged. Must
   * not throw.
   */
  readonly onListenFailed?: (failure: ListenFailure) => void;
  /** Clock, timers and random numbers; the real ones by default. */
  readonly runtime?: Runtime;
}

/** A server at a port of this machine. */
export interface Server {
  /** The listening address. */
  readonly addr: NetAddress;
  /**
   * Stops listening. Resolves when all requests are answered and all connections are closed; never rejects.
   */
  shutdown(): Promise<void>;
}

/**
 * Serves requests at a port of this machine, like `Deno.serve`, but survives the loss of the listener. The
 * system closes the listener when the process has too many open files and sockets; `Deno.serve` would end the
 * process then. Open connections stay open, and the server listens again after a second. A handler that
 * throws causes a response with 500.
 *
 * @throws {HearsayError} with code `cannot_listen` if the port is taken or the address is not an address of this
 * machine; its `cause` is Deno's error. A missing permission is thrown as Deno's own error.
 *
 * @example
 * ```ts
 * import { serve } from "@hearsay/gossip";
 *
 * const server = serve({ port: 0 }, () => new Response("hello"));
 * console.assert(await (await fetch(`http://127.0.0.1:${server.addr.port}`)).text() === "hello");
 * await server.shutdown();
 * ```
 */
export function serve(options: ServeOptions, handler: ServeHandler): Server {
  assertDeno("serve", "use a server of `node:http` and `mount` of @hearsay/gossip/ws");
  return new LastingServer(options, handler);
}

/** A Deno server, and a controller that ends its connections. */
interface Served {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  readonly ending: AbortController;
}

/** A {@linkcode Server} that replaces its Deno server after a failure. */
class LastingServer implements Server {
  readonly addr: NetAddress;
  readonly #options: ServeOptions;
  readonly #runtime: Runtime;
  readonly #handler: ServeHandler;
  /** Failed servers with open connections, oldest first. */
  readonly #failed: Served[] = [];
  #present: Served | undefined;
  /** True if the present server has received a request. Otherwise all of its clients are silent. */
  #isUsed = false;
  #toldMs = -Infinity;
  #cancelPause: () => void = () => {};
  #isOver = false;

  constructor(options: ServeOptions, handler: ServeHandler) {
    this.#options = options;
    this.#runtime = options.runtime ?? realRuntime;
    this.#handler = handler;
    options.signal?.throwIfAborted();
    this.addr = this.#listen(options.port).addr;
    options.signal?.addEventListener("abort", this.#abort, { once: true });
  }

  async shutdown(): Promise<void> {
    this.#end();
    await Promise.all((this.#present ? [...this.#failed, this.#present] : this.#failed).map(drop));
  }

  readonly #abort = () => {
    this.#end();
    for (const { ending } of this.#failed) ending.abort();
    this.#present?.ending.abort();
  };

  #end(): void {
    this.#isOver = true;
    this.#cancelPause();
    // Aborting a Deno server after its shutdown throws.
    this.#options.signal?.removeEventListener("abort", this.#abort);
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { hostname = "127.0.0.1", cert, key } = this.#options;
    const ending = new AbortController();
    const options = {
      hostname,
      port,
      ...(cert !== undefined && key !== undefined && { cert, key }),
      signal: ending.signal,
      onListen: () => {},
      // By default Deno would log every error, so a client could fill the log.
      onError: () => new Response("The request failed.\n", { status: 500 }),
    };
    const server = serveOnce(options, (request, info) => {
      this.#isUsed = true;
      return this.#handler(request, info);
    });
    const served = { server, ending };
    this.#present = served;
    this.#isUsed = false;
    server.finished.catch((error) => this.#fail(served, error));
    return server;
  }

  #fail(served: Served, error: unknown): void {
    this.#present = undefined;
    // A server without a request has only silent clients, which use up the descriptors.
    if (this.#isUsed) this.#failed.push(served);
    else void drop(served);
    if (this.#failed.length > MAX_FAILED_SERVERS) void drop(this.#failed.shift()!);
    this.#pause(error);
  }

  #pause(error: unknown): void {
    if (this.#isOver) return;
    this.#report(error);
    this.#cancelPause = this.#runtime.setTimer(LISTEN_AGAIN_MS, () => {
      try {
        this.#listen(this.addr.port);
      } catch (error) {
        this.#pause(error);
      }
    });
  }

  #report(error: unknown): void {
    const nowMs = this.#runtime.monotonicMs();
    if (nowMs - this.#toldMs < LISTEN_FAILED_EVERY_MS) return;
    this.#toldMs = nowMs;
    const address = addressText(this.addr);
    const { onListenFailed = warnOf } = this.#options;
    onListenFailed({ address, error });
  }
}

/** Shuts a server down and ignores errors. */
async function drop({ server }: Served): Promise<void> {
  await server.shutdown().catch(() => {});
}

function warnOf(failure: ListenFailure): void {
  warn(`Hearsay: ${listenFailed(failure)}`);
}

/** The sentence about a failed listener. */
export function listenFailed({ address, error }: ListenFailure): string {
  const why = messageOf(error).replace(/\.$/, "");
  return `${address} accepts no connections: ${why}. It tries to listen again every ${LISTEN_AGAIN_MS} ms.`;
}

function serveOnce(
  options: Deno.ServeTcpOptions & Partial<Deno.TlsCertifiedKeyPem>,
  handler: Deno.ServeHandler<Deno.NetAddr>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve(options, handler);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable || !(cause instanceof Error)) throw cause;
    const { hostname = "", port = 0 } = options;
    throw cannotListen({ hostname, port }, { cause, isTaken: cause instanceof Deno.errors.AddrInUse });
  }
}

/** The error of a listener that could not be opened. */
export function cannotListen(
  address: Pick<NetAddress, "hostname" | "port">,
  { cause, isTaken }: { readonly cause: Error; readonly isTaken: boolean },
): HearsayError {
  const why = isTaken ? "another process uses this port; port 0 takes a free one" : cause.message;
  const text = `Cannot listen on ${addressText(address)}: ${why}. Nothing was opened.`;
  return new HearsayError("cannot_listen", text, { cause });
}

/** An address as `host:port`. */
export function addressText({ hostname, port }: Pick<NetAddress, "hostname" | "port">): string {
  return `${bracketed(withoutKeys(hostname))}:${port}`;
}
