import { assertEquals, assertStringIncludes } from "../../deps/std_assert.ts";
import { EventStream } from "../../contracts/event_stream.ts";
import type { HearsayEvent } from "../../contracts/events.ts";
import { HearsayError } from "../../common/errors.ts";
import { join } from "../../node/join.ts";
import { WARNINGS } from "../../node/warnings.ts";
import { typesOf } from "../../operations/log_levels.ts";
import { logEvents } from "../../node/logged_events.ts";
import { VirtualRuntime } from "../../testing/virtual_runtime.ts";

/** Replaces the log of this process until disposal; `lines` has all that was logged. */
class CapturedLog implements Disposable {
  readonly lines: string[] = [];
  readonly #warn = console.warn;

  constructor() {
    console.warn = (line: string) => this.lines.push(line);
  }

  [Symbol.dispose](): void {
    console.warn = this.#warn;
  }
}

const EXPIRATION_MS = 20_000;
const CONFLICT: HearsayEvent = { type: "ConflictDetected", memberId: "twin", reason: "identity" };

/** The log of the member "twin" of the cluster "orders". */
function logged() {
  const [log, runtime, events] = [new CapturedLog(), new VirtualRuntime(), new EventStream()];
  const members = [{ id: "twin", status: "alive" }, { id: "b", status: "failed" }];
  const member = {
    id: "twin",
    cluster: "orders",
    heartbeatExpiration: EXPIRATION_MS,
    path: "/gossip",
    node: { members },
  };
  const logging = logEvents(events, { ...member, runtime });
  return {
    lines: log.lines,
    /** The member and those that it knows. */
    members,
    publish: async (event: HearsayEvent) => {
      events.publish(event);
      await runtime.settle();
    },
    advance: (byMs: number) => runtime.advance(byMs),
    get nowMs() {
      return runtime.monotonicMs();
    },
    [Symbol.asyncDispose]: async () => {
      events.close();
      await logging;
      log[Symbol.dispose]();
    },
  };
}

Deno.test("logEvents: logs one line about another process with the id of this member until the conflict is over (E1)", async () => {
  await using log = logged();
  await log.publish(CONFLICT);
  const line =
    'Hearsay: another process uses the id "twin" in the cluster "orders", and each replaces the state ' +
    "of the other. Stop one of them, or give it another id.";
  assertEquals(log.lines, [line]);
  for (let count = 0; count < 5; count++) {
    await log.advance(EXPIRATION_MS);
    await log.publish(CONFLICT);
  }
  assertEquals(log.lines, [line]);
  await log.advance(10 * EXPIRATION_MS);
  await log.publish(CONFLICT);
  assertEquals(log.lines, [line, line]);
});

Deno.test("logEvents: logs no line about a conflict of another member or of a value (E1)", async () => {
  await using log = logged();
  await log.publish({ ...CONFLICT, memberId: "other" });
  await log.publish({ ...CONFLICT, reason: "value" });
  assertEquals(log.lines, []);
});

Deno.test("logEvents: logs one line when another process with this member's id and key fences this member (E1)", async () => {
  await using log = logged();
  await log.publish({ type: "SelfBlocked", peerId: "p", reason: "expired" });
  assertEquals(log.lines, []);
  await log.publish({ type: "SelfBlocked", reason: "identity" });
  assertEquals(log.lines, [
    'Hearsay: another process uses the id "twin" and its key in the cluster "orders", so this one no longer ' +
    "sends or takes state. Stop it, and join under another id.",
  ]);
});

Deno.test("join: logs that another process uses the id of this member (E1)", async () => {
  using log = new CapturedLog();
  await using node = await join({ cluster: "orders", id: "twin", listen: { port: 0 } });
  node.events.publish(CONFLICT);
  const seen = node.events.subscribe("ConflictDetected").getReader();
  node.events.publish(CONFLICT);
  await seen.read();
  assertEquals(log.lines.length, 1);
});

Deno.test("logEvents: logs one line if no member answers at this member's own address, with the path for the handler", async () => {
  await using log = logged();
  const error = new Error("refused");
  await log.publish({ type: "SelfUnreachable", address: "ws://127.0.0.1:7001", error });
  await log.publish({ type: "SelfUnreachable", address: "wss://proxy.example/orders/a", error });
  const lineFor = (address: string, path: string) =>
    `Hearsay: no member answers at ${address}, the address of "twin" itself: refused. Mount \`node.handler\` ` +
    `there at ${path}, with the \`info\` of its requests, or correct \`advertise\`.`;
  assertEquals(log.lines, [
    lineFor("ws://127.0.0.1:7001", "/gossip"),
    lineFor("wss://proxy.example/orders/a", "/orders/a"),
  ]);
});

