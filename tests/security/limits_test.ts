import {
  assert,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertThrows,
} from "../../deps/std_assert.ts";
import { assertRejects } from "../../deps/std_assert.ts";
import { seeds } from "../../discovery/seeds.ts";
import { ConfigurationError, HearsayError, join, type JoinOptions, type Node } from "../../mod.ts";
import { WebSocketTransport } from "../../transport/mod.ts";
import { isLoopback } from "../../common/loopback.ts";
import { TokenBucket } from "../../common/token_bucket.ts";
import { TestCluster } from "../requirements/harness.ts";
import { deltaOf, ScriptedPeer } from "../requirements/scripted_peer.ts";
import { entry, memberDelta } from "../engine/harness.ts";
import { realRuntime } from "../../common/runtime.ts";
import { SocketConnection } from "../../transport/web_socket/connection.ts";
import { encode } from "../../protocol/codec.ts";
import { authorityOf } from "../../common/canonical_address.ts";
import { newClusterKey, tokenFor } from "../../security/cluster_keys.ts";
import { forge, helloOf, statusWithHost, Wire } from "./attacker.ts";
import { eventually } from "./waits.ts";

const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 300, heartbeatExpiration: 5_000 };

function member(options: Partial<JoinOptions> = {}) {
  return join({
    cluster: "orders",
    listen: { port: 0 },
    ...options,
    config: { ...CONFIG, ...options.config },
  });
}

// ---- admission without keys

Deno.test("isLoopback: accepts loopback addresses and localhost alone", () => {
  const own = [
    "127.0.0.1",
    "127.1.2.3",
    "localhost",
    "LOCALHOST",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
  ];
  for (const host of own) assert(isLoopback(host), host);
  const others = [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "127.example",
    "localhost.example",
    "128.0.0.1",
    "fe80::1",
    "",
    "a b",
  ];
  for (const host of others) assert(!isLoopback(host), host);
});

Deno.test("admission: without keys a member for other machines is refused, by its listen or advertise address", async () => {
  const places: readonly Partial<JoinOptions>[] = [
    { listen: { hostname: "0.0.0.0", port: 0 }, advertise: { host: "127.0.0.1", port: 7001 } },
    { listen: { port: 0 }, advertise: { host: "10.0.0.7", port: 7001 } },
    { listen: { port: 0, hostname: "members.example" } },
  ];
  for (const place of places) {
    const error = await assertRejects(() => member(place), ConfigurationError);
    assertEquals(error.problems.map(({ field }) => field), ["authentication"]);
  }
  const options = { path: "gossip", maxMessageBytes: 65_536, listen: { hostname: "10.0.0.7", port: 1 } };
  const error = assertThrows(() => new WebSocketTransport(options), HearsayError, "listens on loopback only");
  assertEquals(error.code, "invalid_configuration");
});

Deno.test("admission: insecure admits every client and logs one warning; a member for this machine alone logs none", async () => {
  const warnings: string[] = [];
  const { warn } = console;
  console.warn = (text) => void warnings.push(text);
  try {
    await using _open = await member({ insecure: true, advertise: { host: "10.0.0.7", port: 7001 } });
    assertEquals(warnings.length, 1);
    assert(warnings[0]!.includes("ws://10.0.0.7:7001 accepts every client that can reach it"), warnings[0]);
    await using _own = await member({ insecure: true });
    await using _plain = await member();
    assertEquals(warnings.length, 1);
  } finally {
    console.warn = warn;
  }
});

Deno.test("admission: a mounted handler without keys lets in this machine alone, and no client of unknown address", async () => {
  const headers = { upgrade: "websocket", connection: "upgrade", "sec-websocket-protocol": "hearsay.v2" };
  const statusFrom = async (hostname: string | undefined, options: Partial<JoinOptions> = {}) => {
    await using node = await member(options);
    const info = hostname === undefined
      ? undefined
      : { remoteAddr: { transport: "tcp", hostname, port: 1 } as const };
    return (await node.handler(new Request("http://127.0.0.1/gossip", { headers }), info))?.status;
  };
  for (const hostname of ["10.0.0.7", "::ffff:10.0.0.7", undefined]) {
    assertEquals(await statusFrom(hostname), 403);
  }
  // 400: the client was admitted, and this request cannot be upgraded.
  for (const hostname of ["127.0.0.1", "::1"]) assertEquals(await statusFrom(hostname), 400);
  for (const hostname of ["10.0.0.7", undefined]) {
    assertEquals(await statusFrom(hostname, { insecure: true }), 400);
  }
});

Deno.test("admission: without keys a request with a proxy's headers is refused, unless insecure", async () => {
  await using plain = await member();
  await using open = await member({ insecure: true });
  for (const name of ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"]) {
    const headers = { [name]: "203.0.113.9" };
    assertEquals(await Wire.status(plain.address, { headers }), 403, name);
    assertEquals(await Wire.status(open.address, { headers }), 101, name);
  }
  assertEquals(await Wire.status(plain.address), 101);
});

