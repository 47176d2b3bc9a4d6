import { assert, assertEquals, assertMatch, assertStringIncludes } from "../../../deps/std_assert.ts";
import { Admission, IDLE_AFTER_MS } from "../../../transport/web_socket/admission.ts";
import type { RefusedClient } from "../../../transport/strangers.ts";
import { VirtualRuntime } from "../../../testing/virtual_runtime.ts";
import { WebSocketTransport } from "../../../transport/web_socket/web_socket.ts";
import { closeEverything, OPTIONS } from "./transports.ts";
import { RawPeer, UPGRADE } from "./raw_peer.ts";

const REQUEST = () =>
  new Request("http://10.0.0.1/gossip", {
    headers: {
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-version": "13",
      "sec-websocket-key": btoa("0123456789abcdef"),
      "sec-websocket-protocol": "hearsay.v2",
    },
  });

Deno.test("maxConnectionsPerAddress: the longest idle connection is closed for a new one; without an idle connection, the event names the setting", async () => {
  const runtime = new VirtualRuntime({ seed: 1 });
  const refusals: RefusedClient[] = [];
  const admission = new Admission({
    authentication: undefined,
    authorize: undefined,
    insecure: true,
    allowedOrigins: [],
    maxConnectionsPerAddress: 2,
    maxHandshakes: 64,
    hasObservers: true,
    authorities: () => new Set(),
    runtime,
    onRefused: (refused) => refusals.push(refused),
  });
  const used = new Map<string, number>();
  const ended: string[] = [];
  const comes = async (name: string, hostname = "10.0.0.7") => {
    const place = await admission.admit(REQUEST(), { transport: "tcp", hostname, port: 1 });
    if (place instanceof Response) return place.status;
    used.set(name, runtime.monotonicMs());
    place.upgraded({
      get usedMs() {
        return used.get(name)!;
      },
      end: (reason) => {
        assertStringIncludes(reason, "idle");
        ended.push(name);
        place.leave();
      },
    });
    return 101;
  };
  assertEquals([await comes("a"), await comes("b"), await comes("c")], [101, 101, 503]);
  assertEquals(refusals.map(({ remote }) => remote), ["10.0.0.7:1"]);
  assertStringIncludes(refusals[0]!.reason, "maxConnectionsPerAddress");
  assertEquals(await comes("elsewhere", "10.0.0.8"), 101);
  await runtime.advance(IDLE_AFTER_MS);
  used.set("a", runtime.monotonicMs());
  assertEquals(await comes("d"), 101);
  assertEquals(ended, ["b"]);
  assertEquals(await comes("e"), 503);
  assert(refusals.length >= 1);
});

Deno.test("upgrade: a client whose check fails with an error is answered with 503, with one event for each reason (P1)", async () => {
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