Deno.test("join: a handler that is not mounted emits an event with the status of the server there, and logs it", async () => {
  using log = new CapturedLog();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    return new Response(null, { status: 404 });
  });
  const { hostname: host, port } = server.addr;
  const runtime = new VirtualRuntime();
  // Longer than this test, because the dials are real and the clock is not.
  const config = {
    gossipRequestTimeout: 600_000,
    heartbeatExpiration: 2_000_000,
    departedRetention: 2_000_000,
  };
  const node = await join({ cluster: "orders", advertise: { host, port }, runtime, config });
  const event = node.events.subscribe("SelfUnreachable").getReader().read();
  let isEmitted = false;
  void event.then(() => isEmitted = true);
  while (!isEmitted) {
    await runtime.advance(1_000);
    await new Promise((resolve) => setTimeout(resolve));
  }
  const { value } = await event;
  assertEquals(value!.address, `ws://127.0.0.1:${port}`);
  assertStringIncludes(`${value!.error}`, "404");
  await node.stop();
  await server.shutdown();
  assertEquals(log.lines.length, 1);
  assertStringIncludes(log.lines[0]!, `no member answers at ws://127.0.0.1:${port}`);
});

Deno.test("logEvents: the line about a lone member names each address once, with the reason", async () => {
  await using log = logged();
  const seed = {
    lastAttemptUnixMilliseconds: 0,
    outcome: "failed",
    memberId: null,
    nextAttemptUnixMilliseconds: 0,
  } as const;
  const address = "ws://127.0.0.1:7001";
  const seeds = [
    { ...seed, address, reason: `${address}/gossip could not be reached: connection refused.` },
    { ...seed, address, reason: "The peer refused." },
  ];
  await log.publish({ type: "Alone", seeds });
  assertEquals(log.lines, [
    'Hearsay: "twin" of cluster "orders" has found no other member for 10 s and keeps trying. ' +
    `${address}/gossip could not be reached: connection refused; ${address}: The peer refused`,
  ]);
});

Deno.test("logEvents: the line about a member whose seeds all lead to itself says that the first member may be alone", async () => {
  await using log = logged();
  const seed = {
    address: "ws://127.0.0.1:7001",
    lastAttemptUnixMilliseconds: 0,
    outcome: "self",
    memberId: "twin",
    reason: null,
    nextAttemptUnixMilliseconds: 0,
  } as const;
  await log.publish({ type: "Alone", seeds: [seed] });
  await log.publish({ type: "MemberJoined", memberId: "b" });
  assertEquals(log.lines, [
    'Hearsay: "twin" of cluster "orders" is alone: all its seeds lead to itself (ws://127.0.0.1:7001). This is ' +
    "right for the first member of a cluster. Any other member needs the address of another one as a seed.",
    'Hearsay: "twin" of cluster "orders" has found "b" and is no longer alone.',
  ]);
});

Deno.test("logEvents: logs one line if a member hears no other, and names the event that ends the isolation", async () => {
  await using log = logged();
  await log.publish({ type: "Isolated" });
  assertEquals(log.lines.length, 1);
  assertStringIncludes(log.lines[0]!, '"twin" of cluster "orders" hears no other member');
  assertStringIncludes(log.lines[0]!, "`Rejoined`");
});

Deno.test("logEvents: the line about an isolated member has the last failure of up to eight peers, if it is recent", async () => {
  await using log = logged();
  const fail = (peerId: string, code: "connection" | "unauthorized", text: string) =>
    log.publish({ type: "RequestFailed", peerId, error: new HearsayError(code, text) });
  await fail("long ago", "connection", "Nothing listens there.");
  await log.advance(EXPIRATION_MS + 1);
  await fail("s", "connection", "Nothing listens at ws://10.0.0.1:1.");
  await fail("s", "unauthorized", "The keys differ (401).");
  await fail("z", "connection", "Nothing listens at ws://10.0.0.2:1.");
  await log.publish({ type: "Isolated" });
  assertEquals(log.lines, [
    'Hearsay: "twin" of cluster "orders" hears no other member, although it knows some, and keeps trying. ' +
    'The last failures: "s": The keys differ (401); "z": Nothing listens at ws://10.0.0.2:1. ' +
    "The event `Rejoined` follows when it hears one.",
  ]);
  for (let peer = 0; peer < 20; peer++) await fail(`p${peer}`, "connection", "No.");
  await log.publish({ type: "Isolated" });
  assertEquals(log.lines[1]!.match(/"p\d+"/g), Array.from({ length: 8 }, (_, at) => `"p${at + 12}"`));
});