Deno.test("admission: without keys a client of this machine has to name this machine; a foreign name that resolves to it is refused", async () => {
  await using node = await member();
  const refused = refusalsOf(node);
  for (const host of ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.7"]) {
    assertEquals(await statusWithHost(node.address, host), 403, host);
  }
  for (const host of ["localhost:7001", "127.0.0.1", "[::1]:7001"]) {
    assertEquals(await statusWithHost(node.address, host), 101, host);
  }
  await using open = await member({ insecure: true });
  assertEquals(await statusWithHost(open.address, "evil.example"), 101);
  await node.stop();
  assert((await refused)[0]!.includes('"evil.example"'));
});

// ---- limits

Deno.test("maxConnectionsPerAddress: one address has a limit, and another is still admitted", async () => {
  await using node = await member({ config: { maxConnectionsPerAddress: 3 } });
  const wires = await Promise.all([1, 2, 3].map(() => Wire.opened(node.address)));
  assertEquals(await Wire.status(node.address), 503);
  assertEquals(await Wire.status(node.address, { from: "127.0.0.2" }), 101);
  await wires[0]![Symbol.asyncDispose]();
  await eventually(() => wires[0]!.socket.readyState === WebSocket.CLOSED);
  let status = 503;
  for (let tries = 0; tries < 100 && status === 503; tries++) status = await Wire.status(node.address);
  assertEquals(status, 101);
  for (const wire of wires) await wire[Symbol.asyncDispose]();
});

Deno.test("maxHandshakes: of the connections without a handshake, the one silent for longest is closed; a connection with a handshake stays", async () => {
  await using node = await member({ config: { maxHandshakes: 2, gossipRequestTimeout: 2_000 } });
  const greeted = await Wire.opened(node.address);
  greeted.say(helloOf("mallory"));
  await greeted.hears("hello");
  const silent = [];
  for (let count = 0; count < 4; count++) silent.push(await Wire.opened(node.address));
  for (const { closed } of silent.slice(0, 2)) {
    assertEquals((await closed).reason, "Too many connections wait for a handshake.");
  }
  assertEquals(
    [greeted, ...silent].map(({ socket }) => socket.readyState === WebSocket.OPEN),
    [true, false, false, true, true],
  );
  for (const wire of [greeted, ...silent]) await wire[Symbol.asyncDispose]();
});

Deno.test("maxHandshakes: silent readers close no silent connection of a member, and no reader with a handshake", async () => {
  const key = await newClusterKey();
  const authentication = { keys: [key] };
  await using node = await member({
    authentication,
    config: { maxHandshakes: 2, gossipRequestTimeout: 2_000 },
  });
  const { address } = node;
  await using peer = await Wire.opened(address, {
    token: await forge({ key, authority: authorityOf(address)! }),
  });
  const readers: Wire[] = [];
  const read = async (id: string) => {
    const token = await tokenFor({ keys: [key], cluster: "orders", id, address, access: "read" });
    readers.push(await Wire.opened(address, { protocols: ["hearsay.v2", `hearsay.token.${token}`] }));
    return readers.at(-1)!;
  };
  const greeted = await read("page");
  greeted.say(helloOf("page"));
  await greeted.hears("hello");
  for (let count = 0; count < 3; count++) await read(`page-${count}`);
  assertEquals((await readers[1]!.closed).reason, "Too many connections wait for a handshake.");
  assertEquals([peer, greeted].map(({ socket }) => socket.readyState), [WebSocket.OPEN, WebSocket.OPEN]);
  for (const reader of readers) await reader[Symbol.asyncDispose]();
});

Deno.test("maxMessagesPerSecond: a client that sends more loses its connection, and another client is served", async () => {
  await using node = await member({ config: { maxMessagesPerSecond: 200 } });
  await using flood = await Wire.opened(node.address);
  flood.say(helloOf("mallory"));
  await flood.hears("hello");
  for (let count = 0; count < 1_000; count++) flood.socket.send('{"type":"ping"}');
  await flood.closed;
  await using other = await Wire.opened(node.address);
  other.say(helloOf("eve"));
  assertEquals((await other.hears("hello")).member.id, node.member.id);
});

Deno.test("maxMessagesPerSecond: the messages of one second pass at once, later ones at the rate; large messages count for more", () => {
  let nowMs = 0;
  const rate = new TokenBucket(100, { monotonicMs: () => nowMs });
  const passed = (count: number, length = 10) => {
    let passes = 0;
    for (let each = 0; each < count; each++) if (rate.take(length)) passes++;
    return passes;
  };
  assertEquals(passed(150), 100);
  nowMs = 500;
  assertEquals(passed(150), 50);
  nowMs = 100_000;
  assertEquals(passed(150), 100);
  nowMs = 101_000;
  assertEquals(passed(150, 160 * 1024), 10);
});

Deno.test("maxMessagesPerSecond: must be at least the rate that the protocol allows", async () => {
  const config = { gossipInterval: 10, maxMessagesPerSecond: 799 };
  const error = await assertRejects(() => member({ config }), ConfigurationError);
  assertEquals(error.problems.map(({ field }) => field), ["maxMessagesPerSecond"]);
});

