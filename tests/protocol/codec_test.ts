import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertMatch,
} from "../../deps/std_assert.ts";
import { assertStrictEquals, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import { Engine } from "../../engine/engine.ts";
import { copyJson, utf8Length } from "../../engine/json.ts";
import { makeIncarnation, NO_INCARNATION } from "../../engine/incarnation.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes, versionsBytes } from "../../engine/state/size.ts";
import {
  type Delta,
  type JsonValue,
  type Liveness,
  type MemberDelta,
  type SentEntry,
  TYPE,
} from "../../engine/types.ts";
import { ConnectionClosed } from "../../common/errors.ts";
import type { Gossip, Hello, Message, Refusal } from "../../protocol/message.ts";
import { decode, encode, MAX_ID_BYTES, MAX_KEY_BYTES, type Ping, type Pong } from "../../protocol/codec.ts";
import { SETTINGS, TestClock } from "../engine/harness.ts";
import { HOSTILE_HOSTS, HOSTILE_URLS } from "../common/host_names.ts";

const LIMITS = { maxMessageBytes: 1_048_576 };
const LIFE = "0190f3a1b2c3-0badcafe";
const DIGEST = "0123456789abcdef";
const ACTIVE = "fedcba9876543210";
const ANY = "type.googleapis.com/";

function read(text: string | object): Message | Ping | Pong {
  return decode(typeof text === "string" ? text : JSON.stringify(text), LIMITS);
}

function entry(key: string, number: number, value: JsonValue, type: string = TYPE.value): SentEntry {
  return { key, number, type, value, json: JSON.stringify(value) };
}

function tombstone(key: string, number: number): SentEntry {
  return { key, number, type: "", value: undefined, json: "" };
}

function memberDelta(
  id: string,
  entries: readonly SentEntry[],
  rest: Partial<MemberDelta> = {},
): MemberDelta {
  return { id, incarnation: LIFE, after: 0, reset: false, entries, ...rest };
}

function delta(members: readonly MemberDelta[], partial: boolean = false): Delta {
  return { members, digest: DIGEST, active: ACTIVE, partial };
}

function gossip(members: readonly MemberDelta[], liveness: Liveness = { count: 0 }): Gossip {
  return { type: "gossip", liveness, id: "7", memberId: "a", delta: delta(members) };
}

/** The wire form of a gossip with `raw` as its only entry, under key `k` of member `x`. */
function gossipOf(raw: unknown, rest: object = {}): object {
  return gossipWith({ x: { values: { k: raw } } }, { ranges: { x: [LIFE, 0] }, ...rest });
}

function gossipWith(members: unknown, rest: object): object {
  const request = { memberId: "a", state: { members } };
  return {
    type: "gossip",
    count: 0,
    id: "7",
    request,
    digest: DIGEST,
    active: ACTIVE,
    ...rest,
  };
}

/** The one entry read from a gossip of {@linkcode gossipOf}. */
function entryOf(raw: unknown): SentEntry {
  const message = read(gossipOf(raw));
  assert(message.type === "gossip");
  return message.delta.members[0]!.entries[0]!;
}

function refused(text: string | object, sentence: string | RegExp, code: number = 4400): void {
  const error = assertThrows(() => read(text), ConnectionClosed);
  assertEquals(error.closeCode, code);
  if (typeof sentence === "string") assertStringIncludes(error.message, sentence);
  else assertMatch(error.message, sentence);
}

// ---- the form of the messages

Deno.test("encode: writes a gossip as documented (P2)", () => {
  const message = gossip([
    memberDelta("a", [entry("load", 7, { cpu: 0.3 }), tombstone("old", 8)], { after: 6, count: 40 }),
    memberDelta("b", [], { after: 5, reset: true, end: 9 }),
  ], { count: 40 });
  assertEquals(
    encode(message),
    `{"type":"gossip","id":"7","request":{"memberId":"a","state":{"members":{"a":{"values":{` +
      `"load":{"sequenceNumber":"7","value":{"@type":"${ANY}google.protobuf.Value","value":{"cpu":0.3}}},` +
      `"old":{"sequenceNumber":"8"}}}}}},"ranges":{"a":["${LIFE}",6,40],"b":["${LIFE}",5]},"resets":{"b":9},` +
      `"digest":"${DIGEST}","active":"${ACTIVE}","count":40}`,
  );
});

Deno.test("encode: writes a gossip that asks for members with its known versions (P2)", () => {
  const holds = new Map([["c", { incarnation: NO_INCARNATION, number: 0 }], ["b", {
    incarnation: LIFE,
    number: 9,
  }]]);
  const text = encode({ ...gossip([]), holds });
  assertEquals(
    text,
    `{"type":"gossip","id":"7","request":{"memberId":"a"},"digest":"${DIGEST}","active":"${ACTIVE}",` +
      `"count":0,"holds":{"c":["000000000000-00000000",0],"b":["${LIFE}",9]}}`,
  );
  assertEquals(read(text), { ...gossip([]), holds });
});

Deno.test("encode: writes a reply as documented (P2)", () => {
  const text = encode({
    type: "reply",
    liveness: { count: 41, vector: { active: ACTIVE, stride: 5, counts: "A_-.9" } },
    id: "7",
    delta: { ...delta([memberDelta("b", [entry("k", 1, null)])], true), agreeing: "-A" },
    holds: new Map([["a", { incarnation: LIFE, number: 3 }]]),
  });
  assertEquals(
    text,
    `{"type":"reply","id":"7","response":{"state":{"members":{"b":{"values":{"k":{"sequenceNumber":"1",` +
      `"value":{"@type":"${ANY}google.protobuf.Value","value":null}}}}}}},"ranges":{"b":["${LIFE}",0]},` +
      `"digest":"${DIGEST}","active":"${ACTIVE}","partial":true,"agreeing":"-A","count":41,` +
      `"live":{"active":"${ACTIVE}","stride":5,"counts":"A_-.9"},"holds":{"a":["${LIFE}",3]}}`,
  );
});

Deno.test("encode: writes a heartbeat as documented, with a vector of tags and without (P2)", () => {
  assertEquals(encode({ type: "heartbeat", liveness: { count: 7 } }), '{"type":"heartbeat","count":7}');
  assertEquals(
    encode({ type: "heartbeat", liveness: { count: 7, vector: { stride: 1, counts: "abcdZ" } } }),
    '{"type":"heartbeat","count":7,"live":{"stride":1,"counts":"abcdZ"}}',
  );
});

Deno.test("encode: writes a push as documented (P2)", () => {
  const told = memberDelta("a", [entry("load", 8, 0.7)], { after: 7 });
  const text = `{"type":"push","request":{"state":{"members":{"a":{"values":{"load":{"sequenceNumber":"8",` +
    `"value":{"@type":"${ANY}google.protobuf.Value","value":0.7}}}}}}},"ranges":{"a":["${LIFE}",7]}`;
  assertEquals(encode({ type: "push", delta: { members: [told] }, relay: false }), `${text}}`);
  assertEquals(encode({ type: "push", delta: { members: [told] }, relay: true }), `${text},"relay":true}`);
});

Deno.test("encode: writes an ack, a comparison, a refusal, a ping and a pong as documented (P2)", () => {
  const holds = new Map([["a", { incarnation: LIFE, number: 0 }]]);
  assertEquals(
    encode({ type: "ack", id: "7", holds }),
    `{"type":"ack","id":"7","holds":{"a":["${LIFE}",0]}}`,
  );
  const members = new Map([["a", { incarnation: LIFE, number: 9, sum: DIGEST }]]);
  assertEquals(
    encode({ type: "reconcile", id: "8", part: { from: "", until: "b", members } }),
    `{"type":"reconcile","id":"8","from":"","until":"b","members":{"a":["${LIFE}",9,"${DIGEST}"]}}`,
  );
  assertEquals(
    encode({ type: "error", id: "9", code: "blocked", message: "No.", reason: "left" }),
    '{"type":"error","id":"9","code":"blocked","message":"No.","reason":"left"}',
  );
  assertEquals(encode({ type: "ping" }), '{"type":"ping"}');
  assertEquals(encode({ type: "pong" }), '{"type":"pong"}');
});

Deno.test("encode: writes an entry with its holder's stamp as a string (P3)", () => {
  const stamped = { ...entry("k", 1, true), timestampMs: 1_700_000_000_000.5 };
  assertStringIncludes(
    encode(gossip([memberDelta("a", [stamped])])),
    '"localTimestampUnixMilliseconds":"1700000000000"}',
  );
});

Deno.test("encode: omits default values (P3)", () => {
  const text = encode({ type: "reply", liveness: { count: 0 }, id: "7", delta: delta([]), holds: new Map() });
  assertEquals(
    text,
    `{"type":"reply","id":"7","response":{},"digest":"${DIGEST}","active":"${ACTIVE}","count":0}`,
  );
});

Deno.test("encode: splices in the kept JSON text of a value (P3)", () => {
  const odd = { ...entry("k", 1, { a: 1 }), json: '{ "a" : 1.0 }' };
  assertStringIncludes(encode(gossip([memberDelta("a", [odd])])), '"value":{ "a" : 1.0 }}');
});

// ---- messages are read as they were written

const HELLO: Hello = {
  type: "hello",
  id: "1",
  cluster: "orders",
  member: { id: "a", host: "127.0.0.1", port: 7001, kinds: ["cart"] },
  incarnation: LIFE,
  count: 7,
  version: 2,
  oldestVersion: 2,
  capabilities: ["zip"],
  settings: {
    gossipInterval: 300,
    heartbeatExpiration: 20_000,
    maxKeysPerMember: 4_096,
    maxMessageBytes: 1_048_576,
    maxStateBytes: 2 ** 23,
  },
  digest: DIGEST,
  active: ACTIVE,
};

const HEARTBEAT = { actorStatistics: { actorCount: { cart: 3, order: 0 } } };
const ROUND_TRIPS: readonly (Message | Ping | Pong)[] = [
  HELLO,
  gossip([]),
  gossip([
    memberDelta("a", [
      entry("null", 1, null),
      entry("text", 2, 'ü\u2028"\\'),
      entry("deep", 3, [[{ a: [1, -2.5e-7, true] }], "x"]),
      tombstone("gone", 4),
      entry("left", 5, {}, TYPE.empty),
      entry("heathbeat", 6, HEARTBEAT, TYPE.heartbeat),
      entry("still", 7, {}, TYPE.heartbeat),
      entry("topology", 2 ** 52, { topologyHash: "18446744073709551615", blocked: ["b"] }, TYPE.topology),
    ]),
    memberDelta("b", [], { after: 2 ** 52 }),
    memberDelta("c", [entry("k", 4, 1)], { after: 3, reset: true, end: 2 ** 52 }),
  ]),
  {
    type: "reply",
    liveness: { count: 0 },
    id: "7",
    delta: delta([], true),
    holds: new Map([["a", { incarnation: LIFE, number: 0 }]]),
  },
  gossip([memberDelta("a", [entry("k", 4, 1)], { count: 2 ** 52 }), memberDelta("b", [], { count: 1 })], {
    count: 2 ** 52,
    vector: { active: ACTIVE, stride: 2 ** 20, counts: "AZaz09-_." },
  }),
  { ...gossip([]), delta: { ...delta([]), agreeing: "AZaz09-_" } },
  { ...gossip([]), delta: { ...delta([]), agreeing: "" } },
  {
    type: "reply",
    liveness: { count: 3, vector: { stride: 1, counts: "" } },
    id: "7",
    delta: { ...delta([]), agreeing: "_" },
    holds: new Map(),
  },
  { type: "heartbeat", liveness: { count: 0 } },
  { type: "heartbeat", liveness: { count: 2 ** 52, vector: { stride: 1, counts: "abcdAefgh_" } } },
  { type: "push", delta: { members: [] }, relay: false },
  {
    type: "push",
    delta: {
      members: [
        memberDelta("a", [entry("k", 4, 1), tombstone("gone", 5)], {
          after: 3,
          count: 9,
          signature: "c2lnbmVk",
        }),
        memberDelta("b", [entry("k", 1, 1)], { reset: true, end: 1, ackedByAll: 1 }),
      ],
    },
    relay: true,
  },
  { type: "ack", id: "7", holds: new Map() },
  { type: "reconcile", id: "7", part: { from: "", until: undefined, members: new Map() } },
  {
    type: "reconcile",
    id: "7",
    part: {
      from: "b",
      until: "d",
      members: new Map([["b", { incarnation: LIFE, number: 0, sum: DIGEST }], ["c", {
        incarnation: LIFE,
        number: 1,
        sum: ACTIVE,
      }]]),
    },
  },
  { type: "error", code: "busy", message: "" },
  { type: "error", id: "7", code: "blocked", message: "No.", reason: "expired" },
  {
    type: "error",
    code: "id_conflict",
    message: "No.",
    incarnation: LIFE,
    state: memberDelta("a", [entry("k", 4, "v")], { reset: true, end: 4, signature: "signed" }),
  },
  { type: "ping" },
  { type: "pong" },
];

for (const message of ROUND_TRIPS) {
  Deno.test(`decode: ${encode(message).slice(0, 60)}… comes back unchanged (P2)`, () => {
    assertEquals(read(encode(message)), message);
    assertEquals(encode(read(encode(message))), encode(message));
  });
}

Deno.test("decode: returns a message of an unknown type with its name (P7)", () => {
  assertEquals(read({ type: "whisper", secret: 1 }), { type: "unknown", name: "whisper" });
});

Deno.test("decode: ignores unknown fields (P7)", () => {
  const ack: Message = { type: "ack", id: "7", holds: new Map() };
  assertEquals(read({ type: "ack", id: "7", colour: "red", holds: {} }), ack);
  assertEquals(entryOf({ sequenceNumber: "1", colour: "red" }), tombstone("k", 1));
});

// ---- values of every type (P3)

Deno.test("decode: reads sequence numbers and stamps from strings and from numbers (P3)", () => {
  assertEquals(entryOf({ sequenceNumber: "4503599627370496" }).number, 2 ** 52);
  assertEquals(entryOf({ sequenceNumber: 7, localTimestampUnixMilliseconds: 1_700_000_000_000 }).number, 7);
  assertEquals(entryOf({ sequenceNumber: 7, localTimestampUnixMilliseconds: "-1" }), tombstone("k", 7));
});

Deno.test("heartbeat: counts are strings on the wire and numbers in memory (P3)", () => {
  const raw = {
    "@type": `${ANY}cluster.MemberHeartbeat`,
    actorStatistics: { actorCount: { kind: "3", other: 4 } },
  };
  const read = entryOf({ sequenceNumber: "1", value: raw });
  const value = { actorStatistics: { actorCount: { kind: 3, other: 4 } } };
  assertEquals(read, { key: "k", number: 1, type: TYPE.heartbeat, value, json: JSON.stringify(value) });
  assertStringIncludes(
    encode(gossip([memberDelta("x", [read])])),
    `{"@type":"${ANY}cluster.MemberHeartbeat","actorStatistics":{"actorCount":{"kind":"3","other":"4"}}}`,
  );
});

Deno.test("heartbeat: is read and written without statistics (P3)", () => {
  for (const statistics of [{}, { actorStatistics: {} }, { actorStatistics: { actorCount: {} } }]) {
    const any = { "@type": `${ANY}cluster.MemberHeartbeat`, ...statistics };
    const read = entryOf({ sequenceNumber: "1", value: any });
    assertEquals(read.value, {});
    assertStringIncludes(
      encode(gossip([memberDelta("x", [read])])),
      `"value":{"@type":"${ANY}cluster.MemberHeartbeat"}`,
    );
  }
});

Deno.test("value: an Empty is read with and without a value, and written with one (P3)", () => {
  for (const rest of [{}, { value: {} }]) {
    const read = entryOf({ sequenceNumber: "1", value: { "@type": `${ANY}google.protobuf.Empty`, ...rest } });
    assertEquals(read, entry("k", 1, {}, TYPE.empty));
    assertStringIncludes(
      encode(gossip([memberDelta("x", [read])])),
      `"value":{"@type":"${ANY}google.protobuf.Empty","value":{}}`,
    );
  }
});

Deno.test("value: a topology of protoactor-go, with its member list, is read and passed on (P3, E14)", () => {
  const topology = {
    topologyHash: "12345678901234567890",
    members: [{ host: "h", port: 1, id: "a", kinds: ["k"] }, { id: "b" }],
    left: [{ id: "c" }],
    blocked: ["c"],
  };
  const read = entryOf({
    sequenceNumber: "1",
    value: { "@type": `${ANY}cluster.ClusterTopology`, ...topology },
  });
  assertEquals(read, entry("k", 1, topology, TYPE.topology));
  assertStringIncludes(
    encode(gossip([memberDelta("x", [read])])),
    `{"@type":"${ANY}cluster.ClusterTopology",${JSON.stringify(topology).slice(1)}`,
  );
});

Deno.test("value: a topology's hash may be a number, and defaults are omitted (P3)", () => {
  const any = { "@type": `${ANY}cluster.ClusterTopology`, topologyHash: 12, members: [], blocked: null };
  assertEquals(entryOf({ sequenceNumber: "1", value: any }).value, { topologyHash: "12" });
  const empty = { "@type": `${ANY}cluster.ClusterTopology`, topologyHash: "0" };
  const read = entryOf({ sequenceNumber: "1", value: empty });
  assertEquals(read.value, {});
  assertStringIncludes(
    encode(gossip([memberDelta("x", [read])])),
    `{"@type":"${ANY}cluster.ClusterTopology"}`,
  );
});

Deno.test("value: one of an unknown type is kept and passed on unchanged (P3)", () => {
  const any = { seats: [1, { x: null }], "@type": "types.example/shop.Cart", note: "ü" };
  const read = entryOf({ sequenceNumber: "1", value: any });
  assertEquals(read, entry("k", 1, any, "shop.Cart"));
  assertStringIncludes(encode(gossip([memberDelta("x", [read])])), `"value":${JSON.stringify(any)}`);
});

Deno.test("decode: reads null as an omitted field (P3)", () => {
  assertEquals(entryOf({ sequenceNumber: "1", value: null }), tombstone("k", 1));
  const message = read({ ...gossipWith(null, {}), request: { memberId: "a", state: null } });
  assertEquals(message, gossip([]));
});

Deno.test("decode: returns entries in rising order of number, from any order (E4)", () => {
  const values = { b: { sequenceNumber: "9" }, 5: { sequenceNumber: "3" }, a: { sequenceNumber: "7" } };
  const message = read(gossipWith({ x: { values } }, { ranges: { x: [LIFE, 2] } }));
  assert(message.type === "gossip");
  assertEquals(message.delta.members[0]!.entries.map((entry) => entry.number), [3, 7, 9]);
});

// ---- hostile names

const HOSTILE = [
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "toString",
  "0",
  "\u0000",
  '"],"',
  "\u{1F600}",
];

Deno.test("decode: ids and keys such as __proto__ are valid (P2)", () => {
  const members = HOSTILE.map((id) =>
    memberDelta(id, HOSTILE.map((key, index) => entry(key, index + 1, { __proto__x: key })))
  );
  const message = read(encode(gossip(members)));
  assert(message.type === "gossip");
  const byId = new Map(message.delta.members.map((member) => [member.id, member]));
  assertEquals(new Set(byId.keys()), new Set(HOSTILE));
  for (const id of HOSTILE) assertEquals(byId.get(id)!.entries.map((entry) => entry.key), HOSTILE);
});

Deno.test("decode: a member named like an inherited property has no state unless it was sent (P2)", () => {
  const members = ["__proto__", "constructor"].map((id) => memberDelta(id, []));
  const text = encode(gossip([memberDelta("x", [entry("k", 1, 1)]), ...members]));
  assertEquals(read(text), gossip([memberDelta("x", [entry("k", 1, 1)]), ...members]));
});

Deno.test("decode: __proto__ inside a value and among the kinds of a heartbeat stays an own property (P3)", () => {
  const text =
    `{"sequenceNumber":"1","value":{"@type":"${ANY}google.protobuf.Value","value":{"__proto__":1}}}`;
  const wrap = (raw: string) => JSON.stringify(gossipOf("HERE")).replace('"HERE"', raw);
  const message = read(wrap(text)) as Gossip;
  const value = message.delta.members[0]!.entries[0]!.value as object;
  assert(Object.hasOwn(value, "__proto__"));
  assertStrictEquals(Object.getPrototypeOf(value), Object.prototype);
  assertStringIncludes(encode(message), '"value":{"__proto__":1}');

  const beat = `{"sequenceNumber":"1","value":{"@type":"${ANY}cluster.MemberHeartbeat",` +
    `"actorStatistics":{"actorCount":{"__proto__":"3"}}}}`;
  assertStringIncludes(encode(read(wrap(beat)) as Message), '"actorCount":{"__proto__":"3"}');
});

Deno.test("decode: known versions and comparisons may have hostile ids too (P2)", () => {
  const holds = new Map(HOSTILE.map((id) => [id, { incarnation: LIFE, number: 1 }]));
  const ack = read(encode({ type: "ack", id: "7", holds }));
  assert(ack.type === "ack");
  assertEquals(new Set(ack.holds.keys()), new Set(HOSTILE));
  const members = new Map(HOSTILE.map((id) => [id, { incarnation: LIFE, number: 1, sum: DIGEST }]));
  const reconcile = read(
    encode({ type: "reconcile", id: "7", part: { from: "", until: undefined, members } }),
  );
  assert(reconcile.type === "reconcile");
  assertEquals(new Set(reconcile.part.members.keys()), new Set(HOSTILE));
});

// ---- refusals

Deno.test("decode: refuses text that is not JSON with 4400 (P2)", () => {
  for (const text of ["", "{", "hello", '{"type":"ack","id":"7"}x', "NaN"]) {
    refused(text, "A message is not JSON.");
  }
});

Deno.test("decode: refuses JSON that is not a message with 4400 (P2)", () => {
  for (const text of ["null", "1", '"ack"', "[]", "true"]) refused(text, "A message must be a JSON object");
  refused("{}", "type: must be a well-formed string of 1 to 256 bytes, was left out.");
  for (const type of [1, "", null, "x".repeat(257), ["ack"]]) refused({ type }, "type: must be");
});

Deno.test("decode: reads a message of maxMessageBytes, and refuses one byte more with 4413, unparsed (P2)", () => {
  const pad = (bytes: number) => `{"type":"ping","pad":"${"x".repeat(bytes - 24)}"}`;
  assertEquals(utf8Length(pad(1_048_576)), 1_048_576);
  assertEquals(read(pad(1_048_576)), { type: "ping" });
  refused(pad(1_048_577), "larger than 1048576 bytes", 4413);
  refused("{".repeat(1_048_577), "larger than 1048576 bytes", 4413);
});

Deno.test("decode: the size is in UTF-8 bytes, not in characters (P2)", () => {
  const text = `{"type":"ping","pad":"${"ü".repeat(100)}"}`;
  assertEquals(decode(text, { maxMessageBytes: utf8Length(text) }), { type: "ping" });
  const error = assertThrows(() => decode(text, { maxMessageBytes: utf8Length(text) - 1 }), ConnectionClosed);
  assertEquals(error.closeCode, 4413);
});

Deno.test("decode: refuses a message nested a million deep without exhausting the stack (P2)", () => {
  refused("[".repeat(1_000_000), "not JSON");
  refused(`${"[".repeat(500_000)}${"]".repeat(500_000)}`, "must be a JSON object");
});

/** A change of a valid message, and the expected sentence. */
type Wrong = readonly [change: object, sentence: string];

const WRONG_HELLOS: readonly Wrong[] = [
  [{ id: undefined }, "id: must be a well-formed string of 1 to 256 bytes, was left out."],
  [{ id: "x".repeat(MAX_ID_BYTES + 1) }, "id: must be"],
  [{ cluster: "" }, 'cluster: must be a well-formed string of 1 to 256 bytes, was "".'],
  [{ member: null }, "member: must be an object, was null."],
  [{ member: [] }, "member: must be an object, was an array."],
  [{ member: { ...HELLO.member, id: "ü".repeat(129) } }, "member.id: must be"],
  [{ member: { ...HELLO.member, id: "\ud800" } }, "member.id: must be a well-formed string"],
  [{ member: { ...HELLO.member, host: 1 } }, "member.host: must be"],
  ...HOSTILE_HOSTS.filter((host) => host !== "").map((host) =>
    [{ member: { ...HELLO.member, host } }, "member.host: must be a name or an address, was"] as const
  ),
  ...HOSTILE_URLS.filter((url) => url !== "").map((url) =>
    [{ member: { ...HELLO.member, url } }, "member.url: must be a ws: or wss: URL"] as const
  ),
  [
    { member: { ...HELLO.member, port: 65536 } },
    "member.port: must be a whole number from 0 to 65535, was 65536.",
  ],
  [
    { member: { ...HELLO.member, port: "80" } },
    'member.port: must be a whole number from 0 to 65535, was "80".',
  ],
  [{ member: { ...HELLO.member, kinds: ["a", 2] } }, 'member.kinds["1"]: must be'],
  [
    { member: { ...HELLO.member, kinds: Array(257).fill("k") } },
    "member.kinds: must be a list of at most 256",
  ],
  [
    { member: { ...HELLO.member, kinds: Array(65).fill("k".repeat(256)) } },
    "member.kinds: must be names of at most 16384 bytes together",
  ],
  [{ incarnation: LIFE.toUpperCase() }, "incarnation: must be an incarnation such as"],
  [{ incarnation: `${LIFE}0` }, "incarnation: must be"],
  [{ count: undefined }, "count: must be a whole number from 0 to 4503599627370496, was left out."],
  [{ count: -1 }, "count: must be a whole number from 0 to 4503599627370496, was -1."],
  [{ version: 1.5 }, "version: must be a whole number"],
  [{ capabilities: "zip" }, 'capabilities: must be an array, was "zip".'],
  [{ oldestVersion: undefined }, "oldestVersion: must be a whole number"],
  [{ settings: 7 }, "settings: must be an object, was 7."],
  [
    { settings: { ...HELLO.settings, maxMessageBytes: -1 } },
    "settings.maxMessageBytes: must be a whole number",
  ],
  [
    { settings: { ...HELLO.settings, gossipInterval: undefined } },
    "settings.gossipInterval: must be a whole number",
  ],
  [{ member: { ...HELLO.member, url: "u".repeat(2_049) } }, "member.url: must be a well-formed string"],
  [{ digest: "0123456789ABCDEF" }, "digest: must be sixteen hexadecimal digits"],
  [{ active: "" }, "active: must be sixteen hexadecimal digits"],
];

Deno.test("decode: refuses an invalid hello, and names the field (P2)", () => {
  for (const [change, sentence] of WRONG_HELLOS) refused({ ...HELLO, ...change }, sentence);
});

const GOOD_STATE = { x: { values: { k: { sequenceNumber: "1" } } } };
const WRONG_GOSSIPS: readonly Wrong[] = [
  [{ id: 7 }, "id: must be"],
  [{ request: undefined }, "request: must be an object, was left out."],
  [{ request: {} }, "request.memberId: must be"],
  [{ request: { memberId: "a", state: [] } }, "request.state: must be an object, was an array."],
  [{ request: { memberId: "a", state: { members: 1 } } }, "request.state.members: must be an object, was 1."],
  [{ ranges: {} }, 'ranges["x"]: must be a range for each member in the state, was left out.'],
  [{ ranges: [] }, "ranges: must be an object, was an array."],
  [{ ranges: { x: [LIFE] } }, 'ranges["x"]: must be an incarnation, a number and up to two more numbers'],
  [{ ranges: { x: [LIFE, 0, 0, 0, 0] } }, 'ranges["x"]: must be an incarnation, a number and up to two'],
  [{ ranges: { x: [LIFE, 0, 0, -1] } }, 'ranges["x"]["3"]: must be a whole number from 0 to'],
  [{ ranges: { x: [LIFE, 0, "1"] } }, 'ranges["x"]["2"]: must be a whole number from 0 to'],
  [{ ranges: { x: [LIFE, 0, -1] } }, 'ranges["x"]["2"]: must be a whole number from 0 to'],
  [{ ranges: { x: [LIFE, 0, 2 ** 52 + 1] } }, 'ranges["x"]["2"]: must be a whole number from 0 to'],
  [{ ranges: { x: ["now", 0] } }, 'ranges["x"]["0"]: must be an incarnation'],
  [{ ranges: { x: [LIFE, -1] } }, 'ranges["x"]["1"]: must be a whole number from 0 to 4503599627370496'],
  [{ ranges: { x: [LIFE, 2 ** 52 + 1] } }, 'ranges["x"]["1"]: must be'],
  [{ ranges: { x: [LIFE, 0.5] } }, 'ranges["x"]["1"]: must be'],
  [{ ranges: { x: [LIFE, 0], "": [LIFE, 0] } }, 'ranges[""]: must be a well-formed string'],
  [
    { ranges: { x: [LIFE, 1] } },
    '.values["k"].sequenceNumber: must be above 1, where the range starts, was 1.',
  ],
  [{ resets: { y: 1 } }, 'resets["y"]: must be of a member in ranges, was "y".'],
  [{ resets: { constructor: 1 } }, 'resets["constructor"]: must be of a member in ranges'],
  [{ resets: { x: true } }, 'resets["x"]: must be a whole number from 0 to'],
  [{ resets: { x: 0 } }, 'resets["x"]: must be at least 1, the last entry, was 0.'],
  [{ resets: ["x"] }, "resets: must be an object, was an array."],
  [{ partial: 1 }, "partial: must be true or false, was 1."],
  [{ digest: undefined }, "digest: must be sixteen hexadecimal digits, was left out."],
  [{ active: 1 }, "active: must be"],
  [{ agreeing: 1 }, "agreeing: must be base64url digits, was 1."],
  [{ agreeing: null }, "agreeing: must be base64url digits, was null."],
  [{ agreeing: "AB=" }, "agreeing: must be base64url digits"],
  [{ agreeing: "A." }, "agreeing: must be base64url digits"],
];

/** Faults in a message's liveness. */
const WRONG_LIVENESS: readonly Wrong[] = [
  [{ count: undefined }, "count: must be a whole number from 0 to 4503599627370496, was left out."],
  [{ count: null }, "count: must be a whole number"],
  [{ count: "7" }, 'count: must be a whole number from 0 to 4503599627370496, was "7".'],
  [{ count: -1 }, "count: must be a whole number"],
  [{ count: 0.5 }, "count: must be a whole number"],
  [{ count: 2 ** 52 + 1 }, "count: must be a whole number"],
  [{ live: null }, "live: must be an object, was null."],
  [{ live: [] }, "live: must be an object, was an array."],
  [{ live: { counts: "A" } }, "live.stride: must be a whole number from 1 to 1048576, was left out."],
  [{ live: { stride: 0, counts: "A" } }, "live.stride: must be a whole number from 1 to"],
  [{ live: { stride: -1, counts: "A" } }, "live.stride: must be a whole number from 1 to"],
  [{ live: { stride: 2 ** 20 + 1, counts: "A" } }, "live.stride: must be a whole number from 1 to"],
  [{ live: { stride: "1", counts: "A" } }, "live.stride: must be a whole number from 1 to"],
  [{ live: { stride: 1 } }, "live.counts: must be base64url digits and dots, was left out."],
  [{ live: { stride: 1, counts: [0] } }, "live.counts: must be base64url digits and dots"],
  [{ live: { stride: 1, counts: "A B" } }, "live.counts: must be base64url digits and dots"],
  [{ live: { stride: 1, counts: "A+" } }, "live.counts: must be base64url digits and dots"],
  [{ live: { stride: 1, counts: "\ud83d\ude00" } }, "live.counts: must be base64url digits and dots"],
  [{ live: { stride: 1, counts: "A", active: "x" } }, "live.active: must be sixteen hexadecimal digits"],
  [{ live: { stride: 1, counts: "A", active: null } }, "live.active: must be sixteen hexadecimal digits"],
];

Deno.test("decode: refuses invalid counts and vectors in each message, and names the field (P2)", () => {
  const frame = { digest: DIGEST, active: ACTIVE, count: 1 };
  const messages = [
    { type: "heartbeat", count: 1 },
    { type: "gossip", id: "7", request: { memberId: "a" }, ...frame },
    { type: "reply", id: "7", response: {}, ...frame },
  ];
  for (const good of messages) {
    assertEquals(read(good).type, good.type);
    for (const [change, sentence] of WRONG_LIVENESS) refused({ ...good, ...change }, sentence);
  }
});

const WRONG_PUSHES: readonly Wrong[] = [
  [{ request: undefined }, "request: must be an object, was left out."],
  [{ request: 7 }, "request: must be an object, was 7."],
  [{ request: { state: { members: [] } } }, "request.state.members: must be an object, was an array."],
  [{ ranges: {} }, 'ranges["x"]: must be a range for each member in the state, was left out.'],
  [{ ranges: { x: [LIFE, 1] } }, ".sequenceNumber: must be above 1, where the range starts, was 1."],
  [{ ranges: { x: [LIFE, 0, -1] } }, 'ranges["x"]["2"]: must be a whole number from 0 to'],
  [{ resets: { y: 1 } }, 'resets["y"]: must be of a member in ranges, was "y".'],
  [{ signatures: { x: 1 } }, 'signatures["x"]: must be'],
  [{ relay: 1 }, "relay: must be true or false, was 1."],
  [{ relay: "true" }, 'relay: must be true or false, was "true".'],
];

Deno.test("decode: refuses an invalid push, and names the field (P2)", () => {
  const good = { type: "push", request: { state: { members: GOOD_STATE } }, ranges: { x: [LIFE, 0] } };
  assertEquals(read(good).type, "push");
  for (const [change, sentence] of WRONG_PUSHES) refused({ ...good, ...change }, sentence);
});

Deno.test("decode: refuses an invalid gossip, and names the field (P2)", () => {
  const good = gossipWith(GOOD_STATE, { ranges: { x: [LIFE, 0] } });
  assertEquals(read(good).type, "gossip");
  for (const [change, sentence] of WRONG_GOSSIPS) refused({ ...good, ...change }, sentence);
});

const AT = 'request.state.members["x"].values["k"]';

Deno.test("decode: refuses a sequence number that is not an integer from 1 to 2^52 (E2)", () => {
  const numbers = [undefined, null, 0, "0", -1, "-1", 1.5, "1.5", "1e3", "01", "", " 1", [1], true];
  for (const number of [...numbers, 2 ** 52 + 1, "4503599627370497", "9".repeat(16), "9".repeat(400)]) {
    refused(gossipOf({ sequenceNumber: number }), `${AT}.sequenceNumber: must be a whole number from 1 to`);
  }
});

Deno.test("decode: refuses two entries with one number (E4)", () => {
  const values = { a: { sequenceNumber: "2" }, b: { sequenceNumber: "2" } };
  refused(
    gossipWith({ x: { values } }, { ranges: { x: [LIFE, 0] } }),
    '.values["b"].sequenceNumber: must be a number of its own, was 2.',
  );
});

Deno.test("decode: refuses an invalid entry, and names the field (P3)", () => {
  const value = (any: unknown) => gossipOf({ sequenceNumber: "1", value: any });
  refused(gossipOf(1), `${AT}: must be an object, was 1.`);
  refused(gossipOf(null), `${AT}: must be an object, was null.`);
  const stamps = ["x", "1.5", 1.5, {}, "9".repeat(20)];
  for (const stamp of stamps) {
    refused(
      gossipOf({ sequenceNumber: "1", localTimestampUnixMilliseconds: stamp }),
      `${AT}.localTimestampUnixMilliseconds: must be a 64-bit integer`,
    );
  }
  refused(value(5), `${AT}.value: must be an object, was 5.`);
  refused(value({}), `${AT}.value.@type: must be`);
  refused(
    value({ "@type": "type.example/" }),
    `${AT}.value.@type: must be a URL that ends with a type's name`,
  );
  refused(
    value({ "@type": `${ANY}google.protobuf.Value` }),
    `${AT}.value.value: must be a JSON value, was left out.`,
  );
  refused(
    value({ "@type": `${ANY}google.protobuf.Empty`, value: 1 }),
    `${AT}.value.value: must be an object`,
  );
  const key = "k".repeat(MAX_KEY_BYTES + 1);
  for (const wrong of [key, "", "\ud800", "ü".repeat(MAX_KEY_BYTES / 2 + 1)]) {
    const state = { x: { values: { [wrong]: { sequenceNumber: "1" } } } };
    refused(
      gossipWith(state, { ranges: { x: [LIFE, 0] } }),
      `must be a well-formed string of 1 to ${MAX_KEY_BYTES} bytes`,
    );
  }
});

Deno.test("decode: refuses an invalid heartbeat, and names the field (P3)", () => {
  const beat = (rest: object) =>
    gossipOf({ sequenceNumber: "1", value: { "@type": `x/${TYPE.heartbeat}`, ...rest } });
  refused(beat({ actorStatistics: 1 }), `${AT}.value.actorStatistics: must be an object`);
  refused(
    beat({ actorStatistics: { actorCount: [] } }),
    `${AT}.value.actorStatistics.actorCount: must be an object`,
  );
  for (const count of ["x", -1, 1.5, "9".repeat(17), null]) {
    refused(
      beat({ actorStatistics: { actorCount: { kind: count } } }),
      '.actorCount["kind"]: must be a whole number',
    );
  }
});

Deno.test("decode: refuses an invalid topology, and names the field (P3)", () => {
  const topology = (rest: object) =>
    gossipOf({ sequenceNumber: "1", value: { "@type": `x/${TYPE.topology}`, ...rest } });
  for (const topologyHash of [-1, 1.5, 2 ** 53, "18446744073709551616", "0x1", "", {}]) {
    refused(topology({ topologyHash }), `${AT}.value.topologyHash: must be the decimal digits`);
  }
  refused(topology({ blocked: ["a", ""] }), `${AT}.value.blocked["1"]: must be`);
  refused(topology({ members: [{ port: -1 }] }), `${AT}.value.members["0"].port: must be`);
  refused(topology({ members: [1] }), `${AT}.value.members["0"]: must be an object`);
});

Deno.test("decode: refuses at every depth what JSON.parse accepts and JSON cannot carry (P3)", () => {
  const value = (text: string, type: string = TYPE.value) =>
    JSON.stringify(gossipOf({ sequenceNumber: "1", value: { "@type": `${ANY}${type}`, value: "HERE" } }))
      .replace('"HERE"', text);
  refused(value("1e999"), `${AT}.value.value is the number Infinity`);
  refused(value('{"a":[0,-1e999]}'), `${AT}.value.value["a"][1] is the number -Infinity`);
  refused(value('["\\ud800"]'), "is a string with a lone surrogate");
  refused(value('{"\\udfff":1}'), "is under a key with a lone surrogate");
  refused(value(`${"[".repeat(65)}${"]".repeat(65)}`), "is nested deeper than 64 levels");
  refused(value("1e999", "shop.Cart"), "is the number Infinity");
  assertEquals(read(value(`${"[".repeat(64)}${"]".repeat(64)}`)).type, "gossip");
});

Deno.test("decode: refuses an invalid reply, ack, comparison and refusal (P2)", () => {
  const reply = {
    type: "reply",
    count: 0,
    id: "7",
    response: {},
    digest: DIGEST,
    active: ACTIVE,
  };
  assertEquals(read(reply).type, "reply");
  refused({ ...reply, response: undefined }, "response: must be an object, was left out.");
  refused({ ...reply, holds: { a: [LIFE, "1"] } }, 'holds["a"]["1"]: must be a whole number');
  refused({ type: "ack", id: "7", holds: [] }, "holds: must be an object, was an array.");
  refused(gossipWith({}, { holds: { a: [LIFE] } }), 'holds["a"]: must be an incarnation and a number');
  refused({ type: "ack", id: "" }, "id: must be");
  const reconcile = { type: "reconcile", id: "7", from: "b", until: "d" };
  assertEquals(read(reconcile).type, "reconcile");
  refused({ ...reconcile, from: 1 }, "from: must be a well-formed string, was 1.");
  refused({ ...reconcile, until: "" }, "until: must be");
  for (const id of ["a", "d"]) {
    refused(
      { ...reconcile, members: { [id]: [LIFE, 1, DIGEST] } },
      `members["${id}"]: must be an id that is at least "b" and below "d"`,
    );
  }
  refused(
    { ...reconcile, members: { b: [LIFE, 1] } },
    'members["b"]: must be an incarnation, a number and a sum',
  );
  refused(
    { ...reconcile, members: { b: [LIFE, 1, "x"] } },
    'members["b"]["2"]: must be sixteen hexadecimal digits',
  );
  const refusal = { type: "error", code: "busy", message: "No." };
  refused({ ...refusal, code: 7 }, "code: must be a well-formed string");
  assertEquals(read({ ...refusal, code: "tired", reason: "age" }), {
    type: "error",
    code: "other",
    message: "No.",
  });
  refused({ ...refusal, message: undefined }, "message: must be a well-formed string, was left out.");
  refused({ ...refusal, reason: 7 }, "reason: must be a well-formed string");
  refused({ ...refusal, id: null }, "id: must be");
  const proved = { ...refusal, request: { state: { members: {} } }, ranges: { a: [LIFE, 0] } };
  assertEquals((read(proved) as Refusal).state, memberDelta("a", []));
  refused({ ...proved, ranges: {} }, "ranges: must be one member, was 0");
  refused({ ...proved, ranges: { a: [LIFE, 0], b: [LIFE, 0] } }, "ranges: must be one member, was 2");
  refused({ ...proved, signatures: { b: "x" } }, 'signatures["b"]: must be of a member in ranges');
});

Deno.test("decode: an error never repeats a peer's text at length (P6)", () => {
  const error = assertThrows(() => read({ ...HELLO, cluster: "x".repeat(100_000) }), ConnectionClosed);
  assertLessOrEqual(error.message.length, 200);
  const long = { [`${"y".repeat(100_000)}`]: "HERE" };
  const text = JSON.stringify(
    gossipOf({ sequenceNumber: "1", value: { "@type": `${ANY}${TYPE.value}`, value: long } }),
  );
  const deep = assertThrows(() => read(text.replace('"HERE"', "1e999")), ConnectionClosed);
  assertLessOrEqual(deep.message.length, 1000);
});

Deno.test("decode: drops a stamp of the sender's clock (R5.4)", () => {
  const value = { "@type": `${ANY}google.protobuf.Value`, value: 1 };
  for (const rest of [{}, { value }]) {
    const read = entryOf({ sequenceNumber: "1", localTimestampUnixMilliseconds: "5", ...rest });
    assert(!("timestampMs" in read));
  }
});

// ---- the sizes that the engine packs by (E7)

const LONG_ID = "\u0001".repeat(MAX_ID_BYTES);

Deno.test("encode: a message never exceeds the sizes that the engine counts with (E7)", () => {
  const kinds = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [String(index), 3]));
  const entries = [
    entry("k", 2 ** 52, "ü".repeat(10)),
    entry("\u0001".repeat(MAX_KEY_BYTES), 1, { "\u0001": ["\u{1F600}"] }),
    tombstone("t", 2 ** 52 - 1),
    entry("left", 2, {}, TYPE.empty),
    entry("heathbeat", 3, { actorStatistics: { actorCount: kinds } }, TYPE.heartbeat),
    entry("topology", 4, { topologyHash: "18446744073709551615", blocked: ["ü"] }, TYPE.topology),
    entry("cart", 5, { "@type": "types.example/shop.Cart" }, "shop.Cart"),
  ].map((sent) => ({ ...sent, timestampMs: Number.MAX_SAFE_INTEGER }));
  const empty = utf8Length(encode(gossip([])));
  for (const id of ["a", LONG_ID]) {
    for (const some of [[], ...entries.map((one) => [one]), entries]) {
      const counts = { count: 2 ** 52, settled: 2 ** 52 };
      const text = encode(
        gossip([memberDelta(id, some, { after: 2 ** 52, reset: true, end: 2 ** 52, ...counts })]),
      );
      const stated = some.reduce((sum, one) => sum + entryBytes(one), memberBytes(id));
      assertLessOrEqual(utf8Length(text) - empty, stated);
    }
  }
});

