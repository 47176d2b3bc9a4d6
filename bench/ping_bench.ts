/**
 * What a message and its answer take over a real WebSocket, by size and direction, on loopback: by a bare
 * socket, and by the transport, which sends a ping before the messages that would wait (rule P5).
 *
 * @module
 */

import type { Message } from "../gossiper/message.ts";
import { SUBPROTOCOL, WebSocketTransport } from "../transport/web_socket.ts";
import { encode } from "../transport/wire.ts";

/** One line of the table: the median, in milliseconds, of a message of so many bytes and its answer. */
export interface PingResult {
  readonly bytes: number;
  /** Who sends the message; the answer, of 100 bytes, comes from the other. */
  readonly sender: "dialler" | "acceptor";
  /** By a bare WebSocket. */
  readonly bareMs: number;
  /** By the transport. */
  readonly transportMs: number;
}

/** What is measured. */
export interface PingBenchOptions {
  /** The sizes of messages, in bytes. */
  readonly sizes?: readonly number[];
  /** How many messages of each size are measured, after some that are not. */
  readonly rounds?: number;
}

const SIZES = [100, 1_024, 1_025, 4_096, 16_384, 61_440, 262_144];

/** Both ends of something that carries messages. */
interface Line extends AsyncDisposable {
  readonly dialler: End;
  readonly acceptor: End;
}

interface End {
  send(message: Message): Promise<void>;
  receive(): Promise<unknown>;
}

/** Measures every size in both directions. */
export async function measurePing(options: PingBenchOptions = {}): Promise<PingResult[]> {
  const { sizes = SIZES, rounds = 21 } = options;
  await using bare = await bareLine();
  await using transport = await transportLine();
  const results: PingResult[] = [];
  for (const sender of ["dialler", "acceptor"] as const) {
    for (const bytes of sizes) {
      const bareMs = await medianMs(bare, { sender, bytes, rounds });
      const transportMs = await medianMs(transport, { sender, bytes, rounds });
      results.push({ bytes, sender, bareMs, transportMs });
    }
  }
  return results;
}

async function medianMs(
  line: Line,
  options: { readonly sender: PingResult["sender"]; readonly bytes: number; readonly rounds: number },
): Promise<number> {
  const [from, to] = options.sender === "dialler"
    ? [line.dialler, line.acceptor]
    : [line.acceptor, line.dialler];
  const [message, answer] = [messageOf(options.bytes), messageOf(100)];
  const times: number[] = [];
  for (let round = -3; round < options.rounds; round++) {
    const start = performance.now();
    const [received, answered] = [to.receive(), from.receive()];
    await from.send(message);
    await received;
    await to.send(answer);
    await answered;
    if (round >= 0) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}

/** A message whose text takes so many bytes. */
function messageOf(bytes: number): Message {
  const message = (text: string): Message => ({ type: "error", code: "busy", message: text });
  return message("x".repeat(bytes - encode(message("")).length));
}

async function transportLine(): Promise<Line> {
  const options = { path: "bench", maxMessageBytes: 1_048_576 };
  const server = new WebSocketTransport({ ...options, listen: { port: 0 } });
  const client = new WebSocketTransport(options);
  const dialled = await client.dial(server.address!, { signal: new AbortController().signal });
  const { value: accepted } = await server.incoming.getReader().read();
  const ends = [dialled, accepted!].map((connection): End => {
    const [writer, reader] = [connection.writable.getWriter(), connection.readable.getReader()];
    return { send: (message) => writer.write(message), receive: () => reader.read() };
  });
  return {
    dialler: ends[0]!,
    acceptor: ends[1]!,
    [Symbol.asyncDispose]: async () => void await Promise.all([client.close(), server.close()]),
  };
}

async function bareLine(): Promise<Line> {
  const { promise: accepted, resolve } = Promise.withResolvers<WebSocket>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL });
    socket.addEventListener("open", () => resolve(socket));
    return response;
  });
  const client = new WebSocket(`ws://127.0.0.1:${server.addr.port}`, [SUBPROTOCOL]);
  const opened = Promise.withResolvers<void>();
  client.addEventListener("open", () => opened.resolve());
  client.addEventListener("error", () => opened.reject(new Error("The bare socket did not open.")));
  await opened.promise;
  return {
    dialler: bareEnd(client),
    acceptor: bareEnd(await accepted),
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
    receive: () => new Promise((resolve) => socket.addEventListener("message", resolve, { once: true })),
  };
}

/** The results as a table for people. */
export function pingTable(results: readonly PingResult[]): string {
  const lines = results.map(({ bytes, sender, bareMs, transportMs }) =>
    `${sender.padEnd(8)} ${bytes.toLocaleString("en").padStart(9)} B ` +
    `${bareMs.toFixed(2).padStart(9)} ms ${transportMs.toFixed(2).padStart(10)} ms`
  );
  return ["sender        message   bare socket     transport", ...lines].join("\n");
}

if (import.meta.main) console.log(pingTable(await measurePing()));
