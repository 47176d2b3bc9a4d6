import { assert, assertEquals, assertLessOrEqual, assertStringIncludes } from "../../deps/std_assert.ts";
import { Engine } from "../../engine/engine.ts";
import { copyJson, utf8Length } from "../../engine/json.ts";
import { makeIncarnation, NO_INCARNATION } from "../../engine/incarnation.ts";
import { entryBytes, ENVELOPE_BYTES, memberBytes, versionsBytes } from "../../engine/state/size.ts";
import { TYPE } from "../../engine/types.ts";
import type { Message } from "../../protocol/message.ts";
import { encode, MAX_ID_BYTES, MAX_KEY_BYTES } from "../../protocol/codec.ts";
import { SETTINGS, TestClock, tombstone } from "../engine/harness.ts";
import { ACTIVE, ANY, delta, DIGEST, entry, gossip, LIFE, memberDelta, read } from "./messages.ts";

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

Deno.test("encode: writes the known versions of a gossip that asks for members (P2)", () => {
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
    liveness: { count: 41, vector: { incarnationsHash: ACTIVE, stride: 5, counts: "A_-.9" } },
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
  const delta = memberDelta("a", [entry("load", 8, 0.7)], { after: 7 });
  const text = `{"type":"push","request":{"state":{"members":{"a":{"values":{"load":{"sequenceNumber":"8",` +
    `"value":{"@type":"${ANY}google.protobuf.Value","value":0.7}}}}}}},"ranges":{"a":["${LIFE}",7]}`;
  assertEquals(encode({ type: "push", delta: { members: [delta] }, relay: false }), `${text}}`);
  assertEquals(encode({ type: "push", delta: { members: [delta] }, relay: true }), `${text},"relay":true}`);
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

Deno.test("encode: writes the sender's time of an entry as a string of whole milliseconds (P3)", () => {
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

Deno.test("encode: writes the stored JSON text of a value as it is (P3)", () => {
  const odd = { ...entry("k", 1, { a: 1 }), json: '{ "a" : 1.0 }' };
  assertStringIncludes(encode(gossip([memberDelta("a", [odd])])), '"value":{ "a" : 1.0 }}');
});

// ---- the sizes that the engine packs by (E7)

const LONG_ID = "\u0001".repeat(MAX_ID_BYTES);

Deno.test("encode: a member's part of a message is never larger than the size that the engine counts (E7)", () => {
  const kinds = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [String(index), 3]));
  const entries = [
    entry("k", 2 ** 52, "ü".repeat(10)),
    entry("\u0001".repeat(MAX_KEY_BYTES), 1, { "\u0001": ["\u{1F600}"] }),
    tombstone("t", 2 ** 52 - 1),
    entry("left", 2, {}, TYPE.empty),
    entry("heathbeat", 3, { actorStatistics: { actorCount: kinds } }, TYPE.heartbeat),
    entry("topology", 4, { topologyHash: "18446744073709551615", blocked: ["ü"] }, TYPE.topology),
    entry("cart", 5, { "@type": "types.example/shop.Cart" }, "shop.Cart"),
    { ...entry("e", 6, 1), expiresAfter: 315_360_000_000, ageMs: 2 ** 52 },
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

Deno.test("encode: the frame of a message and its known versions are never larger than the stated sizes (E7)", () => {
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

Deno.test("encode: a message full of state has as many counts of a vector as still fit (E7)", () => {
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
    engine.set("k", copyJson("y".repeat(length)), clock.advance(300));
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
  clock.advance(300);
  engine.countHeartbeat({}, clock.now);
  assertEquals(engine.takeLiveness("n1").vector!.counts.length, 5 * 3_001);
});