Deno.test("encode: the frame of a message and known versions never exceed the stated sizes (E7)", () => {
  const holds = new Map([["a", { incarnation: LIFE, number: 2 ** 52 }], [LONG_ID, {
    incarnation: LIFE,
    number: 2 ** 52,
  }]]);
  const frame = encode({ ...gossip([]), id: LONG_ID, memberId: LONG_ID, delta: delta([], true) });
  assertLessOrEqual(utf8Length(frame), ENVELOPE_BYTES);
  const reply: Message = {
    type: "reply",
    liveness: { count: 0 },
    id: LONG_ID,
    delta: delta([], true),
    holds,
  };
  assertLessOrEqual(utf8Length(encode(reply)), ENVELOPE_BYTES + versionsBytes(holds));
});

Deno.test("encode: a message full of state has as much of a vector as still fits (E7)", () => {
  const maxMessageBytes = 1_048_576;
  const clock = new TestClock();
  const settings = { ...SETTINGS, maxMessageBytes, gossipMaxSend: 4 };
  const incarnation = makeIncarnation(clock.wallMs, 0.25);
  const engine = new Engine(settings, {
    id: "a",
    incarnation,
    now: clock.now,
    random: 0.5,
    openMembership: false,
  });
  // With this letter no two of them share a tag: counts of two that do could not be sent.
  const ids = Array.from({ length: 3_000 }, (_, index) => `n${index}`);
  engine.setTopology({ members: ["a", ...ids], blocked: [] }, clock.now);
  // One member has nearly half a message to send, and this one as much.
  const members = ids.map((id) => {
    const value = id === "n5" ? "x".repeat(518_000) : 1;
    return memberDelta(id, [entry("k", 1, value)], { incarnation, count: 5 });
  });
  for (const id of ["n0", "n1"]) {
    engine.applyHello({ id, incarnation, digest: DIGEST, active: ACTIVE, count: 3 }, clock.now);
  }
  engine.applyIncoming("n0", delta(members, true), clock.now);
  engine.countHeartbeat({}, clock.now);
  let largest = 0;
  const digits: number[] = [];
  for (let length = 517_800; length < 519_200; length += 100) {
    engine.set("k", copyJson("y".repeat(length)), clock.advance(1_000));
    const { delta, sent, holds } = engine.prepareGossip("n1");
    const liveness = engine.takeLiveness("n1", sent);
    const message: Message = { ...gossip([], liveness), delta, holds };
    largest = Math.max(largest, utf8Length(encode(message)));
    digits.push(liveness.vector!.counts.length);
  }
  assertLessOrEqual(largest, maxMessageBytes);
  assert(largest > 0.95 * maxMessageBytes, `${largest} bytes`);
  // Some members have five digits each, where not all fit.
  assert(digits.some((count) => count > 0 && count < 5 * 3_001), `${digits}`);
  assertEquals(engine.takeLiveness("n1").vector, undefined);
  clock.advance(1_000);
  engine.countHeartbeat({}, clock.now);
  assertEquals(engine.takeLiveness("n1").vector!.counts.length, 5 * 3_001);
});

Deno.test("decode: every refusal is a ConnectionClosed with its close code (P2)", () => {
  const error = assertThrows(() => read("x"));
  assertInstanceOf(error, ConnectionClosed);
  assertEquals(error.code, "connection");
});
