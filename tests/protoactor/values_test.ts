import { assert, assertEquals, assertMatch } from "../../deps/std_assert.ts";
import { copyJson } from "../../engine/json.ts";
import { incarnationAbove, makeIncarnation, NO_INCARNATION } from "../../engine/incarnation.ts";
import { type JsonValue, type MemberDelta, type SentEntry, TYPE } from "../../engine/types.ts";
import type { Message } from "../../protocol/message.ts";
import {
  type Any,
  type GossipState,
  HEARTBEAT,
  type Int64,
  LIST_VALUE,
  type ProtoValue,
  REMOTE_MESSAGE,
  TOPOLOGY,
  VALUE,
} from "../../protoactor/transport/definitions.ts";
import { GoInbox } from "../../protoactor/transport/go_inbox.ts";
import { letterBytes, readLetters } from "../../protoactor/transport/letters.ts";
import {
  countedNumber,
  numberInIncarnation,
  unsignedDigits,
  wholeOf,
} from "../../protoactor/transport/numbers.ts";
import { deltaOf, readState, stateOf } from "../../protoactor/transport/state.ts";
import { anyOf, decoded, readBinaryAny } from "../../protoactor/transport/values.ts";
import { decode, encode } from "../../protocol/codec.ts";

const LIFE = makeIncarnation(1_700_000_000_000, 0.5);
const TEXT = { typeUrl: "type.googleapis.com/google.protobuf.StringValue", bytes: "CgJoaQ==" };

function valueEntry(key: string, number: number, value: JsonValue): SentEntry {
  return { key, number, type: TYPE.value, ...copyJson(value) };
}

function textAny(): Any {
  return { typeUrl: TEXT.typeUrl, value: Uint8Array.fromBase64(TEXT.bytes) };
}

function delta(id: string, entries: readonly SentEntry[], incarnation = LIFE): MemberDelta {
  return { id, incarnation, after: 0, reset: false, entries };
}

function big({ low, high }: Int64): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

/** A state as received from a member of protoactor: its own objects, as after decoding. */
function received(state: GossipState): GossipState {
  return structuredClone(state);
}

Deno.test("protoactor values: every JSON value converts to google.protobuf.Value and back", () => {
  const values: JsonValue[] = [
    null,
    true,
    false,
    0,
    -1.5,
    1e300,
    "",
    "grüße 😀",
    [],
    {},
    [1, [null, { a: [] }]],
    { "": 1, a: { b: { c: "d" } }, __proto__x: 1 },
    JSON.parse('{"__proto__":{"x":1}}'),
  ];
  let deep: JsonValue = 1;
  for (let depth = 0; depth < 31; depth++) deep = [{ "": deep }];
  for (const value of [...values, deep]) {
    const entry = valueEntry("k", 1, value);
    const read = readBinaryAny(anyOf(entry), {});
    assertEquals(read, { type: TYPE.value, value, json: entry.json });
  }
});

Deno.test("protoactor values: a protobuf value of a type without a decoder is { typeUrl, bytes }, and is passed on byte for byte", () => {
  const read = readBinaryAny(textAny(), {});
  assertEquals(read.value, TEXT);
  assertEquals(anyOf({ key: "k", number: 1, ...read }), textAny());
  const empty = readBinaryAny({ typeUrl: TEXT.typeUrl, value: new Uint8Array() }, {});
  assertEquals(empty.value, { typeUrl: TEXT.typeUrl, bytes: "" });
});

