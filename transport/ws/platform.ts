/**
 * The servers of Node and Bun, with the sockets of the package `ws`.
 *
 * @module
 */

import { networkInterfaces, rootCertificates } from "../../deps/node_server.ts";
import { WebSocket as WsSocket } from "../../deps/ws.ts";
import { HearsayError } from "../../common/errors.ts";
import type { Server } from "../listening.ts";
import { addressIn, offerOf, openSocket } from "../web_socket/dial.ts";
import type { ListenOptions } from "../web_socket/options.ts";
import type {
  Dialer,
  OpenedSocket,
  OpenOptions,
  Platform,
  PlatformHandler,
  PlatformServeOptions,
  Socket,
} from "../web_socket/platform.ts";
import { CONNECTION_REFUSED } from "./error_text.ts";
import { BoundServer } from "./server.ts";
import { asSocket } from "./socket.ts";
import { Upgrades } from "./upgrades.ts";

/**
 * Messages above this multiple of `maxMessageBytes` are not read to their end. 2: a message that is slightly too large
 * is still refused with the proper code and reason.
 */
const MAX_PAYLOAD_FACTOR = 2;

/** The servers and sockets of Node and Bun. */
export class NodePlatform implements Platform {
  /** `ws` separates subprotocols by a comma without a space, which Deno's servers do not read. */
  readonly tokenIn = "header";
  /** The requests for upgrades, including those of a service's own server. */
  readonly upgrades: Upgrades;
  readonly #bound: BoundServer | undefined;

  private constructor(maxMessageBytes: number, bound: BoundServer | undefined) {
    this.upgrades = new Upgrades(MAX_PAYLOAD_FACTOR * maxMessageBytes);
    this.#bound = bound;
  }

  /**
   * Makes the platform of one member. If it has a server, the server listens when this resolves, because Node's servers
   * begin to listen asynchronously.
   *
   * @throws {HearsayError} with code `cannot_listen` if the port is taken.
   */
  static async make(
    { listen, maxMessageBytes }: {
      readonly listen?: ListenOptions | undefined;
      readonly maxMessageBytes: number;
    },
  ): Promise<NodePlatform> {
    return new NodePlatform(maxMessageBytes, listen && await BoundServer.bind(listen));
  }

  /** Answers at the address of {@linkcode NodePlatform.make}. */
  serve(options: PlatformServeOptions, handler: PlatformHandler): Server {
    return this.#bound!.serve(this.upgrades, options, handler);
  }

  /** Upgrades a request of {@linkcode NodePlatform.upgrades}. */
  upgrade(request: Request): { readonly socket: Socket; readonly response: Response } {
    return this.upgrades.upgrade(request);
  }

  /** Makes a dialer. */
  dialer({ caCerts }: { readonly caCerts: readonly string[] | undefined }): Dialer {
    // Otherwise Node would no longer trust its own authorities.
    const ca = caCerts && [...rootCertificates, ...caCerts];
    return { open: (url, options) => open(url, options, ca), close: () => Promise.resolve() };
  }

  /** The addresses of this machine. */
  ownAddresses(): readonly string[] {
    return Object.values(networkInterfaces()).flatMap((each = []) => each.map(({ address }) => address));
  }
}

async function open(
  url: URL,
  options: OpenOptions,
  ca: readonly string[] | undefined,
): Promise<OpenedSocket> {
  if (addressIn(url) !== undefined) {
    throw new HearsayError("connection", `Only Deno can dial an address of a name over TLS, as ${url.href}.`);
  }
  const { protocols, headers } = offerOf(options);
  const clientOptions = {
    headers: Object.fromEntries(headers),
    maxPayload: MAX_PAYLOAD_FACTOR * options.maxMessageBytes,
    perMessageDeflate: false,
    // Otherwise all messages of a packet arrive together, before the first is read, and fill the inbox.
    allowSynchronousEvents: false,
    ...(ca && { ca }),
  } as const;
  const socket = await openSocket(url, {
    ...options,
    make: () => asSocket(new WsSocket(url, protocols, clientOptions)),
    isRefused: (text) => text === CONNECTION_REFUSED,
  });
  return { socket };
}
