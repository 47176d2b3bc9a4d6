import { assert, assertEquals, assertLess } from "../../deps/std_assert.ts";
import { CLOSE } from "../../common/errors.ts";
import { realRuntime, type Runtime } from "../../common/runtime.ts";
import { PONG_WITHIN_MS, SILENT_MS, SocketConnection } from "../../transport/web_socket/connection.ts";
import { destroySocket } from "../../transport/web_socket/destroy.ts";
import { PING_TEXT, PONG_TEXT } from "../../protocol/codec.ts";

const LIMITS = {
  maxMessageBytes: 65_536,
  highWaterMark: 1_000,
  closeTimeout: 200,
  maxMessagesPerSecond: 1_000,
};
const TEXT = 1;
const CONTINUATION = 0;

/** A clock that the test moves; timers fire in their turn. */
class HandClock implements Runtime {
  readonly random = realRuntime.random;
  #nowMs = 0;
  readonly #timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();

  readonly monotonicMs = () => this.#nowMs;
  readonly wallMs = () => this.#nowMs;

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets time pass; with `suspended` no timer fires before it has passed, as in a process that did not run. */
  pass(ms: number, { suspended = false } = {}): void {
    const endMs = this.#nowMs + ms;
    if (suspended) this.#nowMs = endMs;
    for (;;) {
      const due = [...this.#timers].filter(({ dueMs }) => dueMs <= endMs)
        .sort((one, other) => one.dueMs - other.dueMs)[0];
      if (!due) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.dueMs);
      due.callback();
    }
    this.#nowMs = endMs;
  }
}

/** A connection over a socket under the control of the test. */
function connected({ dialed }: { readonly dialed: boolean }) {
  const clock = new HandClock();
  const sent: string[] = [];
  const closes: [number, string][] = [];
  const socket = Object.assign(new EventTarget(), {
    readyState: WebSocket.OPEN as number,
    bufferedAmount: 0,
    send: (text: string) => void sent.push(text),
    close: (code: number, reason: string) => {
      socket.readyState = WebSocket.CLOSING;
      closes.push([code, reason]);
    },
  });
  new SocketConnection(socket as unknown as WebSocket, {
    runtime: clock,
    limits: LIMITS,
    dialed,
    remote: "the peer",
  });
  const receive = (data: string) => void socket.dispatchEvent(new MessageEvent("message", { data }));
  return { clock, sent, closes, receive };
}

const REASON = "No message ended for long, and no ping was answered.";

Deno.test("SocketConnection: a peer whose message does not end gets a ping, and its connection is closed if no answer comes", () => {
  for (const dialed of [true, false]) {
    const { clock, sent, closes, receive } = connected({ dialed });
    receive(PONG_TEXT);
    clock.pass(SILENT_MS - 1);
    assertEquals([sent, closes], [[], []]);
    clock.pass(1);
    assertEquals([sent, closes], [[PING_TEXT], []]);
    clock.pass(PONG_WITHIN_MS);
    assertEquals(closes, [[dialed ? CLOSE.goingAwayDialer : CLOSE.goingAway, REASON]]);
  }
});

Deno.test("SocketConnection: a peer that sends something, or answers the ping, is not closed for its silence", () => {
  const { clock, sent, closes, receive } = connected({ dialed: true });
  for (let times = 0; times < 10; times++) {
    clock.pass(SILENT_MS / 2);
    receive(PONG_TEXT);
  }
  assertEquals(sent, []);
  for (let answered = 0, seconds = 0; seconds < 200; seconds++) {
    clock.pass(1_000);
    if (sent.length === answered) continue;
    receive(PONG_TEXT);
    answered++;
  }
  assertEquals([sent.length > 5, closes], [true, []]);
});

Deno.test("SocketConnection: an acceptor sends no ping before the peer's first message, and closes the connection all the same", () => {
  const { clock, sent, closes } = connected({ dialed: false });
  clock.pass(SILENT_MS + PONG_WITHIN_MS);
  assertEquals([sent, closes.length], [[], 1]);
});

