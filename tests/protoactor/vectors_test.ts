import { assert, assertEquals, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import { topologyHash } from "../../engine/state/murmur3.ts";
import {
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  type JsonValue,
  type SentEntry,
  TOPOLOGY_KEY,
  TYPE,
} from "../../engine/types.ts";
import { DEFAULT_CONFIG } from "../../options/configuration.ts";
import { ConnectionClosed } from "../../common/errors.ts";
import {
  type Json,
  readBody,
  readVectors,
  valuesOf,
  type Vector,
  withStamps,
  writtenBody,
} from "./vectors.ts";

const { defaults, keys, messages, topologyHashes } = readVectors();
const taken = messages.filter(({ name }) => !name.startsWith("refused: "));

/** The error of each refused message. */
const REFUSALS: Readonly<Record<string, string>> = {
  "no member's id": "request.memberId: must be a well-formed string",
  "an entry of zeros": "sequenceNumber: must be a whole number from 1",
  "a sequence number below nought": 'from 1 to 4503599627370496, was "-1"',
  "the least sequence number": 'from 1 to 4503599627370496, was "-9223372036854775808"',
  "a sequence number above 2^52": 'from 1 to 4503599627370496, was "4503599627370497"',
  "the highest sequence number": 'from 1 to 4503599627370496, was "9223372036854775807"',
  "an empty key": 'values[""]: must be a well-formed string of 1 to 1024 bytes',
  "an empty id": 'ranges[""]: must be a well-formed string of 1 to 256 bytes',
  "a value of no type": "value.@type: must be a well-formed string",
  "a count below nought": 'actorCount["k"]: must be a whole number from 0',
  "the highest count": 'actorCount["k"]: must be a whole number from 0',
  "a port that is none": "port: must be a whole number from 0 to 65535",
};

/** The entry of protoactor-go in memory. Written independently of the codec, so that both check each other. */
function inMemory(key: string, entry: Json): Omit<SentEntry, "json"> {
  const number = Number(entry.sequenceNumber);
  if (entry.value === undefined) return { key, number, type: "", value: undefined };
  const { "@type": url, ...rest } = entry.value as Json;
  const type = String(url).slice("type.googleapis.com/".length);
  const toValue = VALUES.get(type);
  return { key, number, type, value: toValue ? toValue(rest) : entry.value as JsonValue };
}

const VALUES = new Map<string, (fields: Json) => JsonValue>([
  [TYPE.value, ({ value }) => value as JsonValue],
  [TYPE.empty, () => ({})],
  [TYPE.topology, (fields) => fields as JsonValue],
  [TYPE.heartbeat, ({ actorStatistics }) => {
    const counts = Object.entries(((actorStatistics ?? {}) as Json).actorCount ?? {});
    if (counts.length === 0) return {};
    const actorCount = Object.fromEntries(counts.map(([kind, count]) => [kind, Number(count)]));
    return { actorStatistics: { actorCount } };
  }],
]);

function without(entry: SentEntry): Omit<SentEntry, "json"> {
  const { json: _, ...rest } = entry;
  return rest;
}

/** The expected JSON: with the field name of hearsay.v2, and stamps rounded as a number rounds them. */
function asWritten({ json, lean = json }: Vector): Json {
  const copy = structuredClone(lean) as Record<string, unknown>;
  for (const [, values] of valuesOf(copy)) {
    for (const [, entry] of values) {
      const { localTimestampUnixMilliseconds: stamp } = entry;
      if (stamp === undefined) continue;
      (entry as Record<string, unknown>).localTimestampUnixMilliseconds = `${Number(stamp)}`;
    }
  }
  if (copy.fromMemberId === undefined) return copy;
  const { fromMemberId: memberId, ...rest } = copy;
  return { memberId, ...rest };
}

Deno.test("codec: decodes every member, key, number and value of protoactor-go's messages (P3)", async (t) => {
  for (const vector of taken) {
    await t.step(vector.name, () => {
      const message = readBody(vector);
      if (message.type === "gossip") {
        assertEquals(message.memberId, vector.json.memberId ?? vector.json.fromMemberId);
      }
      const read = message.delta.members.map(({ id, entries }) => [id, entries.map(without)]);
      const wanted = valuesOf(vector.json).map(([id, values]) => {
        const entries = values.map(([key, entry]) => inMemory(key, entry));
        return [id, entries.sort((one, other) => one.number - other.number)];
      });
      assertEquals(read, wanted);
    });
  }
});

Deno.test("codec: encodes decoded messages of protoactor-go as protoactor-go does (P3)", async (t) => {
  for (const vector of taken) {
    await t.step(vector.name, () => {
      assertEquals(writtenBody(withStamps(readBody(vector), vector.json)), asWritten(vector));
    });
  }
});

Deno.test("codec: refuses messages that protoactor-go can write but never does, with the reason (P3)", async (t) => {
  const refused = messages.filter((vector) => !taken.includes(vector));
  assertEquals(refused.map(({ name }) => name.slice("refused: ".length)), Object.keys(REFUSALS));
  for (const vector of refused) {
    await t.step(vector.name, () => {
      const error = assertThrows(() => readBody(vector), ConnectionClosed);
      assertStringIncludes(error.message, REFUSALS[vector.name.slice("refused: ".length)]!);
    });
  }
});

Deno.test("topology hash: equals protoactor-go's for any order of the members (E14)", () => {
  assert(topologyHashes.length > 10);
  for (const { ids, hash } of topologyHashes) {
    assertEquals(topologyHash(ids), hash, ids.join(" "));
    assertEquals(topologyHash(ids.toReversed()), hash);
  }
});

Deno.test("configuration: the defaults equal protoactor-go's (R2.6)", () => {
  const ours = Object.entries(DEFAULT_CONFIG).filter(([name]) => name in defaults);
  assertEquals(Object.fromEntries(ours), defaults);
});

Deno.test("keys: equal protoactor-go's; the heartbeat key has its earlier spelling", () => {
  assertEquals([TOPOLOGY_KEY, GRACEFULLY_LEFT_KEY], [keys.topology, keys.gracefullyLeft]);
  assertEquals([HEARTBEAT_KEY, keys.heartbeat], ["heathbeat", "heartbeat"]);
});
