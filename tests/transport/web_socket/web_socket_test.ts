import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "../../../deps/std_assert.ts";
import { HearsayError } from "../../../common/errors.ts";
import type { Message } from "../../../protocol/message.ts";
import {
  MAX_UNTAKEN_CONNECTIONS,
  SUBPROTOCOL,
  WebSocketTransport,
} from "../../../transport/web_socket/web_socket.ts";
import type { Authentication } from "../../../contracts/authentication.ts";
import { HOSTILE_HOSTS, HOSTILE_URLS } from "../../common/host_names.ts";
import { CONTRACT_MAX_MESSAGE_BYTES, transportContract } from "../../conformance/transport.ts";
import { closeEverything, httpOf, never, OPTIONS, pair, take } from "./transports.ts";
import { listenTcp, RawPeer, UPGRADE } from "./raw_peer.ts";
import { HandRuntime } from "./hand_runtime.ts";
import { settled } from "./fake_socket.ts";
import { ACK } from "./messages.ts";

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

Deno.test("upgrade: an unknown path is answered with 404 by the transport's own server, and left to the service by `handler` (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  for (const path of ["/", "/gossip/", "/gossip2", "/other"]) {
    const response = await fetch(`${httpOf(server)}${path}`);
    assertEquals(response.status, 404);
    assertEquals(await response.text(), "There is nothing here.\n");
    assertEquals(await server.handler(new Request(`http://127.0.0.1${path}`)), undefined);
  }
});

Deno.test("upgrade: after close, and after a cancel of incoming, clients get 503 and a text (P1, R9.3)", async () => {
  const request = () => new Request("http://127.0.0.1/gossip", { headers: UPGRADE });
  const closed = new WebSocketTransport(OPTIONS);
  await closed.close();
  const response = await closed.handler(request());
  assertEquals(response?.status, 503);
  assertEquals(await response?.text(), "This member has stopped.\n");

  const canceled = new WebSocketTransport(OPTIONS);
  await canceled.incoming.cancel();
  assertEquals((await canceled.handler(request()))?.status, 503);
  await canceled.close();
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

Deno.test("handler: a service mounts the handler in its own server, and may answer the other paths itself (P1, R8.2)", async () => {
  const transport = new WebSocketTransport(OPTIONS);
  const service = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request, info) => await transport.handler(request, info) ?? new Response("the service's own"),
  );
  const client = new WebSocketTransport(OPTIONS);
  const address = `127.0.0.1:${service.addr.port}`;
  assertEquals(transport.address, undefined);
  assertEquals(await (await fetch(`http://${address}/members`)).text(), "the service's own");
  const dialed = await client.dial(`ws://${address}`, { signal: never });
  const accepted = await take(transport);
  assertEquals(dialed.remote, `ws://${address}/gossip`);
  assertMatch(accepted.remote, /^127\.0\.0\.1:\d+$/);
  await dialed.writable.getWriter().write(ACK);
  assertEquals((await accepted.readable.getReader().read()).value, ACK);
  await Promise.all([client.close(), transport.close()]);
  await service.shutdown();
});

Deno.test("addressOf: returns a ws or wss URL, with an IPv6 host in brackets (P1)", () => {
  const member = { id: "a", host: "10.0.0.1", port: 7001, kinds: [] };
  const plain = new WebSocketTransport(OPTIONS);
  const secure = new WebSocketTransport({ ...OPTIONS, secure: true });
  assertEquals(plain.addressOf(member), "ws://10.0.0.1:7001");
  assertEquals(plain.addressOf({ ...member, host: "::1" }), "ws://[::1]:7001");
  assertEquals(plain.addressOf({ ...member, host: "[::1]" }), "ws://[::1]:7001");
  assertEquals(secure.addressOf({ ...member, host: "a.example" }), "wss://a.example:7001");
});

Deno.test("close: a mute server does not delay a dialer: its close timer ends the connection (P6, R9.4)", async () => {
  const runtime = new HandRuntime();
  const client = new WebSocketTransport({ ...OPTIONS, runtime, closeTimeout: 700 });
  using tcp = listenTcp();
  const dialing = client.dial(tcp.address, { signal: never });
  using peer = await RawPeer.accept(tcp.listener, { "sec-websocket-protocol": SUBPROTOCOL });
  const dialed = await dialing;
  const closing = client.close();
  const frame = await peer.readFrame();
  assertEquals([frame.opcode, frame.code], [8, 4001]);
  assert(!await settled(dialed.closed));
  runtime.fire(700);
  assertEquals(await dialed.closed, { code: 4001, reason: "This member has stopped." });
  await closing;
  assertEquals(runtime.set, []);
});

Deno.test("close: a mute client does not delay a server: nothing is left when close resolves (P6, R9.4)", async () => {
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

Deno.test("close: a repeated call resolves too (R9.4)", async () => {
  await using two = await pair();
  await Promise.all([two.server.close(), two.server.close(), two.client.close()]);
  await two.server.close();
  assertEquals((await two.server.incoming.getReader().read()).done, true);
});

Deno.test("addressOf: refuses a host with more than a name or an address, and a URL with more than a path (P1)", async () => {
  const transport = new WebSocketTransport({ path: "gossip", maxMessageBytes: 1_000 });
  const member = { id: "m", host: "10.0.0.5", port: 7001, kinds: [] };
  assertEquals(transport.addressOf(member), "ws://10.0.0.5:7001");
  assertEquals(transport.addressOf({ ...member, url: "wss://p.example/m" }), "wss://p.example/m");
  const addressOf = (changed: object) => () => transport.addressOf({ ...member, ...changed });
  for (const host of HOSTILE_HOSTS) assertThrows(addressOf({ host }), HearsayError, "nothing was dialed");
  for (const url of HOSTILE_URLS) assertThrows(addressOf({ url }), HearsayError, "nothing was dialed");
  await transport.close();
});
