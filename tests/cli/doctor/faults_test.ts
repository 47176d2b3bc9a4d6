// `hearsay doctor` finds planted faults, and names each in its first line. Those that need processes are in
// `tests/process/hearsay_test.ts`.

import { assertEquals, assertMatch } from "../../../deps/std_assert.ts";
import { realRuntime, type Runtime } from "../../../common/runtime.ts";
import { join, type JoinOptions, type Node } from "../../../mod.ts";
import { newClusterKey } from "../../../security/cluster_keys.ts";
import { Authority } from "../../security/certificates.ts";
import { eventually } from "../../security/waits.ts";
import { type FakeTerminalOptions, run } from "../terminal.ts";

const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 300 };

function member(options: Partial<JoinOptions> = {}): Promise<Node> {
  const { config, ...rest } = options;
  return join({
    cluster: "orders",
    listen: { port: 0 },
    log: false,
    ...rest,
    config: { ...CONFIG, ...config },
  });
}

/** The exit code and the first line of a diagnosis. */
async function diagnosed(args: readonly string[], options: FakeTerminalOptions = {}) {
  const { code, output, errors } = await run(["doctor", ...args], options);
  const [first = ""] = output.split("\n");
  return { code, first: first || errors, output };
}

async function assertFault(pattern: RegExp, args: readonly string[], options: FakeTerminalOptions = {}) {
  const { code, first, output } = await diagnosed(args, options);
  assertMatch(first, pattern, output);
  assertEquals(code, 1, output);
  assertMatch(output, /^Do: /m);
}

/** Writes files for a test, and removes them at its end. */
async function folder(files: Readonly<Record<string, string>>) {
  const path = await Deno.makeTempDir();
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${path}/${name}`, text, { mode: 0o600 });
  }
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** A server that answers every request alike. */
function scripted(answer: () => Response) {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
}

Deno.test("doctor: a healthy member has no fault, and every step is shown", async () => {
  await using one = await member({ id: "ada" });
  await using two = await member({ seeds: [one.address] });
  await two.whenMembers(2);
  const { code, first, output } = await diagnosed(["--at", one.address]);
  assertEquals([code, first], [0, "No fault found. This member is alive, with 1 other."]);
  for (const step of ["name", "TCP", "path", "key", "cluster", "version", "clock", "member"]) {
    assertMatch(output, new RegExp(`^  ok  ${step} `, "m"));
  }
});

Deno.test("doctor: with --json it prints one document, with the code of the fault", async () => {
  const { code, output } = await run(["doctor", "--json", "--at", "ws://127.0.0.1:1"]);
  const { fault, diagnoses } = JSON.parse(output);
  assertEquals([code, fault.code, fault.title], [1, "notListening", "not listening"]);
  assertEquals(diagnoses[0].steps.at(-1).outcome, "fault");
});

// ---- the way to the member

Deno.test("doctor: finds a port without a listener", async () => {
  await assertFault(/^Fault: not listening\. No process listens at 127\.0\.0\.1:1:/, [
    "--at",
    "ws://127.0.0.1:1",
  ]);
});

Deno.test("doctor: finds a port of another service, with HTTP or without", async () => {
  using mail = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const serving = (async () => {
    for await (const conn of mail) {
      await conn.write(new TextEncoder().encode("220 mail.example ESMTP\r\n"));
      conn.close();
    }
  })();
  await assertFault(/^Fault: wrong port\. .* answered "220 mail\.example ESMTP/, [
    "--at",
    `ws://127.0.0.1:${mail.addr.port}`,
  ]);
  mail.close();
  await serving;
  await using web = scripted(() => new Response("Welcome.\n"));
  await assertFault(/^Fault: wrong port\. .* another HTTP server: it answered 200/, [
    "--at",
    `ws://127.0.0.1:${web.addr.port}`,
  ]);
});

Deno.test("doctor: finds a path without a member", async () => {
  await using node = await member();
  await assertFault(/^Fault: wrong path\. .* no member at the path \/other \(404\)/, [
    "--at",
    `${node.address}/other`,
  ]);
});

