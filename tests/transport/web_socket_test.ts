import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { assertRejects, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import type { Connection } from "../../contracts/cluster.ts";
import { CLOSE, ConnectionClosed, HearsayError } from "../../common/errors.ts";
import type { Ack, Message } from "../../protocol/message.ts";
import { realRuntime, type Runtime } from "../../common/runtime.ts";
import {
  MAX_UNTAKEN_CONNECTIONS,
  SUBPROTOCOL,
  WebSocketTransport,
  type WebSocketTransportOptions,
} from "../../transport/web_socket/web_socket.ts";
import type { Authentication, Guard } from "../../contracts/authentication.ts";
import { SILENT_MS, SocketConnection } from "../../transport/web_socket/connection.ts";
import { dialUrl } from "../../transport/web_socket/dial.ts";
import { MAX_UNREAD_LARGEST, MAX_UNREAD_MESSAGES } from "../../transport/web_socket/inbox.ts";
import { encode, PING_TEXT, PONG_TEXT } from "../../protocol/codec.ts";
import { HOSTILE_HOSTS, HOSTILE_URLS } from "../common/host_names.ts";
import { CONTRACT_MAX_MESSAGE_BYTES, transportContract } from "../contract/transport.ts";

const OPTIONS: WebSocketTransportOptions = { path: "gossip", maxMessageBytes: 65_536 };
const LIMITS = {
  maxMessageBytes: 65_536,
  highWaterMark: 1_000,
  closeTimeout: 700,
  maxMessagesPerSecond: 1_000,
};
const never = new AbortController().signal;

transportContract("WebSocket", async () => {
  const options = { path: "gossip", maxMessageBytes: CONTRACT_MAX_MESSAGE_BYTES };
  const a = new WebSocketTransport(options);
  const b = new WebSocketTransport({ ...options, listen: { port: 0 } });
  return await Promise.resolve({
    a,
    b,
    addressOfB: b.address!,
    [Symbol.asyncDispose]: async () => void await Promise.all([a.close(), b.close()]),
  });
});

transportContract("WebSocket behind a guard", async () => {
  const { signal } = new AbortController();
  // The guard examines messages for a while, or at once; all of them pass.
  let count = 0;
  const look = (message: Message) =>
    ++count % 3 > 0 ? message : new Promise<Message>((resolve) => setTimeout(() => resolve(message), 1));
  const guard = { incoming: look, outgoing: look, signal };
  const authentication: Authentication = {
    credentials: () => Promise.resolve({ token: "t", guard }),
    admit: () => Promise.resolve({ id: "a", guard }),
    setKeys: () => {},
  };
  const options = { path: "gossip", maxMessageBytes: CONTRACT_MAX_MESSAGE_BYTES, authentication };
  const a = new WebSocketTransport(options);
  const b = new WebSocketTransport({ ...options, listen: { port: 0 } });
  return await Promise.resolve({
    a,
    b,
    addressOfB: b.address!,
    [Symbol.asyncDispose]: async () => void await Promise.all([a.close(), b.close()]),
  });
});

// ---- helpers

/** Timers that fire only on a call of the test. */
class HandRuntime implements Runtime {
  readonly monotonicMs = realRuntime.monotonicMs;
  readonly wallMs = realRuntime.wallMs;
  readonly random = realRuntime.random;
  readonly #timers = new Set<{ delayMs: number; callback: () => void }>();

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** The delays of the pending timers. */
  get set(): number[] {
    return Array.from(this.#timers, (timer) => timer.delayMs);
  }

  /** Fires those of this delay; there must be one. */
  fire(delayMs: number): void {
    const due = [...this.#timers].filter((timer) => timer.delayMs === delayMs);
    assert(due.length > 0, `No timer of ${delayMs} ms is set.`);
    for (const timer of due) {
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}

/** A socket under the test's control: the end of each send, and the close. */
class FakeSocket extends EventTarget {
  readyState: number = WebSocket.OPEN;
  bufferedAmount = 0;
  /** True if all is sent at once, so that nothing waits. */
  quick = false;
  binaryType = "blob";
  readonly sent: string[] = [];
  readonly closes: { code: number; reason: string }[] = [];

  send(text: string): void {
    this.sent.push(text);
    if (!this.quick) this.bufferedAmount += text.length;
  }

  close(code: number, reason: string): void {
    this.closes.push({ code, reason });
    this.readyState = WebSocket.CLOSING;
  }

  receive(data: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  over(code: number, reason: string = ""): void {
    this.readyState = WebSocket.CLOSED;
    this.dispatchEvent(new CloseEvent("close", { code, reason }));
  }
}

/** A connection over a {@linkcode FakeSocket}, with timers fired by the test. */
function fake(options: { dialled?: boolean; guard?: Guard } = {}) {
  const socket = new FakeSocket();
  const runtime = new HandRuntime();
  const connection = new SocketConnection(socket as unknown as WebSocket, {
    runtime,
    limits: LIMITS,
    dialled: options.dialled ?? true,
    remote: "the peer",
    guard: options.guard,
  });
  return { socket, runtime, connection };
}

const ACK: Ack = { type: "ack", id: "1", holds: new Map() };

function ackOf(id: string | number): Ack {
  return { ...ACK, id: String(id) };
}

/** A message whose text takes exactly this many bytes. */
function messageOf(bytes: number, filling: string = "x"): Message {
  const refusal = (message: string): Message => ({ type: "error", code: "busy", message });
  const rest = bytes - encode(refusal("")).length;
  const size = new TextEncoder().encode(filling).length;
  return refusal(filling.repeat(Math.floor(rest / size)) + "x".repeat(rest % size));
}

async function readAll(readable: ReadableStream<Message>): Promise<Message[]> {
  return await Array.fromAsync(readable);
}

/** Two transports, and a connection between them. */
async function pair(options: { dialler?: object; acceptor?: object } = {}) {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 }, ...options.acceptor });
  const client = new WebSocketTransport({ ...OPTIONS, ...options.dialler });
  const dialled = await client.dial(server.address!, { signal: never });
  const accepted = await take(server);
  return {
    server,
    client,
    dialled,
    accepted,
    [Symbol.asyncDispose]: async () => void await Promise.all([server.close(), client.close()]),
  };
}

async function take(server: WebSocketTransport): Promise<Connection> {
  const reader = server.incoming.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return value!;
}

/** A TCP connection with hand-written WebSocket frames. */
class RawPeer implements Disposable {
  readonly tcp: Deno.TcpConn;
  #unread = new Uint8Array();

  constructor(tcp: Deno.TcpConn) {
    this.tcp = tcp;
  }

  /** Sends the head of an upgrade to a server, and resolves with the answer's. */
  static async dial(address: string, headers: object = UPGRADE): Promise<{ peer: RawPeer; head: string }> {
    const { hostname, port, pathname } = dialUrl(address, "/gossip");
    const peer = new RawPeer(await Deno.connect({ hostname, port: Number(port) }));
    await peer.send(head(`GET ${pathname} HTTP/1.1`, { host: hostname, ...headers }));
    return { peer, head: await peer.readHead() };
  }

  /** Accepts a client's upgrade. */
  static async accept(listener: Deno.TcpListener, headers: object = {}): Promise<RawPeer> {
    const peer = new RawPeer(await listener.accept());
    const key = /^sec-websocket-key: (.*)\r$/im.exec(await peer.readHead())![1];
    const salted = new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
    const accept = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("SHA-1", salted))));
    const fields = {
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-accept": accept,
      ...headers,
    };
    await peer.send(head("HTTP/1.1 101 Switching Protocols", fields));
    return peer;
  }

  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const writer = this.tcp.writable.getWriter();
    await writer.write(bytes as Uint8Array<ArrayBuffer>);
    writer.releaseLock();
  }

  /** Sends a frame as a client does, masked with zeros. */
  async sendFrame(opcode: number, payload: string | Uint8Array): Promise<void> {
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    const frame = new Uint8Array(8 + bytes.length);
    frame.set([0x80 | opcode, 0x80 | 126, bytes.length >> 8, bytes.length & 255]);
    frame.set(bytes, 8);
    await this.send(frame);
  }

  async readHead(): Promise<string> {
    let text = "";
    while (!text.includes("\r\n\r\n")) text += new TextDecoder().decode(await this.#take(1));
    return text;
  }

  /** The next frame, unmasked. */
  async readFrame(): Promise<{ opcode: number; text: string; code: number }> {
    const [first, second] = await this.#take(2) as unknown as [number, number];
    let length = second & 127;
    if (length === 126) length = new DataView((await this.#take(2)).buffer).getUint16(0);
    const mask = second & 128 ? await this.#take(4) : new Uint8Array(4);
    const payload = (await this.#take(length)).map((byte, index) => byte ^ mask[index % 4]!);
    const opcode = first & 15;
    const code = opcode === 8 && length >= 2 ? new DataView(payload.buffer).getUint16(0) : 0;
    return { opcode, text: new TextDecoder().decode(opcode === 8 ? payload.slice(2) : payload), code };
  }

  async #take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#unread.length < length) {
      const more = new Uint8Array(65_536);
      const count = await this.tcp.read(more);
      if (count === null) throw new Error("The connection ended.");
      const joined = new Uint8Array(this.#unread.length + count);
      joined.set(this.#unread);
      joined.set(more.subarray(0, count), this.#unread.length);
      this.#unread = joined;
    }
    const taken = this.#unread.slice(0, length);
    this.#unread = this.#unread.slice(length);
    return taken;
  }

  [Symbol.dispose](): void {
    this.tcp.close();
  }
}

const UPGRADE = {
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  "sec-websocket-protocol": SUBPROTOCOL,
};

function head(first: string, headers: object): string {
  const lines = Object.entries(headers).filter(([, value]) => value !== undefined);
  return `${first}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

function closeEverything(...transports: WebSocketTransport[]): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () =>
      void await Promise.all(transports.map((transport) => transport.close())),
  };
}

function httpOf(transport: WebSocketTransport): string {
  return transport.address!.replace("ws:", "http:");
}

function listenTcp() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `ws://127.0.0.1:${listener.addr.port}`;
  return { listener, address, [Symbol.dispose]: () => listener.close() };
}

// ---- refusals before the upgrade (P1)

Deno.test("upgrade: an unknown path is 404 at the own server, and left to the service elsewhere (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  for (const path of ["/", "/gossip/", "/gossip2", "/other"]) {
    const response = await fetch(`${httpOf(server)}${path}`);
    assertEquals(response.status, 404);
    assertEquals(await response.text(), "There is nothing here.\n");
    assertEquals(await server.handler(new Request(`http://127.0.0.1${path}`)), undefined);
  }
});

Deno.test("upgrade: a request that is no upgrade, or does not offer hearsay.v2, is 426 (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  const response = await fetch(`${httpOf(server)}/gossip`);
  assertEquals(response.status, 426);
  assertEquals(response.headers.get("upgrade"), "websocket");
  assertStringIncludes(await response.text(), "hearsay.v2");
  for (const protocol of [undefined, "hearsay.v1", "xhearsay.v2", ""]) {
    const { peer, head } = await RawPeer.dial(server.address!, {
      ...UPGRADE,
      "sec-websocket-protocol": protocol,
    });
    using _peer = peer;
    assertMatch(head, /^HTTP\/1\.1 426 /);
  }
});

Deno.test("upgrade: hearsay.v2 is found among other subprotocols, and only it is echoed (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  const offered = { ...UPGRADE, "sec-websocket-protocol": "token.c2VjcmV0, hearsay.v2" };
  const { peer, head } = await RawPeer.dial(server.address!, offered);
  using _peer = peer;
  assertMatch(head, /^HTTP\/1\.1 101 /);
  assertMatch(head, /^sec-websocket-protocol: hearsay\.v2\r$/im);
});

