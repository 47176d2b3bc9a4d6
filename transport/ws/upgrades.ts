/**
 * Upgrades the requests of Node's servers.
 *
 * @module
 */

import type { Duplex, IncomingMessage } from "../../deps/node_server.ts";
import { WebSocketServer } from "../../deps/ws.ts";
import { OBSERVE_PROTOCOL, SUBPROTOCOL } from "../web_socket/dial.ts";
import type { Socket } from "../web_socket/platform.ts";
import type { NetAddress } from "../listening.ts";
import { refuseUpgrade, remoteAddressOf, requestOf } from "./request.ts";
import { asSocket } from "./socket.ts";

/** The arguments of a server's event `upgrade`. */
export interface Handshake {
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Uint8Array;
}

/** A handler that may leave a request to others. */
export type UpgradeHandler = (
  request: Request,
  info?: { readonly remoteAddr: NetAddress },
) => Promise<Response | undefined>;

/** The requests for upgrades while a member's handler decides about them. */
export class Upgrades {
  readonly #waiting = new WeakMap<Request, Handshake>();
  readonly #server: WebSocketServer;

  /** Accepts messages of up to `maxPayload` bytes. A larger message ends its connection. */
  constructor(maxPayload: number) {
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload,
      perMessageDeflate: false,
      allowSynchronousEvents: false,
      // The member has already refused requests without one of these subprotocols.
      handleProtocols: (offered) => offered.has(SUBPROTOCOL) ? SUBPROTOCOL : OBSERVE_PROTOCOL,
    });
    // Without a listener, `ws` itself would answer a faulty request.
    this.#server.on("wsClientError", () => {});
  }

  /** True while the handler decides about this request. */
  has(request: Request): boolean {
    return this.#waiting.has(request);
  }

  /** Passes a request to the handler. If the handler returns no response, the socket stays as it was. */
  async handle(handshake: Handshake, handler: UpgradeHandler): Promise<void> {
    const { message, socket } = handshake;
    const gone = new AbortController();
    const over = () => gone.abort();
    // An error without a listener would end the process.
    const ignore = () => {};
    socket.on("error", ignore);
    socket.once("close", over);
    const remoteAddr = remoteAddressOf(message);
    let response: Response | undefined;
    let request: Request | undefined;
    try {
      request = requestOf(message, gone.signal);
      this.#waiting.set(request, handshake);
      response = await handler(request, remoteAddr && { remoteAddr });
    } catch {
      const status = request ? 500 : 400;
      response = new Response("The request failed.\n", { status });
    }
    const isTaken = request !== undefined && !this.#waiting.delete(request);
    socket.off("close", over);
    if (!isTaken && response) await refuseUpgrade(socket, response);
    else socket.off("error", ignore);
  }

  /**
   * Upgrades a request, while the handler decides about it.
   *
   * @throws {TypeError} if its headers are not the headers of a WebSocket request, or its client is gone.
   */
  upgrade(request: Request): { readonly socket: Socket; readonly response: Response } {
    const handshake = this.#waiting.get(request);
    if (!handshake) throw new TypeError("The request must be one of a server of Node.");
    const { message, socket, head } = handshake;
    let opened: Socket | undefined;
    this.#server.handleUpgrade(message, socket, head, (ws) => opened = asSocket(ws));
    if (!opened) throw new TypeError("The request must be that of a WebSocket.");
    this.#waiting.delete(request);
    return { socket: opened, response: new Response(null, { status: 204 }) };
  }
}
