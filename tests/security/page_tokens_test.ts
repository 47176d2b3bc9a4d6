import { assertEquals, assertMatch, assertRejects, assertThrows } from "../../deps/std_assert.ts";
import { join as joinFromPage } from "../../browser/join.ts";
import { HearsayError, join, type Node } from "../../mod.ts";
import { newClusterKey, type PageTokenOptions, tokenFor } from "../../security/cluster_keys.ts";
import type { ConfigurationError } from "../../options/configuration_error.ts";
import type { Access } from "../../contracts/page_tokens.ts";
import type { JsonValue, MemberDelta } from "../../engine/types.ts";
import type { Message } from "../../protocol/message.ts";
import { makeIncarnation } from "../../engine/incarnation.ts";
import { deltaOf } from "../requirements/scripted_peer.ts";
import { entry, memberDelta } from "../engine/harness.ts";
import { forge, helloOf, Wire } from "./attacker.ts";
import { MEMBER_KEY } from "../../engine/types.ts";
import { authorityOf } from "../../common/canonical_address.ts";
import { eventually, hears, next } from "./waits.ts";
import { keyedMembers } from "./keyed_members.ts";

const KEYS = [await newClusterKey()];
const CONFIG = { gossipInterval: 50, gossipRequestTimeout: 300, heartbeatExpiration: 5_000, maxBackoff: 100 };

const member = keyedMembers(KEYS, CONFIG);

function options(node: Node, given: Partial<PageTokenOptions> = {}): PageTokenOptions {
  return { keys: KEYS, cluster: "orders", id: "page", address: node.address, access: "read", ...given };
}

/** Joins as a page does, with a new token for each dial. */
function page(node: Node, { access, id = "page", sign = false }: {
  readonly access: Access;
  readonly id?: string;
  readonly sign?: boolean;
}) {
  return joinFromPage({
    cluster: "orders",
    seeds: [node.address],
    config: CONFIG,
    sign,
    token: ({ id: own = id }) => tokenFor(options(node, { access, id: own })),
  });
}

/** The values of a key, by member. */
function valuesOf(node: Pick<Node, "getState">, key: string): [string, JsonValue][] {
  return [...node.getState(key)].map(([id, { value }]): [string, JsonValue] => [id, value]).sort();
}

Deno.test("tokenFor: a page with a full token is a member", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  await using full = await page(ada, { access: "full" });
  assertEquals([full.id, full.access], ["page", "full"]);
  full.setState("k", 1);
  await hears(ben, "page", 1);
  await full.converged({ signal: AbortSignal.timeout(5_000) });
  assertEquals(ben.members.map(({ id }) => id), ["ada", "ben", "page"]);
});

Deno.test("tokenFor: a page with a token for reading has the state of all members, and later changes, and is no member", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  ada.setState("k", 1);
  ben.setState("k", 1);
  await using reader = await page(ada, { access: "read" });
  await reader.whenMembers(3, { signal: AbortSignal.timeout(5_000) });
  await eventually(() => valuesOf(reader, "k").length === 2);
  ben.setState("k", 2);
  await hears(reader, "ben", 2);
  ben.deleteState("k");
  await eventually(() => valuesOf(reader, "k").length === 1);
  // The members agree without the reader, which has no value.
  ben.setState("k", 1);
  using check = ada.registerConsensusCheck("k");
  assertEquals(await check.reached({ signal: AbortSignal.timeout(5_000) }), 1);
  await ada.converged({ signal: AbortSignal.timeout(5_000) });
  assertEquals(ada.members.map(({ id }) => id), ["ada", "ben"]);
  await ben.stop();
  await eventually(() => reader.members.find(({ id }) => id === "ben")?.status === "left");
});

