import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { HearsayError } from "../../common/errors.ts";
import { WebSocketTransport } from "../../transport/web_socket/web_socket.ts";
import { freePort } from "../process/ports.ts";
import { closeEverything, OPTIONS } from "./web_socket/transports.ts";
import { listenTcp } from "./web_socket/raw_peer.ts";

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

Deno.test("listen: an abort of the signal closes the transport and frees the port (R9.4)", async () => {
  const controller = new AbortController();
  const port = freePort();
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port, signal: controller.signal } });
  controller.abort();
  await server.close();
  Deno.listen({ hostname: "127.0.0.1", port }).close();
});