Deno.test("upgrade: a request to an invalid host is 400 (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  for (const host of ["a b", "[::1", "%"]) {
    const { peer, head } = await RawPeer.dial(server.address!, { ...UPGRADE, host });
    using _peer = peer;
    assertMatch(head, /^HTTP\/1\.1 400 /);
  }
});

Deno.test("upgrade: a client that cannot be examined is 503, with one event for each reason (P1)", async () => {
  const reasons: string[] = [];
  const server = new WebSocketTransport({
    ...OPTIONS,
    listen: { port: 0 },
    authentication: {
      credentials: () => Promise.reject(new Error("none")),
      admit: () => Promise.reject(new Error("broken")),
      setKeys: () => {},
    },
    onClientRefused: ({ reason }) => reasons.push(reason),
  });
  await using _ = closeEverything(server);
  for (let attempt = 0; attempt < 3; attempt++) {
    const headers = { ...UPGRADE, authorization: "Bearer t" };
    const { peer, head } = await RawPeer.dial(server.address!, headers);
    using _peer = peer;
    assertMatch(head, /^HTTP\/1\.1 503 /);
  }
  assertEquals(reasons, ["The check of this client failed: Error: broken"]);
});

Deno.test("upgrade: one without its key is 400 (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  const { peer, head } = await RawPeer.dial(server.address!, { ...UPGRADE, "sec-websocket-key": undefined });
  using _peer = peer;
  assertMatch(head, /^HTTP\/1\.1 400 /);
});