Deno.test("logEvents: says that a member is alone, and not that it hears others, if it has forgotten all others", async () => {
  await using log = logged();
  await log.publish({ type: "Isolated" });
  log.members.splice(1, 1, { id: "c", status: "left" });
  await log.publish({ type: "Rejoined" });
  await log.publish({ type: "MemberJoined", memberId: "b" });
  assertEquals(log.lines.slice(1), [
    'Hearsay: "twin" of cluster "orders" has forgotten all others and is alone. It keeps looking for others.',
    'Hearsay: "twin" of cluster "orders" has found "b" and is no longer alone.',
  ]);
});

Deno.test("logEvents: logs a line at the end of a logged isolation, and when a lone member finds another", async () => {
  await using log = logged();
  await log.publish({ type: "Rejoined" });
  await log.publish({ type: "MemberJoined", memberId: "b" });
  assertEquals(log.lines, []);
  await log.publish({ type: "Isolated" });
  await log.publish({ type: "Rejoined" });
  await log.publish({ type: "Rejoined" });
  await log.publish({ type: "Alone", seeds: [] });
  await log.publish({ type: "MemberJoined", memberId: "b" });
  await log.publish({ type: "MemberJoined", memberId: "c" });
  assertEquals(log.lines.slice(1, 2), ['Hearsay: "twin" of cluster "orders" is no longer isolated.']);
  assertEquals(log.lines.slice(3), [
    'Hearsay: "twin" of cluster "orders" has found "b" and is no longer alone.',
  ]);
});

Deno.test("logEvents: logs no isolation of a member that peers refuse because of its id", async () => {
  await using log = logged();
  await log.publish(CONFLICT);
  await log.publish({ type: "Isolated" });
  assertEquals(log.lines.length, 1);
  await log.advance(10 * EXPIRATION_MS);
  await log.publish({ type: "Isolated" });
  assertEquals(log.lines.length, 2);
});

Deno.test("logEvents: logs a line each for a refused client, a refused peer and a seed that refuses, at most ten a minute", async () => {
  await using log = logged();
  const refused = (port: number, host = "10.0.0.1"): HearsayEvent => ({
    type: "ClientRefused",
    remote: `${host}:${port}`,
    reason: "The token is missing.",
  });
  for (const port of [1, 2]) await log.publish(refused(port));
  const peer = { type: "HandshakeRefused", peerId: "p", code: "wrong_cluster", reason: "Another." } as const;
  for (const event of [peer, peer]) await log.publish(event);
  const address = "ws://10.0.0.2:7001";
  for (const code of ["connection", "unauthorized", "unauthorized"] as const) {
    await log.publish({ type: "SeedFailed", address, error: new HearsayError(code, "No.") });
  }
  assertEquals(log.lines.map((line) => line.slice(0, 40)), [
    "Hearsay: a client at 10.0.0.1:1 was refu",
    'Hearsay: the peer "p" was refused (wrong',
    "Hearsay: no member answered at a seed: w",
  ]);
  for (let host = 0; host < 20; host++) await log.publish(refused(1, `10.0.1.${host}`));
  assertEquals(log.lines.length, 10);
  await log.advance(61_000);
  await log.publish(refused(1, "10.0.2.1"));
  assertEquals(log.lines.length, 11);
});

Deno.test("logEvents: logs one line in each hour about a listener, a full member, and forged entries of a peer", async () => {
  await using log = logged();
  const address = "127.0.0.1:7001";
  const events = [
    { type: "ListenFailed", address, error: new Error("Too many open files") },
    { type: "StateDropped", memberId: "b", limit: "maxHeldBytes", count: 1 },
    { type: "ConflictDetected", memberId: "b", reason: "limit" },
    { type: "SignatureRefused", memberId: "b", peerId: "eve", reason: "signature" },
  ] as const;
  for (const event of [...events, ...events]) await log.publish(event);
  const rest = " Repetitions within an hour are not logged.";
  assertEquals(log.lines, [
    `Hearsay: ${address} accepts no connections: Too many open files. It tries to listen again every 1000 ms.${rest}`,
    'Hearsay: the state of a member (last: "b") made room for others, at the limit maxHeldBytes. Raise it if the ' +
    `cluster is to be this large.${rest}`,
    'Hearsay: a state of "b" was refused, because it would exceed a limit or the room for other states.' +
    rest,
    `Hearsay: entries of "b" from "eve" were refused: they were changed or forged.${rest}`,
  ]);
  await log.advance(3_600_000);
  for (const event of events) await log.publish(event);
  assertEquals(log.lines.length, 8);
});

Deno.test("logEvents: every event with the level of a warning has a line, except those that a program handles", () => {
  const left = typesOf("warn").filter((type) => !(WARNINGS as readonly string[]).includes(type));
  assertEquals(left, ["EventsDropped", "InvalidValue"]);
});

