import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import {
  ConfigurationError,
  HearsayError,
  type HearsayEvent,
  join,
  type JoinOptions,
  type Node,
  type SeedStatus,
} from "../../mod.ts";
import { abortable } from "../../common/runtime.ts";
import { newClusterKey } from "../../security/cluster_keys.ts";
import { freePort } from "../process/ports.ts";

const LISTEN = { port: 0 };

/** The invalid options by the error of `join`, and the number of problems. */
async function fieldsWrong(options: unknown): Promise<string[]> {
  const error = await assertRejects(() => join(options as JoinOptions), ConfigurationError);
  return error.problems.map(({ field }) => field);
}

/** Refused options, by their invalid fields. */
const REFUSED: readonly (readonly [wrong: string, options: unknown])[] = [
  ["options", undefined],
  ["options", null],
  ["cluster", { listen: LISTEN }],
  ["cluster", { cluster: "", listen: LISTEN }],
  ["cluster", { cluster: "x".repeat(257), listen: LISTEN }],
  ["id", { cluster: "c", listen: LISTEN, id: 5 }],
  ["id", { cluster: "c", listen: LISTEN, id: "" }],
  ["id", { cluster: "c", listen: LISTEN, id: null }],
  ["kinds", { cluster: "c", listen: LISTEN, kinds: "x" }],
  ["kinds", { cluster: "c", listen: LISTEN, kinds: [1] }],
  ["kinds", {
    cluster: "c",
    listen: LISTEN,
    kinds: Array(200).fill("k".repeat(250)),
    config: { maxMessageBytes: 2 ** 16 },
  }],
  ["config", { cluster: "c", listen: LISTEN, config: 5 }],
  ["config", { cluster: "c", listen: LISTEN, config: [] }],
  ["signal", { cluster: "c", listen: LISTEN, signal: 5 }],
  ["actorStatistics", { cluster: "c", listen: LISTEN, actorStatistics: {} }],
  ["runtime", { cluster: "c", listen: LISTEN, runtime: Date }],
  ["dialOnly", { cluster: "c", listen: LISTEN, dialOnly: 0 }],
  ["seeds", { cluster: "c", dialOnly: true, seeds: null }],
  ["listen", { cluster: "c" }],
  ["advertise", { cluster: "c", listen: { hostname: "0.0.0.0" }, insecure: true }],
  ["advertise", { cluster: "c", listen: { hostname: "0" }, insecure: true }],
  ["advertise", { cluster: "c", listen: { hostname: "0:0:0:0:0:0:0:0" }, insecure: true }],
  ["listen", { cluster: "c", listen: 7001 }],
  ["listen.prt", { cluster: "c", listen: { prt: 7001 } }],
  ["listen.host", { cluster: "c", listen: { host: "0.0.0.0" } }],
  ["advertise.prot", { cluster: "c", advertise: { host: "127.0.0.1", port: 1, prot: 1 } }],
  ["listen.port", { cluster: "c", listen: { port: 70_000 } }],
  ["listen.port", { cluster: "c", listen: { port: 1.5 } }],
  ["listen.hostname", { cluster: "c", listen: { hostname: "" } }],
  ["advertise.port", { cluster: "c", advertise: { host: "a", port: 0 }, insecure: true }],
  ["advertise.host", { cluster: "c", advertise: { host: "a b/c", port: 1 } }],
  ["advertise.host", { cluster: "c", advertise: { host: "0.0.0.0", port: 1 }, insecure: true }],
  ["seeds", { cluster: "c", listen: LISTEN, seeds: "ws://127.0.0.1:1" }],
  ["seeds[0]", { cluster: "c", listen: LISTEN, seeds: [""] }],
  ["seeds[1]", { cluster: "c", listen: LISTEN, seeds: ["ws://127.0.0.1:1", "http://127.0.0.1:1"] }],
  ["seeds[0]", { cluster: "c", listen: LISTEN, seeds: ["localhost"] }],
  ["seeds[0]", { cluster: "c", listen: LISTEN, seeds: ["ws://127.0.0.1:0"] }],
  ["seeds[0] seeds[1]", { cluster: "c", listen: LISTEN, seeds: ["ws://0.0.0.0:7001", "ws://[::]:7001"] }],
  ["seed", { cluster: "c", listen: LISTEN, seed: ["ws://127.0.0.1:1"] }],
  ["members", { cluster: "c", listen: LISTEN, seeds: [], members: [] }],
  ["id", { cluster: "c", listen: LISTEN, members: [{ id: "a", host: "h", port: 1, kinds: [] }] }],
  ["members[0].host members[0].port", {
    cluster: "c",
    id: "a",
    listen: {},
    members: [{ id: "a" }],
  }],
  ["members[0].host", {
    cluster: "c",
    id: "a",
    listen: {},
    members: [{ id: "a", host: "::", port: 1, kinds: [] }],
  }],
  [
    "members[1].id",
    {
      cluster: "c",
      id: "a",
      listen: {},
      members: [{ id: "a", host: "h", port: 1, kinds: [] }, { id: "a", host: "h", port: 2, kinds: [] }],
    },
  ],
  [
    "listen.port",
    { cluster: "c", id: "a", listen: LISTEN, members: [{ id: "a", host: "127.0.0.1", port: 1, kinds: [] }] },
  ],
  ["discovery", { cluster: "c", listen: LISTEN, discovery: {} }],
  ["discovery", { cluster: "c", listen: LISTEN, discovery: "dns" }],
  ["discovery", { cluster: "c", listen: LISTEN, discovery: null }],
  ["discovery", { cluster: "c", listen: LISTEN, seeds: [], discovery: { openMembership: true, run() {} } }],
  ["meters", { cluster: "c", listen: LISTEN, meters: {} }],
  ["observers", { cluster: "c", listen: LISTEN, observers: true }],
  ["observers.mayset", { cluster: "c", listen: LISTEN, observers: { mayset: true } }],
  ["observers.maySet", { cluster: "c", listen: LISTEN, observers: { maySet: 1 } }],
  ["listen", { cluster: "c", listen: LISTEN, dialOnly: true, seeds: ["ws://127.0.0.1:1"] }],
  ["advertise", {
    cluster: "c",
    advertise: { host: "a", port: 1 },
    dialOnly: true,
    seeds: ["ws://127.0.0.1:1"],
  }],
  ["dialOnly", { cluster: "c", dialOnly: 1, seeds: ["ws://127.0.0.1:1"] }],
  ["seeds", { cluster: "c", dialOnly: true }],
  ["seeds", { cluster: "c", dialOnly: true, seeds: [] }],
  ["cluster seeds[0] gossipInterval", {
    cluster: "",
    listen: LISTEN,
    seeds: [5],
    config: { gossipInterval: -1 },
  }],
];

