import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { dns } from "../../discovery/dns.ts";
import { etcd } from "../../discovery/etcd/etcd.ts";
import { kubernetes } from "../../discovery/kubernetes/kubernetes.ts";
import { autoManaged } from "../../protoactor/automanaged.ts";
import { protoactorEtcd } from "../../protoactor/etcd.ts";
import { seeds } from "../../discovery/seeds.ts";
import { isFormedAsKey, mayBeKey, withoutKeys } from "../../common/key_material.ts";
import { parseConfig } from "../../options/yaml.ts";
import { ConfigurationError, configure, join, type JoinOptions } from "../../mod.ts";
import { joinProtoactor } from "../../protoactor/join.ts";
import {
  keysFromEnvironment,
  keysFromFile,
  newClusterKey,
  signingKeyFromFile,
} from "../../security/cluster_keys.ts";
import { dialUrl } from "../../transport/web_socket/dial.ts";

const SECRET = "hunter2";
/** Passwords that stand where a URL's parser does not look for one, too. */
const WITH_PASSWORD = [
  ...["ws", "wss", "http", "nonsense"].map((scheme) => `${scheme}://ada:${SECRET}@10.0.0.5:7001`),
  `ws://ada:${SECRET}/a@10.0.0.5:7001`,
  `ws://ada:a?${SECRET}@10.0.0.5:7001`,
  `ws://ada:a#${SECRET}@10.0.0.5:7001`,
  `ws:\\\\ada:${SECRET}@10.0.0.5:7001`,
  `ada:${SECRET}@10.0.0.5:7001`,
];

async function failureOf(action: () => unknown): Promise<ConfigurationError> {
  return await assertRejects(async () => void await action(), ConfigurationError);
}

function withoutText(error: ConfigurationError, secret: string): void {
  for (const shown of [error.message, JSON.stringify(error.problems), Deno.inspect(error)]) {
    assert(!shown.includes(secret.slice(0, 12)) && !shown.includes(secret.slice(-12)), shown);
  }
}

Deno.test("credentials: a URL of members or etcd with a user or a password is refused, and neither is printed", async () => {
  for (const url of WITH_PASSWORD) {
    const failures = [
      await failureOf(() => seeds([url])),
      await failureOf(() => etcd({ endpoints: [url] })),
      await failureOf(() => protoactorEtcd({ endpoints: [url] })),
      await failureOf(() =>
        kubernetes({ labelSelector: "a", port: 1, server: url.replace(/^wss?/, "https") })
      ),
      await failureOf(() => autoManaged({ hosts: [url] })),
      await failureOf(() => dns(url)),
      await failureOf(() => join({ cluster: "c", listen: { port: 0 }, seeds: [url] })),
      await failureOf(() => join({ cluster: "c", listen: { port: 0, hostname: url } })),
    ];
    assert(!(await failureOf(() => join({ cluster: "c", advertise: url }))).message.includes(SECRET));
    for (const error of failures) {
      assert(!error.message.includes(SECRET), error.message);
      assertEquals(error.problems.length, 1, error.message);
    }
    assert(!String(assertThrows(() => dialUrl(url, "/gossip"))).includes(SECRET));
  }
  const aliases = ["wss://ada:hunter2@gossip.example"];
  const authentication = { keys: [await newClusterKey()], aliases };
  const error = await failureOf(() => join({ cluster: "c", listen: { port: 0 }, authentication }));
  assertEquals(error.problems.map(({ field }) => field), ["authentication.aliases"]);
});

Deno.test("credentials: a query, which may have a token, is refused in seeds and endpoints, and not printed", async () => {
  for (const url of [`ws://10.0.0.5:7001/?token=${SECRET}`, `http://10.0.0.5:2379?token=${SECRET}`]) {
    for (const action of [() => seeds([url]), () => etcd({ endpoints: [url] })]) {
      assert(!(await failureOf(action)).message.includes(SECRET));
    }
  }
});

/** The ways in which one key is written. */
async function writtenKeys(): Promise<readonly string[]> {
  const text = await newClusterKey();
  const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
  return [text, bytes.toBase64(), bytes.toHex(), bytes.slice(0, 16).toBase64(), bytes.slice(0, 16).toHex()];
}