Deno.test("protoactor values: a registered decoder changes the value that is shown, and never the bytes that are passed on", () => {
  const decoders = {
    "google.protobuf.StringValue": (bytes: Uint8Array) => new TextDecoder().decode(bytes.subarray(2)),
  };
  const read = readBinaryAny(textAny(), decoders);
  assertEquals(read.value, "hi");
  assertEquals(anyOf({ key: "k", number: 1, ...read }), textAny());
  // Between Hearsay members it is sent unchanged, and the next one has decoders of its own.
  const message: Message = {
    type: "gossip",
    liveness: { count: 0 },
    id: "d1",
    memberId: "a",
    delta: deltaOf([delta("g", [{ key: "k", number: 1, ...read }], NO_INCARNATION)]),
  };
  const there = decode(encode(message), { maxMessageBytes: 10_000 });
  assert(there.type === "gossip");
  const [entry] = there.delta.members[0]!.entries;
  assertEquals(entry!.value, TEXT);
  assertEquals(decoded(entry!, decoders).value, "hi");
});

Deno.test("protoactor values: an error of a decoder, or a result that is not JSON, leaves the value unchanged", () => {
  const throwing = {
    "google.protobuf.StringValue": () => {
      throw new Error("no");
    },
  };
  assertEquals(readBinaryAny(textAny(), throwing).value, TEXT);
  const odd = { "google.protobuf.StringValue": () => undefined as unknown as JsonValue };
  assertEquals(readBinaryAny(textAny(), odd).value, TEXT);
});

Deno.test("protoactor values: a Value that JSON cannot carry, or that is too deep, is kept unchanged", () => {
  const name = `type.googleapis.com/${TYPE.value}`;
  let deep: ProtoValue = { nullValue: 0 };
  for (let depth = 0; depth < 80; depth++) {
    deep = { listValue: LIST_VALUE.encode({ values: [VALUE.encode(deep)] }) };
  }
  for (const value of [{ numberValue: NaN }, { numberValue: Infinity }, {}, deep]) {
    const bytes = Uint8Array.from(VALUE.encode(value));
    const read = readBinaryAny({ typeUrl: name, value: bytes }, {});
    assertEquals(read.type, TYPE.packed);
    assertEquals(anyOf({ key: "k", number: 1, ...read }).value, bytes);
  }
});

Deno.test("protoactor values: bytes that are not a message of their type are kept unchanged", () => {
  for (const type of [TYPE.value, TYPE.heartbeat, TYPE.topology, TYPE.empty]) {
    const any = { typeUrl: `type.googleapis.com/${type}`, value: new Uint8Array([0xff, 0xff, 0xff]) };
    assertEquals(readBinaryAny(any, {}).type, TYPE.packed);
  }
});

Deno.test("protoactor values: a heartbeat's counts convert both ways (R6.2)", () => {
  const value = { actorStatistics: { actorCount: { cart: 3, __proto__x: 0 } } };
  const entry = { key: "heathbeat", number: 1, type: TYPE.heartbeat, ...copyJson(value) };
  assertEquals(readBinaryAny(anyOf(entry), {}).value, value);
});

Deno.test("protoactor values: a heartbeat is sent under both key names of protoactor-go's history, and read under either name", () => {
  const value = anyOf({ key: "", number: 1, type: TYPE.heartbeat, value: {}, json: "{}" });
  const beat: SentEntry = { key: "heathbeat", number: 5, type: TYPE.heartbeat, value: {}, json: "{}" };
  const [member] = stateOf(deltaOf([delta("a", [beat])])).members;
  assertEquals(member!.value!.values.map(({ key }) => key), ["heathbeat", "heartbeat"]);
  for (const key of ["heathbeat", "heartbeat"]) {
    const state = {
      members: [{ key: "g", value: { values: [{ key, value: { sequenceNumber: 3, value } }] } }],
    };
    assertEquals(readState(received(state), {})[0]!.entries.map(({ key }) => key), ["heathbeat"]);
  }
  const notes = { typeUrl: `type.googleapis.com/${TYPE.empty}`, value: new Uint8Array() };
  const other = { key: "heartbeat", value: { sequenceNumber: 3, value: notes } };
  const read = readState({ members: [{ key: "g", value: { values: [other] } }] }, {});
  assertEquals(read[0]!.entries[0]!.key, "heartbeat");
});