Deno.test("upgrade: authorise refuses with 401 or 403 before it, and an exception in it with 403 (P1)", async () => {
  const server = new WebSocketTransport({
    ...OPTIONS,
    listen: { port: 0 },
    authorize: (request) => {
      const token = request.headers.get("authorization");
      if (token === "bug") throw new Error("A bug of the user's.");
      return token === null ? 401 : token === "Bearer right" ? undefined : Promise.resolve(403 as const);
    },
  });
  await using _ = closeEverything(server);
  for (const [authorization, status] of [[undefined, 401], ["Bearer wrong", 403], ["bug", 403]] as const) {
    const { peer, head } = await RawPeer.dial(server.address!, { ...UPGRADE, authorization });
    using _peer = peer;
    assertStringIncludes(head, `HTTP/1.1 ${status} `);
  }
  const client = new WebSocketTransport({ ...OPTIONS, headers: { authorization: "Bearer right" } });
  const stranger = new WebSocketTransport(OPTIONS);
  await using _clients = closeEverything(client, stranger);
  await client.dial(server.address!, { signal: never });
  const error = await assertRejects(
    () => stranger.dial(server.address!, { signal: never }),
    HearsayError,
    "401",
  );
  assertEquals(error.code, "unauthorized");
});

Deno.test("upgrade: after close, and after a cancel of incoming, clients get 503 and a sentence (P1, R9.3)", async () => {
  const request = () => new Request("http://127.0.0.1/gossip", { headers: UPGRADE });
  const closed = new WebSocketTransport(OPTIONS);
  await closed.close();
  const response = await closed.handler(request());
  assertEquals(response?.status, 503);
  assertEquals(await response?.text(), "This member has stopped.\n");

  const cancelled = new WebSocketTransport(OPTIONS);
  await cancelled.incoming.cancel();
  assertEquals((await cancelled.handler(request()))?.status, 503);
  await cancelled.close();
});

Deno.test("upgrade: clients above the limit of waiting connections get 503 (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 }, maxConnectionsPerAddress: 1_000 });
  const client = new WebSocketTransport(OPTIONS);
  await using _ = closeEverything(server, client);
  for (let index = 0; index < MAX_UNTAKEN_CONNECTIONS; index++) {
    await client.dial(server.address!, { signal: never });
  }
  await assertRejects(() => client.dial(server.address!, { signal: never }), HearsayError, "503");
  await take(server);
  await client.dial(server.address!, { signal: never });
});

Deno.test("dial: a client that finds another subprotocol after opening closes with 4400 (P1)", async () => {
  const client = new WebSocketTransport(OPTIONS);
  await using _ = closeEverything(client);
  using tcp = listenTcp();
  for (const headers of [{}, { "sec-websocket-protocol": "hearsay.v1" }]) {
    const dialled = client.dial(tcp.address, { signal: never });
    using peer = await RawPeer.accept(tcp.listener, headers);
    const error = await assertRejects(() => dialled, HearsayError, "must speak the subprotocol hearsay.v2");
    assertEquals(error.code, "incompatible");
    const frame = await peer.readFrame();
    assertEquals([frame.opcode, frame.code], [8, 4400]);
  }
});