for (const [wrong, options] of REFUSED) {
  Deno.test(`join: refuses ${JSON.stringify(options)} for its ${wrong} (R12.3)`, async () => {
    assertEquals(await fieldsWrong(options), wrong.split(" "));
  });
}

Deno.test("join: a misspelled option is refused, and the error names the intended option (R12.3)", async () => {
  const options = { cluster: "c", listen: LISTEN, seed: [] };
  const error = await assertRejects(() => join(options as JoinOptions), ConfigurationError);
  assertEquals(error.message.split("\n").at(-1), "  `seed` is not an option (did you mean seeds?).");
});

for (
  const [given, intended] of [
    [{ port: 7001 }, "listen.port"],
    [{ host: "127.0.0.1" }, "listen.hostname"],
    [{ listen: { host: "127.0.0.1" } }, "hostname"],
    [{ keys: [] }, "authentication.keys"],
    [{ caCerts: [] }, "tls.caCerts"],
    [{ gossipInterval: 100 }, "config.gossipInterval"],
    [{ heartbeatExpiraton: 5_000 }, "config.heartbeatExpiration"],
  ] as const
) {
  Deno.test(`join: names the place of ${JSON.stringify(given)}: ${intended} (R12.3)`, async () => {
    const options = { cluster: "c", listen: LISTEN, ...given };
    const { problems } = await assertRejects(() => join(options as JoinOptions), ConfigurationError);
    assertEquals(problems.map(({ problem }) => problem), [`is not an option (did you mean ${intended}?)`]);
  });
}

