import { assert, assertEquals, assertStringIncludes, assertThrows } from "../../deps/std_assert.ts";
import { topologyHash } from "../../engine/murmur3.ts";
import {
  GRACEFULLY_LEFT_KEY,
  HEARTBEAT_KEY,
  type JsonValue,
  type SentEntry,
  TOPOLOGY_KEY,
  TYPE,
} from "../../engine/types.ts";
import { DEFAULT_CONFIG } from "../../gossiper/configuration.ts";
import { ConnectionClosed } from "../../gossiper/errors.ts";
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

/** Why each of what is not taken is refused. */
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

/** What an entry of protoactor-go's is in memory: said once more, in other words than the codec's. */
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

/** With the name that the field has in hearsay.v2, and stamps as far as a number can hold them. */
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

Deno.test("P3 what protoactor-go writes is read: every member, key, number and value", async (t) => {
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

Deno.test("P3 what was read of protoactor-go is written as protoactor-go writes it", async (t) => {
  for (const vector of taken) {
    await t.step(vector.name, () => {
      assertEquals(writtenBody(withStamps(readBody(vector), vector.json)), asWritten(vector));
    });
  }
});

Deno.test("P3 what protoactor-go could write and never does is refused, with the reason", async (t) => {
  const refused = messages.filter((vector) => !taken.includes(vector));
  assertEquals(refused.map(({ name }) => name.slice("refused: ".length)), Object.keys(REFUSALS));
  for (const vector of refused) {
    await t.step(vector.name, () => {
      const error = assertThrows(() => readBody(vector), ConnectionClosed);
      assertStringIncludes(error.message, REFUSALS[vector.name.slice("refused: ".length)]!);
    });
  }
});

Deno.test("E14 the topology hash is protoactor-go's, whatever the order of the members", () => {
  assert(topologyHashes.length > 10);
  for (const { ids, hash } of topologyHashes) {
    assertEquals(topologyHash(ids), hash, ids.join(" "));
    assertEquals(topologyHash(ids.toReversed()), hash);
  }
});

Deno.test("R2.6 the defaults are protoactor-go's", () => {
  const ours = Object.entries(DEFAULT_CONFIG).filter(([name]) => name in defaults);
  assertEquals(Object.fromEntries(ours), defaults);
});

Deno.test("the keys are protoactor-go's; that of heartbeats is spelled as it was until it was corrected there", () => {
  assertEquals([TOPOLOGY_KEY, GRACEFULLY_LEFT_KEY], [keys.topology, keys.gracefullyLeft]);
  assertEquals([HEARTBEAT_KEY, keys.heartbeat], ["heathbeat", "heartbeat"]);
});
