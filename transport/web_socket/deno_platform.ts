/**
 * The servers and sockets of Deno. Browsers use only the sockets, because they only dial.
 *
 * @module
 */

import { messageOf } from "../../common/error_text.ts";
import { HearsayError } from "../../common/errors.ts";
import { assertMayConnect } from "../../common/permission.ts";
import { serve } from "../listening.ts";
import { addressIn, offerOf, openSocket } from "./dial.ts";
import type { Dialer, OpenedSocket, OpenOptions, Platform } from "./platform.ts";
import { Tunnel } from "./tunnel.ts";

/**
 * The time without a message before Deno closes the socket, in seconds; Deno sends a ping after half of this time. 60:
 * an idle cluster of 32 has a heartbeat on each connection about every nine seconds, and proxies close connections
 * after a silent minute. Lower: needless pings wake both processes. Higher: proxies close connections in use.
 */
const IDLE_TIMEOUT_S = 60;

/** The texts of Deno's client socket for any failure to connect. */
const NOT_CONNECTED = /tcp connect error|connection refused/i;

/** Deno's own servers and sockets. */
export const denoPlatform: Platform = {
  get tokenIn() {
    return "Deno" in globalThis ? "header" : "subprotocol";
  },
  serve(options, handler) {
    assertIsDeno();
    return serve(options, handler);
  },
  upgrade: (request, { protocol }) =>
    Deno.upgradeWebSocket(request, { protocol, idleTimeout: IDLE_TIMEOUT_S }),
  dialer: ({ caCerts }) => new DenoDialer(caCerts),
  ownAddresses() {
    const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
    return state === "granted" ? Deno.networkInterfaces().map(({ address }) => address) : [];
  },
};

function assertIsDeno(): void {
  if ("Deno" in globalThis) return;
  throw new HearsayError(
    "cannot_listen",
    "This runtime is not Deno: on Node and Bun import `join` from @hearsay/gossip/ws, and in a browser set " +
      "`dialOnly`. Nothing was opened.",
  );
}

class DenoDialer implements Dialer {
  readonly #caCerts: readonly string[] | undefined;
  readonly #client: Deno.HttpClient | undefined;
  readonly #tunnels = new Set<Tunnel>();

  constructor(caCerts: readonly string[] | undefined) {
    this.#caCerts = caCerts;
    this.#client = caCerts && Deno.createHttpClient({ caCerts: [...caCerts] });
  }

  /** Opens a socket. If the URL names an IP address behind its `#`, the socket goes through a tunnel to that address. */
  async open(url: URL, options: OpenOptions): Promise<OpenedSocket> {
    const hostname = addressIn(url);
    if (hostname === undefined) return { socket: await open(url, options, this.#client) };
    const { newClusterKey } = await import("../../security/key_sources.ts");
    const password = await newClusterKey();
    options.signal.throwIfAborted();
    const tunnel = new Tunnel({
      hostname,
      port: Number(url.port || 443),
      password,
      caCerts: this.#caCerts,
    });
    this.#tunnels.add(tunnel);
    try {
      const dialed = new URL(url);
      dialed.hash = "";
      const socket = await open(dialed, options, tunnel.client);
      return { socket, release: () => this.#endTunnel(tunnel) };
    } catch (error) {
      await this.#endTunnel(tunnel);
      if (options.signal.aborted || tunnel.failure === undefined) throw error;
      const why = messageOf(tunnel.failure);
      throw new HearsayError("connection", `${url.href} could not be reached: ${why}.`, {
        cause: tunnel.failure,
      });
    } finally {
      tunnel.stopListening();
    }
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#tunnels, (tunnel) => tunnel.close()));
    this.#client?.close();
  }

  async #endTunnel(tunnel: Tunnel): Promise<void> {
    await tunnel.close();
    this.#tunnels.delete(tunnel);
  }
}

function open(url: URL, options: OpenOptions, client: Deno.HttpClient | undefined): Promise<WebSocket> {
  return openSocket(url, {
    ...options,
    make: () => makeSocket(url, options, client),
    isRefused: async (text) => NOT_CONNECTED.test(text) && await refusesConnections(url, options.signal),
  });
}

function makeSocket(
  url: URL,
  options: OpenOptions,
  client: Deno.HttpClient | undefined,
): WebSocket {
  const { protocols, headers } = offerOf(options);
  assertMayConnect(url);
  // A browser's WebSocket accepts only protocols.
  if (options.tokenIn === "subprotocol" && !options.headers && !client) return new WebSocket(url, protocols);
  return new WebSocket(url, { protocols, headers, ...(client && { client }) });
}

/**
 * True if no process listens at a URL's host and port. A client socket does not report a refused connection, so this
 * function connects once more by TCP. False in runtimes without `Deno.connect`.
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