Deno.test("join: a path in place of a PEM is refused as a path, and a possible secret is not shown (R12.3)", async () => {
  const options = { cluster: "c", listen: LISTEN, tls: { cert: "/etc/tls/cert.pem", key: "SECRET" } };
  const { problems } = await assertRejects(() => join(options), ConfigurationError);
  assertEquals(problems.map(({ field, given }) => [field, given]), [
    ["tls.cert", '"/etc/tls/cert.pem"'],
    ["tls.key", "something else"],
  ]);
  assertStringIncludes(problems[0]!.allowed, "as `await Deno.readTextFile(path)` reads it, and not its path");
  const misspelt = { cluster: "c", listen: LISTEN, authentification: { keys: ["SECRET"] }, token: "SECRET" };
  const { message } = await assertRejects(() => join(misspelt as JoinOptions), ConfigurationError);
  assertEquals(message.includes("SECRET"), false);
});

Deno.test("join: a member on the fixed list listens where the list says", async () => {
  const port = freePort();
  const members = [{ id: "a", host: "127.0.0.1", port }, {
    id: "b",
    host: "127.0.0.1",
    port: 1,
    kinds: ["k"],
  }];
  await using node = await join({ cluster: "c", id: "a", listen: {}, members });
  assertEquals(node.address, `ws://127.0.0.1:${port}`);
  assertEquals(node.members.map(({ member }) => member?.kinds), [[], ["k"]]);
  const response = await fetch(`http://127.0.0.1:${port}/gossip`);
  await response.body?.cancel();
  assertEquals(response.status, 426);
});

Deno.test("join: members behind one proxy, distinguished by path, are dialed by their advertised URLs", async () => {
  const nodes = new Map<string, Node>();
  const asked: string[] = [];
  await using proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request, info) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    return await nodes.get(pathname)?.handler(request, info) ?? new Response("", { status: 404 });
  });
  const urlOf = (id: string) => `ws://127.0.0.1:${proxy.addr.port}/orders/${id}`;
  const options = { cluster: "c", authentication: { keys: [await newClusterKey()] } };
  await using a = await join({ ...options, id: "a", advertise: urlOf("a") });
  nodes.set("/orders/a", a);
  assertEquals([a.address, a.member.url, a.member.host], [urlOf("a"), urlOf("a"), "127.0.0.1"]);
  await using b = await join({ ...options, id: "b", advertise: urlOf("b"), seeds: [a.address] });
  nodes.set("/orders/b", b);
  await using c = await join({ ...options, id: "c", dialOnly: true, seeds: [a.address] });
  const signal = AbortSignal.timeout(10_000);
  for await (const event of c.events.subscribe("ClusterTopology", { signal })) {
    if (event.type === "ClusterTopology" && event.members.length === 3) break;
  }
  // No member can dial this one, so that it has to dial both.
  await c.setStateRequest("k", 1, { acknowledgedBy: 2, signal });
  assertEquals(c.snapshot().members.map(({ address }) => address?.url), [
    urlOf("a"),
    urlOf("b"),
    undefined,
  ]);
  assertEquals(new Set(asked), new Set(["/orders/a", "/orders/b"]));
});

for (
  const url of [
    "http://a/b",
    "ws://",
    "ws://a/b#c",
    "ws://u:p@a/b",
    `ws://a/${"b".repeat(2_048)}`,
    "ws://0.0.0.0/a",
    "orders",
  ]
) {
  Deno.test(`join: refuses to advertise ${url.slice(0, 30)} (R12.3)`, async () => {
    assertEquals(await fieldsWrong({ cluster: "c", insecure: true, advertise: url }), ["advertise"]);
  });
}

