/**
 * WebSocket transports on this machine, and connections between them.
 *
 * @module
 */

import type { Connection } from "../../../contracts/cluster.ts";
import {
  WebSocketTransport,
  type WebSocketTransportOptions,
} from "../../../transport/web_socket/web_socket.ts";

export const OPTIONS: WebSocketTransportOptions = { path: "gossip", maxMessageBytes: 65_536 };

export const never = new AbortController().signal;

/** Two transports, and a connection between them. */
export async function pair(options: { dialer?: object; acceptor?: object } = {}) {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 }, ...options.acceptor });
  const client = new WebSocketTransport({ ...OPTIONS, ...options.dialer });
  const dialed = await client.dial(server.address!, { signal: never });
  const accepted = await take(server);
  return {
    server,
    client,
    dialed,
    accepted,
    [Symbol.asyncDispose]: async () => void await Promise.all([server.close(), client.close()]),
  };
}

/** The next accepted connection. */
export async function take(server: WebSocketTransport): Promise<Connection> {
  const reader = server.incoming.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return value!;
}

/** Closes transports at the end of a block. */
export function closeEverything(...transports: WebSocketTransport[]): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () =>
      void await Promise.all(transports.map((transport) => transport.close())),
  };
}

export function httpOf(transport: WebSocketTransport): string {
  return transport.address!.replace("ws:", "http:");
}

/** Closes a transport at the end of a block. */
export class Disposer implements AsyncDisposable {
  constructor(readonly transport: WebSocketTransport) {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport.close();
  }
}
