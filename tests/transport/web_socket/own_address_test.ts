import { assertEquals } from "../../../deps/std_assert.ts";
import { WebSocketTransport } from "../../../transport/web_socket/web_socket.ts";

const OPTIONS = { path: "gossip", maxMessageBytes: 2 ** 16 };

Deno.test("WebSocketTransport.wasReachedAt: is true for this transport's addresses at which clients have dialed it", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  const client = new WebSocketTransport(OPTIONS);
  const { port } = new URL(server.address!);
  const [own, other] = [`ws://localhost.:${port}/orders/a`, `ws://127.0.0.1:${port}`];
  server.answerTo(own);
  const accepted = server.incoming.getReader();
  assertEquals([own, other].map((address) => server.wasReachedAt(address)), [false, false]);
  await client.dial(other, new AbortController());
  await accepted.read();
  assertEquals([own, other].map((address) => server.wasReachedAt(address)), [false, true]);
  await client.dial(`${other}/orders/a`, new AbortController());
  await accepted.read();
  // Two forms of one host are one address.
  assertEquals(server.wasReachedAt(own), true);
  await Promise.all([client.close(), server.close()]);
});