Deno.test("credentials: a key that is given in any wrong field is not printed", async () => {
  for (const key of await writtenKeys()) {
    const options: Record<string, unknown>[] = [
      ...[
        "listen",
        "advertise",
        "seeds",
        "members",
        "discovery",
        "kinds",
        "config",
        "signal",
        "runtime",
        "tls",
      ].map(
        (name) => ({ [name]: key }),
      ),
      ...["insecure", "dialOnly", "allowedOrigins", "actorStatistics", "authentication"].map((name) => ({
        [name]: key,
      })),
      { seeds: [key] },
      { seeds: [`\n${key}`] },
      { listen: { port: key } },
      { listen: { hostname: `${key} ` } },
      { listen: { hostname: "10.0.0.5", [key]: 1 } },
      { advertise: { host: `${key} `, port: key } },
      { members: [{ id: "a", host: `${key} `, port: key, kinds: [] }] },
      { config: { gossipInterval: key } },
      { config: { [key]: 300 } },
      { config: { key } },
      { config: { spread: key } },
      { [key]: true },
      { key },
      { keys: [key] },
      { authentication: { key } },
      { authentication: { keys: [], [key]: 1 } },
      { authentication: { keys: key } },
      { authentication: { keys: [`${key}!`] } },
      { authentication: { keys: [{ key }] } },
      { authentication: { keys: [], clockTolerance: key, sign: key, signingKey: key, aliases: [key] } },
      { tls: { cert: key, key, caCerts: [key] } },
      { tls: { cert: key, key, caCerts: key } },
      { allowedOrigins: [key] },
    ];
    for (const each of options) {
      const given = { cluster: "c", listen: { port: 0 }, ...each } as unknown as JoinOptions;
      withoutText(await failureOf(() => join(given)), key);
    }
    withoutText(await failureOf(() => join(key as unknown as JoinOptions)), key);
    withoutText(await failureOf(() => parseConfig(`gossipInterval: ${key}`)), key);
    withoutText(await failureOf(() => parseConfig(`"${key}": 300`)), key);
    withoutText(await failureOf(() => parseConfig(`keys: [${key}`)), key);
    withoutText(await failureOf(() => configure({ [key]: 1 })), key);
    withoutText(await failureOf(() => dns(`${key} `, { [key]: 1 } as never)), key);
    const discovery = seeds([]);
    const decoders = { [key]: 1 } as never;
    withoutText(await failureOf(() => joinProtoactor({ cluster: "c", discovery, decoders })), key);
    withoutText(await failureOf(() => seeds([], { nameServer: { ipAddr: "", [key]: 1 } } as never)), key);
  }
});

Deno.test("credentials: a key is refused as the name of a cluster, of the path and of a file, because these names are printed", async () => {
  // One of 1,500 keys has no digit in base64, and looks like letters that a person typed.
  let key = await newClusterKey();
  while (!/\d/.test(key)) key = await newClusterKey();
  const hex = Uint8Array.fromBase64(key, { alphabet: "base64url" }).toHex();
  for (const text of [key, hex]) {
    const failures = [
      await failureOf(() => join({ cluster: text, listen: { port: 0 } })),
      await failureOf(() => joinProtoactor({ cluster: text, discovery: seeds([]) })),
      await failureOf(() => configure({ gossipActorName: text.slice(0, 64) })),
      await failureOf(() => keysFromFile(text)),
      await failureOf(() => signingKeyFromFile(text)),
      await failureOf(() => keysFromEnvironment(text)),
    ];
    for (const error of failures) withoutText(error, text);
  }
});

Deno.test("credentials: names of options, of clusters and of hosts that people choose are printed unchanged", async () => {
  for (
    const text of [
      "orders",
      "orders-production-eu-west-1-blue",
      "/var/run/secrets/kubernetes.io/serviceaccount",
      "orders-headless.default.svc.cluster.local",
      "550e8400-e29b-41d4-a716-446655440000",
    ]
  ) {
    assertEquals(withoutKeys(text), text);
    assert(!isFormedAsKey(text));
  }
  assert(!mayBeKey("550e8400-e29b-41d4-a716-446655440000") && !mayBeKey("orders"));
  const misspelt = { maxConnectionsPerAdress: 5, gossipInterval: "fast" };
  const error = await failureOf(() => configure(misspelt as never));
  assertStringIncludes(
    error.message,
    "`maxConnectionsPerAdress` is not a setting (did you mean maxConnectionsPerAddress?)",
  );
  assertStringIncludes(error.message, 'got "fast"');
});
