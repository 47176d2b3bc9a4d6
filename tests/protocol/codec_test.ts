import { assertEquals, assertInstanceOf, assertThrows } from "../../deps/std_assert.ts";
import { utf8Length } from "../../engine/json.ts";
import { TYPE } from "../../engine/types.ts";
import { ConnectionClosed } from "../../common/errors.ts";
import type { Message } from "../../protocol/message.ts";
import { decode, encode, type Ping, type Pong } from "../../protocol/codec.ts";
import { tombstone } from "../engine/harness.ts";
import { ACTIVE, delta, DIGEST, entry, gossip, HELLO, LIFE, memberDelta, read, refused } from "./messages.ts";

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
    memberDelta("d", [
      { ...entry("k", 1, 1), expiresAfter: 1 },
      { ...entry("l", 2, 1), expiresAfter: 315_360_000_000, ageMs: 2 ** 52 },
      { ...tombstone("m", 3), renews: 2, expiresAfter: 5 },
      { ...tombstone("n", 2 ** 52), renews: 2 ** 52 - 1, expiresAfter: 315_360_000_000, ageMs: 2 ** 52 },
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
    vector: { incarnationsHash: ACTIVE, stride: 2 ** 20, counts: "AZaz09-_." },
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

Deno.test("decode: refuses text that is not JSON with 4400 (P2)", () => {
  for (const text of ["", "{", "hello", '{"type":"ack","id":"7"}x', "NaN"]) {
    refused(text, "A message is not JSON.");
  }
});

Deno.test("decode: reads a message of maxMessageBytes, and refuses a message with one byte more with 4413, unparsed (P2)", () => {
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

Deno.test("decode: every refusal is a ConnectionClosed with its close code (P2)", () => {
  const error = assertThrows(() => read("x"));
  assertInstanceOf(error, ConnectionClosed);
  assertEquals(error.code, "connection");
});