Deno.test("SocketConnection: a process that did not run reads what waits before it closes a peer for its silence", () => {
  const { clock, closes, receive } = connected({ dialed: true });
  clock.pass(SILENT_MS);
  clock.pass(60_000, { suspended: true });
  assertEquals(closes, []);
  receive(PONG_TEXT);
  clock.pass(PONG_WITHIN_MS);
  assertEquals(closes, []);
  clock.pass(SILENT_MS + PONG_WITHIN_MS);
  assertEquals(closes.length, 1);
});

// ---- on real sockets

async function writeAll(tcp: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length;) from += await tcp.write(bytes.subarray(from));
}

/** A frame with so many blanks. */
function frame(opcode: number, length: number, { masked }: { readonly masked: boolean }): Uint8Array {
  const head = masked ? 14 : 10;
  const bytes = new Uint8Array(head + length).fill(0x20);
  bytes.set([opcode, masked ? 255 : 127]);
  new DataView(bytes.buffer).setBigUint64(2, BigInt(length));
  if (masked) bytes.fill(0, 10, 14);
  return bytes;
}

/** A socket of Deno, and the peer's end of its connection. */
async function opened(side: "accepted" | "dialed") {
  if (side === "accepted") {
    const { promise, resolve } = Promise.withResolvers<WebSocket>();
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.addEventListener("open", () => resolve(socket));
      return response;
    });
    const tcp = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
    const head = [
      "GET / HTTP/1.1",
      "host: x",
      "upgrade: websocket",
      "connection: Upgrade",
      "sec-websocket-version: 13",
      "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
    ];
    await writeAll(tcp, new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
    return { socket: await promise, tcp, end: () => server.shutdown() };
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const socket = new WebSocket(`ws://127.0.0.1:${listener.addr.port}/`);
  const tcp = await listener.accept();
  const asked = new Uint8Array(2_000);
  const text = new TextDecoder().decode(asked.subarray(0, (await tcp.read(asked))!));
  const key = /^sec-websocket-key: (.*)\r$/im.exec(text)![1];
  const salted = new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  const accept = new Uint8Array(await crypto.subtle.digest("SHA-1", salted)).toBase64();
  const head = [
    "HTTP/1.1 101 Switching Protocols",
    "upgrade: websocket",
    "connection: Upgrade",
    `sec-websocket-accept: ${accept}`,
  ];
  await writeAll(tcp, new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  return { socket, tcp, end: () => Promise.resolve(listener.close()) };
}

for (const side of ["accepted", "dialed"] as const) {
  Deno.test(`SocketConnection: reads no further from a peer that does not answer the closing, ${side}`, async () => {
    const { socket, tcp, end } = await opened(side);
    const connection = new SocketConnection(socket, {
      runtime: realRuntime,
      limits: LIMITS,
      dialed: side === "dialed",
      remote: "the peer",
    });
    const masked = side === "accepted";
    await writeAll(tcp, frame(TEXT, 1_000, { masked }));
    void connection.close(CLOSE.done, "");
    await connection.closed;
    // Without an end of the socket this would go on as long as there is memory: 64 MiB are more than any buffer of the system.
    const more = frame(CONTINUATION, 2 ** 20, { masked });
    let sentMiB = 0;
    try {
      for (; sentMiB < 64; sentMiB++) await writeAll(tcp, more);
    } catch {
      // The connection was reset.
    }
    assertLess(sentMiB, 64);
    tcp.close();
    await end();
  });
}

Deno.test("destroySocket: finds the parts of Deno that it uses, and returns false for a socket without them", async () => {
  assertEquals(destroySocket(new EventTarget() as WebSocket), false);
  const { socket, tcp, end } = await opened("accepted");
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  assert(destroySocket(socket));
  await closed;
  assertEquals(socket.readyState, WebSocket.CLOSED);
  tcp.close();
  await end();
});