Deno.test("join: shows an invalid URL to advertise, but no password in it (R12.3)", async () => {
  const lineOf = async (advertise: string) => {
    const { message } = await assertRejects(() => join({ cluster: "c", advertise }), ConfigurationError);
    return message.split("\n").at(-1)!;
  };
  const allowed =
    '  `advertise` must be `{ host, port }`, or a URL such as "wss://orders.example/members/a", ' +
    "of at most 2048 bytes, without credentials, query or fragment";
  assertEquals(await lineOf("example.com:80"), `${allowed}; got "example.com:80".`);
  assertEquals(await lineOf("http://[::1]/\u001b"), `${allowed}; got "http://[::1]/\\u001b".`);
  for (const secret of ["ws://u:pa55@[::1]/b", "ws://[::1]/b?token=pa55"]) {
    const line = await lineOf(secret);
    assertEquals([line.startsWith(allowed), line.includes("pa55")], [true, false], line);
  }
});

Deno.test("join: a URL of another machine is advertised only with keys or with `insecure` (R12.3)", async () => {
  assertEquals(await fieldsWrong({ cluster: "c", advertise: "wss://orders.example/a" }), ["authentication"]);
});

Deno.test("join: a member that is alone logs one line with the reason of each seed", async () => {
  const logged = Promise.withResolvers<string>();
  const { warn } = console;
  console.warn = logged.resolve;
  try {
    await using node = await join({ cluster: "c", id: "a", listen: LISTEN });
    const seed: SeedStatus = {
      address: "ws://a",
      lastAttemptUnixMilliseconds: 0,
      outcome: "failed",
      memberId: null,
      reason: "no",
      nextAttemptUnixMilliseconds: 0,
    };
    const own: SeedStatus = { ...seed, address: "ws://own", outcome: "self", memberId: "a", reason: null };
    node.events.publish({ type: "Alone", seeds: [own, ...new Array(8).fill(seed)] });
    const seven = new Array(7).fill("ws://a: no").join("; ");
    assertEquals(
      await abortable(logged.promise, AbortSignal.timeout(5_000)),
      'Hearsay: "a" of cluster "c" has found no other member for 10 s and keeps trying. ' +
        `ws://own: this member; ${seven}; and 1 more`,
    );
  } finally {
    console.warn = warn;
  }
});

/** Joins by a faulty seed, and waits for the event. */
async function seedFailure(options: Partial<JoinOptions>): Promise<HearsayError> {
  await using node = await join({ cluster: "red", listen: LISTEN, ...options });
  const failed: Promise<HearsayEvent> = (async () => {
    for await (const event of node.events.subscribe("SeedFailed")) return event;
    throw new Error("no event was emitted");
  })();
  const event = await failed;
  assert(event.type === "SeedFailed");
  assertEquals(event.address, options.seeds?.[0]);
  assert(event.error instanceof HearsayError);
  return event.error;
}

Deno.test("join: a seed that is down, of another cluster or incompatible emits an event, once for each reason", async () => {
  await using blue = await join({ cluster: "blue", listen: LISTEN });
  const other = await seedFailure({ seeds: [blue.address] });
  assertEquals(other.code, "refused");
  assertStringIncludes(other.message, 'The cluster must be "blue"');
  const config = { gossipInterval: 11_000, heartbeatExpiration: 60_000 };
  const unlike = await seedFailure({ cluster: "blue", seeds: [blue.address], config });
  assertEquals(unlike.code, "incompatible");
  assertStringIncludes(unlike.message, "gossipInterval is 300 here and 11000 there");
  const down = await seedFailure({ seeds: ["ws://127.0.0.1:1"] });
  assertEquals(down.code, "connection");
  assertStringIncludes(down.message, "ws://127.0.0.1:1");
});

// ---- stop

