/**
 * Dials a name over TLS at one of its addresses. Deno's client cannot dial an address under another name. Through a TCP
 * proxy it does not use TLS. Through an HTTP proxy it uses TLS, and checks the certificate for the name. So this module
 * is an HTTP proxy, within this process and for a single dial.
 *
 * @module
 */

import { assertMayConnect } from "../../common/permission.ts";
import { bracketed } from "../../common/host_names.ts";

/** The host on which this proxy listens during the dial. */
const LOOPBACK = "127.0.0.1";
/** The longest head of a request to this proxy, in bytes. The head of Deno's own request has about 200. */
const MAX_HEAD_BYTES = 2_048;
/** The most connections of one dial: Deno tries HTTP/1.1, and then HTTP/2. */
const MAX_CONNECTIONS = 2;

/** Options of a {@linkcode Tunnel}. */
export interface TunnelOptions {
  /** The address to connect to. */
  readonly hostname: string;
  readonly port: number;
  /** A random password, new for each tunnel. It keeps other processes of this machine out. */
  readonly password: string;
  /** Certificates of private authorities to trust. */
  readonly caCerts?: readonly string[] | undefined;
}

/** A proxy to one address, for a client that dials a name. */
export class Tunnel {
  /** The client for the dial. */
  readonly client: Deno.HttpClient;
  /** The reason why the address was not reached; `undefined` if it was reached. */
  failure: unknown;
  readonly #options: TunnelOptions;
  readonly #listener: Deno.TcpListener;
  readonly #ending = new AbortController();
  readonly #carrying: Promise<void>;
  #listens = true;

  /**
   * Listens for the dial.
   *
   * @throws {Deno.errors.NotCapable} where this process may not listen here, or connect there.
   */
  constructor(options: TunnelOptions) {
    this.#options = options;
    assertMayConnect(new URL(`http://${bracketed(options.hostname)}:${options.port}`));
    assertMayConnect(new URL(`http://${LOOPBACK}:0`));
    this.#listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
    const { caCerts, password } = options;
    this.client = Deno.createHttpClient({
      ...(caCerts && { caCerts: [...caCerts] }),
      proxy: {
        url: `http://${LOOPBACK}:${this.#listener.addr.port}`,
        basicAuth: { username: "hearsay", password },
      },
    });
    // Without descriptors no connection can be accepted. The dial through the tunnel then fails at once.
    this.#carrying = this.#accept().catch((error) => {
      this.failure ??= error;
      this.#ending.abort();
      this.stopListening();
      this.client.close();
    });
  }

  /** Accepts no more connections, because the dial is over. Open connections stay. */
  stopListening(): void {
    if (this.#listens) this.#listener.close();
    this.#listens = false;
  }

  /** Ends all connections through the tunnel; resolves when they are closed. */
  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return await this.#carrying;
    this.#ending.abort();
    this.stopListening();
    this.client.close();
    await this.#carrying;
  }

  async #accept(): Promise<void> {
    const carried: Promise<void>[] = [];
    try {
      for await (const inner of this.#listener) {
        carried.push(this.#carry(inner));
        if (carried.length === MAX_CONNECTIONS) this.stopListening();
      }
    } finally {
      await Promise.all(carried);
    }
  }

  async #carry(inner: Deno.TcpConn): Promise<void> {
    const { signal } = this.#ending;
    const open = [inner];
    const end = () => {
      for (const connection of open.splice(0)) connection.close();
    };
    signal.addEventListener("abort", end, { once: true });
    try {
      signal.throwIfAborted();
      if (!await this.#isOwn(inner)) return;
      const { hostname, port } = this.#options;
      const outer = await Deno.connect({ hostname, port, signal });
      open.push(outer);
      for (const connection of open) connection.setNoDelay();
      await inner.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n"));
      await Promise.race([copy(inner, outer), copy(outer, inner)]);
    } catch (error) {
      if (!signal.aborted) this.failure ??= error;
    } finally {
      signal.removeEventListener("abort", end);
      end();
    }
  }

  /** True if the request comes from this tunnel's own client. */
  async #isOwn(inner: Deno.TcpConn): Promise<boolean> {
    const bytes = new Uint8Array(MAX_HEAD_BYTES);
    let length = 0;
    let head = "";
    while (!head.endsWith("\r\n\r\n")) {
      const read = await inner.read(bytes.subarray(length));
      if (!read) return false;
      length += read;
      head = new TextDecoder().decode(bytes.subarray(0, length));
    }
    const credentials = btoa(`hearsay:${this.#options.password}`);
    return head.startsWith("CONNECT ") && head.includes(`\r\nProxy-Authorization: Basic ${credentials}\r\n`);
  }
}

/** Resolves at the end of the source, or when either connection is closed. */
async function copy(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
      for (let at = 0; at < read;) at += await to.write(buffer.subarray(at, read));
    }
  } catch {
    // A broken connection ends like a closed connection. The TLS inside it detects the difference.
  }
}