Deno.test("doctor: finds a proxy that answers 404, and one that reaches no member", async () => {
  await using proxy = scripted(() =>
    new Response("nope", { status: 404, headers: { server: "nginx/1.26" } })
  );
  const at = ["--at", `ws://127.0.0.1:${proxy.addr.port}`];
  await assertFault(/^Fault: proxy without a member\. A proxy or server \(nginx\/1\.26\) answers 404/, at);
  await using gateway = scripted(() => new Response("bad gateway", { status: 502 }));
  await assertFault(/^Fault: proxy without a member\. .* reaches no member \(502\)/, [
    "--at",
    `ws://127.0.0.1:${gateway.addr.port}`,
  ]);
});

Deno.test("doctor: finds an authority that is not trusted, and no fault once it is trusted", async () => {
  const authority = await Authority.make();
  const { cert, key } = await authority.sign();
  await using node = await member({ tls: { cert, key } });
  await assertFault(/^Fault: TLS not trusted\. The authority of the certificate/, ["--at", node.address]);
  await using files = await folder({ "ca.pem": authority.cert });
  const { output } = await diagnosed(["--at", node.address, "--ca", `${files.path}/ca.pem`]);
  assertMatch(output, /^ {2}ok {2}TLS /m);
  assertMatch(output, /^Fault: no seed\./);
});

Deno.test("doctor: finds ws: in place of wss:, and the reverse", async () => {
  const { cert, key } = await (await Authority.make()).sign();
  await using secure = await member({ tls: { cert, key } });
  await assertFault(/^Fault: TLS not trusted\. .* speaks TLS/, [
    "--at",
    secure.address.replace("wss:", "ws:"),
  ]);
  await using plain = await member();
  await assertFault(/^Fault: TLS not trusted\. .* does not speak TLS/, [
    "--at",
    plain.address.replace("ws:", "wss:"),
  ]);
});

Deno.test("doctor: finds a certificate for another name", async () => {
  const authority = await Authority.make();
  const { cert, key } = await authority.sign({ names: [{ type: "dns", value: "other.example" }] });
  await using node = await member({ tls: { cert, key } });
  await using files = await folder({ "ca.pem": authority.cert });
  await assertFault(/^Fault: TLS not trusted\. The certificate of .* is for another name/, [
    "--at",
    node.address,
    "--ca",
    `${files.path}/ca.pem`,
  ]);
});

Deno.test("doctor: finds a server of another version behind the subprotocol", async () => {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const protocol = request.headers.get("sec-websocket-protocol")!.split(",")[0]!.trim();
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol });
    socket.onmessage = ({ data }) => {
      const { id } = JSON.parse(data);
      socket.send(JSON.stringify({ id, answer: { name: "hearsay", version: 9 } }));
    };
    return response;
  });
  await assertFault(/^Fault: version differs\. .* did not answer as a member of this version/, [
    "--at",
    `ws://127.0.0.1:${server.addr.port}`,
  ]);
});

// ---- key, cluster, version, clock

Deno.test("doctor: finds a wrong key, a missing one, and a needless one", async () => {
  const key = await newClusterKey();
  await using node = await member({ authentication: { keys: [key] } });
  await using open = await member();
  await using files = await folder({ right: key, wrong: await newClusterKey() });
  const at = ["--at", node.address, "--cluster", "orders"];
  await assertFault(
    /^Fault: wrong key\. The member has other keys: .* key of this side, [0-9a-f]{16} \(401\)/,
    [
      ...at,
      "--keys-file",
      `${files.path}/wrong`,
    ],
  );
  await assertFault(/^Fault: wrong key\. The member asks for a key/, at);
  await assertFault(/^Fault: wrong key\. This side has keys, and the member has none/, [
    "--at",
    open.address,
    "--cluster",
    "orders",
    "--keys-file",
    `${files.path}/right`,
  ]);
  const { output } = await diagnosed([...at, "--keys-file", `${files.path}/right`]);
  assertMatch(output, /^ {2}ok {2}key +Both sides have the key [0-9a-f]{16}\.$/m);
});

