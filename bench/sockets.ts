/**
 * Both ends of a real WebSocket on loopback: by the transport, or by bare sockets with the same codec and without the
 * ping of rule P5.
 *
 * @module
 */

import type { Message } from "../protocol/message.ts";
import { SUBPROTOCOL, WebSocketTransport } from "../transport/web_socket/web_socket.ts";
import { decode, encode } from "../protocol/codec.ts";

/** One end of a connection. */
export interface End {
  send(message: Message): Promise<void>;
  receive(): Promise<unknown>;
}

/** Both ends of a connection. */
export interface Line extends AsyncDisposable {
  readonly dialer: End;
  readonly acceptor: End;
}

const LIMITS = { maxMessageBytes: 1_048_576 };

/** A connection by the transport. */
export async function transportLine(): Promise<Line> {
  const options = { path: "bench", ...LIMITS };
  const server = new WebSocketTransport({ ...options, listen: { port: 0 } });
  const client = new WebSocketTransport(options);
  const dialed = await client.dial(server.address!, { signal: new AbortController().signal });
  const { value: accepted } = await server.incoming.getReader().read();
  const [dialer, acceptor] = [dialed, accepted!].map((connection): End => {
    const [writer, reader] = [connection.writable.getWriter(), connection.readable.getReader()];
    return { send: (message) => writer.write(message), receive: () => reader.read() };
  }) as [End, End];
  return {
    dialer,
    acceptor,
    [Symbol.asyncDispose]: async () => void await Promise.all([client.close(), server.close()]),
  };
}

/** A connection by bare sockets. */
export async function bareLine(): Promise<Line> {
  const accepted = Promise.withResolvers<WebSocket>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL });
    socket.addEventListener("open", () => accepted.resolve(socket));
    return response;
  });
  const client = new WebSocket(`ws://127.0.0.1:${server.addr.port}`, [SUBPROTOCOL]);
  const opened = Promise.withResolvers<void>();
  client.addEventListener("open", () => opened.resolve());
  client.addEventListener("error", () => opened.reject(new Error("The bare socket did not open.")));
  await opened.promise;
  return {
    dialer: bareEnd(client),
    acceptor: bareEnd(await accepted.promise),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => client.addEventListener("close", resolve));
      client.close();
      await closed;
      await server.shutdown();
    },
  };
}

function bareEnd(socket: WebSocket): End {
  return {
    send: (message) => Promise.resolve(socket.send(encode(message))),
    receive: () =>
      new Promise((resolve) => {
        const receive = ({ data }: MessageEvent) => resolve(decode(data, LIMITS));
        socket.addEventListener("message", receive, { once: true });
      }),
  };
}
