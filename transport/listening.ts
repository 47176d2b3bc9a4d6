/**
 * Listening for peers, and what is said where that cannot be done.
 *
 * @module
 */

import { bracketed } from "../gossiper/host_names.ts";
import { HearsayError } from "../gossiper/errors.ts";
import { withoutKeys } from "../gossiper/key_material.ts";
import { warn } from "../gossiper/log.ts";
import { realRuntime, type Runtime } from "../gossiper/runtime.ts";

/**
 * How long a server that was taken down waits before it listens again, in milliseconds. Shorter: where descriptors
 * have run out the process does little else. Longer: newcomers wait.
 */
export const LISTEN_AGAIN_MS = 1_000;
/** A failure is told at most once in so many milliseconds: an outsider can cause one with every pause. */
export const LISTEN_FAILED_EVERY_MS = 60_000;
/** How many servers that were taken down are kept for the connections that they accepted. */
export const MAX_FAILED_SERVERS = 8;

/** A server stopped listening; what it had accepted stays open, and it listens again by itself. */
export interface ListenFailure {
  /** Where it listens, as `host:port`. */
  readonly address: string;
  /** Why: mostly that the process has as many files and sockets open as it may (`ulimit -n`). */
  readonly error: unknown;
}

/** How to {@linkcode serve}. */
export interface ServeOptions extends Partial<Deno.TlsCertifiedKeyPem> {
  /** The name or address to listen on; `"127.0.0.1"` by default. */
  readonly hostname?: string;
  /** The port; 0 takes a free one, which {@linkcode Server.addr} then tells. */
  readonly port: number;
  /** Stops listening when aborted, and ends every connection at once. */
  readonly signal?: AbortSignal;
  /** Hears that the server listens no more for now, at most once in a minute. By default the log does. Must not throw. */
  readonly onListenFailed?: (failure: ListenFailure) => void;
  /** Time and chance; the real ones by default. */
  readonly runtime?: Runtime;
}

/** A server at a port of this machine. */
export interface Server {
  /** Where it listens. */
  readonly addr: Deno.NetAddr;
  /** Listens no more, and resolves when all requests were answered and all connections are closed; never rejects. */
  shutdown(): Promise<void>;
}

/**
 * Serves requests at a port of this machine, as `Deno.serve` does, and goes on where that would end the process: when
 * the system takes the listener away, as it does when the process has as many files and sockets open as it may. What
 * was accepted stays open, and after a second the server listens again. A handler that throws is answered with 500.
 *
 * @throws {HearsayError} with code `cannot_listen` where the port is taken, or not this machine's; its `cause` is
 * Deno's own error. That the process was not allowed to is thrown as Deno says it.
 *
 * @example
 * ```ts
 * import { serve } from "./listening.ts";
 *
 * const server = serve({ port: 0 }, () => new Response("hello"));
 * console.assert(await (await fetch(`http://127.0.0.1:${server.addr.port}`)).text() === "hello");
 * await server.shutdown();
 * ```
 */
export function serve(options: ServeOptions, handler: Deno.ServeHandler<Deno.NetAddr>): Server {
  return new LastingServer(options, handler);
}

/** A server of Deno, and what ends all of its connections. */
interface Served {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  readonly ending: AbortController;
}

/** A {@linkcode Server} made of one server of Deno after another. */
class LastingServer implements Server {
  readonly addr: Deno.NetAddr;
  readonly #options: ServeOptions;
  readonly #runtime: Runtime;
  readonly #handler: Deno.ServeHandler<Deno.NetAddr>;
  /** Servers that listen no more, with connections that they accepted; the oldest first. */
  readonly #failed: Served[] = [];
  #present: Served | undefined;
  /** Whether the present server has answered a request: else its connections are of clients that say nothing. */
  #isUsed = false;
  #toldMs = -Infinity;
  #cancelPause: () => void = () => {};
  #isOver = false;

  constructor(options: ServeOptions, handler: Deno.ServeHandler<Deno.NetAddr>) {
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
    // To abort a server of Deno that was shut down throws.
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
      // Deno would print every one, as often as a client likes.
      onError: () => new Response("This request could not be answered.\n", { status: 500 }),
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
    // Clients that say nothing hold the descriptors that are missing.
    if (this.#isUsed) this.#failed.push(served);
    else void drop(served);
    if (this.#failed.length > MAX_FAILED_SERVERS) void drop(this.#failed.shift()!);
    this.#pause(error);
  }

  #pause(error: unknown): void {
    if (this.#isOver) return;
    this.#tell(error);
    this.#cancelPause = this.#runtime.setTimer(LISTEN_AGAIN_MS, () => {
      try {
        this.#listen(this.addr.port);
      } catch (error) {
        this.#pause(error);
      }
    });
  }

  #tell(error: unknown): void {
    const nowMs = this.#runtime.monotonicMs();
    if (nowMs - this.#toldMs < LISTEN_FAILED_EVERY_MS) return;
    this.#toldMs = nowMs;
    const address = addressText(this.addr);
    const { onListenFailed = warnOf } = this.#options;
    onListenFailed({ address, error });
  }
}

/** Ends a server of which nothing more is expected; that it cannot be ended changes nothing. */
async function drop({ server }: Served): Promise<void> {
  await server.shutdown().catch(() => {});
}

function warnOf({ address, error }: ListenFailure): void {
  const why = error instanceof Error ? error.message : String(error);
  warn(`Hearsay: ${address} takes no connections: ${why}. It listens again in ${LISTEN_AGAIN_MS} ms.`);
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
    const place = addressText({ hostname, port });
    const why = cause instanceof Deno.errors.AddrInUse
      ? "another program, or another member, has that port; port 0 takes any that is free"
      : cause.message;
    throw new HearsayError("cannot_listen", `${place} cannot be listened on: ${why}. Nothing was opened.`, {
      cause,
    });
  }
}

function addressText({ hostname, port }: Pick<Deno.NetAddr, "hostname" | "port">): string {
  return `${bracketed(withoutKeys(hostname))}:${port}`;
}
