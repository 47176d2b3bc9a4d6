// Types of the parts of `ws` in use; the package has no types.

import type { Duplex, IncomingMessage } from "./node_server.ts";

/** A WebSocket of either side. */
export class WebSocket {
  constructor(url: URL, protocols: readonly string[], options: ClientOptions);
  /** As in browsers. */
  readonly readyState: number;
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
  /** The selected subprotocol, or `""`. */
  readonly protocol: string;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  /** Ends the socket at once. */
  terminate(): void;
  on(event: "open", listener: () => void): this;
  on(event: "message", listener: (data: Uint8Array, isBinary: boolean) => void): this;
  on(event: "error", listener: (error: Error & { readonly code?: string }) => void): this;
  on(event: "close", listener: (code: number, reason: Uint8Array) => void): this;
}

/** Options of a client. */
export interface ClientOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly maxPayload: number;
  readonly perMessageDeflate: false;
  readonly allowSynchronousEvents: false;
  readonly ca?: readonly string[];
}

/** Upgrades the requests of a server. */
export class WebSocketServer {
  constructor(options: {
    readonly noServer: true;
    readonly clientTracking: false;
    readonly maxPayload: number;
    readonly perMessageDeflate: false;
    readonly allowSynchronousEvents: false;
    readonly handleProtocols: (offered: ReadonlySet<string>) => string | false;
  });
  on(event: "wsClientError", listener: (error: Error) => void): this;
  /** Calls the callback before it returns, unless the request is faulty or its client is gone. */
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    done: (socket: WebSocket) => void,
  ): void;
}