Deno.test("tokenFor: for a reader, members that it reaches through another member stay alive", async () => {
  const config = { ...CONFIG, heartbeatExpiration: 1_000, detectCrashes: false };
  await using ada = await member("ada", { config });
  await using _ = await member("ben", { seeds: [ada.address], config });
  await using reader = await joinFromPage({
    cluster: "orders",
    seeds: [ada.address],
    config,
    token: () => tokenFor(options(ada)),
  });
  const statusOfBen = () => reader.members.find(({ id }) => id === "ben")?.status;
  await eventually(() => statusOfBen() === "alive");
  const over = new AbortController();
  const failures: string[] = [];
  const watching = (async () => {
    for await (const { id, status } of reader.watchMembers(over)) if (status === "failed") failures.push(id);
  })();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  assertEquals(failures, []);
  over.abort();
  await watching;
  assertEquals(statusOfBen(), "alive");
});

Deno.test("tokenFor: a reader cannot set, delete or add a check: each call fails, and says why", async () => {
  await using ada = await member("ada");
  await using reader = await page(ada, { access: "read" });
  await reader.whenMembers(2, { signal: AbortSignal.timeout(5_000) });
  assertEquals(reader.access, "read");
  for (
    const call of [
      () => reader.setState("k", 1),
      () => reader.deleteState("k"),
      () => reader.registerConsensusCheck("k"),
    ]
  ) {
    const error = assertThrows(call, HearsayError);
    assertEquals(error.code, "read_only");
    assertMatch(error.message, /Nothing was changed/);
  }
  await assertRejects(() => reader.setStateRequest("k", 1), HearsayError, "for reading");
});

Deno.test("tokenFor: in a cluster that signs, a page with a key of its own is a member, and a reader verifies what it reads", async () => {
  const authentication = { keys: KEYS, sign: true };
  await using ada = await join({ cluster: "orders", listen: { port: 0 }, config: CONFIG, authentication });
  ada.setState("k", 1);
  await using full = await page(ada, { access: "full", sign: true });
  full.setState("k", 2);
  await hears(ada, full.id, 2);
  await using reader = await page(ada, { access: "read", sign: true });
  await hears(reader, ada.id, 1);
  await hears(reader, full.id, 2);
});

Deno.test("tokenFor: each fault in its options is named", async () => {
  const wrong = { keys: [], cluster: "", id: "", address: "x", access: "write", lifetime: 60_000, other: 1 };
  const error = await assertRejects(() =>
    tokenFor(wrong as unknown as PageTokenOptions)
  ) as ConfigurationError;
  assertEquals(error.problems.map(({ field }) => field).sort(), [
    "tokenFor.access",
    "tokenFor.address",
    "tokenFor.cluster",
    "tokenFor.id",
    "tokenFor.keys",
    "tokenFor.lifetime",
    "tokenFor.other",
  ]);
});

Deno.test("join in a page: an id or rights that change with a later token end the dial", async () => {
  await using ada = await member("ada");
  for (const later of [{ id: "other" }, { access: "full" as const }]) {
    let count = 0;
    await using reader = await joinFromPage({
      cluster: "orders",
      seeds: [ada.address],
      config: CONFIG,
      token: () => tokenFor(options(ada, count++ === 0 ? {} : later)),
    });
    const { error } = await next(reader, "SeedFailed");
    assertEquals((error as HearsayError).code, "unauthorized");
    assertMatch((error as HearsayError).message, /same member with the same rights/);
  }
});

Deno.test("join in a page: a text that is no token is refused without being shown", async () => {
  for (const text of ["my secret", "a.b.c", "x".repeat(5_000), undefined as unknown as string]) {
    const error = await assertRejects(
      () =>
        joinFromPage({ cluster: "orders", seeds: ["ws://127.0.0.1:1"], token: () => Promise.resolve(text) }),
      HearsayError,
    );
    assertEquals([error.code, error.message.includes(`${text}`)], ["unauthorized", false]);
  }
});

// Attacks: a hostile page has a token, and a WebSocket that says anything.