Deno.test("handshake: messages that wait for a peer's proof are bounded in bytes: eight of the largest, not 64", () => {
  let closedWith = 0;
  const socket = Object.assign(new EventTarget(), {
    readyState: WebSocket.OPEN,
    bufferedAmount: 0,
    close: (code: number) => void (closedWith = code),
  }) as unknown as WebSocket;
  const maxMessageBytes = 20_000;
  const cancels: (() => void)[] = [];
  new SocketConnection(socket, {
    runtime: {
      ...realRuntime,
      setTimer: (delayMs, callback) => {
        const cancel = realRuntime.setTimer(delayMs, callback);
        cancels.push(cancel);
        return cancel;
      },
    },
    limits: { maxMessageBytes, highWaterMark: 1, closeTimeout: 1_000, maxMessagesPerSecond: 1_000 },
    dialed: true,
    remote: "a peer",
    guard: {
      incoming: () => new Promise(() => {}),
      outgoing: (message) => message,
      signal: new AbortController().signal,
    },
  });
  const text = encode({ type: "error", code: "busy", message: "x".repeat(200) });
  const data = text + " ".repeat(maxMessageBytes - text.length);
  for (let count = 1; count <= 9; count++) {
    assertEquals(closedWith, 0, `before message ${count}`);
    socket.dispatchEvent(new MessageEvent("message", { data }));
  }
  assertEquals(closedWith, 4413);
  for (const cancel of cancels) cancel();
});

Deno.test("maxKeysPerMember: setState refuses one key more; earlier keys and the gossiper's own keys stay usable", async () => {
  await using node = await member({ config: { maxKeysPerMember: 16 } });
  await eventually(() => node.getState("heathbeat").size === 1 && node.getState("topology").size === 1);
  let count = 0;
  const error = assertThrows(() => {
    for (; count < 20; count++) node.setState(`k${count}`, count);
  }, HearsayError);
  assertEquals(error.code, "too_large");
  assertGreater(count, 8);
  node.setState("k0", "changed");
  assertEquals(node.getState("k0").get(node.member.id)?.value, "changed");
  const before = node.getState("heathbeat").get(node.member.id)!.sequenceNumber;
  await eventually(() => node.getState("heathbeat").get(node.member.id)!.sequenceNumber > before);
});

Deno.test("maxKeysPerMember: a peer's keys above the limit are not merged, and ConflictDetected is emitted", async () => {
  const cluster = new TestCluster(["a", "b"], { config: { ...CONFIG, maxKeysPerMember: 16 } });
  // Without a seed `a` dials no member, so there is one connection.
  await cluster.make("a", { cluster: { discovery: seeds([]) } }).gossiper.start();
  const peer = new ScriptedPeer(cluster, "b");
  const gossipOf = (from: number, count: number, id: string) => {
    const entries = Array.from({ length: count }, (_, each) => entry(`k${from + each}`, from + each, 0));
    const delta = deltaOf([memberDelta("b", peer.incarnation, entries, { after: from - 1 })]);
    return { type: "gossip", liveness: { count: 0 }, id, memberId: "b", delta } as const;
  };
  await peer.say("a", gossipOf(1, 24, "d2"), gossipOf(25, 1, "d3"));
  const a = cluster.of("a");
  assertEquals(a.value("b", "k24"), 0);
  assertEquals(a.value("b", "k25"), undefined);
  assertEquals(a.emitted("ConflictDetected").map(({ reason, memberId }) => [reason, memberId]), [[
    "limit",
    "b",
  ]]);
  await cluster[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
});

/** The reasons of all `ClientRefused` events until the member stops. */
async function refusalsOf(node: Node): Promise<string[]> {
  const reasons: string[] = [];
  for await (const event of node.events.subscribe("ClientRefused")) {
    if (event.type === "ClientRefused") reasons.push(event.reason);
  }
  return reasons;
}

Deno.test("events: refusals for many reasons are emitted, at a bounded rate", async () => {
  await using node = await member();
  const refusals = refusalsOf(node);
  for (let count = 0; count < 50; count++) {
    assertEquals(await Wire.status(node.address, { headers: { origin: `https://e${count}.example` } }), 403);
  }
  await node.stop();
  const count = (await refusals).length;
  assertGreater(count, 0);
  assertLessOrEqual(count, 30);
});

Deno.test("events: a client that is refused again and again is reported once per reason, and again after a client of its host was admitted", async () => {
  await using node = await member({ allowedOrigins: ["https://app.example"] });
  const refusals = refusalsOf(node);
  const comesFrom = (origin: string) => Wire.status(node.address, { headers: { origin } });
  for (const origin of ["https://a.example", "https://b.example"].flatMap((each) => [each, each, each])) {
    assertEquals([await comesFrom(origin), await comesFrom("https://a.example")], [403, 403]);
  }
  assertEquals(await comesFrom("https://app.example"), 101);
  assertEquals([await comesFrom("https://a.example"), await comesFrom("https://a.example")], [403, 403]);
  await node.stop();
  assertEquals((await refusals).map((reason) => /[ab](?=\.example)/.exec(reason)![0]), ["a", "b", "a"]);
});
