import { assert, assertEquals, assertMatch, assertStringIncludes } from "../../deps/std_assert.ts";
import { assertThrows } from "../../deps/std_assert.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import type { HearsayEvent } from "../../contracts/event_stream.ts";
import { HearsayError, join } from "../../mod.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { authorityOf } from "../../common/canonical_address.ts";
import { deltaOf } from "../requirements/scripted_peer.ts";
import { entry, memberDelta } from "../engine/harness.ts";
import { freePort } from "../process/ports.ts";
import { Program } from "../process/program.ts";
import { forge, helloOf, jtiOf, kidOf, Wire } from "./attacker.ts";
import { MEMBER_KEY } from "../../engine/types.ts";
import { abortable } from "../../common/runtime.ts";
import { decode, encode } from "../../protocol/codec.ts";
import { hears, next } from "./waits.ts";
import { keyedMembers } from "./keyed_members.ts";

const KEY = await newClusterKey();
const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 300, heartbeatExpiration: 5_000, maxBackoff: 100 };

const member = keyedMembers([KEY], CONFIG);

/** A valid token for a member; `id` is the subject. */
function tokenFor({ address }: { readonly address: string }, id = "mallory"): Promise<string> {
  return forge({ key: KEY, id, authority: authorityOf(address)! });
}

Deno.test("handshake: members with one key find each other and share state; a member without a key, or with another key, is refused", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  ben.setState("k", 1);
  await hears(ada, "ben", 1);
  for (const authentication of [undefined, { keys: [await newClusterKey()] }]) {
    const refused = next(ada, "ClientRefused");
    await using eve = await join({
      cluster: "orders",
      id: "eve",
      listen: { port: 0 },
      config: CONFIG,
      seeds: [ada.address],
      ...(authentication && { authentication }),
    });
    const failed = await next(eve, "SeedFailed");
    assertEquals((failed.error as { code?: string }).code, "unauthorized");
    assertMatch((await refused).reason, authentication ? /must be signed with a key/ : /has no token/);
    assertEquals(eve.getState("k").size, 0);
  }
  assertEquals(ada.members.map(({ id }) => id), ["ada", "ben"]);
});

Deno.test("token: a client without a token is refused with 401 before the upgrade, and so is a token with any of seven faults", async () => {
  await using ada = await member("ada");
  const authority = authorityOf(ada.address)!;
  assertEquals(await Wire.status(ada.address), 401);
  const used = await tokenFor(ada);
  assertEquals(await Wire.status(ada.address, { token: used }), 101);
  const tokens: Readonly<Record<string, string>> = {
    "is no token": "a.b.c",
    "is too long": "x".repeat(3_000),
    "was used": used,
    "is of another key": await forge({ key: await newClusterKey(), authority }),
    "has expired": await forge({ key: KEY, authority, madeMs: -20_000 }),
    "is for another cluster": await forge({ key: KEY, authority, cluster: "payments" }),
    "is for another member": await forge({ key: KEY, authority: "10.0.0.7:7001" }),
  };
  for (const [what, token] of Object.entries(tokens)) {
    assertEquals(await Wire.status(ada.address, { token }), 401, what);
  }
});

Deno.test("token: a browser sends its token as a second subprotocol, which is never echoed", async () => {
  await using ada = await member("ada");
  const protocols = ["hearsay.v2", `hearsay.token.${await tokenFor(ada)}`];
  await using wire = await Wire.opened(ada.address, { protocols });
  assertEquals(wire.socket.protocol, "hearsay.v2");
  wire.say(helloOf("mallory"));
  assertEquals((await wire.hears("hello")).member.id, "ada");
  assertEquals(await Wire.status(ada.address, { protocols }), 401);
});

Deno.test("handshake: a member speaks as itself: a hello or gossip under another id than the token's closes the connection with 4401", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  ben.setState("k", "true");
  await hears(ada, "ben", "true");
  await using posing = await Wire.opened(ada.address, { token: await tokenFor(ada) });
  posing.say(helloOf("ben"));
  assertEquals((await posing.closed).code, 4401);
  assertEquals(posing.received, []);
  await using lying = await Wire.opened(ada.address, { token: await tokenFor(ada) });
  const hello = helloOf("mallory");
  lying.say(hello);
  await lying.hears("hello");
  const lie = [memberDelta("ben", hello.incarnation, [entry("k", 1, "a lie")])];
  lying.say({ type: "gossip", liveness: { count: 0 }, id: "d2", memberId: "ben", delta: deltaOf(lie) });
  assertEquals((await lying.closed).code, 4401);
  // A second hello with another id does the same.
  await using turning = await Wire.opened(ada.address, { token: await tokenFor(ada) });
  turning.say(helloOf("mallory"));
  await turning.hears("hello");
  turning.say(helloOf("ben", { id: "d2" }));
  assertEquals((await turning.closed).code, 4401);
  assertEquals(ada.getState("k").get("ben")?.value, "true");
});