Deno.test("reader token: it is valid once, at one member, for seconds, and not as another token", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben");
  const token = await tokenFor(options(ada));
  assertEquals(await Wire.status(ben.address, { token }), 401);
  assertEquals(await Wire.status(ada.address, { token }), 101);
  assertEquals(await Wire.status(ada.address, { token }), 401);
  const old = { wallMs: () => Date.now() - 20_000, monotonicMs: () => 0, random: Math.random };
  const expired = await tokenFor(options(ada, { runtime: { ...old, setTimer: () => () => {} } }));
  assertEquals(await Wire.status(ada.address, { token: expired }), 401);
  assertEquals(
    await Wire.status(ada.address, { token: await tokenFor(options(ada, { cluster: "payments" })) }),
    401,
  );
  const others = await tokenFor(options(ada, { keys: [await newClusterKey()] }));
  assertEquals(await Wire.status(ada.address, { token: others }), 401);
  // A page changes the header: the signature covers it.
  const [, payload, signature] = (await tokenFor(options(ada))).split(".");
  const [header] = (await tokenFor(options(ada, { access: "full" }))).split(".");
  assertEquals(await Wire.status(ada.address, { token: `${header}.${payload}.${signature}` }), 401);
  // A reader's type that lives for an hour.
  const authority = authorityOf(ada.address)!;
  const long = await forge({ key: KEYS[0]!, authority, typ: "hearsay-reader+jwt", lifetimeMs: 3_600_000 });
  assertEquals(await Wire.status(ada.address, { token: long }), 401);
});

Deno.test("reader token: a member without keys refuses it, and does not take its holder for a member", async () => {
  await using ada = await join({ cluster: "orders", listen: { port: 0 }, config: CONFIG });
  assertEquals(await Wire.status(ada.address, { token: await tokenFor(options(ada)) }), 403);
});

/** A hostile reader after its handshake. */
async function hostileReader(node: Node, id = "mallory"): Promise<{ wire: Wire; incarnation: string }> {
  const wire = await Wire.opened(node.address, { token: await tokenFor(options(node, { id })) });
  const hello = helloOf(id);
  wire.say(hello);
  await wire.hears("hello");
  return { wire, incarnation: hello.incarnation };
}

/** Waits for the answer to a request. */
async function answerTo(wire: Wire, id: string): Promise<Extract<Message, { type: "reply" }>> {
  const find = () => wire.received.find((message) => "id" in message && message.id === id);
  await eventually(() => find() !== undefined);
  return find() as Extract<Message, { type: "reply" }>;
}

/** The state of a member, without numbers. */
function known(node: Node): string {
  const { members, isolated } = node.snapshot();
  const plain = members.map(({ id, status, incarnation, entries }) => ({
    id,
    status,
    incarnation,
    entries: entries.map(({ key, value }) => JSON.stringify([key, value])).sort(),
  }));
  return JSON.stringify({ isolated, plain });
}