Deno.test("handler: a service mounts it in its own server, and may answer the other paths itself (P1, R8.2)", async () => {
  const transport = new WebSocketTransport(OPTIONS);
  const service = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request, info) => await transport.handler(request, info) ?? new Response("the service's own"),
  );
  const client = new WebSocketTransport(OPTIONS);
  const address = `127.0.0.1:${service.addr.port}`;
  assertEquals(transport.address, undefined);
  assertEquals(await (await fetch(`http://${address}/members`)).text(), "the service's own");
  const dialled = await client.dial(`ws://${address}`, { signal: never });
  const accepted = await take(transport);
  assertEquals(dialled.remote, `ws://${address}/gossip`);
  assertMatch(accepted.remote, /^127\.0\.0\.1:\d+$/);
  await dialled.writable.getWriter().write(ACK);
  assertEquals((await accepted.readable.getReader().read()).value, ACK);
  await Promise.all([client.close(), transport.close()]);
  await service.shutdown();
});

// ---- addresses and dials

Deno.test("addressOf: is ws or wss, with an IPv6 host in brackets (P1)", () => {
  const member = { id: "a", host: "10.0.0.1", port: 7001, kinds: [] };
  const plain = new WebSocketTransport(OPTIONS);
  const secure = new WebSocketTransport({ ...OPTIONS, secure: true });
  assertEquals(plain.addressOf(member), "ws://10.0.0.1:7001");
  assertEquals(plain.addressOf({ ...member, host: "::1" }), "ws://[::1]:7001");
  assertEquals(plain.addressOf({ ...member, host: "[::1]" }), "ws://[::1]:7001");
  assertEquals(secure.addressOf({ ...member, host: "a.example" }), "wss://a.example:7001");
});

Deno.test("dial: an address without a path is dialed at the gossip actor's name (P1)", () => {
  assertEquals(dialUrl("ws://h:1", "/gossip").href, "ws://h:1/gossip");
  assertEquals(dialUrl("ws://h:1/", "/gossip").href, "ws://h:1/gossip");
  assertEquals(dialUrl("wss://h/behind/proxy?a=1", "/gossip").href, "wss://h/behind/proxy?a=1");
});

Deno.test("dial: an address that is not ws or wss is refused, and nothing is dialed (P1)", async () => {
  const client = new WebSocketTransport(OPTIONS);
  await using _ = closeEverything(client);
  for (const address of ["", "127.0.0.1:7001", "http://h:1", "ws://", "ws://h:1/#x", "ws://h:99999"]) {
    const error = await assertRejects(() => client.dial(address, { signal: never }), HearsayError);
    assertEquals(error.code, "connection");
    assertStringIncludes(error.message, JSON.stringify(address));
  }
});

Deno.test("dial: a name that is not a plain path segment is served and dialed all the same (P1)", async () => {
  const options = { ...OPTIONS, path: "a b/ü?" };
  const server = new WebSocketTransport({ ...options, listen: { port: 0 } });
  const client = new WebSocketTransport(options);
  await using _ = closeEverything(server, client);
  await client.dial(server.address!, { signal: never });
});

Deno.test("dial: rejects at an unused address with a connection error that names it (P4)", async () => {
  const client = new WebSocketTransport(OPTIONS);
  await using _ = closeEverything(client);
  const { listener, address } = listenTcp();
  listener.close();
  const error = await assertRejects(
    () => client.dial(address, { signal: never }),
    HearsayError,
    `${address}/gossip`,
  );
  assertEquals(error.code, "connection");
});

Deno.test("dial: an abort of the signal ends one to a mute peer at once, with the signal's reason (P4)", async () => {
  const client = new WebSocketTransport(OPTIONS);
  await using _ = closeEverything(client);
  using tcp = listenTcp();
  const reason = new Error("enough");
  await assertRejects(() => client.dial(tcp.address, { signal: AbortSignal.abort(reason) }), Error, "enough");
  const controller = new AbortController();
  const dialled = client.dial(tcp.address, { signal: controller.signal });
  using peer = new RawPeer(await tcp.listener.accept());
  await peer.readHead();
  controller.abort(reason);
  assertEquals(await dialled.catch((error) => error), reason);
});

Deno.test("dial: connectTimeout ends one that no signal ends (P4)", async () => {
  const runtime = new HandRuntime();
  const client = new WebSocketTransport({ ...OPTIONS, runtime, connectTimeout: 3_000 });
  await using _ = closeEverything(client);
  using tcp = listenTcp();
  const dialled = client.dial(tcp.address, { signal: never });
  using _peer = new RawPeer(await tcp.listener.accept());
  runtime.fire(3_000);
  const error = await assertRejects(() => dialled, HearsayError, "took longer than 3000 ms");
  assertEquals(error.code, "timeout");
  assertEquals(runtime.set, []);
});

Deno.test("dial: one under way when the transport closes, and one after, are refused as stopped (R9.4)", async () => {
  const client = new WebSocketTransport(OPTIONS);
  using tcp = listenTcp();
  const dialled = client.dial(tcp.address, { signal: never });
  using _peer = new RawPeer(await tcp.listener.accept());
  const refused = assertRejects(() => dialled, HearsayError, "The transport is closed");
  await client.close();
  assertEquals((await refused).code, "stopped");
  const late = await assertRejects(() => client.dial(tcp.address, { signal: never }), HearsayError);
  assertEquals(late.code, "stopped");
});