Deno.test("handshake: a handshake in a member's name does not fence it, whatever its claim and however often it comes", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  const emitted = new Set<string>();
  const over = new AbortController();
  const listening = (async () => {
    for await (const { type } of ada.events.subscribe(["SelfBlocked", "ConflictDetected"], over)) {
      emitted.add(type);
    }
  })();
  for (let hour = 1; hour <= 8; hour++) {
    const incarnation = makeIncarnation(Date.now() + hour * 3_600_000, 0.5);
    await using posing = await Wire.opened(ada.address, { token: await tokenFor(ada, "ada") });
    posing.say(helloOf("ada", { incarnation }));
    await posing.hears("error");
    await using lying = await Wire.opened(ada.address, { token: await tokenFor(ada) });
    lying.say(helloOf("mallory"));
    await lying.hears("hello");
    const claim = { id: "ada", incarnation, after: 0, reset: false, entries: [entry("k", 1, "a lie")] };
    lying.say(
      { type: "error", code: "id_conflict", message: "no", incarnation },
      { type: "gossip", liveness: { count: 0 }, id: "d2", memberId: "mallory", delta: deltaOf([claim]) },
    );
    // Wait for a second answer: a refusal or a reply.
    while (lying.received.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  ada.setState("k", "still here");
  await hears(ben, "ada", "still here");
  over.abort();
  await listening;
  assertEquals([...emitted], ["ConflictDetected"]);
});

Deno.test("handshake: one id from two places: the earlier incarnation is refused, and the refusal names the latest (E1)", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  ben.setState("k", 1);
  await hears(ada, "ben", 1);
  await using twin = await Wire.opened(ada.address, { token: await tokenFor(ada, "ben") });
  twin.say(helloOf("ben", { incarnation: "000000000001-00000000" }));
  const refusal = await twin.hears("error");
  assertEquals([refusal.code, refusal.incarnation], [
    "id_conflict",
    ada.members.find(({ id }) => id === "ben")!.incarnation,
  ]);
  // The refusal carries a proof, so that no other process can refuse in a member's name.
  assert(refusal.proof !== undefined);
});

/** A second key of the dialing member: it verifies tokens, and does not sign. */
const LEAKED = await newClusterKey();

/** Makes the answer to a dialer's `hello` in the place of a member. */
type Impostor = (options: { readonly hello: string; readonly token: string }) => Promise<string>;

/** Lets a member dial an impostor; resolves with its error and the messages that it sent. */
async function disbelief(answer: Impostor): Promise<{ readonly text: string; readonly received: string[] }> {
  const received: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const token = /^Bearer (.*)$/.exec(request.headers.get("authorization") ?? "")![1]!;
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "hearsay.v2" });
    socket.onmessage = async ({ data }) => {
      received.push(data);
      if (received.length === 1) socket.send(await answer({ hello: data, token }));
    };
    return response;
  });
  try {
    await using ada = await member("ada", {
      seeds: [`ws://127.0.0.1:${server.addr.port}`],
      authentication: { keys: [KEY, LEAKED] },
    });
    ada.setState("k", "secret");
    const failed = await next(ada, "SeedFailed");
    assertEquals(ada.members.map(({ id }) => id), ["ada"]);
    return { text: `${(failed.error as { code?: string }).code}: ${failed.error}`, received };
  } finally {
    await server.shutdown();
  }
}

/** The `hello` of a member with the id `impostor`. */
function answerOf(hello: string, proof?: string): string {
  const { id } = decode(hello, { maxMessageBytes: 2 ** 20 }) as { id: string };
  return encode({ ...helloOf("impostor", { id }), ...(proof === undefined ? {} : { proof }) });
}

const proofOf = (token: string, options: Partial<Parameters<typeof forge>[0]> = {}) =>
  forge({
    key: KEY,
    id: "impostor",
    typ: "hearsay-proof+jwt",
    claims: { token: jtiOf(token) },
    ...options,
  });

Deno.test("handshake: an accepting side with the key is trusted, so the impostors fail by their proof alone", async () => {
  const gossiped = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const token = /^Bearer (.*)$/.exec(request.headers.get("authorization") ?? "")![1]!;
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "hearsay.v2" });
    socket.onmessage = async ({ data }) => {
      const { type } = JSON.parse(data);
      if (type === "hello") socket.send(answerOf(data, await proofOf(token)));
      if (type === "gossip") gossiped.resolve();
    };
    return response;
  });
  const ada = await member("ada", { seeds: [`ws://127.0.0.1:${server.addr.port}`] });
  await gossiped.promise;
  await ada.stop();
  await server.shutdown();
});