Deno.test("reader token: no message of its holder changes anything: own state, state and liveness of others, departure, suspicion, or conflict", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  ben.setState("k", "true");
  await hears(ada, "ben", "true");
  await ada.whenMembers(2, { stableFor: 500, signal: AbortSignal.timeout(5_000) });
  await ada.converged({ signal: AbortSignal.timeout(5_000) });
  const before = known(ada);
  const emitted: string[] = [];
  const over = new AbortController();
  const listening = (async () => {
    const types = [
      "SelfBlocked",
      "ConflictDetected",
      "IncarnationRenewed",
      "MemberSuspected",
      "MemberJoined",
    ];
    for await (const event of ada.events.subscribe(undefined, over)) {
      if (types.includes(event.type)) emitted.push(event.type);
    }
  })();
  const { wire, incarnation } = await hostileReader(ada);
  const later = makeIncarnation(Date.now() + 3_600_000, 0.5);
  const record = { id: "mallory", host: "10.0.0.9", port: 9, kinds: [] };
  const deltas: MemberDelta[] = [
    memberDelta("mallory", incarnation, [
      entry(MEMBER_KEY, 1, record),
      entry("k", 2, "a lie"),
      entry("left", 3, {}),
    ]),
    memberDelta("ben", later, [entry("k", 1, "a lie")]),
    memberDelta("ben", ben.members.find(({ isSelf }) => isSelf)!.incarnation!, [
      entry("k", 99, "a lie"),
      entry("left", 100, {}),
    ]),
    memberDelta("ada", later, [entry("k", 1, "a lie")]),
    memberDelta("invented", later, [entry("k", 1, "a lie")]),
  ];
  const holds = new Map([["ben", { incarnation: later, number: 5 }], ["ada", {
    incarnation: later,
    number: 5,
  }]]);
  const vector = { stride: 1, counts: "AAAAz" };
  let id = 2;
  for (const delta of deltas) {
    wire.say(
      {
        type: "gossip",
        id: `d${id++}`,
        memberId: "mallory",
        delta: deltaOf([delta]),
        liveness: { count: 5, vector },
        holds,
      },
      { type: "push", delta: { members: [delta] }, relay: true },
    );
    await answerTo(wire, `d${id - 1}`);
  }
  const { count } = { count: 0 };
  wire.say(
    { type: "heartbeat", liveness: { count: 500, vector } },
    { type: "suspect", memberId: "ben", incarnation: later, count, isAlive: false },
    { type: "ack", id: "d2", holds },
    { type: "error", code: "id_conflict", message: "no", incarnation: later },
    { type: "error", code: "blocked", reason: "expired", message: "no" },
    { type: "reconcile", id: `d${id++}`, part: { from: "", until: undefined, members: new Map() } },
    helloOf("mallory", { id: `d${id}`, incarnation }),
  );
  await answerTo(wire, `d${id}`);
  await wire[Symbol.asyncDispose]();
  ben.setState("k", "still true");
  await hears(ada, "ben", "still true");
  ben.setState("k", "true");
  await hears(ada, "ben", "true");
  over.abort();
  await listening;
  assertEquals(known(ada), before);
  assertEquals(emitted, []);
  assertEquals(valuesOf(ben, "k"), [["ben", "true"]]);
});

Deno.test("reader token: its holder speaks for its own id alone", async () => {
  await using ada = await member("ada");
  const token = await tokenFor(options(ada, { id: "mallory" }));
  await using wire = await Wire.opened(ada.address, { token });
  wire.say(helloOf("ben"));
  assertEquals((await wire.closed).code, 4401);
});

Deno.test("reader token: a reader with the id of a member neither replaces nor disturbs it, and its broken connection is no crash", async () => {
  await using ada = await member("ada");
  await using ben = await member("ben", { seeds: [ada.address] });
  ben.setState("k", 1);
  await hears(ada, "ben", 1);
  const { wire } = await hostileReader(ada, "ben");
  await wire[Symbol.asyncDispose]();
  ben.setState("k", 2);
  await hears(ada, "ben", 2);
  assertEquals(ada.members.map(({ id, status }) => `${id} ${status}`), ["ada alive", "ben alive"]);
});

Deno.test("reader token: of a reader's many reports of missing state in a second, one alone makes a member send it again", async () => {
  await using ada = await member("ada");
  ada.setState("k", 1);
  const { wire } = await hostileReader(ada);
  await using _ = wire;
  for (let count = 2; count < 22; count++) {
    const id = `d${count}`;
    wire.say({ type: "gossip", id, memberId: "mallory", delta: deltaOf([]), liveness: { count: 1 } });
    await answerTo(wire, id);
    const { incarnation } = ada.members[0]!;
    wire.say({ type: "ack", id, holds: new Map([["ada", { incarnation: incarnation!, number: 0 }]]) });
  }
  const carrying = wire.received.filter((message) =>
    "delta" in message &&
    message.delta.members.some(({ entries }) => entries.some(({ key }) => key === "k"))
  );
  assertEquals(carrying.length, 2);
});

Deno.test("reader token: at most `maxConnections` readers, and they take no place of a member", async () => {
  const config = { ...CONFIG, maxConnections: 3 };
  await using ada = await member("ada", { config });
  await using ben = await member("ben", { seeds: [ada.address], config });
  const readers = [];
  for (let count = 0; count < 5; count++) readers.push((await hostileReader(ada, `reader-${count}`)).wire);
  assertEquals((await readers[0]!.closed).code, 1000);
  ben.setState("k", 1);
  await hears(ada, "ben", 1);
  for (const reader of readers) await reader[Symbol.asyncDispose]();
});
