import {
  assert,
  assertEquals,
  assertLess,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../deps/std_assert.ts";
import { anyOf } from "../../discovery/any_of.ts";
import { etcd } from "../../discovery/etcd/etcd.ts";
import { kubernetes } from "../../discovery/kubernetes/kubernetes.ts";
import { autoManaged } from "../../protoactor/automanaged.ts";
import { seeds } from "../../discovery/seeds.ts";
import { pageOf } from "../../examples/embed/page.ts";
import { name } from "../../examples/node/story.ts";
import type { Discovery, SeedStatus } from "../../contracts/cluster.ts";
import { ConnectionClosed, HearsayError } from "../../common/errors.ts";
import { EventStream, type EventType, type HearsayEvent } from "../../contracts/event_stream.ts";
import { warn } from "../../common/log.ts";
import { MAX_PRINTED } from "../../common/printable.ts";
import { PeerRefused } from "../../protocol/refusal.ts";
import { realRuntime } from "../../common/runtime.ts";
import type { Call } from "../../protoactor/transport/call.ts";
import { frameBytes, readFrame } from "../../protoactor/transport/hearsay_frames.ts";
import { readLetters, readRemoteMessage } from "../../protoactor/transport/letters.ts";
import { Outbound } from "../../protoactor/transport/outbound.ts";
import { Refusals } from "../../transport/strangers.ts";
import { TOKEN_PROTOCOL } from "../../transport/web_socket/dial.ts";
import { SUBPROTOCOL, WebSocketTransport } from "../../transport/web_socket/web_socket.ts";
import { decode } from "../../protocol/codec.ts";
import { KubernetesStandIn } from "../discovery/kubernetes_server.ts";
import { memberOf, TestContext } from "../discovery/context.ts";

/** A text that this side sends, and a server may repeat. */
const SECRET = "hunter2-is-the-secret";
/** A terminal's commands, lines that look like entries of a log, marks that turn text around, and 100 KB. */
const HOSTILE =
  "\x1b[2J\x1b]0;owned\x07\r\n2026-01-01 root logged in\x7f\x9b31m\u2028\u202e\u2066\u200f\ud800" +
  `${SECRET} ` + "x".repeat(100_000);
/** Such a text that fits into a close frame. */
const SHORT = "\x1b[2J\r\n2026-01-01 root\x9b31m\u2028\u202e\u200f";
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const never = new AbortController().signal;

/** Fails unless the printed forms of a value are fit for a log, and have no secret. */
function assertFit(value: unknown, where: string): void {
  for (const text of textsOf(value)) {
    assert(!UNPRINTABLE.test(text) && text.isWellFormed(), `${where}: ${JSON.stringify(text.slice(0, 300))}`);
    assertLess(text.length, 7 * MAX_PRINTED, where);
  }
}

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  if (!(value instanceof Error)) return Object.values(value).flatMap(textsOf);
  const shown = Deno.inspect(value, { colors: false }).split("\n");
  return [value.name, value.message, ...(value.stack ?? "").split("\n"), ...shown, ...textsOf(value.cause)];
}

function withoutSecret(value: unknown, where: string): void {
  for (const text of textsOf(value)) assert(!text.includes(SECRET), `${where}: ${text.slice(0, 300)}`);
}

/** The fields of each type of event that may carry a peer's text: errors and sentences, or data. */
const KINDS: { readonly [type in EventType]: "error" | "sentence" | "data" | "own" } = {
  AddressShared: "data",
  Alone: "sentence",
  CallbackFailed: "own",
  ClientRefused: "sentence",
  ClusterTopology: "data",
  Confirmed: "own",
  ConflictDetected: "data",
  ConsensusLost: "own",
  ConsensusReached: "data",
  DiscoveryFailed: "error",
  Disseminated: "data",
  EventsDropped: "own",
  GossipUpdate: "data",
  HandshakeRefused: "sentence",
  Isolated: "own",
  IncarnationRenewed: "own",
  InvalidValue: "sentence",
  ListenFailed: "error",
  MemberBlocked: "data",
  MemberFailed: "data",
  MemberForgotten: "data",
  MemberJoined: "data",
  MemberLeft: "data",
  MemberSuspected: "data",
  MemberUnblocked: "data",
  PhaseChanged: "own",
  ReconcilingRequested: "data",
  Rejoined: "own",
  RequestFailed: "error",
  SeedFailed: "error",
  SeedRecovered: "data",
  SeenChanged: "own",
  SelfBlocked: "data",
  SelfUnreachable: "error",
  SettingsDiffer: "data",
  SignatureRefused: "data",
  StateDropped: "data",
  SuspicionEnded: "data",
};