Deno.test("listen: uses loopback by default, and returns its real port (R8.2)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  assertMatch(server.address!, /^ws:\/\/127\.0\.0\.1:[1-9]\d*$/);
});

Deno.test("listen: a port in use is refused with the address and the reason, and Deno's error is the cause (R8.2)", () => {
  using taken = listenTcp();
  const { port } = taken.listener.addr;
  const error = assertThrows(() => new WebSocketTransport({ ...OPTIONS, listen: { port } }), HearsayError);
  assertEquals(error.code, "cannot_listen");
  assertStringIncludes(error.message, `Cannot listen on 127.0.0.1:${port}: another process`);
  assert(error.cause instanceof Deno.errors.AddrInUse);
});

Deno.test("listen: an abort of its signal closes the transport and frees the port (R9.4)", async () => {
  const controller = new AbortController();
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0, signal: controller.signal } });
  const port = Number(new URL(server.address!).port);
  controller.abort();
  await server.close();
  Deno.listen({ hostname: "127.0.0.1", port }).close();
});

// ---- messages

Deno.test("connection: messages pass both ways, in order (P2)", async () => {
  await using two = await pair();
  for (const [from, to] of [[two.dialled, two.accepted], [two.accepted, two.dialled]] as const) {
    const writer = from.writable.getWriter();
    const reader = to.readable.getReader();
    for (let id = 0; id < 20; id++) await writer.write(ackOf(id));
    for (let id = 0; id < 20; id++) assertEquals((await reader.read()).value, ackOf(id));
  }
});

Deno.test("connection: a message of the largest size passes both ways (P2)", async () => {
  await using two = await pair();
  for (const [from, to] of [[two.dialled, two.accepted], [two.accepted, two.dialled]] as const) {
    const message = messageOf(OPTIONS.maxMessageBytes, "ü");
    await from.writable.getWriter().write(message);
    assertEquals((await to.readable.getReader().read()).value, message);
  }
});

Deno.test("connection: a message too large to receive closes with 4413, on both sides with one reason (P2)", async () => {
  await using two = await pair({ dialler: { maxMessageBytes: 100_000 } });
  const reading = two.accepted.readable.getReader().read();
  await two.dialled.writable.getWriter().write(messageOf(OPTIONS.maxMessageBytes + 1));
  const error = await assertRejects(() => reading, ConnectionClosed);
  assertEquals(error.closeCode, CLOSE.tooLarge);
  const info = { code: 4413, reason: "A message is larger than 65536 bytes." };
  assertEquals(await two.accepted.closed, info);
  assertEquals(await two.dialled.closed, info);
});

Deno.test("connection: a message too large to send is not sent, and closes with 4413 (P2)", async () => {
  const { socket, connection } = fake();
  const writing = connection.writable.getWriter().write(messageOf(LIMITS.maxMessageBytes + 1));
  const error = await assertRejects(
    () => writing,
    HearsayError,
    "must have at most 65536 bytes. It was not sent",
  );
  assertEquals(error.code, "too_large");
  assertEquals(socket.sent, []);
  assertEquals(socket.closes.map(({ code }) => code), [4413]);
  socket.over(4413);
  await connection.closed;
});

Deno.test("connection: text that is no message errors the readable and closes with 4400 (P7)", async () => {
  await using server = new Disposer(new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } }));
  for (
    const [opcode, text] of [[1, "hello"], [1, '{"type":"ack"}'], [2, '{"type":"ack","id":"1"}']] as const
  ) {
    const { peer } = await RawPeer.dial(server.transport.address!);
    using _peer = peer;
    const accepted = await take(server.transport);
    await peer.sendFrame(opcode, text);
    const error = await assertRejects(() => accepted.readable.getReader().read(), ConnectionClosed);
    assertEquals(error.closeCode, 4400);
    const frame = await peer.readFrame();
    assertEquals([frame.opcode, frame.code, frame.text], [8, 4400, error.message]);
    await peer.sendFrame(8, new Uint8Array([17, 48]));
    assertEquals(await accepted.closed, { code: 4400, reason: error.message });
  }
});

Deno.test("connection: a message of an unknown type is delivered, since the session knows the peer's capabilities (P7)", () => {
  const { socket, connection } = fake();
  socket.receive('{"type":"whisper"}');
  assertEquals(socket.closes, []);
  return connection.readable.getReader().read()
    .then(({ value }) => assertEquals(value, { type: "unknown", name: "whisper" }));
});

Deno.test("connection: a close reason is cut to the 123 bytes of a frame, between characters (P6)", async () => {
  const { socket, connection } = fake();
  const closing = connection.writable.abort(new ConnectionClosed(4400, "a" + "ü".repeat(100)));
  assertEquals(socket.closes, [{ code: 4400, reason: "a" + "ü".repeat(61) }]);
  socket.over(4400);
  await closing;
});

Deno.test("connection: a peer that floods is closed with 4413 before its messages fill the memory (P2)", async () => {
  const { socket, connection } = fake();
  for (let id = 0; id < MAX_UNREAD_MESSAGES; id++) socket.receive(encode(ackOf(id)));
  assertEquals(socket.closes, []);
  socket.receive(encode(ackOf("too many")));
  assertEquals(socket.closes, [{ code: 4413, reason: "At most 64 messages may be unread." }]);
  const error = await assertRejects(() => readAll(connection.readable), ConnectionClosed, "may be unread");
  assertEquals(error.closeCode, CLOSE.tooLarge);
  socket.over(4413);
});

