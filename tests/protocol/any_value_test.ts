import { assert, assertEquals, assertStrictEquals, assertStringIncludes } from "../../deps/std_assert.ts";
import { TYPE } from "../../engine/types.ts";
import type { Gossip, Message } from "../../protocol/message.ts";
import { encode } from "../../protocol/codec.ts";
import { ANY, AT, entry, entryOf, gossip, gossipOf, memberDelta, read, refused } from "./messages.ts";

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

Deno.test("value: an Empty is read with and without a value, and written with a value (P3)", () => {
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

Deno.test("value: a value of an unknown type is stored and passed on unchanged (P3)", () => {
  const any = { seats: [1, { x: null }], "@type": "types.example/shop.Cart", note: "ü" };
  const read = entryOf({ sequenceNumber: "1", value: any });
  assertEquals(read, entry("k", 1, any, "shop.Cart"));
  assertStringIncludes(encode(gossip([memberDelta("x", [read])])), `"value":${JSON.stringify(any)}`);
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

Deno.test("decode: refuses at every depth values that JSON.parse accepts and JSON cannot carry (P3)", () => {
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

Deno.test("packed: bytes that are not base64 are refused (P3)", () => {
  for (const bytes of ["%", "abc", 1]) {
    const raw = { "@type": `${ANY}${TYPE.packed}`, typeUrl: "x/y", bytes };
    refused(gossipOf({ sequenceNumber: "1", value: raw }), `${AT}.value.bytes: must be base64`);
  }
});
