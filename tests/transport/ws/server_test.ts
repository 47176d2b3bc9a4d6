import { assertEquals, assertMatch, assertRejects } from "../../../deps/std_assert.ts";
import { HearsayError } from "../../../common/errors.ts";
import { NodePlatform } from "../../../transport/ws/platform.ts";
import { WebSocketTransport } from "../../../transport/web_socket/web_socket.ts";
import { RawPeer, UPGRADE } from "../web_socket/raw_peer.ts";
import { never, OPTIONS } from "../web_socket/transports.ts";

/** A transport with a server of Node. */
async function listening(options: object = {}): Promise<WebSocketTransport> {
  const listen = { hostname: "127.0.0.1", port: 0 };
  const platform = await NodePlatform.make({ listen, maxMessageBytes: OPTIONS.maxMessageBytes });
  return new WebSocketTransport({ ...OPTIONS, platform, listen, ...options });
}

/** The first line of the answer to these bytes. */
async function answerTo(transport: WebSocketTransport, lines: readonly string[]): Promise<string> {
  const { hostname, port } = new URL(transport.address!);
  using peer = new RawPeer(await Deno.connect({ hostname, port: Number(port) }));
  const upgrade = Object.entries(UPGRADE).map(([name, value]) => `${name}: ${value}`);
  await peer.send(`${[...lines, ...upgrade].join("\r\n")}\r\n\r\n`);
  return (await peer.readHead()).split("\r\n")[0]!;
}

Deno.test("server: checks every line of a repeated header, not only the first (P1)", async () => {
  const transport = await listening({ allowedOrigins: ["https://app.example"] });
  const first = ["GET /gossip HTTP/1.1", "host: 127.0.0.1"];
  assertMatch(await answerTo(transport, [...first, "origin: https://app.example"]), / 101 /);
  const two = [...first, "origin: https://app.example", "origin: https://evil.example"];
  assertMatch(await answerTo(transport, two), / 403 /);
  assertMatch(await answerTo(transport, [...first, "host: evil.example"]), / 40[03] /);
  await transport.close();
});

Deno.test("server: a host with more than a name or an address is answered with 400, and the host of another machine with 403 (P1)", async () => {
  const transport = await listening();
  for (const host of ["127.0.0.1/gossip?", "127.0.0.1#", "a@127.0.0.1", "a b", "%"]) {
    assertMatch(await answerTo(transport, ["GET /other HTTP/1.1", `host: ${host}`]), / 400 /, host);
  }
  assertMatch(await answerTo(transport, ["GET /gossip HTTP/1.1", "host: evil.example"]), / 403 /);
  await transport.close();
});

Deno.test("server: a request with an unusual method is refused, and the next request is served (P1)", async () => {
  const transport = await listening();
  for (const method of ["TRACE", "POST", "DELETE"]) {
    assertMatch(
      await answerTo(transport, [`${method} /gossip HTTP/1.1`, "host: 127.0.0.1"]),
      / 40[05] /,
      method,
    );
  }
  assertMatch(await answerTo(transport, ["GET /gossip HTTP/1.1", "host: 127.0.0.1"]), / 101 /);
  await transport.close();
});

Deno.test("listen: rejects with cannot_listen at a taken port, and with the reason of an aborted signal (R8.2)", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const error = await assertRejects(
    () => NodePlatform.make({ listen: { port }, maxMessageBytes: 1 }),
    HearsayError,
    "another process uses this port",
  );
  assertEquals(error.code, "cannot_listen");
  const reason = new Error("enough");
  const aborted = NodePlatform.make({
    listen: { port: 0, signal: AbortSignal.abort(reason) },
    maxMessageBytes: 1,
  });
  assertEquals(await aborted.catch((error) => error), reason);
});

Deno.test("dial: a server that answers with another subprotocol, or without one, is incompatible, and nothing is sent (P1)", async () => {
  const platform = await NodePlatform.make({ maxMessageBytes: OPTIONS.maxMessageBytes });
  const client = new WebSocketTransport({ ...OPTIONS, platform });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  for (const headers of [{}, { "sec-websocket-protocol": "hearsay.v1" }]) {
    const dialed = client.dial(`ws://127.0.0.1:${listener.addr.port}`, { signal: never });
    const refused = assertRejects(() => dialed, HearsayError, "does not speak the subprotocol");
    using _peer = await RawPeer.accept(listener, headers);
    assertEquals((await refused).code, "incompatible");
  }
  await client.close();
});