const IMPOSTORS: readonly (readonly [string, Impostor, RegExp])[] = [
  ["does not prove that it has a key", ({ hello }) => Promise.resolve(answerOf(hello)), /has no keys/],
  ["proves it with another key", async ({ hello, token }) => {
    return answerOf(hello, await proofOf(token, { key: await newClusterKey(), kid: await kidOf(KEY) }));
  }, /must be signed with a key/],
  ["has a key that is about to be withdrawn, and not the one that signs", async ({ hello, token }) => {
    return answerOf(hello, await proofOf(token, { key: LEAKED }));
  }, /another key than the token/],
  ["plays back a proof made for another connection", async ({ hello, token }) => {
    return answerOf(hello, await proofOf(token, { claims: { token: "0".repeat(32) } }));
  }, /made for another connection/],
  [
    "sends the dialer's own token back",
    ({ hello, token }) => Promise.resolve(answerOf(hello, token)),
    /proof is invalid/,
  ],
  ["proves to be another member", async ({ hello, token }) => {
    return answerOf(hello, await proofOf(token, { id: "ben" }));
  }, /proved to be ben/],
  ["proves it for another cluster", async ({ hello, token }) => {
    return answerOf(hello, await proofOf(token, { cluster: "payments" }));
  }, /is for "hearsay:payments"/],
  ["refuses in a member's name, to make it start a new incarnation", ({ hello }) => {
    const { id } = JSON.parse(hello);
    const incarnation = "ffffffffffff-00000000";
    return Promise.resolve(encode({ type: "error", id, code: "id_conflict", message: "no", incarnation }));
  }, /has no keys/],
];

for (const [what, answer, why] of IMPOSTORS) {
  Deno.test(`handshake: an accepting side that ${what} receives no state`, async () => {
    const { text, received } = await disbelief(answer);
    assertMatch(text, /^unauthorized/);
    assertMatch(text, why);
    assertEquals(received.map((each) => JSON.parse(each).type), received.map(() => "hello"));
    assert(received.every((each) => !each.includes("secret")));
  });
}

Deno.test("events: a client refused for its key is reported once, and again after the keys changed", async () => {
  await using ada = await member("ada");
  const strangers = await newClusterKey();
  const token = () => forge({ key: strangers, authority: authorityOf(ada.address)! });
  const over = new AbortController();
  const events: HearsayEvent[] = [];
  const listening = (async () => {
    for await (const event of ada.events.subscribe("ClientRefused", over)) events.push(event);
  })();
  const numbers: number[] = [];
  for (const keys of [undefined, undefined, [KEY], undefined]) {
    if (keys) ada.setKeys(keys);
    assertEquals(await Wire.status(ada.address, { token: await token() }), 401);
    numbers.push(events.length);
  }
  over.abort();
  await listening;
  assertEquals(numbers, [1, 1, 2, 2]);
});

Deno.test("token: a token for one member is refused by another, because it names its member", async () => {
  await using ada = await member("ada");
  const stolen = Promise.withResolvers<string>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    stolen.resolve(request.headers.get("authorization")!.slice("Bearer ".length));
    return new Response(null, { status: 503 });
  });
  await using _ben = await member("ben", { seeds: [`ws://127.0.0.1:${server.addr.port}`] });
  const token = await stolen.promise;
  const refused = next(ada, "ClientRefused");
  const host = `127.0.0.1:${server.addr.port}`;
  assertEquals(await Wire.status(ada.address, { token, headers: { host } }), 401);
  assertStringIncludes((await refused).reason, `is for "hearsay:orders@${host}"`);
  await server.shutdown();
});

Deno.test("token: an alias is one more address for which tokens are valid", async () => {
  const alias = "wss://gossip.example";
  await using ada = await member("ada", { authentication: { keys: [KEY], aliases: [alias] } });
  const token = await forge({ key: KEY, authority: "gossip.example:443" });
  assertEquals(await Wire.status(ada.address, { token }), 101);
});

Deno.test("token: a member on all addresses accepts tokens for each of them, if it may read the interfaces", async () => {
  const module = new URL("../../mod.ts", import.meta.url).href;
  for (const [permissions, status] of [[["--allow-sys=networkInterfaces"], 101], [[], 401]] as const) {
    const port = freePort();
    const options = {
      cluster: "orders",
      listen: { hostname: "0.0.0.0", port },
      advertise: { host: "ada.example", port },
      authentication: { keys: [KEY] },
    };
    const code = `import { join } from ${JSON.stringify(module)};
      const node = await join(${JSON.stringify(options)});
      console.log("up");
      for await (const _ of Deno.stdin.readable);
      await node.stop();`;
    const program = `data:text/javascript,${encodeURIComponent(code)}`;
    await using child = new Program({
      args: ["run", "--no-prompt", "--no-check", "--allow-net", ...permissions, program],
    });
    await child.until(/^up$/);
    const token = await forge({ key: KEY, authority: `127.0.0.1:${port}` });
    assertEquals(await Wire.status(`ws://127.0.0.1:${port}`, { token }), status);
  }
});