Deno.test("stop: a second call returns the same promise, during the stop and after it (R1.5)", async () => {
  const node = await join({ cluster: "c", id: "a", listen: LISTEN });
  const first = node.stop();
  assert(node.stop() === first);
  // Its peers know it as alive until they have its departure.
  assertEquals(node.members.map(({ status }) => status), ["alive"]);
  assertEquals(await first, { acknowledgedBy: 0, wanted: 0, flushed: true });
  assert(node.stop() === first);
  assertEquals(node.members.map(({ id, status }) => [id, status]), [["a", "left"]]);
  assertEquals(node.snapshot().members.map(({ status }) => status), ["left"]);
});

Deno.test("stop: after an abort or a disposal it returns the result of that end (R1.5)", async () => {
  const leaving = new AbortController();
  const aborted = await join({ cluster: "c", listen: LISTEN, signal: leaving.signal });
  leaving.abort();
  const disposed = await join({ cluster: "c", listen: LISTEN });
  const disposing = disposed[Symbol.asyncDispose]();
  for (const node of [aborted, disposed]) {
    const stopping = node.stop();
    assert(node.stop() === stopping);
    assertEquals((await stopping).flushed, true);
    assertEquals((await node.closed).flush, await stopping);
  }
  await disposing;
});

Deno.test("stop: a refused call by an extractor does not count as the first call (R1.6)", async () => {
  const node = await join({ cluster: "c", listen: LISTEN });
  let inVain: Promise<unknown> | undefined;
  node.registerConsensusCheck("k", (value) => {
    inVain ??= assertRejects(() => node.stop(), HearsayError, "An extractor must not call this member");
    return value;
  });
  node.setState("k", 1);
  await inVain;
  assertEquals((await node.stop()).flushed, true);
});

Deno.test("stop: the errors of later calls name this member", async () => {
  const node = await join({ cluster: "c", listen: LISTEN });
  assertThrows(
    () => node.setState("topology", 1),
    HearsayError,
    'The key "topology" is reserved: this member sets it by itself. Nothing was changed.',
  );
  await node.stop();
  assertThrows(() => node.setState("k", 1), HearsayError, "This member has stopped; nothing was changed.");
});

// ---- loops that set values while the member leaves

/** Leaves while a loop with sets is behind: it still handles the first of three changes. */
async function leaveWhileBehind(changes: (node: Node) => AsyncIterable<unknown>): Promise<void> {
  const node = await join({ cluster: "c", listen: LISTEN });
  const [first, going] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const loop = (async () => {
    for await (const _ of changes(node)) {
      node.setState("seen", true);
      first.resolve();
      await going.promise;
    }
  })();
  for (const value of [1, 2, 3]) node.setState("k", value);
  await first.promise;
  const stopping = node.stop();
  going.resolve();
  const [stopped, looped] = await Promise.allSettled([stopping, loop]);
  assertEquals([stopped.status, looped], ["fulfilled", { status: "fulfilled", value: undefined }]);
}

Deno.test("leave: ends a loop over events that sets values", async () => {
  await leaveWhileBehind((node) => node.events.subscribe("GossipUpdate"));
});

Deno.test("leave: ends a loop over a watched key that sets values", async () => {
  await leaveWhileBehind((node) => node.watch("k"));
  const { signal } = new AbortController();
  await leaveWhileBehind((node) => node.watch("k", { signal }));
});

Deno.test("leave: aborts the signal of a node at its beginning, however the member leaves", async () => {
  const leaving = new AbortController();
  const aborted = await join({ cluster: "c", listen: LISTEN, signal: leaving.signal });
  const stopped = await join({ cluster: "c", listen: LISTEN });
  assertEquals([aborted.signal.aborted, stopped.signal.aborted], [false, false]);
  leaving.abort();
  const stopping = stopped.stop();
  assertEquals([aborted.signal.aborted, stopped.signal.aborted], [true, true]);
  assertEquals(stopped.signal.reason.code, "stopped");
  assertThrows(() => stopped.setState("k", 1), HearsayError);
  await Promise.all([stopping, aborted[Symbol.asyncDispose]()]);
});