Deno.test("events: an error of any class is fit for a log in every event, and keeps its class", async () => {
  const errors: unknown[] = [
    new Error(HOSTILE),
    new Deno.errors.NotFound(HOSTILE),
    new DOMException(HOSTILE, "AbortError"),
    new TypeError("outer", { cause: new SyntaxError(HOSTILE, { cause: new Error(HOSTILE) }) }),
    Object.assign(new Error("a"), { name: HOSTILE }),
    HOSTILE,
  ];
  const common = { address: "ws://127.0.0.1:1", source: "a", peerId: "a" };
  for (
    const type of [
      "DiscoveryFailed",
      "ListenFailed",
      "RequestFailed",
      "SeedFailed",
      "SelfUnreachable",
    ] as const
  ) {
    assertEquals(KINDS[type], "error");
    for (const error of errors) {
      const events = new EventStream();
      const seen = events.subscribe(type);
      events.publish({ type, ...common, error } as HearsayEvent);
      events.close();
      for await (const event of seen) {
        assertFit(event, type);
        if (event.type === type && error instanceof Error) {
          assert(event.error instanceof (error.constructor as ErrorConstructor));
        }
      }
    }
  }
  const plain = new Error("No.");
  const events = new EventStream();
  const seen = events.subscribe("RequestFailed").getReader();
  events.publish({ type: "RequestFailed", peerId: "a", error: plain });
  const { value } = await seen.read();
  assert(value?.type === "RequestFailed" && value.error === plain);
  await seen.cancel();
});

Deno.test("errors: a text of a peer is fit for a log in messages and in causes", () => {
  const limits = { maxMessageBytes: 2 ** 20 };
  const decoding = assertThrows(() => decode(HOSTILE, limits), ConnectionClosed);
  assert(decoding.cause !== undefined);
  const errors = [
    decoding,
    assertThrows(() => decode(JSON.stringify({ type: "gossip", id: HOSTILE }), limits), ConnectionClosed),
    new PeerRefused({ type: "error", code: "busy", message: HOSTILE }),
    new ConnectionClosed(4400, HOSTILE, { cause: new Error(HOSTILE) }),
    new HearsayError("refused", HOSTILE, { cause: HOSTILE }),
  ];
  for (const error of errors) assertFit(error, "error");
});

Deno.test("WebSocket: the reason in a peer's close frame is fit for a log wherever it is read", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL });
    socket.addEventListener("open", () => socket.close(4403, SHORT));
    return response;
  });
  const transport = new WebSocketTransport({ path: "gossip", maxMessageBytes: 65_536 });
  const connection = await transport.dial(`ws://127.0.0.1:${server.addr.port}`, { signal: never });
  const info = await connection.closed;
  assertEquals(info.code, 4403);
  assertFit(info, "CloseInfo");
  assertStringIncludes(info.reason, "root");
  await transport.close();
  await server.shutdown();
});

Deno.test("WebSocket: a token that the server chooses as its subprotocol is not shown", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    return Deno.upgradeWebSocket(request, { protocol: TOKEN_PROTOCOL + SECRET }).response;
  });
  const guard = {
    incoming: (message: never) => message,
    outgoing: (message: never) => message,
    signal: never,
  };
  const transport = new WebSocketTransport({
    path: "gossip",
    maxMessageBytes: 65_536,
    tokenIn: "subprotocol",
    authentication: {
      credentials: () => Promise.resolve({ token: SECRET, guard }),
      admit: () => ({ refused: "No.", status: 401 }),
      setKeys: () => {},
    },
  });
  const error = await assertRejects(
    () => transport.dial(`ws://127.0.0.1:${server.addr.port}`, { signal: never }),
    HearsayError,
    "must speak the subprotocol",
  );
  withoutSecret(error, "subprotocol");
  await transport.close();
  await server.shutdown();
});

Deno.test("ClientRefused: the reason is fit for a log, whatever its origin", () => {
  const refused: unknown[] = [];
  const refusals = new Refusals((each) => refused.push(each), realRuntime);
  refusals.report({ transport: "tcp", hostname: "10.0.0.5", port: 1 }, HOSTILE);
  assertEquals(refused.length, 1);
  assertFit(refused, "ClientRefused");
});

Deno.test("remoting: the reason of a close frame, and the cause of a broken call, are fit for a log", async () => {
  const bytes = frameBytes({ kind: "close", info: { code: 4403, reason: HOSTILE } }, "127.0.0.1:1");
  const [letter] = readLetters(readRemoteMessage(bytes).messageBatch!);
  assertFit(readFrame(letter!), "close frame");
  const call: Call = {
    readable: new ReadableStream({ start: (controller) => controller.error(new Error(HOSTILE)) }),
    writable: new WritableStream(),
    remote: "127.0.0.1:1",
    cancel: () => {},
  };
  const self = { id: "a", address: "127.0.0.1:2" };
  assertFit(
    await assertRejects(() => Outbound.connect(call, { self, signal: never }), HearsayError),
    "Go member",
  );
});

/** The first failure of a source. */
async function failureOf(discovery: Discovery): Promise<HearsayEvent> {
  await using context = new TestContext(discovery, { self: memberOf("a") });
  const types = ["DiscoveryFailed", "SeedFailed"] as const;
  for await (const event of context.eventStream.subscribe(types, { signal: AbortSignal.timeout(10_000) })) {
    if (event.type === "DiscoveryFailed" || event.type === "SeedFailed") return event;
  }
  throw new Error("It did not fail.");
}