Deno.test("doctor: finds another cluster, with keys and without keys", async () => {
  const key = await newClusterKey();
  await using open = await member();
  await using closed = await member({ authentication: { keys: [key] } });
  await using files = await folder({ key });
  await assertFault(/^Fault: wrong cluster\. .* of the cluster "orders", and this side names "bills"/, [
    "--at",
    open.address,
    "--cluster",
    "bills",
  ]);
  await assertFault(/^Fault: wrong cluster\. .* of the cluster "orders", and this side names "bills"/, [
    "--at",
    closed.address,
    "--cluster",
    "bills",
    "--keys-file",
    `${files.path}/key`,
  ]);
});

Deno.test("doctor: finds an address that the member does not know as its own", async () => {
  const key = await newClusterKey();
  await using node = await member({ authentication: { keys: [key] } });
  await using files = await folder({ key });
  using tunnel = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const tunneling = forward(tunnel, Number(new URL(node.address).port));
  await assertFault(/^Fault: token for another address\. .* reached at 127\.0\.0\.1:/, [
    "--at",
    `ws://127.0.0.1:${tunnel.addr.port}`,
    "--cluster",
    "orders",
    "--keys-file",
    `${files.path}/key`,
  ]);
  await tunneling;
});

Deno.test("doctor: finds another version", async () => {
  const text = "The request must be a WebSocket upgrade with the subprotocol hearsay.v3.\n";
  await using later = scripted(() => new Response(text, { status: 426 }));
  await assertFault(/^Fault: version differs\. .* speaks hearsay\.v3 \(426\); this side speaks hearsay\.v2/, [
    "--at",
    `ws://127.0.0.1:${later.addr.port}`,
  ]);
});

Deno.test("doctor: every text of a server is escaped on the terminal", async () => {
  await using hostile = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "hearsay.observe.v1" });
    const escape = "\u001b]52;c;eA==\u0007";
    const answer = {
      version: "0.2.0",
      protocol: { latest: 0, oldest: escape },
      self: "eve",
      cluster: "orders",
      wallMs: Date.now(),
      maySet: false,
    };
    socket.onmessage = ({ data }) => socket.send(JSON.stringify({ id: JSON.parse(data).id, answer }));
    socket.onerror = (event) => event.preventDefault();
    return response;
  });
  const { output } = await diagnosed(["--at", `ws://127.0.0.1:${hostile.addr.port}`]);
  assertEquals(output.includes("\u001b"), false, output);
  assertEquals(output.includes("\u0007"), false, output);
});

Deno.test("doctor: takes no token, because it would send it to several members", async () => {
  const { code, first } = await diagnosed(["--token", "a.b.c", "--seed", "ws://127.0.0.1:1"]);
  assertEquals(code, 2);
  assertMatch(first, /^hearsay: doctor takes keys and no --token: .* Give --keys-file\.$/m);
});

Deno.test("doctor: says of a member without observers that it cannot be asked", async () => {
  await using node = await member({ observers: false });
  await assertFault(/^Fault: observers refused\. A member at .* accepts peers/, ["--at", node.address]);
});

/** Passes the first connection on to another port. */
async function forward(tunnel: Deno.TcpListener, port: number): Promise<void> {
  const one = await tunnel.accept();
  const other = await Deno.connect({ port });
  await Promise.allSettled([one.readable.pipeTo(other.writable), other.readable.pipeTo(one.writable)]);
}

/** A machine whose wall clock is wrong. */
function shifted(byMs: number): Runtime {
  return { ...realRuntime, wallMs: () => realRuntime.wallMs() + byMs };
}

Deno.test("doctor: finds clocks that are too far apart, in both directions", async () => {
  const key = await newClusterKey();
  await using node = await member({ authentication: { keys: [key] } });
  await using files = await folder({ key });
  const args = ["--at", node.address, "--cluster", "orders", "--keys-file", `${files.path}/key`];
  await assertFault(/^Fault: clocks differ\. .* about (5\d|6[0-3]) s behind\.$/, args, {
    runtime: shifted(60_000),
  });
  await assertFault(/^Fault: clocks differ\. .* about (5\d|6[0-3]) s ahead\.$/, args, {
    runtime: shifted(-60_000),
  });
});

// ---- what members say