Deno.test("connection: more messages than maxMessagesPerSecond close with 4413 before they are parsed, also pings (P2)", async () => {
  const { socket, connection, runtime } = fake();
  for (let count = 0; count < 1_000; count++) socket.receive(PING_TEXT);
  assertEquals(socket.closes, []);
  // Some time may have passed.
  for (let count = 0; count < 100; count++) socket.receive(PING_TEXT);
  assertEquals(socket.closes, [{ code: 4413, reason: "A peer may send at most 1000 messages per second." }]);
  await assertRejects(() => readAll(connection.readable), ConnectionClosed);
  runtime.fire(LIMITS.closeTimeout);
});

Deno.test("connection: fewer large messages may wait unread (P2)", () => {
  const { socket } = fake();
  const text = encode(messageOf(LIMITS.maxMessageBytes));
  for (let count = 0; count < MAX_UNREAD_LARGEST; count++) socket.receive(text);
  assertEquals(socket.closes, []);
  socket.receive(text);
  assertEquals(socket.closes.map(({ code }) => code), [4413]);
  socket.over(4413);
});

Deno.test("connection: a reader that keeps up receives any number of messages (P2)", async () => {
  const { socket, connection } = fake();
  const reader = connection.readable.getReader();
  for (let id = 0; id < 3 * MAX_UNREAD_MESSAGES; id++) {
    socket.receive(encode(ackOf(id)));
    assertEquals((await reader.read()).value, ackOf(id));
  }
  assertEquals(socket.closes, []);
});

// ---- ping and pong (P5)

Deno.test("connection: a ping is answered at once, and neither is delivered (P5)", async () => {
  await using server = new Disposer(new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } }));
  const { peer } = await RawPeer.dial(server.transport.address!);
  using _peer = peer;
  const accepted = await take(server.transport);
  await peer.sendFrame(1, PING_TEXT);
  assertEquals((await peer.readFrame()).text, PONG_TEXT);
  await peer.sendFrame(1, PONG_TEXT);
  await peer.sendFrame(1, encode(ACK));
  assertEquals((await accepted.readable.getReader().read()).value, ACK);
});

Deno.test("connection: the dialer sends a ping just before a message of more than 1,024 bytes and less than 64 KiB (P5)", async () => {
  for (
    const [bytes, filling, pinged] of [
      [1_024, "x", false],
      [1_025, "x", true],
      [1_024, "ü", false],
      [1_025, "ü", true],
      [65_535, "x", true],
      [65_536, "x", false],
    ] as const
  ) {
    const { socket, connection } = fake();
    socket.quick = true;
    const message = messageOf(bytes, filling);
    await connection.writable.getWriter().write(message);
    assertEquals(
      socket.sent,
      [...pinged ? [PING_TEXT] : [], encode(message)],
      `${bytes} bytes of ${filling}`,
    );
  }
});

Deno.test("connection: the side that accepted sends no ping, because its messages do not wait (P5)", async () => {
  const { socket, connection } = fake({ dialled: false });
  socket.quick = true;
  const message = messageOf(5_000);
  await connection.writable.getWriter().write(message);
  assertEquals(socket.sent, [encode(message)]);
});

Deno.test("connection: a peer that pings on without reading gets no answers above the high-water mark (P5)", () => {
  const { socket } = fake();
  socket.bufferedAmount = LIMITS.highWaterMark + 1;
  socket.receive(PING_TEXT);
  assertEquals(socket.sent, []);
  socket.bufferedAmount = LIMITS.highWaterMark;
  socket.receive(PING_TEXT);
  assertEquals(socket.sent, [PONG_TEXT]);
});

// ---- the high-water mark