Deno.test("discovery: an answer of etcd is fit for a log, and has nothing that was sent to etcd", async () => {
  const answers = [
    () => new Response(HOSTILE, { status: 500 }),
    () => new Response(HOSTILE),
    () => Response.json({ result: { canceled: true, cancel_reason: HOSTILE }, token: SECRET }),
    (body: string) => new Response(`You said: ${body}`, { status: 400 }),
  ];
  for (const answer of answers) {
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => answer(`${request.headers.get("authorization")} ${await request.text()}`),
    );
    const endpoints = [`http://127.0.0.1:${server.addr.port}`];
    const event = await failureOf(etcd({ endpoints, username: "ada", password: SECRET }));
    assertFit(event, "etcd");
    withoutSecret(event, "etcd");
  }
});

Deno.test("discovery: an answer of the API of Kubernetes is fit for a log, and the token is not in it", async () => {
  await using api = await KubernetesStandIn.start();
  await api.rotateToken(SECRET);
  const failures = [
    () => new Response(HOSTILE, { status: 403 }),
    () => new Response(HOSTILE),
    () => Response.json({ items: [{ metadata: { name: HOSTILE } }, {}] }),
  ];
  for (const failure of failures) {
    api.failure = failure;
    const { server, serviceAccount } = api;
    const event = await failureOf(kubernetes({ labelSelector: "app=a", port: 7001, server, serviceAccount }));
    assertFit(event, "Kubernetes");
    withoutSecret(event, "Kubernetes");
  }
});

Deno.test("discovery: a watch of pods that ends with an error shows it fit for a log", async () => {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    if (!request.url.includes("watch=1")) {
      return Response.json({ items: [], metadata: { resourceVersion: "1" } });
    }
    return new Response(`${JSON.stringify({ type: "ERROR", object: { code: 500, message: HOSTILE } })}\n`);
  });
  const serviceAccount = await Deno.makeTempDir();
  for (const file of ["token", "namespace"]) await Deno.writeTextFile(`${serviceAccount}/${file}`, file);
  const url = `http://127.0.0.1:${server.addr.port}`;
  const event = await failureOf(kubernetes({ labelSelector: "a", port: 7001, server: url, serviceAccount }));
  assertStringIncludes(Deno.inspect(event), "The API ended the watch");
  assertFit(event, "watch");
  await Deno.remove(serviceAccount, { recursive: true });
});

Deno.test("discovery: the record of a protoactor member is fit for a log", async () => {
  for (const text of [HOSTILE, JSON.stringify({ id: HOSTILE })]) {
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response(text),
    );
    const hosts = [`127.0.0.1:${server.addr.port}`];
    assertFit(await failureOf(autoManaged({ hosts, port: 0 })), "automanaged");
  }
});

Deno.test("discovery: the error of a source of the user's own is fit for a log", async () => {
  const run = () => Promise.reject(new TypeError(HOSTILE));
  assertFit(await failureOf(anyOf({ openMembership: false, run })), "anyOf");
});

Deno.test("seeds: the reason of a failed handshake is fit for a log in the event, in Alone and in the snapshot", async () => {
  let read: () => readonly SeedStatus[] = () => [];
  const context = new TestContext(
    {
      openMembership: true,
      run: (context, options) => {
        context.handshake = () => Promise.reject(new Error(HOSTILE));
        context.reportSeeds = (given) => void (read = given);
        return seeds(["ws://127.0.0.1:7002"]).run(context, options);
      },
    },
    { self: memberOf("a") },
  );
  for await (
    const event of context.eventStream.subscribe("SeedFailed", { signal: AbortSignal.timeout(10_000) })
  ) {
    assertFit(event, "SeedFailed");
    break;
  }
  assertEquals(read()[0]!.outcome, "failed");
  assertFit(read(), "SeedStatus");
  assertLess(read()[0]!.reason!.length, 301);
  await context[Symbol.asyncDispose]();
});

Deno.test("log: an event is one line, whatever text it has", () => {
  const lines: string[] = [];
  const { warn: original } = console;
  console.warn = (line: string) => void lines.push(line);
  try {
    warn(`Hearsay: ${HOSTILE}`);
  } finally {
    console.warn = original;
  }
  assert(lines.length === 1 && !UNPRINTABLE.test(lines[0]!));
  assertLess(lines[0]!.length, 20_000);
});

Deno.test("examples: a member's name, and the page about it, show no control characters of a peer", () => {
  // With colors off, there is no escape character of the terminal's colors.
  assertFit(name(HOSTILE), "name");
  const member = {
    id: HOSTILE,
    isSelf: false,
    status: "alive",
    entries: [{ key: HOSTILE, value: HOSTILE }],
    address: { host: HOSTILE, port: 1 },
  };
  const snapshot = { self: HOSTILE, cluster: HOSTILE, phase: "confirmed", members: [member] };
  const page = pageOf(snapshot as unknown as Parameters<typeof pageOf>[0]);
  for (const line of page.split("\n")) assert(!UNPRINTABLE.test(line), line.slice(0, 300));
});
