import { assertEquals, assertStringIncludes } from "../../deps/std_assert.ts";
import { networkOf } from "../../transport/strangers.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";
import type { RefusedClient } from "../../transport/strangers.ts";
import { Admission } from "../../transport/web_socket/admission.ts";

const from = (hostname: string) => ({ transport: "tcp", hostname, port: 1 });

Deno.test("networkOf: is the /64 network of a public IPv6 address, and the address itself of others", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["10.0.0.7", "10.0.0.7"],
    ["::ffff:10.0.0.7", "::ffff:10.0.0.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::6", "2001:db8:1:2::/64"],
    ["2001:db8::6", "2001:db8:0:0::/64"],
    ["2001:db8::2:3:4:5:6", "2001:db8:0:2::/64"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    ["fd12:3456::7", "fd12:3456::7"],
    ["FC00::7", "FC00::7"],
    ["fec0::7", "fec0:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["2001:db8::", "2001:db8:0:0::/64"],
  ];
  for (const [address, network] of cases) assertEquals(networkOf(from(address)), network);
  assertEquals(networkOf(undefined), undefined);
});

Deno.test("limits: all addresses of an IPv6 /64 share one limit, so that a machine with many addresses gets no more", async () => {
  const refusals: RefusedClient[] = [];
  const addresses: (string | undefined)[] = [];
  const admissionOf = (withKeys: boolean) =>
    new Admission({
      authentication: withKeys
        ? {
          credentials: () => Promise.reject(new Error("none")),
          admit: (_, { address }) => {
            addresses.push(address);
            return { status: 401, refused: "no" };
          },
          setKeys: () => {},
        }
        : undefined,
      authorize: undefined,
      insecure: true,
      allowedOrigins: [],
      maxConnectionsPerAddress: 2,
      maxHandshakes: 64,
      hasObservers: false,
      authorities: () => new Set(),
      runtime: new VirtualRuntime({ seed: 1 }),
      onRefused: (refused) => refusals.push(refused),
    });
  const headers = { upgrade: "websocket", "sec-websocket-protocol": "hearsay.v2", authorization: "Bearer t" };
  const request = () => new Request("http://[2001:db8::1]/gossip", { headers });
  const open = admissionOf(false);
  const comes = async (hostname: string) => {
    const place = await open.admit(request(), from(hostname));
    return place instanceof Response ? place.status : 101;
  };
  const statuses = [];
  for (const host of ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1", "::ffff:10.0.0.1"]) {
    statuses.push(await comes(host));
  }
  assertEquals(statuses, [101, 101, 503, 101, 101]);
  assertStringIncludes(refusals[0]!.reason, "2001:db8:0:0::/64");
  await admissionOf(true).admit(request(), from("2001:db8::7"));
  assertEquals(addresses, ["2001:db8:0:0::/64"]);
});