/** True if a promise has settled after all ready work has run. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(() => done = true, () => done = true);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return done;
}

Deno.test("connection: a write resolves once at most highWaterMark bytes wait to be sent (P5)", async () => {
  const { socket, runtime, connection } = fake();
  const writer = connection.writable.getWriter();
  await writer.write(ACK);
  const writing = writer.write(messageOf(LIMITS.highWaterMark));
  assert(!await settled(writing));
  assertEquals(runtime.set, [SILENT_MS, 10]);
  runtime.fire(10);
  assert(!await settled(writing));
  socket.bufferedAmount = LIMITS.highWaterMark;
  runtime.fire(10);
  await writing;
  assertEquals(runtime.set, [SILENT_MS]);
});

Deno.test("connection: a write that waits for room rejects when the connection ends (P6)", async () => {
  const { socket, runtime, connection } = fake();
  const writing = connection.writable.getWriter().write(messageOf(2 * LIMITS.highWaterMark));
  assert(!await settled(writing));
  socket.over(1001, "bye");
  await assertRejects(() => writing, ConnectionClosed, "The connection to the peer is closed");
  assertEquals(runtime.set, []);
});

Deno.test("connection: an abort ends a write that waits for room at once, with the code of the reason (P6)", async () => {
  const { socket, runtime, connection } = fake();
  const writer = connection.writable.getWriter();
  const writing = writer.write(messageOf(2 * LIMITS.highWaterMark));
  const rejected = assertRejects(() => writing);
  assert(!await settled(writing));
  const aborting = writer.abort(new ConnectionClosed(CLOSE.secondConnection, "a newer one"));
  assertEquals(socket.closes, [{ code: 4409, reason: "a newer one" }]);
  await rejected;
  assertEquals(runtime.set, [LIMITS.closeTimeout]);
  socket.over(4409);
  await aborting;
  assertEquals(runtime.set, []);
});

Deno.test("connection: a write to a socket that ended without notice rejects, and the connection ends in time (P6)", async () => {
  const { socket, runtime, connection } = fake();
  socket.readyState = WebSocket.CLOSED;
  await assertRejects(() => connection.writable.getWriter().write(ACK), ConnectionClosed);
  assertEquals(socket.sent, []);
  runtime.fire(LIMITS.closeTimeout);
  assertEquals((await connection.closed).code, CLOSE.goingAwayDialler);
});

// ---- closing (P6)

Deno.test("connection: a close of the writable closes with 1000, and the messages before it are read first (P6)", async () => {
  await using two = await pair();
  const writer = two.dialled.writable.getWriter();
  await writer.write(ACK);
  await writer.close();
  assertEquals(await readAll(two.accepted.readable), [ACK]);
  assertEquals(await readAll(two.dialled.readable), []);
  assertEquals(await two.accepted.closed, { code: 1000, reason: "" });
  assertEquals(await two.dialled.closed, { code: 1000, reason: "" });
});

Deno.test("connection: an abort or a cancel with a ConnectionClosed closes with its code, from either side (P6)", async () => {
  for (const side of ["dialled", "accepted"] as const) {
    for (const by of ["abort", "cancel"] as const) {
      await using two = await pair();
      const reason = new ConnectionClosed(CLOSE.refused, "another cluster");
      if (by === "abort") await two[side].writable.abort(reason);
      else await two[side].readable.cancel(reason);
      const info = { code: 4403, reason: "another cluster" };
      assertEquals(await two.dialled.closed, info);
      assertEquals(await two.accepted.closed, info);
    }
  }
});

Deno.test("connection: going away is 1001 from the side that accepted, and 4001 from the dialer (P6)", async () => {
  for (const [closer, other, code] of [["server", "dialled", 1001], ["client", "accepted", 4001]] as const) {
    await using two = await pair();
    const reading = readAll(two[other].readable);
    await two[closer].close();
    assertEquals(await two[other].closed, { code, reason: "This member has stopped." });
    assertEquals(await reading, []);
    await assertRejects(() => two[other].writable.getWriter().write(ACK), ConnectionClosed);
  }
});

Deno.test("connection: a code that this side may not send becomes going away (P6)", () => {
  for (
    const [dialled, given, sent] of [
      [true, 1000, 1000],
      [true, 1001, 4001],
      [true, 1011, 4001],
      [true, 2999, 4001],
      [true, 3000, 3000],
      [true, 4999, 4999],
      [true, 5000, 4001],
      [false, 1001, 1001],
      [false, 4001, 1001],
      [false, 1006, 1001],
      [false, 4413, 4413],
    ] as const
  ) {
    const { socket, connection } = fake({ dialled });
    void connection.close(given, "");
    assertEquals(socket.closes[0]?.code, sent, `${given}`);
    socket.over(sent);
  }
});

Deno.test("connection: any other reason of an abort is going away, and none is a normal close (P6)", async () => {
  const stopped = fake();
  const aborting = stopped.connection.writable.abort(new HearsayError("stopped", "It has stopped."));
  assertEquals(stopped.socket.closes, [{ code: 4001, reason: "It has stopped." }]);
  stopped.socket.over(4001);
  await aborting;
  const done = fake();
  const cancelling = done.connection.readable.cancel();
  assertEquals(done.socket.closes, [{ code: 1000, reason: "" }]);
  done.socket.over(1000);
  await cancelling;
});

Deno.test("connection: a second close, by either side, changes nothing (P6)", async () => {
  const { socket, runtime, connection } = fake();
  void connection.close(CLOSE.refused, "first");
  void connection.close(CLOSE.invalid, "second");
  assertEquals(socket.closes, [{ code: 4403, reason: "first" }]);
  assertEquals(runtime.set, [LIMITS.closeTimeout]);
  socket.over(1005);
  socket.over(0);
  assertEquals(await connection.closed, { code: 4403, reason: "first" });
  assertEquals(await connection.close(CLOSE.done, ""), { code: 4403, reason: "first" });
  assertEquals(runtime.set, []);
  assertEquals(socket.closes.length, 1);
});

Deno.test("connection: received messages can be read after the peer closed (P6)", async () => {
  const { socket, connection } = fake();
  socket.receive(encode(ackOf(1)));
  socket.receive(encode(ackOf(2)));
  socket.over(1000);
  assertEquals(await readAll(connection.readable), [ackOf(1), ackOf(2)]);
});

Deno.test("connection: the peer's last message is delivered, though it closed while that was still examined (P6)", async () => {
  const { promise: looking, resolve: letThrough } = Promise.withResolvers<void>();
  const look = async (message: Message) => {
    await looking;
    return message;
  };
  const { signal } = new AbortController();
  const { socket, connection } = fake({ guard: { incoming: look, outgoing: look, signal } });
  socket.receive(encode(ackOf(1)));
  socket.receive(encode(ackOf(2)));
  socket.over(4403, "refused");
  letThrough();
  assertEquals(await readAll(connection.readable), [ackOf(1), ackOf(2)]);
  assertEquals(await connection.closed, { code: 4403, reason: "refused" });
});

Deno.test("connection: no more messages wait for examination than may wait unread (P2)", async () => {
  const look = () => new Promise<Message>(() => {});
  const { signal } = new AbortController();
  const { socket, connection, runtime } = fake({ guard: { incoming: look, outgoing: look, signal } });
  for (let count = 0; count <= MAX_UNREAD_MESSAGES; count++) socket.receive(encode(ackOf(count)));
  assertEquals(socket.closes.map(({ code }) => code), [4413]);
  await assertRejects(() => readAll(connection.readable), ConnectionClosed, "may be unread");
  runtime.fire(LIMITS.closeTimeout);
});

Deno.test("connection: messages after this side's close are neither delivered nor answered (P6)", async () => {
  const { socket, connection } = fake();
  void connection.close(CLOSE.done, "");
  socket.receive(encode(ACK));
  socket.receive(PING_TEXT);
  socket.receive("not JSON");
  socket.over(1000);
  assertEquals(await readAll(connection.readable), []);
  assertEquals(socket.sent, []);
});

Deno.test("connection: one that breaks has code 0, and errors its readable (P6)", async () => {
  await using server = new Disposer(new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } }));
  const { peer } = await RawPeer.dial(server.transport.address!);
  const accepted = await take(server.transport);
  const reading = assertRejects(() => accepted.readable.getReader().read(), ConnectionClosed);
  peer.tcp.close();
  const { code, reason } = await accepted.closed;
  assertEquals(code, 0);
  assert(reason.length > 0);
  assertEquals((await reading).closeCode, 0);
});

Deno.test("close: a mute server does not keep a dialer: its close timer ends the connection (P6, R9.4)", async () => {
  const runtime = new HandRuntime();
  const client = new WebSocketTransport({ ...OPTIONS, runtime, closeTimeout: 700 });
  using tcp = listenTcp();
  const dialling = client.dial(tcp.address, { signal: never });
  using peer = await RawPeer.accept(tcp.listener, { "sec-websocket-protocol": SUBPROTOCOL });
  const dialled = await dialling;
  const closing = client.close();
  const frame = await peer.readFrame();
  assertEquals([frame.opcode, frame.code], [8, 4001]);
  assert(!await settled(dialled.closed));
  runtime.fire(700);
  assertEquals(await dialled.closed, { code: 4001, reason: "This member has stopped." });
  await closing;
  assertEquals(runtime.set, []);
});

Deno.test("close: a mute client does not keep a server: nothing is left when close resolves (P6, R9.4)", async () => {
  const runtime = new HandRuntime();
  const server = new WebSocketTransport({ ...OPTIONS, runtime, closeTimeout: 700, listen: { port: 0 } });
  const { peer } = await RawPeer.dial(server.address!);
  using _peer = peer;
  const accepted = await take(server);
  const closing = server.close();
  assertEquals((await peer.readFrame()).code, 1001);
  runtime.fire(700);
  await closing;
  assertEquals((await accepted.closed).code, 1001);
  assertEquals(runtime.set, []);
});

Deno.test("close: does not wait for clients that never finish their request (R9.4)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  const { hostname, port } = new URL(server.address!);
  using silent = new RawPeer(await Deno.connect({ hostname, port: Number(port) }));
  using slow = new RawPeer(await Deno.connect({ hostname, port: Number(port) }));
  await slow.send("GET /gossip HTTP/1.1\r\nhost: x\r\n");
  await server.close();
  assertEquals(await silent.tcp.read(new Uint8Array(1)), null);
});

Deno.test("close: an upgrade that does not reach its client in time, or before it, is given up (R9.4)", async () => {
  for (const end of ["timeout", "close"] as const) {
    const runtime = new HandRuntime();
    const transport = new WebSocketTransport({ ...OPTIONS, runtime, connectTimeout: 3_000 });
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const { promise: release, resolve } = Promise.withResolvers<void>();
    const service = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request, info) => {
        const response = await transport.handler(request, info);
        answer();
        await release;
        return response!;
      },
    );
    const dialling = RawPeer.dial(`ws://127.0.0.1:${service.addr.port}`);
    await answered;
    assertEquals(runtime.set, [3_000]);
    if (end === "close") await transport.close();
    else runtime.fire(3_000);
    assertEquals(runtime.set, []);
    resolve();
    using peer = (await dialling).peer;
    assertEquals((await peer.readFrame()).code, 1001);
    await transport.close();
    assertEquals(await Array.fromAsync(transport.incoming), []);
    await service.shutdown();
  }
});

Deno.test("close: may be called again, and resolves alike (R9.4)", async () => {
  await using two = await pair();
  await Promise.all([two.server.close(), two.server.close(), two.client.close()]);
  await two.server.close();
  assertEquals((await two.server.incoming.getReader().read()).done, true);
});

/** Closes a transport at the end of a block. */
class Disposer implements AsyncDisposable {
  constructor(readonly transport: WebSocketTransport) {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport.close();
  }
}

Deno.test("addressOf: refuses a host or a URL with more parts than that (P1)", async () => {
  const transport = new WebSocketTransport({ path: "gossip", maxMessageBytes: 1_000 });
  const member = { id: "m", host: "10.0.0.5", port: 7001, kinds: [] };
  assertEquals(transport.addressOf(member), "ws://10.0.0.5:7001");
  assertEquals(transport.addressOf({ ...member, url: "wss://p.example/m" }), "wss://p.example/m");
  const addressOf = (changed: object) => () => transport.addressOf({ ...member, ...changed });
  for (const host of HOSTILE_HOSTS) assertThrows(addressOf({ host }), HearsayError, "nothing was dialled");
  for (const url of HOSTILE_URLS) assertThrows(addressOf({ url }), HearsayError, "nothing was dialled");
  await transport.close();
});
