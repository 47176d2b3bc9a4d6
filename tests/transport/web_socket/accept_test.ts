import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "../../../deps/std_assert.ts";
import { HearsayError } from "../../../common/errors.ts";
import { WebSocketTransport } from "../../../transport/web_socket/web_socket.ts";
import { closeEverything, httpOf, never, OPTIONS } from "./transports.ts";
import { RawPeer, UPGRADE } from "./raw_peer.ts";
import { HandRuntime } from "./hand_runtime.ts";

Deno.test("upgrade: a request that is no upgrade, or does not offer hearsay.v2, is answered with 426 (P1)", async () => {
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

Deno.test("upgrade: hearsay.v2 is accepted among other subprotocols, and only hearsay.v2 is echoed (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  const offered = { ...UPGRADE, "sec-websocket-protocol": "token.c2VjcmV0, hearsay.v2" };
  const { peer, head } = await RawPeer.dial(server.address!, offered);
  using _peer = peer;
  assertMatch(head, /^HTTP\/1\.1 101 /);
  assertMatch(head, /^sec-websocket-protocol: hearsay\.v2\r$/im);
});

Deno.test("upgrade: a request to an invalid host is answered with 400 (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  for (const host of ["a b", "[::1", "%"]) {
    const { peer, head } = await RawPeer.dial(server.address!, { ...UPGRADE, host });
    using _peer = peer;
    assertMatch(head, /^HTTP\/1\.1 400 /);
  }
});

Deno.test("upgrade: a request without `Sec-WebSocket-Key` is answered with 400 (P1)", async () => {
  const server = new WebSocketTransport({ ...OPTIONS, listen: { port: 0 } });
  await using _ = closeEverything(server);
  const { peer, head } = await RawPeer.dial(server.address!, { ...UPGRADE, "sec-websocket-key": undefined });
  using _peer = peer;
  assertMatch(head, /^HTTP\/1\.1 400 /);
});

Deno.test("upgrade: clients that disconnect during a hanging `authorize` free their slots, and full slots are reported (P1)", async () => {
  const reasons: string[] = [];
  let freed = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let mayHang = true;
  const server = new WebSocketTransport({
    ...OPTIONS,
    listen: { port: 0 },
    maxHandshakes: 1,
    authorize: () => {
      asked.resolve();
      return mayHang ? new Promise(() => {}) : undefined;
    },
    onClientRefused: ({ reason }) => {
      reasons.push(reason);
      freed.resolve();
    },
  });
  const client = new WebSocketTransport(OPTIONS);
  await using _ = closeEverything(server, client);
  const giveUp = new AbortController();
  const hanging = client.dial(server.address!, { signal: giveUp.signal }).catch(() => {});
  await asked.promise;
  await assertRejects(() => client.dial(server.address!, { signal: never }), HearsayError, "503");
  assertEquals(reasons, ["Too many upgrades are in progress; maxHandshakes sets the limit."]);
  mayHang = false;
  freed = Promise.withResolvers();
  giveUp.abort();
  await Promise.all([hanging, freed.promise]);
  assertMatch(reasons[1]!, /^The check of this client failed: /);
  await client.dial(server.address!, { signal: never });
});

Deno.test("upgrade: `authorize` refuses with 401 or 403 before the upgrade, and with 403 if it throws (P1)", async () => {
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

Deno.test("close: an upgrade is ended if it does not reach its client in time, or before the transport closes (R9.4)", async () => {
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
    const dialing = RawPeer.dial(`ws://127.0.0.1:${service.addr.port}`);
    await answered;
    assertEquals(runtime.set, [3_000]);
    if (end === "close") await transport.close();
    else runtime.fire(3_000);
    assertEquals(runtime.set, []);
    resolve();
    using peer = (await dialing).peer;
    assertEquals((await peer.readFrame()).code, 1001);
    await transport.close();
    assertEquals(await Array.fromAsync(transport.incoming), []);
    await service.shutdown();
  }
});
