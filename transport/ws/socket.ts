/**
 * A socket of the package `ws` with the events of a browser's.
 *
 * @module
 */

import type { WebSocket as WsSocket } from "../../deps/ws.ts";
import type { Socket } from "../web_socket/platform.ts";
import { textOfError } from "./error_text.ts";

/** The close of a socket. Node 22 has no `CloseEvent`. */
class Closed extends Event {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string) {
    super("close");
    this.code = code;
    this.reason = reason;
  }
}

/** An error of a socket. Node has no `ErrorEvent`. */
class Failed extends Event {
  readonly message: string;

  constructor(message: string) {
    super("error");
    this.message = message;
  }
}

/** A {@linkcode Socket} over a socket of `ws`, whose listeners take no signal. */
export class NodeSocket extends EventTarget implements Pick<Socket, "readyState" | "send" | "terminate"> {
  /** Messages are texts; messages of other types are refused. */
  binaryType: BinaryType = "arraybuffer";
  readonly #socket: WsSocket;

  /** Takes over a socket that is opening or open. */
  constructor(socket: WsSocket) {
    super();
    this.#socket = socket;
    socket.on("open", () => this.dispatchEvent(new Event("open")));
    socket.on("message", (data, isBinary) => {
      this.dispatchEvent(new MessageEvent("message", { data: isBinary ? data : decoder.decode(data) }));
    });
    socket.on("error", (error) => this.dispatchEvent(new Failed(textOfError(error))));
    socket.on("close", (code, reason) => this.dispatchEvent(new Closed(code, decoder.decode(reason))));
  }

  /** As in browsers. */
  get readyState(): number {
    return this.#socket.readyState;
  }

  /** Bytes that wait to be sent. */
  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  /** The selected subprotocol, or `""`. */
  get protocol(): string {
    return this.#socket.protocol;
  }

  /** Sends a text. */
  send(text: string): void {
    this.#socket.send(text);
  }

  /** Begins to close. */
  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  /** Ends the socket at once, without the peer. */
  terminate(): void {
    this.#socket.terminate();
  }
}

const decoder = new TextDecoder();

/** Wraps a socket of `ws` as a {@linkcode Socket}. Its `close` and `error` events have only the fields that this library reads. */
export function asSocket(socket: WsSocket): Socket {
  return new NodeSocket(socket) as unknown as Socket;
}