Deno.test("doctor: finds settings that do not fit, before the start of the member and after it", async () => {
  await using node = await member({ config: { heartbeatExpiration: 1_000 } });
  const slow = { gossipInterval: 5_000, heartbeatExpiration: 60_000 };
  await using files = await folder({
    "slow.yaml":
      `cluster: orders\nseeds: [${node.address}]\ngossipInterval: 5000\nheartbeatExpiration: 60000\n`,
  });
  const pattern = /^Fault: settings do not fit\./;
  await assertFault(pattern, ["--config", `${files.path}/slow.yaml`]);
  await using other = await member({ config: slow, seeds: [node.address] });
  await eventually(() => other.snapshot().seeds.some(({ outcome }) => outcome === "failed"));
  await assertFault(pattern, ["--at", other.address]);
});

Deno.test("doctor: finds a full cluster, before the start of one more member and after it", async () => {
  const config = { maxMembers: 2 };
  await using one = await member({ config });
  await using two = await member({ config, seeds: [one.address] });
  await two.whenMembers(2);
  const pattern = /^Fault: full\./;
  await assertFault(pattern, ["--cluster", "orders", "--seed", one.address]);
  await using third = await member({ seeds: [one.address] });
  await eventually(() => third.snapshot().seeds.some(({ outcome }) => outcome === "failed"));
  await assertFault(pattern, ["--at", third.address]);
});

Deno.test("doctor: finds a member at the limit of its connections", async () => {
  await using node = await member({ config: { maxConnectionsPerAddress: 2 } });
  const sockets = [1, 2].map(() => new WebSocket(`${node.address}/gossip`, "hearsay.v2"));
  await Promise.all(sockets.map((each) => new Promise((open) => each.addEventListener("open", open))));
  await assertFault(/^Fault: full\. .* accepts no connection now \(503\): At most 2 connections/, [
    "--at",
    node.address,
  ]);
  await Promise.all(sockets.map((each) =>
    new Promise((close) => {
      each.addEventListener("close", close);
      each.close();
    })
  ));
});

Deno.test("doctor: finds a member that its discovery blocks", async () => {
  await using node = await member({
    discovery: {
      openMembership: false,
      run: ({ self, eventStream }, { signal }) => {
        eventStream.publish({ type: "ClusterTopology", members: [self], blocked: [self.id] });
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      },
    },
  });
  await eventually(() => node.explain().decisions.some(({ kind }) => kind === "selfBlocked"));
  await assertFault(/^Fault: blocked\. The discovery blocks this member/, ["--at", node.address]);
});

Deno.test("doctor: finds a seed of a running member that is of another cluster, needs a key, or is down", async () => {
  await using bills = await member({ cluster: "bills" });
  await using keyed = await member({ authentication: { keys: [await newClusterKey()] } });
  const cases: readonly (readonly [RegExp, string])[] = [
    [/^Fault: wrong cluster\./, bills.address],
    [/^Fault: wrong key\./, keyed.address],
    [/^Fault: not listening\./, "ws://127.0.0.1:1"],
    [/^Fault: wrong path\./, `${bills.address}/other`],
  ];
  for (const [pattern, seed] of cases) {
    await using node = await member({ seeds: [seed] });
    await eventually(() => node.snapshot().seeds.some(({ outcome }) => outcome === "failed"));
    await assertFault(pattern, ["--at", node.address]);
  }
});

Deno.test("doctor: one seed that works is enough, and the fault of another seed is a note", async () => {
  await using node = await member({ id: "ada" });
  const { code, first, output } = await diagnosed([
    "--cluster",
    "orders",
    "--seed",
    node.address,
    "--seed",
    "ws://127.0.0.1:1",
  ]);
  assertEquals(
    [code, first],
    [0, 'No fault found. "ada" accepts new members: it has 1 of at most 10000.'],
    output,
  );
  assertMatch(output, /^ {2}!! {2}TCP /m);
});

Deno.test("doctor: finds that a member has no seeds", async () => {
  await using node = await member();
  await assertFault(/^Fault: no seed\./, ["--at", node.address]);
  await using files = await folder({ "member.yaml": "cluster: orders\nport: 0\n" });
  await assertFault(/^Fault: no seed\. The member has no seeds\./, ["--config", `${files.path}/member.yaml`]);
});
