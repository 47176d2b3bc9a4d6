import { assertRejects, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import { addressesOfName } from "../../discovery/dns_lookup.ts";
import { askJson } from "../../discovery/http.ts";
import { HearsayError } from "../../common/errors.ts";
import { assertMayConnect, assertMayRead } from "../../common/permission.ts";
import { realRuntime } from "../../common/runtime.ts";
import { grpcCalls } from "../../protoactor/transport/call.ts";
import { WebSocketTransport } from "../../transport/web_socket/web_socket.ts";

// The tests run with `--allow-net=127.0.0.1`.
const NOT_ASKED = "it was not asked for.";
const { signal } = new AbortController();

Deno.test("permissions: a dial of an allowed address is allowed, and an error names any other address with its flag", () => {
  assertMayConnect(new URL("ws://127.0.0.1:7001/gossip"));
  for (
    const [url, host] of [
      ["ws://10.1.2.3:7001/gossip", "10.1.2.3:7001"],
      ["wss://orders.example/gossip", "orders.example:443"],
      ["http://[2001:db8::1]/", "[2001:db8::1]:80"],
    ] as const
  ) {
    const error = assertThrows(() => assertMayConnect(new URL(url)), Deno.errors.NotCapable);
    assertStringIncludes(error.message, `--allow-net=${host} is missing; ${NOT_ASKED}`);
  }
  assertMayRead("deno.json");
});

Deno.test("permissions: every dial and request is refused before Deno could prompt", async () => {
  const transport = new WebSocketTransport({ path: "gossip", maxMessageBytes: 65_536 });
  const nameServer = { ipAddr: "10.1.2.3" };
  const asked = { runtime: realRuntime, signal, timeoutMs: 1_000, maxBytes: 1_000 };
  const call = grpcCalls.open("10.1.2.3:7001", { maxBytes: 1_000 });
  const refusals = [
    await assertRejects(() => transport.dial("ws://10.1.2.3:7001", { signal }), HearsayError),
    await assertRejects(() => askJson("http://10.1.2.3:7001/", asked), HearsayError),
    await assertRejects(() =>
      addressesOfName("orders.example", { runtime: realRuntime, signal, nameServer })
    ),
    await assertRejects(() => call.readable.getReader().read()),
  ];
  for (const { message } of refusals as Error[]) assertStringIncludes(message, NOT_ASKED);
  await transport.close();
});