Deno.test("logEvents: logs a refusal again that recurs after an hour", async () => {
  await using log = logged();
  const refused = { type: "ClientRefused", remote: "10.0.0.1:1", reason: "The token is invalid." } as const;
  const seed = {
    type: "SeedFailed",
    address: "ws://10.0.0.2:1",
    error: new HearsayError("refused", "No."),
  } as const;
  for (const atMs of [0, 59 * 60_000, 61 * 60_000]) {
    await log.advance(atMs - log.nowMs);
    for (const event of [refused, seed]) await log.publish(event);
  }
  const lines = [
    "Hearsay: a client at 10.0.0.1:1 was refused: The token is invalid. Repetitions within an hour are not logged.",
    "Hearsay: no member answered at a seed: ws://10.0.0.2:1: No. Repetitions within an hour are not logged.",
  ];
  assertEquals(log.lines, [...lines, ...lines]);
});

Deno.test("logEvents: logs one line about a peer that is refused for its settings, and no line about other differences", async () => {
  await using log = logged();
  const differs = {
    type: "SettingsDiffer",
    peerId: "bob",
    setting: "gossipInterval",
    own: 300,
    theirs: 5_000,
  };
  for (let count = 0; count < 2; count++) {
    await log.publish({ ...differs, isRefused: true } as HearsayEvent);
  }
  await log.publish(
    { ...differs, peerId: "eve", setting: "maxStateBytes", isRefused: false } as HearsayEvent,
  );
  assertEquals(log.lines, [
    'Hearsay: a setting of "bob" differs: gossipInterval is 300 here and 5000 there. The peer is refused. ' +
    "Repetitions within an hour are not logged.",
  ]);
});

Deno.test("logEvents: logs one line in each hour for the errors of each callback (R11.3)", async () => {
  await using log = logged();
  const error = new TypeError("no cpu");
  for (const where of ["actorStatistics", "onLost of consensus-1", "actorStatistics"]) {
    await log.publish({ type: "CallbackFailed", where, error });
  }
  assertEquals(log.lines, [
    "Hearsay: actorStatistics threw TypeError: no cpu. Repetitions within an hour are not logged.",
    "Hearsay: onLost of consensus-1 threw TypeError: no cpu. Repetitions within an hour are not logged.",
  ]);
  await log.advance(3_600_000);
  await log.publish({ type: "CallbackFailed", where: "actorStatistics", error });
  assertEquals(log.lines[2], log.lines[0]);
});

Deno.test("join: logs the first error of an extractor, and of each callback of a check (R11.3)", async () => {
  using log = new CapturedLog();
  await using node = await join({ cluster: "orders", listen: { port: 0 } });
  const failures = node.events.subscribe("CallbackFailed").getReader();
  const fail = (name: string) => {
    throw new Error(name);
  };
  node.registerConsensusCheck("k", () => fail("extract"));
  node.registerConsensusCheck("k", () => fail("again"));
  for (const value of [1, 2, 3]) node.setState("k", value);
  for (let count = 0; count < 6; count++) await failures.read();
  assertEquals(log.lines.map((line) => line.replace(/ Repetitions.*/, "")), [
    'Hearsay: the extractor of the consensus check consensus-1 (key "k") threw Error: extract.',
    'Hearsay: the extractor of the consensus check consensus-2 (key "k") threw Error: again.',
  ]);
  await failures.cancel();
});

Deno.test("logEvents: logs one line in each hour about a source of members that fails, even if its error has no text", async () => {
  await using log = logged();
  const error = new HearsayError("connection", "http://10.0.0.9:2379 could not be reached.");
  for (const source of ["etcd", "etcd", "mine"]) {
    await log.publish({
      type: "DiscoveryFailed",
      source,
      error: source === "mine" ? Object.create(null) : error,
    });
  }
  const rest =
    ". It is asked again, and the members that it named last stay. Repetitions within an hour are not logged.";
  const lines = [
    `Hearsay: etcd failed: http://10.0.0.9:2379 could not be reached${rest}`,
    `Hearsay: mine failed: an error without a text${rest}`,
  ];
  assertEquals(log.lines, lines);
  // It works, and fails again a day later.
  await log.advance(24 * 3_600_000);
  for (let count = 0; count < 2; count++) {
    await log.publish({ type: "DiscoveryFailed", source: "etcd", error });
  }
  assertEquals(log.lines, [...lines, lines[0]]);
});

Deno.test("logEvents: says if a source of members is not asked again", async () => {
  await using log = logged();
  const error = new Error("no list");
  await log.publish({ type: "DiscoveryFailed", source: "anyOf source 1, not retried", error, isFinal: true });
  assertStringIncludes(log.lines[0]!, "It is not asked again, and the members that it named last stay.");
});
