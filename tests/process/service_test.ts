import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "../../deps/std_assert.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { Authority, type Certificate } from "../security/certificates.ts";
import { Balancer } from "./balancer.ts";
import { IdleConnections, MAX_DESCRIPTORS } from "./idle_connections.ts";
import { freePorts } from "./ports.ts";
import { eventually, Program } from "./program.ts";

/** The key, the certificate authority and the folder of certificates for all instances of a test. */
class Deployment implements AsyncDisposable {
  readonly key: string;
  readonly authority: Authority;
  readonly client: Deno.HttpClient;
  readonly #folder: string;

  private constructor(parts: { key: string; authority: Authority; folder: string }) {
    this.key = parts.key;
    this.authority = parts.authority;
    this.#folder = parts.folder;
    this.client = Deno.createHttpClient({ caCerts: [parts.authority.cert] });
  }

  static async make(): Promise<Deployment> {
    const authority = await Authority.make();
    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/ca.pem`, authority.cert);
    return new Deployment({ key: await newClusterKey(), authority, folder });
  }

  /** The environment of an instance, with its own certificate. */
  async environment(
    port: number,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Record<string, string>> {
    const { cert, key }: Certificate = await this.authority.sign();
    await Deno.writeTextFile(`${this.#folder}/${port}.pem`, cert);
    await Deno.writeTextFile(`${this.#folder}/${port}.key`, key);
    return {
      PORT: String(port),
      HEARSAY_KEYS: this.key,
      TLS_CERT_FILE: `${this.#folder}/${port}.pem`,
      TLS_KEY_FILE: `${this.#folder}/${port}.key`,
      TLS_CA_FILE: `${this.#folder}/ca.pem`,
      ...env,
    };
  }

  /** The status and the body of a response; JSON is parsed. */
  async ask(origin: string, path: string, init: RequestInit = {}): Promise<[number, unknown]> {
    const signal = AbortSignal.timeout(5_000);
    const response = await fetch(`${origin}${path}`, { ...init, client: this.client, signal });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return [response.status, isJson ? JSON.parse(text) : text];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

interface Members {
  readonly members: readonly { readonly status: string }[];
}

interface Prices {
  readonly revision: number;
  readonly cents: unknown;
  readonly isAgreed: boolean;
}

interface Ready {
  readonly ready: boolean;
  readonly waitsFor: readonly { readonly condition: string; readonly reason: string }[];
}

/** Three instances with each other as seeds, and all processes that ran on their ports. */
class Instances implements AsyncDisposable {
  readonly deployment: Deployment;
  readonly ports = freePorts(3);
  readonly all: Program[] = [];
  readonly #present = new Map<number, Program>();

  private constructor(deployment: Deployment) {
    this.deployment = deployment;
  }

  static async started(): Promise<Instances> {
    const instances = new Instances(await Deployment.make());
    await Promise.all(instances.ports.map((port) => instances.start(port)));
    return instances;
  }

  get origins(): readonly string[] {
    return this.ports.map((port) => `https://127.0.0.1:${port}`);
  }

  /** Starts an instance; resolves when it is ready. */
  async start(port: number): Promise<void> {
    const seeds = this.ports.map((each) => `wss://127.0.0.1:${each}`).join(" ");
    // 4 s: an instance that ends without leaving would be blocked as expired before the test ends.
    const env = await this.deployment.environment(port, {
      SEEDS: seeds,
      HEARTBEAT_EXPIRATION_MS: "4000",
      DRAIN_MS: "1500",
    });
    const program = await Program.exampleIn(env, "service");
    this.all.push(program);
    this.#present.set(port, program);
    await program.until(/^ready: /);
  }

  /** Ends an instance with SIGTERM and starts it again; resolves with its exit code, the time to end and its output. */
  async roll(
    port: number,
  ): Promise<{ readonly code: number; readonly elapsedMs: number; readonly output: string }> {
    const program = this.#present.get(port)!;
    const beginMs = performance.now();
    program.kill("SIGTERM");
    const { code } = await program.ended();
    const elapsedMs = performance.now() - beginMs;
    await this.start(port);
    return { code, elapsedMs, output: `${program.lines.join("\n")}\n${program.errors}` };
  }

  /** Waits until every instance sees three members, and all have the same prices. */
  async agree(): Promise<void> {
    for (const origin of this.origins) {
      await eventually(`${origin} sees three that agree`, async () => {
        const [, { members }] = await this.deployment.ask(origin, "/members") as [number, Members];
        const [, { isAgreed }] = await this.deployment.ask(origin, "/prices") as [number, Prices];
        return isAgreed && members.filter(({ status }) => status === "alive").length === 3;
      });
    }
  }

  /** All lines that the instances printed and that match. */
  printed(pattern: RegExp): readonly string[] {
    return this.all.flatMap(({ lines }) => lines.filter((line) => pattern.test(line)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.all) await program[Symbol.asyncDispose]();
    await this.deployment[Symbol.asyncDispose]();
  }
}

// A request has failed if it was refused or cut off, took over 5 s, or got an unexpected response; none is repeated. The
// clients have three addresses and use those whose `/ready` answered 200 within the last second, as a load balancer does.
// A client that ignores a negative probe for longer may find no listener.
Deno.test("service example: in a rolling restart of three instances under load no request fails, no member expires, and all have the same state", async () => {
  await using instances = await Instances.started();
  const { deployment, origins, ports } = instances;
  await instances.agree();
  await using balancer = new Balancer(origins, { caCerts: [deployment.authority.cert] });
  await eventually("all are ready", () => Promise.resolve(origins.every((each) => balancer.isReady(each))));
  await balancer.send("/prices", { method: "PUT", body: '{"tea":250}', status: 200 });
  await instances.agree();

  const loading = new AbortController();
  const load = balancer.load({ clients: 4, signal: loading.signal });
  for (const [index, port] of ports.entries()) {
    // The instance that set the list may be the next to restart; the others have a copy.
    await balancer.send("/prices", { method: "PUT", body: `{"tea":${300 + index}}`, status: 200 });
    const { code, elapsedMs, output } = await instances.roll(port);
    assertEquals(code, 0, output);
    assertLess(elapsedMs, 5_000);
    await eventually("it is ready again", () => Promise.resolve(balancer.isReady(origins[index]!)));
  }
  loading.abort();
  await load;

  const { answered, failures, sentTo } = balancer.result;
  assertEquals(failures, []);
  assertGreater(answered.get("POST /orders")!, 100);
  for (const origin of origins) assertGreater(sentTo.get(origin) ?? 0, 30);
  await instances.agree();
  for (const origin of origins) {
    const [, prices] = await deployment.ask(origin, "/prices") as [number, Prices];
    assertEquals([prices.revision, prices.cents], [4, { tea: 302 }]);
    // An instance hands its count over when it leaves.
    await eventually(`${origin} has every order`, async () => {
      const [, orders] = await deployment.ask(origin, "/orders");
      return JSON.stringify(orders) === JSON.stringify({ taken: answered.get("POST /orders") });
    });
  }
  assertEquals(instances.printed(/ the member ".*" failed/), []);
  // Both other members saw each of the three instances leave.
  assertGreaterOrEqual(instances.printed(/ the member ".*" left\.$/).length, 6);
  // A peer may dial a restarted instance with a token for the earlier process; it then dials again.
  const known = "The token is from before this member began; the client needs a new token.";
  assertEquals(instances.printed(/ was refused/).filter((line) => !line.endsWith(known)), []);
  const [origin = ""] = instances.origins;
  const [, metrics] = await deployment.ask(origin, "/metrics");
  assertStringIncludes(String(metrics), 'hearsay_members{status="alive"} 3');
  assertEquals(instances.all.map(({ errors }) => errors), ["", "", "", "", "", ""]);
});

Deno.test("service example: a single instance is alive at once, and ready after READY_WITHIN_MS", async () => {
  await using deployment = await Deployment.make();
  const [port, other] = freePorts(2) as [number, number];
  const origin = `https://127.0.0.1:${port}`;
  const env = await deployment.environment(port, {
    SEEDS: `wss://127.0.0.1:${other}`,
    READY_WITHIN_MS: "1000",
  });
  await using program = await Program.exampleIn(env, "service");
  await program.until(/^listening: https:/);
  assertEquals(await deployment.ask(origin, "/live"), [200, { live: true }]);
  const [status, early] = await deployment.ask(origin, "/ready") as [number, Ready];
  assertEquals([status, early.ready], [503, false]);
  assert(["discovery", "alone"].includes(early.waitsFor[0]!.condition), early.waitsFor[0]!.reason);
  await program.until(/^ready: alone, after 1000 ms$/);
  const [, { ready }] = await deployment.ask(origin, "/ready") as [number, Ready];
  assert(ready);
});

Deno.test("service example: after SIGTERM an instance is not ready, answers requests, and ends with 0", async () => {
  await using deployment = await Deployment.make();
  const [port] = freePorts(1) as [number];
  const origin = `https://127.0.0.1:${port}`;
  const env = await deployment.environment(port, { READY_WITHIN_MS: "0", DRAIN_MS: "1500" });
  await using program = await Program.exampleIn(env, "service");
  await program.until(/^ready: /);
  program.kill("SIGTERM");
  await program.until(/^leaving: /);
  const [status, { waitsFor }] = await deployment.ask(origin, "/ready") as [number, Ready];
  const reason = "This instance is leaving.";
  assertEquals([status, waitsFor], [503, [{ condition: "service", reason }]]);
  using client = Deno.createHttpClient({ caCerts: [deployment.authority.cert], http2: false });
  const response = await fetch(`${origin}/prices`, { client });
  assertEquals([response.status, response.headers.get("connection")], [200, "close"]);
  await response.body?.cancel();
  assertEquals((await program.ended()).code, 0);
  assert(program.lines.includes("Left; there was no other member."));
});

Deno.test("service example: a request in progress is answered before its instance leaves", async () => {
  await using deployment = await Deployment.make();
  const [port] = freePorts(1) as [number];
  const origin = `https://127.0.0.1:${port}`;
  const env = await deployment.environment(port, { READY_WITHIN_MS: "0", DRAIN_MS: "0" });
  await using program = await Program.exampleIn(env, "service");
  await program.until(/^ready: /);
  // This request takes a second, because no other member acknowledges the list.
  const setting = deployment.ask(origin, "/prices", { method: "PUT", body: '{"tea":250}' });
  await eventually("the request is in progress", async () => {
    const [, prices] = await deployment.ask(origin, "/prices") as [number, Prices];
    return prices.revision === 1;
  });
  program.kill("SIGTERM");
  assertEquals((await setting)[0], 202);
  assertEquals((await program.ended()).code, 0);
});

Deno.test("service example: a silent connection does not stop an instance from ending with 0", async () => {
  await using deployment = await Deployment.make();
  const [port] = freePorts(1) as [number];
  const env = await deployment.environment(port, { READY_WITHIN_MS: "0", DRAIN_MS: "0" });
  await using program = await Program.exampleIn(env, "service");
  await program.until(/^ready: /);
  using _silent = await Deno.connect({ hostname: "127.0.0.1", port });
  // When the next client is answered, the server has accepted this connection.
  await deployment.ask(`https://127.0.0.1:${port}`, "/live");
  program.kill("SIGTERM");
  assertEquals([(await program.ended()).code, program.errors], [0, ""]);
});

Deno.test("service example: an instance without free descriptors keeps running, and answers again when descriptors are free", async () => {
  await using deployment = await Deployment.make();
  const [port] = freePorts(1) as [number];
  const env = await deployment.environment(port, { READY_WITHIN_MS: "0", DRAIN_MS: "0" });
  await using program = await Program.exampleIn(env, "service", { maxDescriptors: MAX_DESCRIPTORS });
  await program.until(/^ready: /);
  {
    using idle = new IdleConnections();
    await idle.exhaust(port);
    await eventually(
      "it logs that it accepts no connections",
      () => Promise.resolve(program.errors.includes("accepts no connections")),
    );
  }
  await eventually("it answers again", async () => {
    const answer = await deployment.ask(`https://127.0.0.1:${port}`, "/live").catch(() => undefined);
    return answer?.[0] === 200;
  });
  program.kill("SIGTERM");
  assertEquals((await program.ended()).code, 0);
  assertMatch(
    program.errors,
    /^Hearsay: 127\.0\.0\.1:\d+ accepts no connections: .*Too many open files[^\n]*\n$/,
  );
});

Deno.test("service example: SIGTERM before an instance is ready ends it with 0", async () => {
  await using deployment = await Deployment.make();
  const [port, other] = freePorts(2) as [number, number];
  const env = await deployment.environment(port, { SEEDS: `wss://127.0.0.1:${other}`, DRAIN_MS: "0" });
  await using program = await Program.exampleIn(env, "service");
  await program.until(/^listening: /);
  program.kill("SIGTERM");
  assertEquals([(await program.ended()).code, program.errors], [0, ""]);
  assert(!program.lines.some((line) => line.startsWith("ready")));
});

Deno.test("service example: answers invalid requests with a status and a reason", async () => {
  await using deployment = await Deployment.make();
  const [port] = freePorts(1) as [number];
  const origin = `https://127.0.0.1:${port}`;
  const env = await deployment.environment(port, { READY_WITHIN_MS: "0" });
  await using program = await Program.exampleIn(env, "service");
  await program.until(/^ready: /);
  const status = async (name: string, body?: string) => {
    const [method = "", path = ""] = name.split(" ");
    return (await deployment.ask(origin, path, { method, ...(body !== undefined && { body }) }))[0];
  };
  assertEquals(await status("PUT /prices", '{"tea":250}'), 202);
  const order = { method: "POST", body: '{"item":"tea","quantity":2}' };
  assertEquals(await deployment.ask(origin, "/orders", order), [201, {
    item: "tea",
    quantity: 2,
    cents: 500,
    revision: 1,
  }]);
  assertEquals(await status("POST /orders", '{"item":"toString","quantity":2}'), 422);
  assertEquals(await status("POST /orders", '{"item":"tea","quantity":0}'), 400);
  assertEquals(await status("POST /orders", "[]"), 400);
  assertEquals(await status("POST /orders", "{"), 400);
  assertEquals(await status("POST /orders", `{"item":"${"x".repeat(20_000)}"}`), 413);
  assertEquals(await status("PUT /prices", '{"tea":-1}'), 400);
  assertEquals(await status("DELETE /prices"), 404);
  assertEquals(await status("GET /gossip"), 426);
  assertEquals(await deployment.ask(origin, "/orders"), [200, { taken: 1 }]);
});

Deno.test("service example: prints the errors of its environment", async () => {
  await using deployment = await Deployment.make();
  const [port] = freePorts(1) as [number];
  const env = await deployment.environment(port);
  const wrong: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ HEARSAY_KEYS: "" }, /`HEARSAY_KEYS` must have 1 to 8 keys; it has none\./],
    [{ HEARSAY_KEYS: "secret" }, /`HEARSAY_KEYS\[0\]` is weak/],
    [{ PORT: "http" }, /^PORT must be an integer/],
    [{ SEEDS: "127.0.0.1" }, /^SEEDS must be addresses/],
    [{ TLS_CERT_FILE: "" }, /^TLS_CERT_FILE must name a PEM file/],
    [
      { TLS_CERT_FILE: "/nowhere.pem" },
      /^TLS_CERT_FILE names \/nowhere\.pem, which cannot be read: No such .*\n$/,
    ],
    [
      { TLS_KEY_FILE: "/nowhere.pem" },
      /^TLS_KEY_FILE names \/nowhere\.pem, which cannot be read: No such .*\n$/,
    ],
    [{ TLS_CA_FILE: "/tmp" }, /^TLS_CA_FILE names \/tmp, which cannot be read: Is a directory.*\n$/],
    // The value is not printed.
    [{ TLS_KEY_FILE: "-----BEGIN PRIVATE KEY-----" }, /^TLS_KEY_FILE must be the path of a PEM file, .*\n$/],
    [{ TLS_CA_FILE: "/dev/null" }, /^TLS_CA_FILE names \/dev\/null, which is no PEM file\.\n$/],
    [{ DRAIN_MS: "9000" }, /^DRAIN_MS must be an integer from 0 to 1500/],
  ];
  for (const [change, message] of wrong) {
    await using program = await Program.exampleIn({ ...env, ...change }, "service");
    assertEquals([(await program.ended()).code, program.lines], [2, []], program.errors);
    assertMatch(program.errors, message);
    assert(!/\n +at /.test(program.errors), program.errors);
  }
});