Deno.test("protoactor values: a topology keeps all 64 bits of its hash, and lists no blocked member to protoactor members (E14)", () => {
  const value = { topologyHash: "18446744073709551615", blocked: ["x"] };
  const entry = { key: "topology", number: 1, type: TYPE.topology, ...copyJson(value) };
  const any = anyOf(entry);
  assertEquals(readBinaryAny(any, {}).value, { topologyHash: value.topologyHash });
  const members = [{ host: "127.0.0.1", port: 7001, id: "g", kinds: ["cart"] }];
  const theirs = {
    typeUrl: any.typeUrl,
    value: TOPOLOGY.encode({ topologyHash: "7", members, left: members }),
  };
  assertEquals(readBinaryAny(theirs, {}).value, { topologyHash: "7", members, left: members });
});

Deno.test("protoactor values: numbers of a later incarnation for members without incarnations exceed all numbers of an earlier incarnation (E1)", () => {
  const later = incarnationAbove(LIFE, 0, 0.1);
  const numbers = [
    numberInIncarnation(LIFE, 1),
    numberInIncarnation(LIFE, 1_000_000),
    numberInIncarnation(later, 1),
  ].map(big);
  assert(numbers[0]! < numbers[1]! && numbers[1]! < numbers[2]!, numbers.join());
  assert(numbers[2]! < 2n ** 63n);
  assert(numbers[0]! > 2n ** 52n);
});

Deno.test("protoactor values: countedNumber is undefined for numbers that a member without incarnations cannot reach by counting (E2)", () => {
  assertEquals(countedNumber(1), 1);
  assertEquals(countedNumber({ low: 0, high: 2 ** 20, unsigned: false }), 2 ** 52);
  assertEquals(countedNumber({ low: 1, high: 2 ** 20, unsigned: false }), undefined);
  assertEquals(countedNumber({ low: -1, high: -1, unsigned: false }), undefined);
  assertEquals(countedNumber(0), undefined);
  assertEquals(countedNumber(numberInIncarnation(LIFE, 1)), undefined);
  assertEquals(wholeOf({ low: -1, high: 0, unsigned: false }), 2 ** 32 - 1);
  assertEquals(unsignedDigits({ low: -1, high: -1, unsigned: true }), `${2n ** 64n - 1n}`);
});

Deno.test("protoactor values: a member without an entry is not sent, because protoactor-go could not add to it", () => {
  const state = stateOf(deltaOf([delta("a", []), delta("b", [valueEntry("x", 4, 1)])]));
  assertEquals(state.members.map(({ key }) => key), ["b"]);
});

Deno.test("protoactor values: an entry without a value converts both ways (E8)", () => {
  const gone: SentEntry = { key: "x", number: 4, type: "", value: undefined, json: "" };
  const state = stateOf(deltaOf([delta("g", [gone], NO_INCARNATION)]));
  assertEquals(state.members[0]!.value!.values, [{ key: "x", value: { sequenceNumber: 4 } }]);
  assertEquals(readState(received(state), {})[0]!.entries, [gone]);
});

Deno.test("protoactor values: an entry of a Hearsay member is ignored if a protoactor member passes it on", () => {
  const entries = [valueEntry("x", 4, 1)];
  const state = stateOf(deltaOf([delta("a", entries), delta("g", entries, NO_INCARNATION)]));
  assertEquals(readState(received(state), {}).map(({ id, incarnation }) => [id, incarnation]), [[
    "g",
    NO_INCARNATION,
  ]]);
});

Deno.test("protoactor values: an entry that could not be passed on is ignored, and the other entries are read", () => {
  const value = anyOf(valueEntry("x", 1, 1));
  const entry = (key: string, sequenceNumber = 1) => ({ key, value: { sequenceNumber, value } });
  const nameless = {
    key: "nameless",
    value: { sequenceNumber: 1, value: { typeUrl: "", value: new Uint8Array() } },
  };
  const values = [
    entry("good"),
    entry(""),
    entry("k".repeat(1_025)),
    entry("\ud800"),
    entry("zero", 0),
    nameless,
  ];
  const state = {
    members: [
      { key: "g", value: { values } },
      { key: "", value: { values } },
      { key: "i".repeat(257), value: { values } },
      { key: "none", value: null },
    ],
  };
  assertEquals(readState(state, {}).map(({ id, entries }) => [id, entries.map(({ key }) => key)]), [["g", [
    "good",
  ]]]);
});

