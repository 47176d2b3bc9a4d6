import { assertEquals, assertRejects, assertStringIncludes } from "../../../deps/std_assert.ts";
import { HearsayError } from "../../../common/errors.ts";
import { WebSocketTransport } from "../../../transport/web_socket/web_socket.ts";
import { dialUrl } from "../../../transport/web_socket/dial.ts";
import { closeEverything, never, OPTIONS } from "./transports.ts";
import { listenTcp, RawPeer } from "./raw_peer.ts";
import { HandRuntime } from "./hand_runtime.ts";

Deno.test("dial: a client that finds another subprotocol after opening closes with 4400 (P1)", async () => {
  const client = new WebSocketTransport(OPTIONS);
  await using _ = closeEverything(client);
  using tcp = listenTcp();
  for (const headers of [{}, { "sec-websocket-protocol": "hearsay.v1" }]) {
    const dialed = client.dial(tcp.address, { signal: never });
    using peer = await RawPeer.accept(tcp.listener, headers);
    const error = await assertRejects(() => dialed, HearsayError, "must speak the subprotocol hearsay.v2");
    assertEquals(error.code, "incompatible");
    const frame = await peer.readFrame();
    assertEquals([frame.opcode, frame.code], [8, 4400]);
  }
});

Deno.test("dial: an address without a path is dialed at the path of the gossip actor's name (P1)", () => {
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

Deno.test("dial: a name that is no plain path segment is served and dialed as well (P1)", async () => {
  const options = { ...OPTIONS, path: "a b/ü?" };
  const server = new WebSocketTransport({ ...options, listen: { port: 0 } });
  const client = new WebSocketTransport(options);
  await using _ = closeEverything(server, client);
  await client.dial(server.address!, { signal: never });
});

Deno.test("dial: a dial of an unused address rejects with a connection error that names the address", async () => {
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

Deno.test("dial: a dial of a mute peer ends at once when the signal is aborted, with the signal's reason", async () => {
  const client = new WebSocketTransport(OPTIONS);
  await using _ = closeEverything(client);
  using tcp = listenTcp();
  const reason = new Error("enough");
  await assertRejects(() => client.dial(tcp.address, { signal: AbortSignal.abort(reason) }), Error, "enough");
  const controller = new AbortController();
  const dialed = client.dial(tcp.address, { signal: controller.signal });
  using peer = new RawPeer(await tcp.listener.accept());
  await peer.readHead();
  controller.abort(reason);
  assertEquals(await dialed.catch((error) => error), reason);
});

Deno.test("dial: a dial ends after connectTimeout if no signal ends it", async () => {
  const runtime = new HandRuntime();
  const client = new WebSocketTransport({ ...OPTIONS, runtime, connectTimeout: 3_000 });
  await using _ = closeEverything(client);
  using tcp = listenTcp();
  const dialed = client.dial(tcp.address, { signal: never });
  using _peer = new RawPeer(await tcp.listener.accept());
  runtime.fire(3_000);
  const error = await assertRejects(() => dialed, HearsayError, "took longer than 3000 ms");
  assertEquals(error.code, "timeout");
  assertEquals(runtime.set, []);
});

Deno.test("dial: a dial is refused as stopped if the transport closes during it or before it (R9.4)", async () => {
  const client = new WebSocketTransport(OPTIONS);
  using tcp = listenTcp();
  const dialed = client.dial(tcp.address, { signal: never });
  using _peer = new RawPeer(await tcp.listener.accept());
  const refused = assertRejects(() => dialed, HearsayError, "The transport is closed");
  await client.close();
  assertEquals((await refused).code, "stopped");
  const late = await assertRejects(() => client.dial(tcp.address, { signal: never }), HearsayError);
  assertEquals(late.code, "stopped");
});
