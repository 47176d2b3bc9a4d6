import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { assertRejects } from "../../deps/std_assert.ts";
import { ConfigurationError, join, type Node } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { Authority, type CertificateOptions } from "./certificates.ts";
import { hears } from "./waits.ts";
import { keyedMembers } from "./keyed_members.ts";

const KEY = await newClusterKey();
const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 500, heartbeatExpiration: 5_000, maxBackoff: 100 };
const AUTHORITY = await Authority.make();

const member = keyedMembers([KEY], CONFIG);

/** The error of a member that trusts these authorities and dials a seed. */
async function failureAt(seed: string, caCerts: readonly string[]): Promise<string> {
  const own = await AUTHORITY.sign();
  await using node = await member("eve", { seeds: [seed], tls: { ...own, caCerts } });
  for await (
    const event of node.events.subscribe("SeedFailed", { signal: AbortSignal.timeout(5_000) })
  ) {
    if (event.type === "SeedFailed") return String(event.error);
  }
  throw new Error("It did not fail.");
}

Deno.test("TLS: members with certificates of a private authority dial each other in both directions", async () => {
  const caCerts = [AUTHORITY.cert];
  await using ada = await member("ada", { tls: { ...await AUTHORITY.sign(), caCerts } });
  await using ben = await member("ben", {
    seeds: [ada.address],
    tls: { ...await AUTHORITY.sign(), caCerts },
  });
  assertMatch(ada.address, /^wss:/);
  ada.setState("k", 1);
  ben.setState("k", 2);
  await Promise.all([hears(ben, "ada", 1), hears(ada, "ben", 2)]);
  await using cleo = await member("cleo", {
    seeds: [ben.address],
    tls: { ...await AUTHORITY.sign(), caCerts },
  });
  cleo.setState("k", 3);
  await hears(ada, "cleo", 3);
});

Deno.test("TLS: a refusal looks like a broken connection, and the error names possible causes", async () => {
  const caCerts = [AUTHORITY.cert];
  await using ada = await member("ada", { tls: { ...await AUTHORITY.sign(), caCerts } });
  const authentication = { keys: [await newClusterKey()] };
  await using eve = await member("eve", {
    seeds: [ada.address],
    tls: { ...await AUTHORITY.sign(), caCerts },
    authentication,
  });
  const signal = AbortSignal.timeout(5_000);
  for await (const event of eve.events.subscribe("SeedFailed", { signal })) {
    if (event.type !== "SeedFailed") continue;
    assertMatch(JSON.stringify(event), /wrong key, cluster or path/);
    return;
  }
  throw new Error("It did not fail.");
});

Deno.test("TLS: a handler works in a service's own server with the certificate", async () => {
  const { cert, key } = await AUTHORITY.sign();
  const ready = Promise.withResolvers<Node>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} },
    async (request, info) => {
      return await (await ready.promise).handler(request, info) ?? new Response("the service's own");
    },
  );
  const caCerts = [AUTHORITY.cert];
  const ada = await join({
    cluster: "orders",
    id: "ada",
    advertise: { host: "127.0.0.1", port: server.addr.port },
    config: CONFIG,
    authentication: { keys: [KEY] },
    tls: { caCerts },
  });
  ready.resolve(ada);
  assertEquals(ada.address, `wss://127.0.0.1:${server.addr.port}`);
  const ben = await member("ben", { seeds: [ada.address], tls: { ...await AUTHORITY.sign(), caCerts } });
  ada.setState("k", 1);
  await hears(ben, "ada", 1);
  await ben.stop();
  await ada.stop();
  await server.shutdown();
});

const HOUR_MS = 3_600_000;
const UNFIT: readonly (readonly [string, CertificateOptions, RegExp])[] = [
  ["has expired", { untilMs: -HOUR_MS }, /Expired/i],
  ["is not good yet", { fromMs: HOUR_MS }, /NotValidYet|not valid yet/i],
  ["is for another name", { names: [{ type: "dns", value: "members.example" }] }, /name/i],
  ["is for another address", { names: [{ type: "ip", value: "10.0.0.7" }] }, /name/i],
];

for (const [what, options, why] of UNFIT) {
  Deno.test(`TLS: a member whose certificate ${what} is refused`, async () => {
    await using ada = await member("ada", {
      tls: { ...await AUTHORITY.sign(options), caCerts: [AUTHORITY.cert] },
    });
    const text = await failureAt(ada.address, [AUTHORITY.cert]);
    assertMatch(text, /certificate/);
    assertMatch(text, why);
    assertEquals(ada.members.length, 1);
  });
}

Deno.test("TLS: a member whose certificate is of an unknown authority is refused", async () => {
  await using ada = await member("ada", { tls: await AUTHORITY.sign() });
  const another = await Authority.make("CN=Another authority of the tests");
  for (const caCerts of [[], [another.cert]]) {
    assertMatch(await failureAt(ada.address, caCerts), /UnknownIssuer|BadSignature/);
  }
});

Deno.test("TLS: the encrypted port answers no plain ws", async () => {
  await using ada = await member("ada", { tls: await AUTHORITY.sign() });
  const text = await failureAt(ada.address.replace("wss:", "ws:"), [AUTHORITY.cert]);
  assert(/probably speaks wss|took longer/.test(text), text);
});

Deno.test("TLS: a certificate without its key, or with other content, is refused", async () => {
  const { cert, key } = await AUTHORITY.sign();
  const wrong: readonly (readonly [object, string])[] = [
    [{ cert }, "tls.key"],
    [{ key }, "tls.cert"],
    [{ cert: "cert.pem", key }, "tls.cert"],
    [{ cert, key, caCerts: ["ca.pem"] }, "tls.caCerts[0]"],
    [{ cert, key, caCerts: "ca.pem" }, "tls.caCerts"],
    [{ cert, key, ca: [] }, "tls.ca"],
  ];
  for (const [tls, field] of wrong) {
    const error = await assertRejects(() => member("ada", { tls }), ConfigurationError);
    assertEquals(error.problems.map((problem) => problem.field), [field]);
    assert(!error.message.includes("PRIVATE"));
  }
});

Deno.test("TLS: a client that never starts a TLS handshake does not delay stop()", async () => {
  const node = await member("ada", { tls: await AUTHORITY.sign() });
  const silent = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(node.address).port) });
  // When the next client is answered, the server has accepted this connection.
  assertMatch(await failureAt(node.address, []), /UnknownIssuer|certificate/i);
  const stopping = node.stop();
  const late = AbortSignal.timeout(4 * CONFIG.gossipRequestTimeout);
  const lateness = new Promise((_, reject) => late.addEventListener("abort", () => reject(late.reason)));
  try {
    await Promise.race([stopping, lateness]);
  } finally {
    silent.close();
    await stopping;
  }
});