Deno.test("setKeys: a key that is withdrawn ends the connections that it opened; connections of other keys stay", async () => {
  const other = await newClusterKey();
  await using ada = await member("ada", { authentication: { keys: [KEY, other] } });
  const authority = authorityOf(ada.address)!;
  await using old = await Wire.opened(ada.address, { token: await tokenFor(ada, "old") });
  await using young = await Wire.opened(ada.address, {
    token: await forge({ key: other, id: "young", authority }),
  });
  for (const [id, wire] of [["old", old], ["young", young]] as const) {
    wire.say(helloOf(id));
    await wire.hears("hello");
  }
  ada.setKeys([other]);
  assertEquals((await old.closed).code, 4401);
  young.say(helloOf("young", { id: "d2" }));
  while (young.received.filter(({ type }) => type === "hello").length < 2) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals(await Wire.status(ada.address, { token: await tokenFor(ada) }), 401);
});

Deno.test("setKeys: fails at a member without keys, and with a weak key", async () => {
  await using plain = await join({ cluster: "orders", listen: { port: 0 } });
  await using ada = await member("ada");
  for (const [node, keys] of [[plain, [KEY]], [ada, ["weak"]]] as const) {
    const error = assertThrows(() => node.setKeys(keys), HearsayError);
    assertEquals(error.code, "invalid_configuration");
  }
  assertEquals(await Wire.status(ada.address, { token: await tokenFor(ada) }), 101);
});

// ---- browsers

Deno.test("browsers: a page of any origin is refused with 403 unless it is allowed, also with the member's own host", async () => {
  const allowedOrigins = ["https://app.example"];
  for (const authentication of [undefined, { keys: [KEY] }]) {
    await using ada = await join({
      cluster: "orders",
      listen: { port: 0 },
      allowedOrigins,
      ...(authentication && { authentication }),
    });
    const status = async (origin: string) =>
      await Wire.status(ada.address, {
        headers: { origin },
        ...(authentication && { token: await tokenFor(ada) }),
      });
    const own = ada.address.replace("ws:", "http:");
    for (const origin of ["https://evil.example", "null", own, "https://app.example.evil.example"]) {
      assertEquals(await status(origin), 403, origin);
    }
    assertEquals(await status("https://app.example"), 101);
  }
});

Deno.test("dial: a path or credentials in the host of a record are never sent", async () => {
  const asked: string[] = [];
  const dialed = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    asked.push(new URL(url).pathname);
    if (asked.length > 1) dialed.resolve();
    return new Response(null, { status: 404 });
  });
  const { port } = server.addr;
  await using ada = await member("ada");
  await using wire = await Wire.opened(ada.address, { token: await tokenFor(ada) });
  wire.say(helloOf("mallory"));
  await wire.hears("hello");
  const incarnation = makeIncarnation(Date.now(), 0);
  const stateOf = (id: string, host: string) =>
    memberDelta(id, incarnation, [entry(MEMBER_KEY, 1, { id, host, port, kinds: [] })]);
  const hosts = [`x@127.0.0.1:${port}/admin?`, `127.0.0.1:${port}/admin?`, `127.0.0.1:${port}\\admin`];
  const delta = deltaOf([...hosts.map((host, at) => stateOf(`a${at}`, host)), stateOf("good", "127.0.0.1")]);
  wire.say({ type: "gossip", liveness: { count: 0 }, id: "d2", memberId: "mallory", delta });
  // When the good one is dialed a second time, the others have been due.
  await abortable(dialed.promise, AbortSignal.timeout(10_000));
  assertEquals(new Set(asked), new Set(["/gossip"]));
  await server.shutdown();
});

Deno.test("maxConnectionsPerAddress: does not limit clients with a key", async () => {
  await using ada = await member("ada", { config: { ...CONFIG, maxConnectionsPerAddress: 2 } });
  const wires: Wire[] = [];
  for (let n = 0; n < 6; n++) {
    const wire = await Wire.opened(ada.address, { token: await tokenFor(ada, `m${n}`) });
    wires.push(wire);
    wire.say(helloOf(`m${n}`));
    await wire.hears("hello");
  }
  assertEquals(await Wire.status(ada.address), 401);
  assertEquals(wires.map(({ socket }) => socket.readyState === WebSocket.OPEN), wires.map(() => true));
  for (const wire of wires) await wire[Symbol.asyncDispose]();
});