Deno.test("protoactor values: the entry with the higher number is read if a key comes twice", () => {
  const entryWith = (sequenceNumber: number) => ({
    key: "x",
    value: { sequenceNumber, value: anyOf(valueEntry("x", 1, sequenceNumber)) },
  });
  const state = { members: [{ key: "g", value: { values: [entryWith(9), entryWith(3)] } }] };
  assertEquals(readState(state, {})[0]!.entries.map(({ number, value }) => [number, value]), [[9, 9]]);
});

Deno.test("protoactor values: letters count targets from zero and senders from one, and keep the request id", () => {
  const target = { address: "127.0.0.1:1", id: "gossip" };
  const sender = { address: "127.0.0.1:2", id: "future$1", requestId: 7 };
  const body = new Uint8Array([1]);
  const bytes = letterBytes({ target, sender, type: "cluster.GossipRequest", body });
  const batch = REMOTE_MESSAGE.decode(bytes).messageBatch!;
  assertEquals([batch.envelopes[0]!.target, batch.envelopes[0]!.sender], [0, 1]);
  assertEquals(batch.envelopes[0]!.senderRequestId, 7);
  const [letter] = readLetters(batch);
  assertEquals([letter!.target, letter!.sender, letter!.type], [target, sender, "cluster.GossipRequest"]);
  assertEquals(readLetters({ ...batch, targets: [] }), []);
  assertEquals(readLetters({ ...batch, typeNames: [] }), []);
});

Deno.test("protoactor values: an inbox keeps the newest entry of each key until it is read, within its limit", () => {
  const inbox = new GoInbox(2_000);
  const asker = { address: "127.0.0.1:2", id: "future$1" };
  inbox.add({ members: [delta("g", [valueEntry("x", 3, "old")], NO_INCARNATION)], askers: [asker] });
  inbox.add({ members: [delta("g", [valueEntry("x", 5, "new")], NO_INCARNATION)], askers: [] });
  inbox.add({ members: [delta("g", [valueEntry("x", 4, "late")], NO_INCARNATION)], askers: [] });
  inbox.add({
    members: [delta("g", [valueEntry("large", 6, "x".repeat(2_000))], NO_INCARNATION)],
    askers: [],
  });
  const { members, askers } = inbox.take();
  assertEquals(members.map(({ entries }) => entries.map(({ value }) => value)), [["new"]]);
  assertEquals(askers, [asker]);
  assert(inbox.isEmpty);
  for (let each = 0; each < 100; each++) inbox.add({ members: [], askers: [asker] });
  assertEquals(inbox.take().askers.length, 16);
});

Deno.test("protoactor values: between Hearsay members two entries of an unversioned member may have one number (E4)", () => {
  const entries = [valueEntry("x", 4, 1), valueEntry("y", 4, 2)];
  const message: Message = {
    type: "gossip",
    liveness: { count: 0 },
    id: "d1",
    memberId: "a",
    delta: deltaOf([delta("g", entries, NO_INCARNATION)]),
  };
  const read = decode(encode(message), { maxMessageBytes: 10_000 });
  assert(read.type === "gossip");
  assertEquals(read.delta.members[0]!.entries.length, 2);
});

Deno.test("protoactor values: reads heartbeats that protoactor-go writes without statistics", () => {
  const any = { typeUrl: `type.googleapis.com/${TYPE.heartbeat}`, value: HEARTBEAT.encode({}) };
  assertEquals(readBinaryAny(any, {}).value, {});
  assertMatch(anyOf({ key: "k", number: 1, ...readBinaryAny(any, {}) }).typeUrl, /MemberHeartbeat$/);
});
